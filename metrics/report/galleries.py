"""Which images are shown: some of every set side by side, the worst labels, the closest pairs, the map."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import numpy as np

from engine.seeding import numpy_generator
from metrics.bench.comparison import Comparison, Source
from metrics.bench.evidence import Evidence
from metrics.bench.results import formatted
from metrics.data.image_set import ImageSet
from metrics.memorization import Pair, nearest
from metrics.report.charts import scatter, swatch
from metrics.report.page import Closest, Grid, Place, PlaceGroup, Places, Shelf, Thumbnail, data_address, thumbnail

_CLASSES = 6
_IN_SHELF = 8
_WORST = 12
_PAIRS = 8
_PLACE_SIDE, _PLACE_BYTES = 80, 1800


def grids(comparison: Comparison) -> list[Grid]:
    """Real and synthetic images of the same classes; of all classes together where the sets share none."""
    real = Counter(comparison.real.labels)
    shared = [
        class_name
        for class_name, _ in real.most_common()
        if any(class_name in source.images.labels for source in comparison.sources)
    ]
    sets: list[tuple[int | None, ImageSet]] = [(None, comparison.real)]
    sets += [(series, source.images) for series, source in enumerate(comparison.sources)]
    result = []
    for class_name in sorted(shared[:_CLASSES]) or [""]:
        shelves = [Shelf(images.name, series, _some(images, class_name, comparison)) for series, images in sets]
        result.append(Grid(class_name or "All classes", [shelf for shelf in shelves if shelf.thumbnails]))
    return result


def worst_labels(source: Source, evidence: Evidence) -> list[Thumbnail]:
    """The images in which label and finding agree least, with both outlines."""
    own = evidence.sources[source.name]
    if own.labels is None or own.predicted is None:
        return []
    values = own.labels.per_image
    worst = np.flatnonzero(values <= np.sort(values)[:_WORST][-1])
    thumbnails = []
    for at in _varied(source.images.labels, worst[np.argsort(values[worst], kind="stable")].tolist())[:_WORST]:
        image, mask = source.images.read(at)
        sample, overlap = source.images.samples[at], float(own.labels.per_image[at])
        found = "nothing found" if not own.predicted[at].any() else f"overlap {overlap:.2f}"
        thumbnails.append(
            thumbnail(
                image,
                alt=f"Synthetic image {sample.name}, {sample.label}: {found}",
                caption=f"{sample.label}, {found}",
                mask=mask,
                predicted=own.predicted[at],
            )
        )
    return thumbnails


def closest_pairs(comparison: Comparison, source: Source, evidence: Evidence) -> list[Closest]:
    """The synthetic images nearest to a training image, no training image more than twice."""
    found = evidence.sources[source.name].memorization
    if found is None:
        return []
    used: Counter[int] = Counter()
    selected: list[Pair] = []
    for pair in found.closest(len(source.images)):
        used[pair.train] += 1
        if used[pair.train] <= 2 and len(selected) < _PAIRS:
            selected.append(pair)
    fakes = source.images.part([pair.fake for pair in selected])
    unseen, _ = nearest(evidence.bank.of(fakes), evidence.bank.of(comparison.held))
    result = []
    for at, pair in enumerate(selected):
        held = int(unseen[at])
        result.append(
            Closest(
                _plain(fakes, at, "synthetic"),
                _plain(source.training_images, pair.train, "nearest training image"),
                _plain(comparison.held, held, "nearest unseen real image"),
                f"{formatted(pair.ratio)} of the distance that is usual for an unseen real image.",
            )
        )
    return result


def places(comparison: Comparison, evidence: Evidence) -> Places | None:
    """The map with a thumbnail for every dot."""
    if not evidence.places:
        return None
    names = [source.name for source in comparison.sources]
    groups: list[PlaceGroup] = []
    points: list[Place] = []
    series: list[str] = []
    for images, _ in evidence.places:
        look = f"s{names.index(images.name)}" if images.name in names else ("sreal" if not groups else "sreal2")
        series.append(look)
        groups.append(PlaceGroup(images.name, len(images), len(groups), swatch(look, len(groups))))
        for at, sample in enumerate(images.samples):
            src = data_address(images.read(at)[0], _PLACE_SIDE, _PLACE_BYTES)
            points.append(Place(src, f"{images.name}: {sample.label}, {sample.name.rpartition('/')[2]}"))
    words = "Map of all images: " + ", ".join(f"{group.count} of {group.name}" for group in groups)
    perplexity = f" (perplexity {evidence.perplexity:.0f})" if evidence.perplexity else ""
    return Places(
        scatter([(look, placed) for look, (_, placed) in zip(series, evidence.places, strict=True)], words=words),
        groups,
        points,
        f"Images that the network finds alike lie together (t-SNE{perplexity}, features of {evidence.bank.extractor}). "
        "Only nearness means anything, neither the axes nor the size of a gap. Synthetic images should lie among the "
        "real ones, and everywhere that they do.",
    )


def _some(images: ImageSet, class_name: str, comparison: Comparison) -> list[Thumbnail]:
    at = [number for number, label in enumerate(images.labels) if class_name in ("", label)]
    rng = numpy_generator(comparison.request.seed, "shelf", images.name, class_name)
    sampled = [at[place] for place in rng.permutation(len(at)).tolist()]
    thumbnails = []
    for number in _varied([sample.part for sample in images.samples], sampled)[:_IN_SHELF]:
        image, mask = images.read(number)
        sample = images.samples[number]
        what = "Synthetic" if sample.source == "synthetic" else "Real"
        thumbnails.append(thumbnail(image, alt=f"{what} image {sample.name}, {sample.label}", mask=mask))
    return thumbnails


def _varied(groups: Sequence[str], sampled: list[int]) -> list[int]:
    """The same in another order: no second image of a group before there is one of each."""
    counts: Counter[str] = Counter()
    rounds = []
    for place, number in enumerate(sampled):
        rounds.append((counts[groups[number]], place, number))
        counts[groups[number]] += 1
    return [number for _, _, number in sorted(rounds)]


def _plain(images: ImageSet, at: int, what: str) -> Thumbnail:
    sample = images.samples[at]
    return thumbnail(images.read(at)[0], alt=f"{what}: {sample.name}, {sample.label}", caption=what)
