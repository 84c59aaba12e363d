"""One picture of five explanations of a photograph."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import cv2
import numpy as np

from classify.bundle import LoadedClassifier
from classify.explain import explain
from classify.findings import defect_probabilities, squares
from classify.pictures import heat, labelled_row
from defects.images import encode_image, read_image
from defects.sample import GOOD
from defects.windows import as_channels
from engine.files import write_bytes
from metrics.localisation import CERTAIN

__all__ = ["explained"]

_SIDE = 320


def explained(classifier: LoadedClassifier, image: Path, out: Path, depth16: Any = "refuse") -> dict[str, Any]:
    """Writes the picture: the square that the network sees, and the five maps over it.

    Args:
        classifier: trained.
        image: the photograph; where the classifier sees tiles, its most suspicious tile is explained.
        out: a PNG file.
        depth16: `refuse` or `scale` 16-bit pixels.

    Returns:
        Class, its probability, the square's place in the photograph, and the seconds of each explanation.

    Raises:
        DataError: the photograph does not open.
        OutputError: the picture cannot be written.
    """
    places, cut = squares(read_image(image, depth16=depth16), classifier.config.data)
    every = list(cut)
    probabilities = classifier.predict(np.stack(every)).probabilities
    chances = defect_probabilities(probabilities, classifier.classes)
    worst = int(np.argmax(chances))
    sides = [n for n, name in enumerate(classifier.classes) if (name != GOOD) == (chances[worst] > CERTAIN)]
    best = max(sides, key=lambda number: probabilities[worst, number])
    label, probability = classifier.classes[best], float(probabilities[worst, best])
    found = explain(classifier, every[worst])
    large = np.atleast_3d(cv2.resize(every[worst], (_SIDE, _SIDE), interpolation=cv2.INTER_CUBIC)).astype(np.uint8)
    panels = [(f"{label} {probability:.2f}", as_channels(large, 3))]
    for one in found:
        grown = np.asarray(cv2.resize(one.map, (_SIDE, _SIDE), interpolation=cv2.INTER_LINEAR), np.float32)
        panels.append((f"{one.name}, {one.seconds * 1000:.0f} ms", heat(large, grown)))
    write_bytes(out, encode_image(labelled_row(panels), "png"))
    return {
        "out": str(out),
        "class": label,
        "probability": probability,
        "box": list(places[worst]),
        "seconds": {one.name: one.seconds for one in found},
    }
