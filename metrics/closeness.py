"""What follows from distances between features: realism, diversity, copies and the map."""

from __future__ import annotations

from engine.seeding import numpy_generator
from metrics.comparison import Comparison, Source
from metrics.diversity import cells_of, diversity
from metrics.embedding import tsne
from metrics.evidence import Evidence, like
from metrics.image_set import ImageSet
from metrics.memorisation import memorisation
from metrics.scores.neighbours import realism

__all__ = ["judge_copies", "judge_variety", "map_images"]

_MAPPED = 250


def judge_variety(comparison: Comparison, evidence: Evidence) -> None:
    """Realism of every synthetic image, and how far images of one mask and guide differ."""
    real = evidence.bank.of(comparison.real)
    for source in comparison.sources:
        own, fake = evidence.sources[source.name], evidence.bank.of(source.images)
        try:
            own.realism = realism(real=real, fake=fake)
        except ValueError as error:
            evidence.lack("realism of single images", str(error), source.name)
        own.diversity = diversity(real=real, fake=fake, cells=cells_of(source.images.samples))


def judge_copies(comparison: Comparison, evidence: Evidence) -> None:
    """Distances to the training images beside those of unseen real images."""
    held = comparison.held
    for source in comparison.sources:
        if not len(source.seen) or not len(held):
            evidence.lack("memorisation", _unknown(source, len(held)), source.name)
            continue
        evidence.sources[source.name].memorisation = memorisation(
            train=evidence.bank.of(source.seen),
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
    drawn = numpy_generator(seed, "map", images.name).choice(len(images), _MAPPED, replace=False)
    return images.part(sorted(drawn.tolist()))


def _unknown(source: Source, held: int) -> str:
    if not held:
        return "no real image is left that is not among the training images; give more real images"
    if source.provenance is not None and source.provenance.train_sha256:
        return "its training images are not among the real ones; give them by --train DIR"
    return "its training images are not known (no generator.json); give them by --train DIR"
