"""Which real images a generator was trained on: the refusal to score against them, and the sets that remain.

An image is known by the SHA-256 of its file, as `generator.json` lists the training images, so that a renamed copy in
another folder is known too.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from defects.provenance import image_hashes
from defects.sample import Sample
from defects.splits import split
from engine.errors import DataError, UsageError

_HALVES = {"train": 0.5, "held": 0.5}


@dataclass(frozen=True)
class Division:
    """The real images, by what they may be used for.

    Attributes:
        real: Those that the synthetic images are compared with.
        train: Those that the segmenter, the classifiers and the nearest neighbors learn from.
        held: Those of `real` that share neither file nor part with `train`.
        training_images: For each source, the images of `train` that its generator was trained on; empty where that
            is unknown.
        leaked: How many of `real` a generator was trained on; not 0 only where that was allowed.
        halved: Whether `train` and `held` are the two halves of `real`, as no training image is known.
        notes: What the reader of a score has to know, a sentence each.
    """

    real: list[Sample]
    train: list[Sample]
    held: list[Sample]
    training_images: dict[str, list[Sample]]
    leaked: int = 0
    halved: bool = False
    notes: list[str] = field(default_factory=list)


def divide(
    real: Sequence[Sample],
    trained: Mapping[str, frozenset[str] | None],
    *,
    train: Sequence[Sample] | None = None,
    held_out: bool = False,
    allow_trained: bool = False,
    seed: int = 0,
) -> Division:
    """Divide the real images into those to compare with and those that may have been learned from.

    Args:
        real: Those of `--real`.
        trained: For each source the SHA-256 of its generator's training images; None where nothing is known.
        train: Training images given apart, by `--train`.
        held_out: Leave training images, and images of the same parts, out of `real`.
        allow_trained: Compare with training images all the same.
        seed: Of the halves, where no training image is known.

    Raises:
        UsageError: Training images are among `real` and neither flag was given, or a flag does not apply.
        DataError: A file cannot be read, or no two images are left.
    """
    if held_out and allow_trained:
        raise UsageError("--held-out and --allow-trained: exclude one another; give one of them", code="E-bench-flags")
    if held_out and train is None and not any(trained.values()):
        raise UsageError(
            "--held-out: no synthetic folder says which images its generator was trained on (generator.json); "
            "give the training images by --train DIR",
            code="E-held-out-unknown",
        )
    hashes = image_hashes(real)
    given = image_hashes(train) if train is not None else []
    known = frozenset(given).union(*(own for own in trained.values() if own))
    at = [place for place, digest in enumerate(hashes) if digest in known]
    if at and not (held_out or allow_trained):
        raise UsageError(_refusal(hashes, trained, frozenset(given)), code="E-held-out-leak")
    notes = _unchecked(trained, given=train is not None)
    leaked = [real[place] for place in at]
    trained_on = list(train) if train is not None else leaked
    parts = {sample.part for sample in leaked} | {f"group:{sample.group}" for sample in trained_on if sample.group}
    apart = [
        sample
        for sample, digest in zip(real, hashes, strict=True)
        if digest not in known and (not sample.group or sample.part not in parts)
    ]
    compared = list(real)
    siblings = len(real) - len(leaked) - len(apart)
    if siblings:
        what = "were left out with it" if held_out else "are compared all the same; --held-out leaves them out"
        notes.append(f"{siblings} real images show the same part as a training image and {what}")
    if held_out:
        compared = apart
        if len(apart) < 2:
            raise DataError(
                f"--held-out: leaves {len(apart)} of {len(real)} real images, fewer than 2; "
                "give other real images, or score against the training images by --allow-trained",
                code="E-held-out-too-few",
            )
    elif leaked:
        notes.append(
            f"{len(leaked)} of {len(real)} real images are training images of the generator (--allow-trained): "
            "every score looks better than it is"
        )
    digests = dict(
        zip(map(id, trained_on), given if train is not None else [hashes[place] for place in at], strict=True)
    )
    training_images = {
        name: _training_images(trained_on, digests, own, given=train is not None) for name, own in trained.items()
    }
    notes.extend(_incomplete(trained, training_images))
    count = 0 if held_out else len(leaked)
    if len(trained_on) >= 2 and len(apart) >= 2:
        return Division(compared, trained_on, apart, training_images, count, False, notes)
    halves = split(compared, _HALVES, seed)
    return Division(compared, halves["train"], halves["held"], training_images, count, True, notes)


def _refusal(hashes: list[str], trained: Mapping[str, frozenset[str] | None], given: frozenset[str]) -> str:
    counts = {name: sum(digest in own for digest in hashes) for name, own in trained.items() if own}
    named = [f"{count} that {name} was trained on" for name, count in counts.items() if count]
    if not named:
        named = [f"{sum(digest in given for digest in hashes)} of --train"]
    return (
        f"--real: its {len(hashes)} images hold {', '.join(named)}; leave them out by --held-out, "
        "or score against them all the same by --allow-trained"
    )


def _unchecked(trained: Mapping[str, frozenset[str] | None], *, given: bool) -> list[str]:
    names = [name for name, own in trained.items() if not own]
    if not names or given:
        return []
    return [
        f"{', '.join(names)}: no generator.json says which images the generator was trained on, "
        "so it cannot be checked that the real images are new to it"
    ]


def _training_images(
    trained_on: list[Sample], digests: Mapping[int, str], own: frozenset[str] | None, *, given: bool
) -> list[Sample]:
    if own:
        return [sample for sample in trained_on if digests[id(sample)] in own]
    return list(trained_on) if given else []


def _incomplete(trained: Mapping[str, frozenset[str] | None], training_images: Mapping[str, list[Sample]]) -> list[str]:
    return [
        f"{name}: {len(training_images[name])} of its {len(own)} training images are at hand; "
        "near-duplicates of the others go unnoticed"
        for name, own in trained.items()
        if own and 0 < len(training_images[name]) < len(own)
    ]
