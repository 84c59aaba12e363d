"""The prediction for an image of any size: its class, a map of the defect, and boxes around it.

An image becomes the crops that the classifier was trained on: itself, or its tiles. Each crop's map is scaled to 0..1
and counts only where the classifier predicts a defect in that crop (p > 0.5), as in the papers; then the maps are put
back to where the crops came from, overlaps averaged.
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
from classify.models.checkpoint import CropPredictions, LoadedClassifier
from defects.images.crops import Box, CropSpec, boxes, central, scaled, stitch
from defects.images.decode import as_channels
from defects.sample import GOOD
from metrics.localization import CERTAIN, THRESHOLD

Image = NDArray[np.uint8]
Map = NDArray[np.float32]

_CROPS_AT_ONCE = 32


@dataclass(frozen=True)
class Region:
    """One connected region of the map above the threshold.

    Attributes:
        box: around it (x, y, width, height), px of the image.
        score: probability of a defect times the map's highest value in it, 0..1.
    """

    box: Box
    score: float


@dataclass(frozen=True)
class Prediction:
    """The prediction for one image (H, W).

    Attributes:
        label: name of the class.
        probability: of that class.
        defect_probability: of any defect; with tiles that of the most suspicious one.
        map: (H, W) in 0..1, zero where no defect is predicted.
        regions: of the map, the highest score first.
        tiles: each tile and its probability of a defect; empty where the image is taken whole.
    """

    label: str
    probability: float
    defect_probability: float
    map: Map
    regions: tuple[Region, ...]
    tiles: tuple[tuple[Box, float], ...] = ()

    @property
    def mask(self) -> NDArray[np.bool_]:
        """(H, W), where the map is above the papers' threshold, 127 of 255."""
        return np.asarray(self.map * 255 > THRESHOLD)

    @property
    def boxes(self) -> list[Box]:
        """(x, y, width, height) of each region, px of the image."""
        return [region.box for region in self.regions]


def image_crops(image: Image, data: DataConfig) -> tuple[list[Box], Iterator[Image]]:
    """Where the crops lie in an image (H, W, C), and the crops (S, S, C), computed one by one.

    An image smaller than a tile is mirrored at its right and lower border until it holds one.
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
    large, empty = scaled(image, none, CropSpec(data.size, data.crop, data.channels))
    tall, wide = large.shape[:2]
    x, y = central(empty, data.size)
    place = (
        round(x * width / wide),
        round(y * height / tall),
        round(data.size * width / wide),
        round(data.size * height / tall),
    )
    cut = np.ascontiguousarray(large[y : y + data.size, x : x + data.size])
    return [place], iter([cut])


def predict_crops(classifier: LoadedClassifier, images: Iterable[Image]) -> CropPredictions | None:
    """The predictions for crops uint8 (S, S, C), a batch of which is in memory at a time; None for none."""
    waiting = iter(images)
    outputs = [classifier.predict(np.stack(some)) for some in iter(lambda: list(islice(waiting, _CROPS_AT_ONCE)), [])]
    if not outputs:
        return None
    return CropPredictions(np.concatenate([p for p, _ in outputs]), np.concatenate([m for _, m in outputs]))


def predict_images(classifier: LoadedClassifier, images: Sequence[Image]) -> list[Prediction]:
    """The predictions for images uint8 (H, W, 1 or 3), each of its own size.

    The crops of all of them share batches; the maps of one image at a time are in memory at its own resolution.
    """
    places: list[list[Box]] = []

    def cut() -> Iterator[Image]:
        for image in images:
            own, crops = image_crops(image, classifier.config.data)
            places.append(own)
            yield from crops

    every = predict_crops(classifier, cut())
    if every is None:
        return []
    predictions, first = [], 0
    tiled = classifier.config.data.tile is not None
    for image, own in zip(images, places, strict=True):
        part = slice(first, first + len(own))
        first += len(own)
        crops = CropPredictions(every.probabilities[part], every.maps[part])
        predictions.append(merge_crops(crops, own, image.shape[:2], classifier.classes, tiled=tiled))
    return predictions


def merge_crops(
    crops: CropPredictions, places: Sequence[Box], shape: tuple[int, ...], classes: Sequence[str], *, tiled: bool
) -> Prediction:
    """An image's prediction from those of its crops."""
    height, width = shape[0], shape[1]
    chances = defect_probabilities(crops.probabilities, classes)
    tall = max([height, *(y + h for _, y, _, h in places)])  # beyond the image where it was mirrored
    wide = max([width, *(x + w for x, _, w, _ in places)])
    parts = [
        enlarged(one, (box[3], box[2])) if chance > CERTAIN else np.zeros((box[3], box[2]), np.float32)
        for one, chance, box in zip(crops.maps, chances, places, strict=True)
    ]
    stitched = stitch(parts, places, (tall, wide))[:height, :width]
    worst = int(np.argmax(chances))
    number = best_class(crops.probabilities[worst], float(chances[worst]), classes)
    tiles = tuple((box, float(chance)) for box, chance in zip(places, chances, strict=True)) if tiled else ()
    regions = _regions(stitched, float(chances[worst]), tiles)
    probability = float(crops.probabilities[worst, number])
    return Prediction(classes[number], probability, float(chances[worst]), stitched, regions, tiles)


def defect_probabilities(probabilities: NDArray[np.float32], classes: Sequence[str]) -> NDArray[np.float64]:
    """Probability (N,) of any defect from those (N, K) of the classes; 1 where no class is `good`."""
    if GOOD not in classes:
        return np.ones(len(probabilities))
    others = [number for number, name in enumerate(classes) if name != GOOD]
    chances: NDArray[np.float64] = np.asarray(probabilities, np.float64)[:, others].sum(axis=1)
    return chances


def best_class(probabilities: NDArray[np.float32], defect_probability: float, classes: Sequence[str]) -> int:
    """The number of the most probable class on the side of good or defective that p > 0.5 is on."""
    side = [number for number, name in enumerate(classes) if (name != GOOD) == (defect_probability > CERTAIN)]
    return max(side, key=lambda number: probabilities[number])


def enlarged(one: NDArray[np.floating], shape: tuple[int, int]) -> Map:
    """A map (h, w) resized to (H, W) by bilinear interpolation and scaled to 0..1; a flat one is 0."""
    large = cv2.resize(np.asarray(one, np.float32), shape[::-1], interpolation=cv2.INTER_LINEAR)
    low, high = float(large.min()), float(large.max())
    return np.asarray((large - low) / max(high - low, 1e-12), np.float32)


def _regions(one: Map, chance: float, tiles: Sequence[tuple[Box, float]]) -> tuple[Region, ...]:
    """Connected regions of a map above the threshold; the probability is the highest of the tiles that overlap them."""
    mask = (one * 255 > THRESHOLD).astype(np.uint8)
    _, labels, statistics, _ = cv2.connectedComponentsWithStats(mask, connectivity=8)
    regions = []
    for number, (x, y, width, height, _) in enumerate(statistics.tolist()):
        if number == 0:
            continue
        inside = labels[y : y + height, x : x + width] == number
        peak = float(one[y : y + height, x : x + width][inside].max())
        box = (x, y, width, height)
        regions.append(Region(box, peak * max((p for place, p in tiles if _overlap(place, box)), default=chance)))
    return tuple(sorted(regions, key=lambda region: (-region.score, region.box)))


def _overlap(a: Box, b: Box) -> bool:
    return a[0] < b[0] + b[2] and b[0] < a[0] + a[2] and a[1] < b[1] + b[3] and b[1] < a[1] + a[3]
