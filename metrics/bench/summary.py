"""From what was measured to `results.json` and `scores.jsonl`."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from typing import Any

from metrics.bench.comparison import Comparison
from metrics.bench.derived_scores import further_scores
from metrics.bench.evidence import Evidence
from metrics.bench.results import Missing, Results, SetInfo, SourceResults

SCORES = "scores.jsonl"


@dataclass(frozen=True)
class SampleScores:
    """One synthetic image; None where a score could not be computed.

    Attributes:
        source: The name it was given by `--fake NAME=DIR`.
        file_name: Relative to that folder.
        sha256: Of the image file, by which the row is matched.
        extractor: Of the features behind `realism` and `nearest`.
        label_iou: IoU of the segmenter's prediction with the written label, 0 to 1.
        realism: Realism score against the real images (Kynkaanniemi et al. 2019, eq. 3); from 1 inside their manifold.
        nearest: Name of the nearest real training image.
        nearest_distance: Feature distance to it.
        nearest_ratio: That distance over the median of the held-out real images'; near 0 for a copy.
    """

    source: str
    file_name: str
    sha256: str
    extractor: str
    label_iou: float | None = None
    realism: float | None = None
    nearest: str | None = None
    nearest_distance: float | None = None
    nearest_ratio: float | None = None


def rows_to_bytes(rows: Iterable[SampleScores]) -> bytes:
    """The content of `scores.jsonl`; a number that is not finite becomes null."""
    lines = []
    for row in rows:
        content = {key: _finite(value) for key, value in asdict(row).items()}
        lines.append(json.dumps(content, ensure_ascii=False, allow_nan=False) + "\n")
    return "".join(lines).encode("utf-8")


def results_of(comparison: Comparison, evidence: Evidence, settings: dict[str, Any]) -> Results:
    """The whole tree.

    Args:
        comparison: The sets.
        evidence: What was measured of them.
        settings: Command, versions, seed and the like.
    """
    sources = []
    for source in comparison.sources:
        own = evidence.sources[source.name]
        found = {
            "labels": own.labels,
            "control": own.control,
            "diversity": own.diversity,
            "memorization": own.memorization,
        }
        parts = {name: part.to_dict() for name, part in found.items() if part is not None}
        scores = [*own.scores, *further_scores(comparison, evidence, source)]
        sources.append(SourceResults(source.name, scores, parts))
    return Results(
        first_line(comparison),
        [*comparison.notes, *evidence.notes],
        sets_of(comparison),
        {"labels": evidence.held_labels.to_dict()} if evidence.held_labels is not None else {},
        sources,
        [*evidence.missing, *_uncomputed(sources)],
        settings,
    )


def first_line(comparison: Comparison) -> str:
    """What was compared; first of all whether it may be believed."""
    names = ", ".join(f"{source.name} ({len(source.images)} images)" for source in comparison.sources)
    side, channels = comparison.crop_spec.size, "gray" if comparison.crop_spec.channels == 1 else "RGB"
    what = f"{names} against {len(comparison.real)} real images, {side} x {side} px {channels}"
    leaked = comparison.division.leaked
    if leaked:
        return (
            f"Not a fair comparison: {leaked} of the {len(comparison.division.real)} real images were training images "
            f"of the generator (--allow-trained). Compared: {what}."
        )
    return f"{what}{', none of them trained on' if _checked(comparison) else ''}."


def sample_rows(comparison: Comparison, evidence: Evidence) -> list[SampleScores]:
    """One row for every synthetic image, source by source."""
    rows = []
    for source in comparison.sources:
        own = evidence.sources[source.name]
        memorized = own.memorization
        for at, (sample, digest) in enumerate(zip(source.images.samples, source.hashes, strict=True)):
            rows.append(
                SampleScores(
                    source=source.name,
                    file_name=sample.image.relative_to(source.folder).as_posix(),
                    sha256=digest,
                    extractor=evidence.bank.extractor,
                    label_iou=float(own.labels.per_image[at]) if own.labels is not None else None,
                    realism=float(own.realism[at]) if own.realism is not None else None,
                    nearest=source.training_images.samples[int(memorized.index[at])].name
                    if memorized is not None
                    else None,
                    nearest_distance=float(memorized.distance[at]) if memorized is not None else None,
                    nearest_ratio=float(memorized.ratio[at]) if memorized is not None else None,
                )
            )
    return rows


def _checked(comparison: Comparison) -> bool:
    """Whether the training images of every source are known, so that they could be left out."""
    request = comparison.request
    return all(
        request.train is not None
        or source.name in request.derived
        or (source.provenance and source.provenance.train_sha256)
        for source in comparison.sources
    )


def sets_of(comparison: Comparison) -> list[SetInfo]:
    """The images, by what they are used for."""
    real, train = str(comparison.request.real), str(comparison.request.train or comparison.request.real)
    trained_on = "segmenter, recognition of classes"
    if not comparison.division.halved:
        trained_on += ", nearest training images"
    sets = [
        SetInfo.of(comparison.real, "compared with the synthetic images", real),
        SetInfo.of(comparison.train, trained_on, train),
        SetInfo.of(comparison.held, "unseen by segmenter and generator: what to expect of labels and distances", real),
    ]
    for source in comparison.sources:
        checkpoint = source.provenance.checkpoint if source.provenance is not None else None
        sets.append(SetInfo.of(source.images, "synthetic", str(source.folder), checkpoint))
    return sets


def _uncomputed(sources: list[SourceResults]) -> list[Missing]:
    """Scores without a value, those of one reason together."""
    reasons: dict[tuple[str, str], list[str]] = {}
    for source in sources:
        for score in source.scores:
            if score.value is None:
                reasons.setdefault((source.name, score.why), []).append(score.name)
    return [Missing(", ".join(names), why, source) for (source, why), names in reasons.items()]


def _finite(value: Any) -> Any:
    return None if isinstance(value, float) and not math.isfinite(value) else value
