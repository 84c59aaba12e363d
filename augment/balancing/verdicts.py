"""Types of imbalance of a data set, each with its number and its threshold."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from augment.balancing.strata import Measure
from defects.sample import GOOD

_CLASSES = 1.5
"""Largest over smallest class; the KEEL repository counts a set as imbalanced from 1.5 and as highly so from 9."""

_PIXELS = 10.0
"""Background over defect pixels: from here on a network that predicts no defect is right in 9 pixels of 10."""

_FOREGROUND = 10.0
"""Image area over that of the defect boxes: the share of positions without a detection."""

_SCALE = 4.0
"""95th over 5th percentile of the boxes' sides: two octaves, more than one level of a feature pyramid spans."""

_SHAPE = 3.0
"""95th over 5th percentile of the elongation."""


@dataclass(frozen=True)
class Verdict:
    """One type of imbalance.

    Attributes:
        task: `classification`, `segmentation` or `detection`.
        name: of the imbalance.
        suffers: None where it is unknown.
        value: the measured number; None where there is none.
        threshold: from which on a set suffers.
        what: what the number is, and what it is computed from.
    """

    task: str
    name: str
    suffers: bool | None
    value: float | None
    threshold: float | None
    what: str

    def to_dict(self) -> dict[str, Any]:
        """As JSON."""
        value = None if self.value is None else round(self.value, 4)
        return {
            "task": self.task,
            "name": self.name,
            "suffers": self.suffers,
            "value": value,
            "threshold": self.threshold,
            "what": self.what,
        }


def verdicts(measures: Sequence[Measure]) -> list[Verdict]:
    """All types of the specification, in its order."""
    return [
        _binary(measures),
        _multi_class(measures),
        _pixel_wise(measures),
        _occlusion(measures, "segmentation"),
        _foreground(measures),
        _scale(measures),
        _occlusion(measures, "detection"),
        _deformation(measures),
    ]


def _unknown(task: str, name: str, reason: str, threshold: float | None = None) -> Verdict:
    return Verdict(task, name, None, None, threshold, f"unknown: {reason}")


def _ratio(task: str, name: str, value: float, threshold: float, what: str) -> Verdict:
    return Verdict(task, name, value >= threshold, value, threshold, what)


def _binary(measures: Sequence[Measure]) -> Verdict:
    good = sum(m.sample.label == GOOD for m in measures)
    bad = len(measures) - good
    if not good or not bad:
        which = "good" if not good else "defective"
        return _unknown("classification", "binary", f"the set has no {which} images", _CLASSES)
    more = "good" if good >= bad else "defective"
    what = f"images of the larger class over the smaller: {good} good, {bad} defective, so {more} ones prevail"
    return _ratio("classification", "binary", max(good, bad) / min(good, bad), _CLASSES, what)


def _multi_class(measures: Sequence[Measure]) -> Verdict:
    counts = Counter(m.sample.label for m in measures)
    if len(counts) < 3:
        return _unknown("classification", "multi-class", f"it takes three classes, there are {len(counts)}", _CLASSES)
    largest, smallest = max(counts.values()), min(counts.values())
    minority = sorted((c for c in counts if largest >= _CLASSES * counts[c]), key=lambda c: (counts[c], c))
    share = len(minority) / len(counts)
    name = "many minority / many majority"
    if share <= 1 / 3:
        name = "few minority / many majority"
    elif share >= 2 / 3:
        name = "many minority / few majority"
    rare = ", ".join(f"{c} {counts[c]}" for c in minority)
    what = (
        f"images of the largest class over the smallest; {len(minority)} of {len(counts)} classes are minorities "
        f"(the largest has {_CLASSES:g} times as many or more): {rare}; largest {largest}"
    )
    if not minority:
        return _ratio("classification", "multi-class", largest / smallest, _CLASSES, what.partition(":")[0])
    return _ratio("classification", f"multi-class, {name}", largest / smallest, _CLASSES, what)


def _pixel_wise(measures: Sequence[Measure]) -> Verdict:
    area, pixels = sum(m.area for m in measures), sum(m.pixels for m in measures)
    if not area:
        return _unknown("segmentation", "pixel-wise", "no defect is marked", _PIXELS)
    classes: Counter[str] = Counter()
    for m in measures:
        if m.sample.label != GOOD:
            classes[m.sample.label] += m.area
    most, least = max(classes, key=lambda k: classes[k]), min(classes, key=lambda k: classes[k])
    between = ""
    if len(classes) > 1:
        between = (
            f"; between classes, {most} has {classes[most] / max(classes[least], 1):.1f} times the pixels of {least}"
        )
    what = f"background pixels to one defect pixel ({area / pixels:.3%} of all pixels are defect){between}"
    return _ratio("segmentation", "pixel-wise", (pixels - area) / area, _PIXELS, what)


def _occlusion(measures: Sequence[Measure], task: str) -> Verdict:
    instances = [i for m in measures for i in m.instances]
    if not instances:
        return _unknown(task, "occlusion", "no defect is marked")
    truncated = sum(i.truncated for i in instances)
    return _unknown(
        task,
        "occlusion",
        "a mask marks what is visible and not what is occluded; "
        f"known is that {truncated} of {len(instances)} defects reach the border of their image",
    )


def _foreground(measures: Sequence[Measure]) -> Verdict:
    boxes = sum(i.box[2] * i.box[3] for m in measures for i in m.instances)
    if not boxes:
        return _unknown("detection", "foreground / background", "no defect is marked", _FOREGROUND)
    pixels = sum(m.pixels for m in measures)
    empty = sum(not m.instances for m in measures)
    number = [len(m.instances) for m in measures if m.instances]
    what = (
        f"image area to one part of defect boxes; {empty} of {len(measures)} images hold no defect, "
        f"the others {np.mean(number):.1f} on average"
    )
    return _ratio("detection", "foreground / background", pixels / boxes, _FOREGROUND, what)


def _scale(measures: Sequence[Measure]) -> Verdict:
    sides = [i.box_side for m in measures for i in m.instances]
    if len(sides) < 2:
        return _unknown("detection", "scale", "fewer than two defects are marked", _SCALE)
    low, middle, high = np.percentile(sides, [5, 50, 95])
    tiny = float(np.mean(np.square(sides) < 32**2))
    what = (
        f"95th over 5th percentile of the box sides ({low:.0f}, median {middle:.0f}, {high:.0f} px); "
        f"{tiny:.0%} of the boxes are small in COCO's sense (under 32 x 32 px)"
    )
    return _ratio("detection", "scale", float(high / max(low, 1e-9)), _SCALE, what)


def _deformation(measures: Sequence[Measure]) -> Verdict:
    instances = [i for m in measures for i in m.instances if i.area >= 9]
    if len(instances) < 2:
        return _unknown("detection", "deformation", "fewer than two defects of 9 px and more are marked", _SHAPE)
    low, middle, high = np.percentile([i.elongation for i in instances], [5, 50, 95])
    solid = np.percentile([i.solidity for i in instances], [5, 95])
    what = (
        f"95th over 5th percentile of length over width ({low:.1f}, median {middle:.1f}, {high:.1f}); "
        f"solidity {solid[0]:.2f} to {solid[1]:.2f}"
    )
    return _ratio("detection", "deformation", float(high / max(low, 1e-9)), _SHAPE, what)
