"""Every score in one plain sentence: what it sees, which direction is better, what the floor means."""

from __future__ import annotations

from dataclasses import dataclass

from metrics.scores.score import Score

__all__ = ["THEMES", "Meaning", "meaning"]

THEMES = (
    "How real the images look",
    "Whether the labels are true",
    "Whether the guide is obeyed",
    "Whether images are copies",
)


@dataclass(frozen=True)
class Meaning:
    """How a score is read.

    Attributes:
        title: Its name in words.
        sees: What it sees, a sentence.
        floor: What the mark of comparison is, a clause; empty for the halves of the real images, or for none.
        theme: Index into `THEMES`.
        share: Whether it runs from 0 to 1.
    """

    title: str
    sees: str
    floor: str = ""
    theme: int = 0
    share: bool = False


# The longest key with which a name begins is its meaning.
_MEANINGS = {
    "fid": Meaning(
        "Fréchet distance",
        "How far the synthetic images as a whole lie from the real ones in the eyes of a network: "
        "blur, wrong texture and lost variety all raise it. Few images raise it too.",
    ),
    "fid_infinity": Meaning(
        "Fréchet distance, extrapolated",
        "The Fréchet distance that endlessly many synthetic images would have, so that sets of different counts "
        "compare.",
    ),
    "kid": Meaning(
        "Kernel distance",
        "The same question as the Fréchet distance, but its mean does not depend on how many images there are: "
        "the one to trust with few images. Around zero no difference is seen.",
    ),
    "is": Meaning(
        "Inception score",
        "Whether the network is sure what each image shows and sees many different things; "
        "it never looks at the real images.",
    ),
    "precision": Meaning(
        "Precision", "The share of synthetic images that lie among the real ones: low when many look wrong.", share=True
    ),
    "recall": Meaning(
        "Recall",
        "The share of real images that lie among the synthetic ones: low when whole looks are never made.",
        share=True,
    ),
    "density": Meaning(
        "Density",
        "Like precision, but a lone unusual real image cannot raise it; about 1 is as dense as the real ones.",
    ),
    "coverage": Meaning(
        "Coverage",
        "The share of real images with a synthetic one close by: low when the generator repeats itself.",
        share=True,
    ),
    "label_iou": Meaning(
        "Label fidelity",
        "How well the defect that a network, trained on real images only, finds in a synthetic image agrees with the "
        "label written beside it (overlap, 0 to 1): low when nothing is drawn, or drawn beside the mask.",
        "the overlap the same network reaches on real images it has not seen",
        theme=1,
        share=True,
    ),
    "control": Meaning(
        "Control",
        "How closely what is measured in the image follows what was asked for: rank correlation of a number, "
        "share of images recognised of a category.",
        "for a category, the share of real images recognised",
        theme=2,
        share=True,
    ),
    "diversity": Meaning(
        "Diversity",
        "How far images of one mask and guide differ from each other, as a share of how far real images differ: "
        "near 0 when the same picture is made again and again. It stays below 1, for real images differ in their "
        "defects too.",
        share=True,
    ),
    "c_t": Meaning(
        "Memorisation test",
        "Whether synthetic images lie closer to the training images than unseen real images do "
        "(C_T of Meehan et al.): below -3 they are copies, around zero they are not.",
        "zero, where synthetic images are as close as unseen real ones",
        theme=3,
    ),
    "copies": Meaning(
        "Share of near copies",
        "The share of synthetic images less than half as far from a training image as an unseen real image usually is.",
        "the same share among unseen real images",
        theme=3,
        share=True,
    ),
}


def meaning(score: Score) -> Meaning:
    """How a score is read; one that is not known is shown by its name."""
    keys = [key for key in _MEANINGS if score.name == key or score.name.startswith(f"{key}_")]
    if not keys:
        return Meaning(score.name, score.estimator)
    found = _MEANINGS[max(keys, key=len)]
    if found.title == "Control":
        entry = score.name.removeprefix("control_")
        return Meaning(f"Control of {entry}", found.sees, found.floor, found.theme, found.share)
    return found
