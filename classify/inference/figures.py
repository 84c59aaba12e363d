"""Figures of predictions: the map over the image, boxes, and grids of many.

The colors run from violet to yellow (Inferno), rising evenly in lightness, so that color-blind readers and gray prints
distinguish them; the stronger the map, the less of the image shows through.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterable, Sequence
from importlib.resources import files
from pathlib import Path
from typing import Any
from urllib.parse import quote

import cv2
import numpy as np
from jinja2 import Environment, StrictUndefined
from numpy.typing import NDArray

from classify.inference.explain import explain
from classify.inference.prediction import Prediction, best_class, defect_probabilities, image_crops
from classify.models.checkpoint import LoadedClassifier
from defects.images.decode import as_channels, encode_image, read_image
from defects.masks.width import Mask
from engine.files.atomic import write_bytes, write_many

Image = NDArray[np.uint8]

_STRONGEST = 0.6  # how much of the image the map's peak covers
_FROM = 70  # the darkest colors of the scale are left out: over dark metal they would be invisible
_SMALLEST, _LARGEST = 384, 1600  # sides of an overlay, px
_BOX = (255, 255, 255)
_TRUTH = (86, 180, 233)  # sky blue, of the palette by Okabe and Ito
_DEFECTIVE, _GOOD = (213, 94, 0), (0, 114, 178)  # vermilion and blue, of the same
_FONT = cv2.FONT_HERSHEY_SIMPLEX


def heat(image: Image, one: NDArray[np.floating]) -> Image:
    """The map (H, W) in 0..1 over the image (H, W, 1 or 3), as RGB."""
    scale = _FROM + np.rint(np.clip(one, 0, 1) * (255 - _FROM)).astype(np.uint8)
    colors = cv2.applyColorMap(scale, cv2.COLORMAP_INFERNO)[..., ::-1].astype(np.float32)
    share = (np.clip(one, 0, 1).astype(np.float32) ** 1.5 * _STRONGEST)[..., None]  # weak parts are no haze over all
    mixed: Image = np.rint(as_channels(image, 3) * (1 - share) + colors * share).astype(np.uint8)
    return mixed


def overlay(image: Image, prediction: Prediction, truth: Mask | None = None) -> Image:
    """Image, map, boxes with scores, and class with probability on a strip above; RGB.

    Args:
        image: (H, W, 1 or 3); scaled to between 384 and 1600 px.
        prediction: of that image.
        truth: (H, W), the annotation; a blue outline.
    """
    height, width = image.shape[:2]
    factor = _factor(height, width)
    side = max(1, round(width * factor)), max(1, round(height * factor))
    how = cv2.INTER_AREA if factor < 1 else cv2.INTER_LINEAR
    large = np.asarray(cv2.resize(prediction.map, side, interpolation=how), np.float32)
    canvas = np.ascontiguousarray(heat(_scaled(image, side, how), large))
    thin = max(1, round(max(side) / 700))
    if truth is not None and truth.any():
        scaled_truth = cv2.resize(truth.astype(np.uint8), side, interpolation=cv2.INTER_NEAREST)
        outlines, _ = cv2.findContours(scaled_truth, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
        cv2.drawContours(canvas, outlines, -1, (0, 0, 0), thin + 3)
        cv2.drawContours(canvas, outlines, -1, _TRUTH, thin + 1)
    size = max(0.42, max(side) / 1600)
    for region in prediction.regions:
        x, y, w, h = (round(value * factor) for value in region.box)
        cv2.rectangle(canvas, (x, y), (x + w, y + h), (0, 0, 0), thin + 2)
        cv2.rectangle(canvas, (x, y), (x + w, y + h), _BOX, thin)
        _words(canvas, f"{region.score:.2f}", (x + 3, y - 5 if y > 16 * size else y + h + round(26 * size)), size)
    color = _DEFECTIVE if prediction.defect_probability > 0.5 else _GOOD
    strip = np.full((round(44 * size), canvas.shape[1], 3), color, np.uint8)
    text = f"{prediction.label} {prediction.probability:.2f}"
    cv2.putText(strip, text, (8, round(31 * size)), _FONT, size, (255, 255, 255), max(1, round(2 * size)), cv2.LINE_AA)
    return np.concatenate([strip, canvas])


def labeled_row(panels: Sequence[tuple[str, Image]]) -> Image:
    """RGB images of one size side by side, each with words above it."""
    gap = 8
    parts: list[Image] = []
    for words, panel in panels:
        head = np.full((26, panel.shape[1], 3), 255, np.uint8)
        size = min(0.5, 0.5 * (panel.shape[1] - 4) / max(1, cv2.getTextSize(words, _FONT, 0.5, 1)[0][0]))
        cv2.putText(head, words, (2, 18), _FONT, size, (20, 20, 20), 1, cv2.LINE_AA)
        space = np.full((26 + panel.shape[0], gap, 3), 255, np.uint8)
        parts += [np.concatenate([head, panel]), space]
    return np.concatenate(parts[:-1], axis=1)


def sample_grid(images: Sequence[Image], *, columns: int = 6, side: int = 240) -> Image:
    """RGB images of any sizes in one grid, each scaled to fit `side` x `side` px."""
    rows = []
    for start in range(0, len(images), columns):
        row = [_thumbnail(image, side) for image in images[start : start + columns]]
        row += [np.full((side, side, 3), 255, np.uint8)] * (min(columns, len(images)) - len(row))
        rows.append(np.concatenate(row, axis=1))
    return np.concatenate(rows)


def _thumbnail(image: Image, side: int) -> Image:
    height, width = image.shape[:2]
    factor = (side - 6) / max(height, width)
    size = max(1, round(width * factor)), max(1, round(height * factor))
    small = _scaled(image, size, cv2.INTER_AREA if factor < 1 else cv2.INTER_LINEAR)
    canvas = np.full((side, side, 3), 255, np.uint8)
    y, x = (side - small.shape[0]) // 2, (side - small.shape[1]) // 2
    canvas[y : y + small.shape[0], x : x + small.shape[1]] = small
    return canvas


def _factor(height: int, width: int) -> float:
    long, short = max(height, width), min(height, width)
    if long > _LARGEST:
        return _LARGEST / long
    return min(max(1.0, _SMALLEST / short), _LARGEST / long)


def _scaled(image: Image, side: tuple[int, int], how: int) -> Image:
    return np.atleast_3d(cv2.resize(image, side, interpolation=how)).astype(np.uint8, copy=False)


def _words(canvas: Image, text: str, at: tuple[int, int], size: float) -> None:
    """White words with a dark edge, legible on any background."""
    thick = max(1, round(2 * size))
    cv2.putText(canvas, text, at, _FONT, size, (0, 0, 0), thick + 2, cv2.LINE_AA)
    cv2.putText(canvas, text, at, _FONT, size, (255, 255, 255), thick, cv2.LINE_AA)


_SIDE = 320


def explained(classifier: LoadedClassifier, image: Path, out: Path, depth16: Any = "refuse") -> dict[str, Any]:
    """Writes the figure: the crop that the network gets, and the five maps over it.

    Args:
        classifier: trained.
        image: where the classifier was trained on tiles, its most suspicious tile is explained.
        out: a PNG file.
        depth16: `refuse` or `scale` 16-bit pixels.

    Returns:
        Class, its probability, the crop's box in the image, and the seconds of each explanation.

    Raises:
        DataError: the image does not open.
        OutputError: the figure cannot be written.
    """
    places, cut = image_crops(read_image(image, depth16=depth16), classifier.config.data)
    every = list(cut)
    probabilities = classifier.predict(np.stack(every)).probabilities
    chances = defect_probabilities(probabilities, classifier.classes)
    worst = int(np.argmax(chances))
    best = best_class(probabilities[worst], float(chances[worst]), classifier.classes)
    label, probability = classifier.classes[best], float(probabilities[worst, best])
    explanations = explain(classifier, every[worst])
    large = np.atleast_3d(cv2.resize(every[worst], (_SIDE, _SIDE), interpolation=cv2.INTER_CUBIC)).astype(np.uint8)
    panels = [(f"{label} {probability:.2f}", as_channels(large, 3))]
    for one in explanations:
        grown = np.asarray(cv2.resize(one.map, (_SIDE, _SIDE), interpolation=cv2.INTER_LINEAR), np.float32)
        panels.append((f"{one.name}, {one.seconds * 1000:.0f} ms", heat(large, grown)))
    write_bytes(out, encode_image(labeled_row(panels), "png"))
    return {
        "out": str(out),
        "class": label,
        "probability": probability,
        "box": list(places[worst]),
        "seconds": {one.name: one.seconds for one in explanations},
    }


PAGE, CONTACT = "index.html", "contact.jpg"

_ON_PAGE, _IN_GRID = 300, 36


def write_page(
    out: Path, rows: Iterable[dict[str, Any]], *, images: int, defective: int, classifier: LoadedClassifier
) -> None:
    """Writes `index.html`, of up to 300 images, and `contact.jpg`, of up to 36.

    Args:
        out: the folder of predictions.
        rows: of `predictions.jsonl`, read once.
        images: how many there are.
        defective: of them.
        classifier: whose predictions they are.

    Raises:
        OutputError: they cannot be written.
    """
    readable = (row for row in rows if "error" not in row)
    first = heapq.nsmallest(_ON_PAGE, readable, key=lambda row: (-row["defect_probability"], row["file_name"]))
    environment = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    environment.filters["address"] = quote
    page = files("classify.inference").joinpath("predictions.html").read_text(encoding="utf-8")
    template = environment.from_string(page)
    network = classifier.config.network
    text = template.render(
        rows=first,
        images=images,
        defective=defective,
        network=network.name + (" shortened" if network.short else ""),
        sha256=classifier.sha256,
    )
    contents: list[tuple[Path, bytes]] = [(out / PAGE, text.encode("utf-8", "xmlcharrefreplace"))]
    if first:
        overlays = [read_image(out / row["overlay"]) for row in first[:_IN_GRID]]
        contents.append((out / CONTACT, encode_image(sample_grid(overlays), "jpg", quality=90)))
    write_many(contents)
