"""The guide vector: its schema, its measurement from an image and a mask, and its scaling.

Numeric entries (thickness, brightness, any declared column) are scaled to 0..1 by the training set's 5th and 95th
percentiles; categorical ones (background, class, ...) become one-hot. The schema travels in the checkpoint, so that
0.7 can be printed in px.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np
from numpy.typing import NDArray

from defects.masks.width import Mask, bounding_box, width

if TYPE_CHECKING:
    from torch import Tensor

GuideValue = float | str | None
REC_601 = (0.299, 0.587, 0.114)
"""Weights of red, green and blue in the luminance."""
LEAST_RING = 0.2
"""A ring of fewer px than this share of the mask's says little of its brightness."""


@dataclass(frozen=True)
class NumericEntry:
    """A numeric guide: raw value `low` is scaled to 0, `high` to 1. `unit` is "px" for lengths, else empty."""

    name: str
    low: float
    high: float
    unit: str = ""

    @property
    def size(self) -> int:
        return 1

    def scale(self, raw: float) -> float:
        """Raw value to the scale, clipped to 0..1."""
        return float(min(1.0, max(0.0, (raw - self.low) / max(self.high - self.low, 1e-9))))

    def unscale(self, scaled: float) -> float:
        return self.low + scaled * (self.high - self.low)


@dataclass(frozen=True)
class CategoricalEntry:
    """A categorical guide: one of `values`."""

    name: str
    values: tuple[str, ...]

    @property
    def size(self) -> int:
        return len(self.values)


Entry = NumericEntry | CategoricalEntry


@dataclass(frozen=True)
class GuideSchema:
    """The entries of a guide vector, in order."""

    entries: tuple[Entry, ...]

    @property
    def size(self) -> int:
        """Length G of the vector."""
        return sum(entry.size for entry in self.entries)

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(entry.name for entry in self.entries)

    def __getitem__(self, name: str) -> Entry:
        for entry in self.entries:
            if entry.name == name:
                return entry
        raise KeyError(name)

    def columns(self, name: str) -> tuple[int, int]:
        """Where an entry stands in the vector, (first, end); (0, 0) when there is no such entry."""
        first = 0
        for entry in self.entries:
            if entry.name == name:
                return first, first + entry.size
            first += entry.size
        return 0, 0

    def encode(self, scaled: Mapping[str, GuideValue]) -> NDArray[np.float32]:
        """Scaled values to the vector (G,): numeric as 2 v - 1, categorical one-hot, absent or None as zeros.

        Raises:
            ValueError: for a category that the schema does not have.
        """
        parts: list[float] = []
        for entry in self.entries:
            value = scaled.get(entry.name)
            if isinstance(entry, NumericEntry):
                parts.append(0.0 if value is None else 2.0 * float(value) - 1.0)
            else:
                if value is not None and value not in entry.values:
                    raise ValueError(f"expected {entry.name} to be one of {', '.join(entry.values)}, got {value!r}")
                parts.extend(float(value == known) for known in entry.values)
        return np.asarray(parts, np.float32)

    def scale(self, raw: Mapping[str, GuideValue]) -> dict[str, GuideValue]:
        """Raw values to scaled ones; entries that are absent stay absent."""
        return {
            entry.name: entry.scale(float(value)) if isinstance(entry, NumericEntry) else value
            for entry in self.entries
            if (value := raw.get(entry.name)) is not None
        }

    def unscale(self, scaled: Mapping[str, GuideValue]) -> dict[str, GuideValue]:
        """Scaled values to raw ones."""
        return {
            entry.name: entry.unscale(float(value)) if isinstance(entry, NumericEntry) else value
            for entry in self.entries
            if (value := scaled.get(entry.name)) is not None
        }

    def to_dict(self) -> dict[str, Any]:
        return {
            "entries": [
                {"name": e.name, "low": e.low, "high": e.high, "unit": e.unit}
                if isinstance(e, NumericEntry)
                else {"name": e.name, "values": list(e.values)}
                for e in self.entries
            ]
        }

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> GuideSchema:
        """Reads what `to_dict` wrote.

        >>> thickness = NumericEntry("thickness", 2.0, 8.0, "px")
        >>> schema = GuideSchema((thickness, CategoricalEntry("background", ("a", "b"))))
        >>> GuideSchema.from_dict(schema.to_dict()) == schema
        True
        >>> schema.encode({"thickness": 0.5, "background": "b"}).tolist()
        [0.0, 0.0, 1.0]
        """
        return cls(
            tuple(
                CategoricalEntry(e["name"], tuple(e["values"]))
                if "values" in e
                else NumericEntry(e["name"], float(e["low"]), float(e["high"]), e.get("unit", ""))
                for e in data["entries"]
            )
        )

    @classmethod
    def fit(cls, rows: Sequence[Mapping[str, GuideValue]], units: Mapping[str, str] | None = None) -> GuideSchema:
        """The schema of a training set: numeric entries by the 5th and 95th percentiles, categories sorted.

        Raises:
            ValueError: when a column mixes numbers and words.
        """
        names = list(dict.fromkeys(name for row in rows for name in row))
        entries: list[Entry] = []
        for name in names:
            values = [row[name] for row in rows if row.get(name) is not None]
            if all(isinstance(value, str) for value in values):
                entries.append(CategoricalEntry(name, tuple(sorted({str(value) for value in values}))))
            elif any(isinstance(value, str) for value in values):
                raise ValueError(f"expected the column {name} to hold numbers or words, got both; make it one of them")
            else:
                low, high = np.percentile([float(value) for value in values if value is not None], [5, 95])
                if high - low < 1e-6:
                    low, high = low - 0.5, high + 0.5
                entries.append(NumericEntry(name, float(low), float(high), (units or {}).get(name, "")))
        return cls(tuple(entries))


def luminance(image: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Rec. 601 luminance in 0..1, shape (H, W), of an image (H, W, 1 or 3)."""
    return gray_levels(image) / np.float32(255)


def gray_levels(image: NDArray[np.uint8] | NDArray[np.float32]) -> NDArray[np.float32]:
    """The same in 0..255, of an image of whole or of real gray levels."""
    gray = image[..., 0] if image.shape[2] == 1 else cv2.cvtColor(image, cv2.COLOR_RGB2GRAY)
    return np.asarray(gray, np.float32)


def ring(mask: Mask, radius: int) -> Mask:
    """The pixels from 2 px to `radius` + 2 px around a mask: the surroundings that brightness is measured against."""
    near = cv2.dilate(mask.astype(np.uint8), np.ones((5, 5), np.uint8))
    around: Mask = (cv2.dilate(near, _disc(radius)) > 0) & (near == 0)
    return around


def _disc(radius: int) -> NDArray[np.uint8]:
    return np.asarray(cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * radius + 1, 2 * radius + 1)), np.uint8)


def ring_radius(side: int) -> int:
    """Px around a defect by which its brightness is measured, in images whose longer side has so many px."""
    return max(3, round(0.04 * side))


def ring_in_box(mask: Mask, radius: int) -> tuple[tuple[slice, slice], Mask]:
    """Rows and columns around a mask (H, W) that hold its `ring`, and the ring there: far quicker than the whole of it.

    Raises:
        ValueError: for an empty mask.
    """
    box = bounding_box(mask)
    if box is None:
        raise ValueError("expected a mask with a defect, got an empty one; it has no surroundings")
    x, y, w, h = box
    margin = radius + 3
    cut = slice(max(0, y - margin), y + h + margin), slice(max(0, x - margin), x + w + margin)
    return cut, ring(mask[cut], radius)


def brightness(image: NDArray[np.uint8], mask: Mask, radius: int | None = None) -> float:
    """Mean luminance inside the mask minus that of the ring around it, -1..1; negative for dark defects.

    Where the mask leaves no ring, all other pixels take its place; where it leaves none at all, 0.5 does.

    Args:
        image: (H, W, C).
        mask: (H, W), not empty.
        radius: Of the ring, px; None for `ring_radius` of the longer side.

    Raises:
        ValueError: for an empty mask.
    """
    return _brightness(image, mask, *ring_in_box(mask, radius or ring_radius(max(mask.shape))))


def reliable_brightness(image: NDArray[np.uint8], mask: Mask, radius: int) -> tuple[float, bool]:
    """`brightness`, and whether the ring is large enough to rely on it; (0, False) for an empty mask."""
    if not mask.any():
        return 0.0, False
    cut, around = ring_in_box(mask, radius)
    enough = around.sum() > max(8, LEAST_RING * min(int(mask.sum()), 40 * radius))
    return _brightness(image, mask, cut, around), bool(enough)


def _brightness(image: NDArray[np.uint8], mask: Mask, cut: tuple[slice, slice], around: Mask) -> float:
    if around.any():
        image, mask = image[cut], mask[cut]
    else:
        around = ~mask
    light = luminance(np.ascontiguousarray(image))
    outside = light[around].mean(dtype=np.float64) if around.any() else 0.5
    return float(light[mask].mean(dtype=np.float64) - outside)


def brightness_tensor(images: Tensor, masks: Tensor, radius: int) -> Tensor:
    """The same as a differentiable function of a batch: (N,), 0 for an empty mask.

    Args:
        images: (N, C, H, W) in 0..1, C 1 or 3.
        masks: (N, 1, H, W) in {0, 1}.
        radius: `ring_radius` of the images' longer side, px.
    """
    import torch
    import torch.nn.functional as F

    light = images.float()
    if light.shape[1] == 3:
        light = (light * light.new_tensor(REC_601).view(1, 3, 1, 1)).sum(1, keepdim=True)
    masks = masks.float()
    near = F.max_pool2d(masks, 5, stride=1, padding=2)
    disc = torch.from_numpy(_disc(radius)).to(near)[None, None]
    around = ((F.conv2d(near, disc, padding=radius) > 0.5) & (near < 0.5)).float()
    without_ring = around.sum((1, 2, 3), keepdim=True) == 0
    around = torch.where(without_ring, 1 - masks, around)
    inside_count, around_count = masks.sum((1, 2, 3)), around.sum((1, 2, 3))
    inside = (light * masks).sum((1, 2, 3)) / inside_count.clamp_min(1)
    outside = (light * around).sum((1, 2, 3)) / around_count.clamp_min(1)
    outside = torch.where(around_count > 0, outside, torch.full_like(outside, 0.5))
    return torch.where(inside_count > 0, inside - outside, torch.zeros_like(inside))


def measure(image: NDArray[np.uint8], mask: Mask) -> dict[str, GuideValue]:
    """Raw thickness (px) and brightness (-1..1) of the defect in an image; empty for an empty mask."""
    if not mask.any():
        return {}
    return {"thickness": width(mask), "brightness": brightness(image, mask)}
