"""What a classifier finds in a photograph of any size: its class, a map of the defect, and boxes around it.

A photograph becomes the squares that the classifier was trained on: itself, or its tiles. Each square's map is scaled
to 0..1 and counts only where the classifier says defective of that square (p > 0.5), as in the sources; then the maps
are put back to where the squares came from, overlaps averaged.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice

import cv2
import numpy as np
from numpy.typing import NDArray

from classify.config import DataConfig
from classify.data.examples import resized, tile_rule
from classify.models.checkpoint import LoadedClassifier, Predicted
from defects.images.crops import Box, CropSpec, as_channels, boxes, central, scaled, stitch
from defects.sample import GOOD
from metrics.localization import CERTAIN, THRESHOLD

Image = NDArray[np.uint8]
Map = NDArray[np.float32]

_SQUARES_AT_ONCE = 32


@dataclass(frozen=True)
class Found:
    """One spot of the map above the threshold.

    Attributes:
        box: around it, px of the photograph.
        score: probability of a defect times the map's highest value in it, 0..1.
    """

    box: Box
    score: float


@dataclass(frozen=True)
class Finding:
    """What is found in one photograph (H, W).

    Attributes:
        label: name of the class.
        probability: of that class.
        defect: probability of any defect; with tiles that of the most suspicious one.
        map: (H, W) in 0..1, zero where no defect is found.
        found: spots, the highest score first.
        tiles: each tile and its probability of a defect; empty where the photograph is taken whole.
    """

    label: str
    probability: float
    defect: float
    map: Map
    found: tuple[Found, ...]
    tiles: tuple[tuple[Box, float], ...] = ()


def squares(image: Image, data: DataConfig) -> tuple[list[Box], Iterator[Image]]:
    """Where the squares lie in a photograph (H, W, C), and the squares (S, S, C), made one by one.

    A photograph smaller than a tile is mirrored at its right and lower border until it holds one.
    """
    image = as_channels(image, data.channels)
    height, width = image.shape[:2]
    none = np.zeros((height, width), bool)
    rule = tile_rule(data)
    if rule is not None:
        missing = max(0, rule.side - height), max(0, rule.side - width)
        if any(missing):
            image = np.pad(image, ((0, missing[0]), (0, missing[1]), (0, 0)), mode="symmetric")
        places = boxes(image.shape[0], image.shape[1], rule)
        empty = np.zeros((rule.side, rule.side), bool)
        return places, (resized(image[y : y + h, x : x + w], empty, data.size)[0] for x, y, w, h in places)
    if data.fit == "stretch":
        return [(0, 0, width, height)], (resized(image, none, data.size)[0] for _ in range(1))
    large, empty = scaled(image, none, CropSpec(data.size, data.window, data.channels))
    tall, broad = large.shape[:2]
    x, y = central(empty, data.size)
    place = (
        round(x * width / broad),
        round(y * height / tall),
        round(data.size * width / broad),
        round(data.size * height / tall),
    )
    cut = np.ascontiguousarray(large[y : y + data.size, x : x + data.size])
    return [place], iter([cut])


def predicted(classifier: LoadedClassifier, images: Iterable[Image]) -> Predicted | None:
    """What a classifier says of squares uint8 (S, S, C), a batch of which is held at a time; None of none."""
    waiting = iter(images)
    seen = [classifier.predict(np.stack(some)) for some in iter(lambda: list(islice(waiting, _SQUARES_AT_ONCE)), [])]
    if not seen:
        return None
    return Predicted(np.concatenate([p for p, _ in seen]), np.concatenate([m for _, m in seen]))


def find(classifier: LoadedClassifier, images: Sequence[Image]) -> list[Finding]:
    """What is in photographs uint8 (H, W, 1 or 3), each of its own size.

    The squares of all of them share batches; the maps of one photograph at a time are held at its own resolution.
    """
    places: list[list[Box]] = []

    def cut() -> Iterator[Image]:
        for image in images:
            there, parts = squares(image, classifier.config.data)
            places.append(there)
            yield from parts

    every = predicted(classifier, cut())
    if every is None:
        return []
    findings, first = [], 0
    for image, there in zip(images, places, strict=True):
        part = slice(first, first + len(there))
        first += len(there)
        own = Predicted(every.probabilities[part], every.maps[part])
        tiled = classifier.config.data.tile is not None
        findings.append(whole(own, there, image.shape[:2], classifier.classes, tiled=tiled))
    return findings


def whole(
    seen: Predicted, places: Sequence[Box], shape: tuple[int, ...], classes: Sequence[str], *, tiled: bool
) -> Finding:
    """A photograph's finding from those of its squares."""
    height, width = shape[0], shape[1]
    chances = defect_probabilities(seen.probabilities, classes)
    tall = max([height, *(y + h for _, y, _, h in places)])  # beyond the photograph where it was mirrored
    broad = max([width, *(x + w for x, _, w, _ in places)])
    parts = [
        enlarged(one, (box[3], box[2])) if chance > CERTAIN else np.zeros((box[3], box[2]), np.float32)
        for one, chance, box in zip(seen.maps, chances, places, strict=True)
    ]
    stitched = stitch(parts, places, (tall, broad))[:height, :width]
    worst = int(np.argmax(chances))
    label, probability = _class(seen.probabilities[worst], float(chances[worst]), classes)
    tiles = tuple((box, float(chance)) for box, chance in zip(places, chances, strict=True)) if tiled else ()
    found = _spots(stitched, float(chances[worst]), tiles)
    return Finding(label, probability, float(chances[worst]), stitched, found, tiles)


def defect_probabilities(probabilities: NDArray[np.float32], classes: Sequence[str]) -> NDArray[np.float64]:
    """Probability (N,) of any defect from those (N, K) of the classes; 1 where no class is `good`."""
    if GOOD not in classes:
        return np.ones(len(probabilities))
    others = [number for number, name in enumerate(classes) if name != GOOD]
    chances: NDArray[np.float64] = np.asarray(probabilities, np.float64)[:, others].sum(axis=1)
    return chances


def enlarged(one: NDArray[np.floating], shape: tuple[int, int]) -> Map:
    """A map (h, w) brought to (H, W) by bilinear interpolation and scaled to 0..1; a flat one is 0."""
    large = cv2.resize(np.asarray(one, np.float32), shape[::-1], interpolation=cv2.INTER_LINEAR)
    low, high = float(large.min()), float(large.max())
    return np.asarray((large - low) / max(high - low, 1e-12), np.float32)


def _class(probabilities: NDArray[np.float32], defect: float, classes: Sequence[str]) -> tuple[str, float]:
    """The most probable class on the side of good or defective that p > 0.5 is on, and its probability."""
    kinds = [number for number, name in enumerate(classes) if (name != GOOD) == (defect > CERTAIN)]
    best = max(kinds, key=lambda number: probabilities[number])
    return classes[best], float(probabilities[best])


def _spots(one: Map, chance: float, tiles: Sequence[tuple[Box, float]]) -> tuple[Found, ...]:
    """Connected parts of a map above the threshold; the probability is that of the surest tile that reaches them."""
    mask = (one * 255 > THRESHOLD).astype(np.uint8)
    _, labels, statistics, _ = cv2.connectedComponentsWithStats(mask, connectivity=8)
    spots = []
    for number, (x, y, width, height, _) in enumerate(statistics.tolist()):
        if number == 0:
            continue
        inside = labels[y : y + height, x : x + width] == number
        peak = float(one[y : y + height, x : x + width][inside].max())
        box = (x, y, width, height)
        spots.append(Found(box, peak * max((p for place, p in tiles if _meet(place, box)), default=chance)))
    return tuple(sorted(spots, key=lambda spot: (-spot.score, spot.box)))


def _meet(a: Box, b: Box) -> bool:
    return a[0] < b[0] + b[2] and b[0] < a[0] + a[2] and a[1] < b[1] + b[3] and b[1] < a[1] + a[3]
