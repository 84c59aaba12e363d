"""What `bench-fid` measures, in order: features, scores, labels, control, diversity, memorization, the map."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from engine.commands import Progress
from engine.errors import DataError
from metrics.bench.comparison import Comparison
from metrics.bench.evaluation import (
    evaluate_control,
    evaluate_diversity,
    evaluate_labels,
    evaluate_memorization,
    map_images,
)
from metrics.bench.evidence import Evidence, FeatureBank, ProgressOf, RealBaselines, SourceEvidence, like, union
from metrics.data.image_set import ImageSet
from metrics.features.cache import FeatureCache
from metrics.features.extraction import extract
from metrics.scores.table import score_table

if TYPE_CHECKING:
    from metrics.features.extraction import Extractor, Features


@dataclass(frozen=True)
class Options:
    """How the images are measured.

    Attributes:
        resamples: Of the intervals.
        skip: Of `metrics.cli.PARTS`.
        cache: Folder of features and segmenters already computed; None keeps nothing.
        workers: Threads; None for PyTorch's own number.
    """

    resamples: int = 200
    skip: frozenset[str] = frozenset()
    cache: Path | None = None
    workers: int | None = None


def measure(
    comparison: Comparison, extractors: Sequence[Extractor], options: Options, *, progress: ProgressOf | None = None
) -> Evidence:
    """Measures everything that is not left out; what cannot be computed is noted with its reason.

    Args:
        comparison: The sets.
        extractors: Networks, the first the one that scores single images.
        options: How.
        progress: Makes what shows a part of the work: how many, under which label, of what.

    Raises:
        DataError: An image does not open, a set is of flat colors only, or a feature is not a number.
        WeightsError: A network cannot be had.
    """
    show = progress or (lambda total, label, unit: Progress(total, label, quiet=True, unit=unit))
    evidence = Evidence({source.name: SourceEvidence() for source in comparison.sources})
    evidence.notes += _flat(comparison)
    cache = FeatureCache(options.cache / "features" if options.cache is not None else None)
    for extractor in extractors:
        _score(comparison, evidence, extractor, cache, options.resamples, show)
    evaluate_diversity(comparison, evidence)
    if "labels" not in options.skip:
        folder = options.cache / "segmenters" if options.cache is not None else None
        evaluate_labels(comparison, evidence, show, folder=folder, threads=options.workers)
    if "control" not in options.skip:
        evaluate_control(comparison, evidence)
    if "memorization" not in options.skip:
        evaluate_memorization(comparison, evidence)
    if "tsne" not in options.skip:
        map_images(comparison, evidence)
    for part in sorted(options.skip):
        evidence.lack(part, "left out by --skip")
    return evidence


def _score(
    comparison: Comparison,
    evidence: Evidence,
    extractor: Extractor,
    cache: FeatureCache,
    resamples: int,
    progress: ProgressOf,
) -> None:
    """Features of every image, once, and the scores of every set."""
    trained_on = like(comparison.train, good=comparison.request.good)
    real = union(
        [comparison.real, comparison.held, trained_on, *(source.training_images for source in comparison.sources)]
    )
    bank = FeatureBank(extractor.name, extractor.resize)
    bank.add(real, _features(real, extractor, cache, progress).values)
    baselines = RealBaselines(comparison, bank, trained_on)
    for source in comparison.sources:
        features = _features(source.images, extractor, cache, progress)
        bank.add(source.images, features.values)
        scores = score_table(
            real=bank.of(comparison.real),
            fake=features.values,
            logits=features.logits,
            extractor=extractor.name,
            resize=f"{comparison.crop_spec.size} px crops, {extractor.resize}",
            seed=comparison.request.seed,
            resamples=resamples,
            parts=[sample.part for sample in comparison.real.samples],
        )
        evidence.sources[source.name].scores += baselines.put(scores)
    evidence.notes += [note for note in baselines.notes if note not in evidence.notes]
    evidence.banks[extractor.name] = bank


def _features(images: ImageSet, extractor: Extractor, cache: FeatureCache, progress: ProgressOf) -> Features:
    with progress(len(images), f"{extractor.name}, {images.name}", "image") as shown:
        return extract(images, extractor, cache=cache, on_progress=shown.update)


def _flat(comparison: Comparison) -> list[str]:
    """Images of one flat color; a set of nothing else is refused, for every score would take it for something else."""
    notes = []
    named = [("--real", comparison.real)]
    named += [(f"--fake {source.name}", source.images) for source in comparison.sources]
    for flag, images in named:
        flat = [at for at in range(len(images)) if (image := images.read(at)[0]).min() == image.max()]
        if len(flat) == len(images):
            raise DataError(
                f"{flag}: each of its {len(images)} images is one flat color; generate them again, or leave them out",
                code="E-bench-flat-images",
            )
        if flat:
            name = images.samples[flat[0]].name
            notes.append(f"{flag}: {len(flat)} of {len(images)} images are one flat color, such as {name}")
    return notes
