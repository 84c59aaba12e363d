"""Compositing: the crop of a background at the network's scale, and the generated defect back in the background."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
import torch
from numpy.typing import NDArray

from defects.attributes.appearance import LocalContrast, ring_radius
from defects.images.decode import as_channels
from defects.masks.width import Mask, bounding_box, resize_mask, signed_distance
from engine.seeding import torch_generator
from gan.blending.adjustment import composed, shifted, strengthened, with_local_contrast
from gan.generation.plan import NetworkRunner
from gan.networks.blend_generator import BlendGenerator, alpha_of

Image = NDArray[np.uint8]
Floats = NDArray[np.float32]

BEYOND = 16
"""Px of the network's scale beyond a background's edge that the network may see, mirrored."""

CONTEXT = 24
"""Px of the network's scale around the mask that the network sees at least."""


@dataclass(frozen=True)
class Crop:
    """What the network sees: `width` x `height` px of its own scale from (x, y) on, maybe outside the background.

    Attributes:
        factors: Px of the network's scale for one px of the background, across and down.
        full: (height, width) of the background at the network's scale.
    """

    x: int
    y: int
    width: int
    height: int
    factors: tuple[float, float]
    full: tuple[int, int]


def working_scale(shape: tuple[int, int], size: int, crop: int | None) -> float:
    """Px of the network's scale for one px of a background, as `defects.images.crops.scaled` has it in training."""
    return size / min(crop or min(shape), *shape)


def crop_around(mask: Mask, scale: float, *, side: int, stride: int) -> Crop:
    """The crop for a mask (H, W) in its background: as large as in training, larger where the defect is.

    A defect of any length is generated at once, since the network takes crops of any sides. At the background's edges
    the crop goes `BEYOND` px further, where the background is mirrored: the border of the network's maps stays outside.
    """
    shape = mask.shape[0], mask.shape[1]
    full = max(1, round(shape[0] * scale)), max(1, round(shape[1] * scale))
    factors = full[1] / shape[1], full[0] / shape[0]
    box = bounding_box(mask) or (0, 0, shape[1], shape[0])
    starts, lengths = [], []
    for axis, whole in ((0, full[1]), (1, full[0])):
        first, extent = box[axis] * factors[axis], box[axis + 2] * factors[axis]
        length = min(max(side, int(np.ceil(extent)) + 2 * CONTEXT), whole + 2 * BEYOND)
        length = -(-length // stride) * stride
        start = round(first + extent / 2 - length / 2)
        starts.append(max(-BEYOND, min(start, whole + BEYOND - length)))
        lengths.append(length)
    return Crop(starts[0], starts[1], lengths[0], lengths[1], factors, full)


def cut_out(image: Image, crop: Crop, interpolation: int | None) -> Image:
    """The crop of a background, resized as a whole first unless `interpolation` is None; mirrored beyond its edges."""
    if interpolation is not None and image.shape[:2] != crop.full:
        image = np.atleast_3d(cv2.resize(image, crop.full[::-1], interpolation=interpolation))
        image = image.reshape(*crop.full, -1)
    spans, margins = [], []
    for start, length, whole in ((crop.y, crop.height, crop.full[0]), (crop.x, crop.width, crop.full[1])):
        spans.append(slice(max(0, start), min(whole, start + length)))
        margins.append((max(0, -start), max(0, start + length - whole)))
    part = image[spans[0], spans[1]]
    return np.ascontiguousarray(np.pad(part, (*margins, (0, 0)), mode="symmetric").astype(np.uint8, copy=False))


def covered_box(crop: Crop, shape: tuple[int, int]) -> tuple[int, int, int, int]:
    """Left, top, right, bottom in the background of what the crop covers."""
    left, top = (int(np.floor(at / f)) for at, f in zip((crop.x, crop.y), crop.factors, strict=True))
    right, bottom = (
        int(np.ceil((at + length) / f))
        for at, length, f in zip((crop.x, crop.y), (crop.width, crop.height), crop.factors, strict=True)
    )
    return max(0, left), max(0, top), min(right, shape[1]), min(bottom, shape[0])


def enlarged(values: Floats, crop: Crop, box: tuple[int, int, int, int]) -> Floats:
    """Values of the crop at the background's resolution, by bilinear interpolation between pixel centers."""
    columns, rows = (
        (np.arange(box[i], box[i + 2]) + 0.5) * crop.factors[i] - 0.5 - at for i, at in ((0, crop.x), (1, crop.y))
    )
    down, across = np.meshgrid(rows.astype(np.float32), columns.astype(np.float32), indexing="ij")
    remapped = cv2.remap(values, across, down, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    return np.asarray(remapped, np.float32).reshape(*down.shape, *values.shape[2:])


class BlendSampler(NetworkRunner[BlendGenerator]):
    """Samples one crop at a time: its sides follow the mask, so crops do not share a batch."""

    def change(
        self, background: Image, distances: Floats, vector: NDArray[np.float32], key: tuple[str | int, ...]
    ) -> tuple[Floats, Floats]:
        """The network's output: change (h, w, C) in gray levels and the learned part of alpha (h, w).

        Args:
            background: (h, w, C) crop.
            distances: (h, w) signed px.
            vector: (G,) guide vector.
            key: What the noise depends on, besides the seed.
        """
        noise = self.network.draw_noise(1, torch_generator(self.seed, *key), *distances.shape)
        backgrounds = torch.from_numpy(background).permute(2, 0, 1)[None].float() / 127.5 - 1
        with torch.inference_mode():
            change, soft = self.network.decode(
                backgrounds.to(self.device),
                torch.from_numpy(distances)[None, None].to(self.device),
                noise.to(self.device, self.dtype),
                torch.from_numpy(vector)[None].to(self.device, self.dtype),
            )
        return (127.5 * change[0]).permute(1, 2, 0).contiguous().cpu().numpy(), soft[0, 0].cpu().numpy()


@dataclass(frozen=True)
class Composite:
    """A defect generated for a background, before its brightness is set.

    Attributes:
        background: (H, W, C).
        region: Rows and columns of it that may change.
        mask: (h, w) the defect there.
        change: (h, w, C) gray levels that the defect adds.
        opacity: (h, w, 1) alpha.
        radius: Px around the mask by which its brightness is measured.
        contrast_set: Whether its local contrast was set, and its strength with it: strengthened again it would lose
            that.
    """

    background: Image
    region: tuple[slice, slice]
    mask: Mask
    change: Floats
    opacity: Floats
    radius: int
    contrast_set: bool = False

    def image(self, brightness: float | None = None, *, dark: bool | None = None) -> Image:
        """A copy of the background with the defect.

        Args:
            brightness: Luminance of the defect less that of its surroundings, -1..1, that is reached exactly, by
                `MOST_SHIFT` gray levels at most beyond what a stronger change gives, and never by lightening the
                background under a dark defect or darkening it under a bright one; None for the generated one.
            dark: Which of the two the defect is; None for the sign of `brightness`.
        """
        background = self.background[self.region].astype(np.float32)
        pixels = composed(background, self.change, self.opacity)
        if brightness is not None:
            below = brightness < 0 if dark is None else dark
            around = background, self.opacity, self.mask, self.radius
            change = self.change if self.contrast_set else strengthened(brightness, below, self.change, *around)
            pixels = shifted(brightness, below, change, *around)
        result = self.background.copy()
        touched = self.opacity[..., 0] > 0
        result[self.region][touched] = pixels[touched]
        return result


def composite(
    background: Image,
    mask: Mask,
    sampler: BlendSampler,
    vector: NDArray[np.float32],
    key: tuple[str | int, ...],
    *,
    crop: int | None,
    brightness: float | None = None,
    local_contrast: LocalContrast | None = None,
) -> Composite:
    """Generates a defect on `mask` for a background.

    Args:
        background: (H, W, C) gray or RGB, whatever the network's channels are.
        mask: (H, W), not empty.
        sampler: The network.
        vector: (G,) guide vector.
        key: What the noise depends on, besides the seed.
        crop: Px of a background that were the network's size in training; None for the shorter side.
        brightness: The requested one.
        local_contrast: That the defect gets; None for the generated one.
    """
    config = sampler.network.config
    shape = mask.shape[0], mask.shape[1]
    scale = working_scale(shape, config.size, crop)
    view = crop_around(mask, scale, side=sampler.network.side, stride=sampler.network.stride)
    cut = cut_out(as_channels(background, config.channels), view, cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR)
    small = mask if view.full == shape else resize_mask(mask, view.full)
    condition = cut_out(small[..., None].astype(np.uint8), view, None)[..., 0] > 0
    distance = signed_distance(condition)
    change, soft = sampler.change(cut, distance, vector, key)
    if local_contrast is not None:
        pixels, opacity = cut.astype(np.float32), _opacity(distance, soft, sampler.network.blend_radius)
        if brightness is not None:
            around = pixels, opacity, condition, ring_radius(config.size)
            change = strengthened(brightness, brightness < 0, change, *around)
        change = with_local_contrast(local_contrast, pixels, change, opacity, condition)

    box = covered_box(view, shape)
    region = slice(box[1], box[3]), slice(box[0], box[2])
    change, soft = (enlarged(values, view, box) for values in (change, soft))
    opacity = _opacity(signed_distance(mask[region], scale), soft, sampler.network.blend_radius)
    if background.shape[2] != change.shape[2]:
        gray = background.shape[2] == 1
        change = change.mean(axis=2, keepdims=True) if gray else np.repeat(change, 3, axis=2)
    radius = max(3, round(ring_radius(config.size) / scale))
    return Composite(background, region, mask[region], change, opacity, radius, local_contrast is not None)


def _opacity(distance: Floats, soft: Floats, blend_radius: float) -> Floats:
    """Alpha (h, w, 1)."""
    alpha = alpha_of(torch.from_numpy(distance)[None, None], torch.from_numpy(soft)[None, None], blend_radius)
    return np.asarray(alpha[0, 0].numpy()[..., None], np.float32)
