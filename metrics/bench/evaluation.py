"""Labels and guide control by the evaluator; diversity, memorization and the map by distances between features."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from defects.provenance import image_hashes
from defects.sample import GOOD
from engine.seeding import numpy_generator
from metrics.bench.comparison import Comparison, Source
from metrics.bench.evidence import Evidence, ProgressOf, like, union
from metrics.conditioning.control import control
from metrics.conditioning.diversity import condition_keys, diversity
from metrics.data.image_set import ImageSet
from metrics.embedding import tsne
from metrics.labels.fidelity import label_fidelity
from metrics.labels.network import SegmenterSettings
from metrics.labels.segmenter import load_or_train
from metrics.memorization import memorization
from metrics.scores.manifold import realism


def evaluate_labels(
    comparison: Comparison, evidence: Evidence, progress: ProgressOf, *, folder: Path | None, threads: int | None
) -> None:
    """What a segmenter of real defects finds in unseen real and in synthetic images.

    Args:
        comparison: The sets.
        evidence: Filled with what is found.
        progress: Shows the steps.
        folder: Cache of trained segmenters; None for no cache.
        threads: Of PyTorch.
    """
    held, seed = comparison.held, comparison.request.seed
    train = without_backgrounds(comparison)
    left = len(comparison.train) - len(train)
    if left:
        evidence.notes.append(
            f"the segmenter was not trained on {left} good images of parts that synthetic images were blended "
            "into: it would know them to be free of defects"
        )
    try:
        with progress(SegmenterSettings().steps, "segmenter of real defects", "step") as shown:
            segmenter = load_or_train(train, folder, seed=seed, threads=threads, on_progress=shown.update)
    except ValueError as error:
        evidence.lack("labels", f"no segmenter could be trained on {len(train)} real images: {error}")
        return
    evidence.segmenter, evidence.trained_on = segmenter, len(train)
    evidence.held_predicted = segmenter.predict(held)
    bounds = None
    if len(held):
        evidence.held_labels = label_fidelity(segmenter, held, seed=seed, predicted=evidence.held_predicted)
        bounds = evidence.held_labels.size_bounds
    else:
        evidence.lack("labels of unseen real images", "no real image is left that was not learned from")
    with progress(sum(len(source.images) for source in comparison.sources), "labels", "image") as shown:
        for source in comparison.sources:
            own = evidence.sources[source.name]
            own.predicted = segmenter.predict(source.images)
            own.labels = label_fidelity(
                segmenter, source.images, seed=seed, size_bounds=bounds, predicted=own.predicted
            )
            shown.update(len(source.images))


def without_backgrounds(comparison: Comparison) -> ImageSet:
    """The training images without good images of those parts that are backgrounds of synthetic images.

    An evaluator trained on an image as good does not find a defect that was blended into it.
    """
    rows = (sample.metadata for source in comparison.sources for sample in source.images.samples)
    backgrounds = (row.get(key) for row in rows for key in ("background", "ground"))
    known = {one["sha256"] for one in backgrounds if isinstance(one, dict) and "sha256" in one}
    train = comparison.train
    good = [sample for sample in train.samples if sample.label == GOOD] if known else []
    parts = {sample.part for sample, digest in zip(good, image_hashes(good), strict=True) if digest in known}
    return train.part([at for at, one in enumerate(train.samples) if one.label != GOOD or one.part not in parts])


def evaluate_control(comparison: Comparison, evidence: Evidence) -> None:
    """Requested guide values against measured ones."""
    held, side = comparison.held, comparison.crop_spec.size
    real = union([held, like(comparison.train, good=comparison.request.good)])
    found = evidence.held_predicted
    if found is not None:
        # What measuring a width loses is known on unseen images only: those trained on do not count.
        found = np.concatenate([found, np.zeros((len(real) - len(held), side, side), dtype=bool)])
    for source in comparison.sources:
        own = evidence.sources[source.name]
        if source.schema is None:
            evidence.lack("control", "no generator.json says what the guide values mean", source.name)
            continue
        own.control = control(
            source.images,
            source.schema,
            real=real,
            segmenter=evidence.segmenter,
            features=evidence.bank.of(source.images),
            real_features=evidence.bank.of(real),
            predicted=own.predicted,
            real_predicted=found,
            seed=comparison.request.seed,
        )


_MAPPED = 250


def evaluate_diversity(comparison: Comparison, evidence: Evidence) -> None:
    """Realism of every synthetic image, and how far images of one mask and guide differ."""
    real = evidence.bank.of(comparison.real)
    for source in comparison.sources:
        own, fake = evidence.sources[source.name], evidence.bank.of(source.images)
        try:
            own.realism = realism(real=real, fake=fake)
        except ValueError as error:
            evidence.lack("realism of single images", str(error), source.name)
        own.diversity = diversity(real=real, fake=fake, conditions=condition_keys(source.images.samples))


def evaluate_memorization(comparison: Comparison, evidence: Evidence) -> None:
    """Distances to the training images next to those of unseen real images."""
    held = comparison.held
    for source in comparison.sources:
        if not len(source.training_images) or not len(held):
            evidence.lack("memorization", _unknown(source, len(held)), source.name)
            continue
        evidence.sources[source.name].memorization = memorization(
            train=evidence.bank.of(source.training_images),
            test=evidence.bank.of(held),
            fake=evidence.bank.of(source.images),
            seed=comparison.request.seed,
        )


def map_images(comparison: Comparison, evidence: Evidence) -> None:
    """A map of real training images, unseen real images and every synthetic set."""
    seed = comparison.request.seed
    real = [comparison.real]
    if not comparison.division.halved:
        real = [like(comparison.train, good=comparison.request.good), comparison.held]
    sets = [_few(images, seed) for images in (*real, *(source.images for source in comparison.sources)) if len(images)]
    embedding = tsne({str(at): evidence.bank.of(images) for at, images in enumerate(sets)}, seed=seed)
    if embedding.why:
        evidence.lack("tsne", embedding.why)
        return
    evidence.places = list(zip(sets, embedding.points.values(), strict=True))
    evidence.perplexity = embedding.perplexity


def _few(images: ImageSet, seed: int) -> ImageSet:
    """So many images as a map still shows."""
    if len(images) <= _MAPPED:
        return images
    sampled = numpy_generator(seed, "map", images.name).choice(len(images), _MAPPED, replace=False)
    return images.part(sorted(sampled.tolist()))


def _unknown(source: Source, held: int) -> str:
    if not held:
        return "no real image is left that is not among the training images; give more real images"
    if source.provenance is not None and source.provenance.train_sha256:
        return "its training images are not among the real ones; give them by --train DIR"
    return "its training images are not known (no generator.json); give them by --train DIR"
