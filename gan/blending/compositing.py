"""The piece of a photograph that the network sees, at the network's scale, and the way back to the photograph's own."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
import torch
from numpy.typing import NDArray

from defects.attributes.guide import ring_radius
from defects.attributes.local_contrast import LocalContrast
from defects.images.crops import as_channels
from defects.masks.width import Mask, bounding_box, resize_mask
from engine.seeding import torch_generator
from gan.blending.adjustment import composed, shifted, strengthened, with_local_contrast
from gan.data.blend_pairs import signed_distance
from gan.generation.sampler import Painter
from gan.networks.blend_generator import BlendGenerator, alpha_of

Image = NDArray[np.uint8]
Floats = NDArray[np.float32]

BEYOND = 16
"""Px of the network's scale beyond a photograph's edge that the network may see, mirrored."""

CONTEXT = 24
"""Px of the network's scale around the mask that the network sees at least."""


@dataclass(frozen=True)
class Crop:
    """What the network sees: `width` x `height` px of its own scale from (x, y) on, maybe outside the photograph.

    Attributes:
        factors: px of the network's scale for one px of the photograph, across and down.
        full: (height, width) of the photograph at the network's scale.
    """

    x: int
    y: int
    width: int
    height: int
    factors: tuple[float, float]
    full: tuple[int, int]


def working_scale(shape: tuple[int, int], size: int, window: int | None) -> float:
    """Px of the network's scale for one px of a photograph, as `defects.images.crops.scaled` has it in training."""
    return size / min(window or min(shape), *shape)


def crop_around(mask: Mask, scale: float, *, side: int, stride: int) -> Crop:
    """The crop for a mask (H, W) in its photograph: as large as in training, larger where the defect is.

    A defect of any length is painted at once, since the network takes crops of any sides. At the photograph's edges the
    crop goes `BEYOND` px further, where the photograph is mirrored: the border of the network's own maps is not seen.
    """
    height, breadth = mask.shape
    full = max(1, round(height * scale)), max(1, round(breadth * scale))
    factors = full[1] / breadth, full[0] / height
    box = bounding_box(mask) or (0, 0, breadth, height)
    starts, lengths = [], []
    for axis, whole in ((0, full[1]), (1, full[0])):
        first, length = box[axis] * factors[axis], box[axis + 2] * factors[axis]
        wanted = min(max(side, int(np.ceil(length)) + 2 * CONTEXT), whole + 2 * BEYOND)
        wanted = -(-wanted // stride) * stride
        start = round(first + length / 2 - wanted / 2)
        starts.append(max(-BEYOND, min(start, whole + BEYOND - wanted)))
        lengths.append(wanted)
    return Crop(starts[0], starts[1], lengths[0], lengths[1], factors, full)


def cut_out(picture: Image, crop: Crop, how: int | None) -> Image:
    """The crop of a photograph, resized as a whole first unless `how` is None; mirrored where the picture ends."""
    if how is not None and picture.shape[:2] != crop.full:
        picture = np.atleast_3d(cv2.resize(picture, crop.full[::-1], interpolation=how))
        picture = picture.reshape(*crop.full, -1)
    spans, margins = [], []
    for start, length, whole in ((crop.y, crop.height, crop.full[0]), (crop.x, crop.width, crop.full[1])):
        spans.append(slice(max(0, start), min(whole, start + length)))
        margins.append((max(0, -start), max(0, start + length - whole)))
    part = picture[spans[0], spans[1]]
    return np.ascontiguousarray(np.pad(part, (*margins, (0, 0)), mode="symmetric").astype(np.uint8, copy=False))


def own_box(crop: Crop, shape: tuple[int, int]) -> tuple[int, int, int, int]:
    """Left, top, right, bottom in the photograph of what the crop covers."""
    left, top = (int(np.floor(at / f)) for at, f in zip((crop.x, crop.y), crop.factors, strict=True))
    right, bottom = (
        int(np.ceil((at + length) / f))
        for at, length, f in zip((crop.x, crop.y), (crop.width, crop.height), crop.factors, strict=True)
    )
    return max(0, left), max(0, top), min(right, shape[1]), min(bottom, shape[0])


def enlarged(values: Floats, crop: Crop, box: tuple[int, int, int, int]) -> Floats:
    """Values of the crop at the photograph's resolution, by bilinear interpolation between pixel centres."""
    columns, rows = (
        (np.arange(box[i], box[i + 2]) + 0.5) * crop.factors[i] - 0.5 - at for i, at in ((0, crop.x), (1, crop.y))
    )
    down, across = np.meshgrid(rows.astype(np.float32), columns.astype(np.float32), indexing="ij")
    found = cv2.remap(values, across, down, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    return np.asarray(found, np.float32).reshape(*down.shape, *values.shape[2:])


class BlendPainter(Painter):
    """Draws one crop at a time: its sides follow the mask, so crops do not share a batch."""

    network: BlendGenerator

    def __init__(
        self, network: BlendGenerator, device: torch.device, seed: int, dtype: torch.dtype | None = None
    ) -> None:
        super().__init__(network, device, seed, dtype)
        self.count = 1

    def change(
        self, ground: Image, distances: Floats, vector: NDArray[np.float32], key: tuple[str | int, ...]
    ) -> tuple[Floats, Floats]:
        """What the network draws: change (h, w, C) in grey levels and the learnt part of alpha (h, w).

        Args:
            ground: (h, w, C) crop.
            distances: (h, w) signed px.
            vector: (G,) guide vector.
            key: what the noise depends on, besides the seed.
        """
        noise = self.network.draw_noise(1, torch_generator(self.seed, *key), *distances.shape)
        background_stats = torch.from_numpy(ground).permute(2, 0, 1)[None].float() / 127.5 - 1
        with torch.inference_mode():
            change, soft = self.network.paint(
                background_stats.to(self.device),
                torch.from_numpy(distances)[None, None].to(self.device),
                noise.to(self.device, self.dtype),
                torch.from_numpy(vector)[None].to(self.device, self.dtype),
            )
        drawn = (127.5 * change[0]).permute(1, 2, 0).contiguous().cpu().numpy()
        return drawn, soft[0, 0].cpu().numpy()


@dataclass(frozen=True)
class Drawing:
    """A defect drawn for a photograph, before its brightness is chosen.

    Attributes:
        photograph: (H, W, C).
        region: rows and columns of it that may change.
        mask: (h, w) the defect there.
        change: (h, w, C) grey levels that the defect adds.
        opacity: (h, w, 1) alpha.
        radius: px around the mask by which its brightness is measured.
        relieved: whether its relief was set, and its strength with it: made stronger again it would lose that.
    """

    photograph: Image
    region: tuple[slice, slice]
    mask: Mask
    change: Floats
    opacity: Floats
    radius: int
    relieved: bool = False

    def image(self, brightness: float | None = None, *, dark: bool | None = None) -> Image:
        """A copy of the photograph with the defect.

        Args:
            brightness: luminance of the defect less that of its surroundings, -1..1, that is wanted exactly, by
                `MOST_SHIFT` grey levels at most beyond what a stronger change gives, and never by lightening the ground
                under a dark defect or darkening it under a bright one; None for what was drawn.
            dark: which of the two the defect is; None for what the sign of `brightness` says.
        """
        ground = self.photograph[self.region].astype(np.float32)
        drawn = composed(ground, self.change, self.opacity)
        if brightness is not None:
            below = brightness < 0 if dark is None else dark
            around = ground, self.opacity, self.mask, self.radius
            change = self.change if self.relieved else strengthened(brightness, below, self.change, *around)
            drawn = shifted(brightness, below, change, *around)
        result = self.photograph.copy()
        touched = self.opacity[..., 0] > 0
        result[self.region][touched] = drawn[touched]
        return result


def draw_into(
    photograph: Image,
    mask: Mask,
    painter: BlendPainter,
    vector: NDArray[np.float32],
    key: tuple[str | int, ...],
    *,
    window: int | None,
    brightness: float | None = None,
    local_contrast: LocalContrast | None = None,
) -> Drawing:
    """Draws a defect on `mask` for a photograph.

    Args:
        photograph: (H, W, C) grey or RGB, whatever the network's channels are.
        mask: (H, W), not empty.
        painter: draws.
        vector: (G,) guide vector.
        key: what the noise depends on, besides the seed.
        window: px of a photograph that were the network's size in training; None for the shorter side.
        brightness: that will be asked for.
        local_contrast: how much the light is to vary within the defect (`local_contrast`); None: as generated.
    """
    config = painter.network.config
    shape = mask.shape[0], mask.shape[1]
    scale = working_scale(shape, config.size, window)
    crop = crop_around(mask, scale, side=config.side, stride=painter.network.stride)
    cut = cut_out(as_channels(photograph, config.channels), crop, cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR)
    small = mask if crop.full == shape else resize_mask(mask, crop.full)
    condition = cut_out(small[..., None].astype(np.uint8), crop, None)[..., 0] > 0
    distance = signed_distance(condition)
    change, soft = painter.change(cut, distance, vector, key)
    if local_contrast is not None:
        ground, opacity = cut.astype(np.float32), _opacity(distance, soft, painter.network.reach)
        if brightness is not None:
            around = ground, opacity, condition, ring_radius(config.size)
            change = strengthened(brightness, brightness < 0, change, *around)
        change = with_local_contrast(local_contrast, ground, change, opacity, condition)

    box = own_box(crop, shape)
    region = slice(box[1], box[3]), slice(box[0], box[2])
    change, soft = (enlarged(values, crop, box) for values in (change, soft))
    opacity = _opacity(signed_distance(mask[region], scale), soft, painter.network.reach)
    if photograph.shape[2] != change.shape[2]:
        gray = photograph.shape[2] == 1
        change = change.mean(axis=2, keepdims=True) if gray else np.repeat(change, 3, axis=2)
    radius = max(3, round(ring_radius(config.size) / scale))
    return Drawing(photograph, region, mask[region], change, opacity, radius, local_contrast is not None)


def _opacity(distance: Floats, soft: Floats, reach: float) -> Floats:
    """Alpha (h, w, 1)."""
    alpha = alpha_of(torch.from_numpy(distance)[None, None], torch.from_numpy(soft)[None, None], reach)
    return np.asarray(alpha[0, 0].numpy()[..., None], np.float32)
