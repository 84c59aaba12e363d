"""Sentences of the report: the meaning of every score, and four questions about a set answered."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from metrics.bench.evidence import SourceEvidence
from metrics.bench.results import formatted
from metrics.conditioning.control import EntryControl
from metrics.report.page import Answer
from metrics.scores.score import Score

THEMES = (
    "How real the images look",
    "Whether the labels are true",
    "Whether the guide is obeyed",
    "Whether images are memorized",
)


@dataclass(frozen=True)
class Meaning:
    """How a score is read.

    Attributes:
        title: Its name in words.
        sees: What it sees, a sentence.
        baseline: What the mark of comparison is, a clause; empty for the halves of the real images, or for none.
        theme: Index into `THEMES`.
        share: Whether it runs from 0 to 1.
    """

    title: str
    sees: str
    baseline: str = ""
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
        "the one to trust with few images. Around zero no difference shows.",
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
        "The share of real images that lie among the synthetic ones: low when a whole appearance is never generated.",
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
        "label written next to it (overlap, 0 to 1): low when no defect is generated, or one off the mask.",
        "the overlap the same network reaches on real images that it was not trained on",
        theme=1,
        share=True,
    ),
    "control": Meaning(
        "Control",
        "How closely what is measured in the image follows what was requested: rank correlation of a number, "
        "share of images recognized of a category.",
        "for a category, the share of real images recognized",
        theme=2,
        share=True,
    ),
    "diversity": Meaning(
        "Diversity",
        "How far images of one mask and guide differ from each other, as a share of how far real images differ: "
        "near 0 when the same image is generated again and again. It stays below 1, for real images differ in their "
        "defects too.",
        share=True,
    ),
    "c_t": Meaning(
        "Memorization test",
        "Whether synthetic images lie closer to the training images than unseen real images do "
        "(C_T of Meehan et al.): below -3 they are memorized, around zero they are not.",
        "zero, where synthetic images are as close as unseen real ones",
        theme=3,
    ),
    "copies": Meaning(
        "Share of memorized images",
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
        return Meaning(f"Control of {entry}", found.sees, found.baseline, found.theme, found.share)
    return found


RULE = (
    "The marks are a reading aid, no norm. Quality: good to 1.25 times the baseline Fréchet distance, fair up to "
    "2.5 times. Labels: good from 85 % of the overlap on unseen real images, fair from 60 %. Guide: good where every "
    "entry measured reaches 0.8, fair from 0.5, a class as a share of what is recognized of real images. Memorization: "
    "poor where the test finds copying. Unknown where what is needed is missing, or the overlap on unseen real images "
    "is below 0.2."
)

_BLIND = 0.2
"""Overlap on unseen real images below which the segmenter is no evaluator."""


def answers(scores: Sequence[Score], evidence: SourceEvidence, extractor: str) -> list[Answer]:
    """Whether images look real, labels are true, the guide is followed and images are memorized.

    Args:
        scores: Of one source.
        evidence: Of that source.
        extractor: The one that scores single images.
    """
    return [_look(scores, extractor), _labels(scores, evidence), _control(evidence), _memorized(evidence)]


def _look(scores: Sequence[Score], extractor: str) -> Answer:
    question = "Do the images look real?"
    own = {score.name.removesuffix(f"_{extractor}"): score for score in scores if score.extractor == extractor}
    distance = own.get("fid")
    if distance is None or distance.value is None or not distance.baseline:
        return Answer(question, "unknown", _why(distance))
    times = distance.value / distance.baseline
    sentence = (
        f"Fréchet distance {formatted(distance.value)}, where other real images reach {formatted(distance.baseline)}: "
        f"{formatted(times)} times as far."
    )
    precision, recall = own.get("precision"), own.get("recall")
    if precision is not None and recall is not None and precision.value is not None and recall.value is not None:
        sentence += (
            f" {precision.value:.0%} of them lie among the real images, "
            f"and {recall.value:.0%} of the real images lie among them."
        )
    return Answer(question, _mark(-times, -1.25, -2.5), sentence)


def _labels(scores: Sequence[Score], evidence: SourceEvidence) -> Answer:
    question = "Are the labels true?"
    score = next((score for score in scores if score.name == "label_iou"), None)
    if score is None or score.value is None:
        return Answer(question, "unknown", _why(score))
    sentence = f"The defect found in an image and its label overlap by {formatted(score.value)}"
    missed = evidence.labels.missed if evidence.labels is not None else None
    nothing = f"; in {missed:.0%} of the images nothing is found where the label is" if missed is not None else ""
    if score.baseline is None:
        return Answer(question, "unknown", f"{sentence}{nothing}. No unseen real image tells what to expect.")
    if score.baseline < _BLIND:
        return Answer(
            question,
            "unknown",
            f"{sentence}, but on unseen real images by {formatted(score.baseline)} only: the network sees too little.",
        )
    return Answer(
        question,
        _mark(score.value / score.baseline, 0.85, 0.6),
        f"{sentence}, on unseen real images by {formatted(score.baseline)}{nothing}.",
    )


def _control(evidence: SourceEvidence) -> Answer:
    question = "Is the guide obeyed?"
    entries = evidence.control.entries if evidence.control is not None else ()
    values = {
        entry.name: value
        for entry in entries
        if (value := entry.spearman if entry.entry_type == "numeric" else entry.accuracy) is not None
    }
    if not values:
        return Answer(question, "unknown", "No entry of the guide could be measured.")
    parts = [
        f"{entry.name} {formatted(values[entry.name])}"
        + ("" if entry.entry_type == "numeric" else " of images recognized")
        for entry in entries
        if entry.name in values
    ]
    missing = [entry.name for entry in entries if entry.name not in values]
    rest = f" Not measured: {', '.join(missing)}." if missing else ""
    sentence = f"What is measured follows what was requested, where 1 is perfectly: {', '.join(parts)}.{rest}"
    return Answer(question, _mark(min(_reached(entry, values) for entry in entries), 0.8, 0.5), sentence)


def _reached(entry: EntryControl, values: Mapping[str, float]) -> float:
    """How far an entry is obeyed; a category as a share of what is recognized of real images."""
    if entry.name not in values:
        return 1.0
    of_real = entry.reference if entry.entry_type == "categorical" else None
    return values[entry.name] / of_real if of_real else values[entry.name]


def _memorized(evidence: SourceEvidence) -> Answer:
    question = "Are they memorized?"
    found = evidence.memorization
    if found is None or found.c_t is None:
        why = found.why if found is not None else "the training images are not at hand"
        return Answer(question, "unknown", f"Not tested: {why}.")
    sentence = (
        f"Less than half as far from a training image as an unseen real image usually is: "
        f"{found.share_memorized:.0%} of them, and {found.share_expected:.0%} of unseen real images."
    )
    verdict = found.verdict[:1].upper() + found.verdict[1:]
    return Answer(question, "poor" if found.memorized else "good", f"{verdict}. {sentence}")


def _mark(value: float, good: float, fair: float) -> str:
    return "good" if value >= good else "fair" if value >= fair else "poor"


def _why(score: Score | None) -> str:
    return f"Not computed: {score.why}." if score is not None and score.why else "Not computed."
