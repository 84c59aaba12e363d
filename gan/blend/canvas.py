"""A defect drawn into a photograph of any size: cut around the mask, painted at the network's scale, put back.

The network sees the crop at the scale it was trained on. What it gives back, the change of the background and the
learnt part of alpha, is enlarged to the photograph's own resolution; alpha itself is computed there, from the mask as
it lies in the photograph. So the photograph's grain stays under the defect, the label is exactly the mask, and pixels
whose alpha is 0 are not touched.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
import torch
from numpy.typing import NDArray

from defects.guides import ring_radius
from defects.masks import Mask, resize_mask
from defects.relief import Relief
from defects.windows import as_channels
from engine.seeding import torch_generator
from gan.blend.adjust import composed, shifted, strengthened, with_relief
from gan.blend.crop import crop_around, cut_out, enlarged, own_box, working_scale
from gan.blend.generator import BlendGenerator, alpha_of
from gan.blend.windows import signed_distance
from gan.paint import Painter

Image = NDArray[np.uint8]
Floats = NDArray[np.float32]


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
        grounds = torch.from_numpy(ground).permute(2, 0, 1)[None].float() / 127.5 - 1
        with torch.inference_mode():
            change, soft = self.network.paint(
                grounds.to(self.device),
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
    relief: Relief | None = None,
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
        relief: how much the light is to vary within the defect, see `defects.relief`; None for what is drawn.
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
    if relief is not None:
        ground, opacity = cut.astype(np.float32), _opacity(distance, soft, painter.network.reach)
        if brightness is not None:
            around = ground, opacity, condition, ring_radius(config.size)
            change = strengthened(brightness, brightness < 0, change, *around)
        change = with_relief(relief, ground, change, opacity, condition)

    box = own_box(crop, shape)
    region = slice(box[1], box[3]), slice(box[0], box[2])
    change, soft = (enlarged(values, crop, box) for values in (change, soft))
    opacity = _opacity(signed_distance(mask[region], scale), soft, painter.network.reach)
    if photograph.shape[2] != change.shape[2]:
        grey = photograph.shape[2] == 1
        change = change.mean(axis=2, keepdims=True) if grey else np.repeat(change, 3, axis=2)
    radius = max(3, round(ring_radius(config.size) / scale))
    return Drawing(photograph, region, mask[region], change, opacity, radius, relief is not None)


def _opacity(distance: Floats, soft: Floats, reach: float) -> Floats:
    """Alpha (h, w, 1)."""
    alpha = alpha_of(torch.from_numpy(distance)[None, None], torch.from_numpy(soft)[None, None], reach)
    return np.asarray(alpha[0, 0].numpy()[..., None], np.float32)
