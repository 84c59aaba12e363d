"""One defect into the best of a few places in a few grounds."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from augment.paste.blend import MARGIN, alpha_blend, edge_width, poisson_blend
from augment.paste.cutouts import cut_out, smoothing
from augment.paste.fit import mismatch, surroundings
from augment.paste.ground_level import ground_level, matched
from augment.paste.photographs import Photograph
from augment.paste.place import Limits, Pose, box_of, propose, warp
from augment.paste.region import part_box
from defects.masks import Mask

__all__ = ["Pasted", "paste_into"]

_PLACES = 10
"""Places looked at in each ground."""


@dataclass(frozen=True)
class Pasted:
    """A ground with a defect in it.

    Attributes:
        image: (H, W, C) uint8.
        mask: (H, W) the pasted defect alone.
        ground: the photograph it went into.
        pose: how it lies there.
        band: px around the mask beyond which the ground is unchanged.
    """

    image: NDArray[np.uint8]
    mask: Mask
    ground: Photograph
    pose: Pose
    band: float


def paste_into(
    source: Photograph,
    defect: Mask,
    grounds: list[Photograph],
    method: str,
    rng: np.random.Generator,
    limits: Limits,
) -> Pasted | None:
    """Paste one defect of `source` where it fits best among random places; None where it fits nowhere.

    Args:
        source: the photograph with the defect.
        defect: (H, W), one of its clusters.
        grounds: photographs to choose from.
        method: `alpha` or `poisson`.
        rng: draws the places.
        limits: how far the pose may go.
    """
    cutout = cut_out(source, defect)
    own = surroundings(cutout)
    best: tuple[float, Photograph, Pose] | None = None
    for ground in grounds:
        if ground.image.shape[2] != cutout.patch.shape[2]:
            continue
        part = part_box(ground.region)
        for _ in range(_PLACES):
            pose = propose(cutout, part, rng, limits)
            if pose is None:
                continue
            cost = mismatch(cutout, own, pose, ground)
            if np.isfinite(cost) and (best is None or cost < best[0]):
                best = cost, ground, pose
    if best is None:
        return None
    _, ground, pose = best
    sigma = smoothing(float(np.sqrt(cutout.area)) * float(np.sqrt(pose.scale[0] * pose.scale[1])))
    left, top, right, bottom = box = box_of(cutout, pose, ground.mask.shape, int(np.ceil(3 * sigma)) + 12)
    cut = slice(top, bottom), slice(left, right)
    patch, level, mask = warp(cutout, pose, box)
    if not mask.any():
        return None
    under = ground.image[cut]
    patch = matched(patch, level, ground_level(under, sigma))
    fade = edge_width(mask)
    blend = alpha_blend if method == "alpha" else poisson_blend
    image, whole = ground.image.copy(), np.zeros_like(ground.mask)
    image[cut] = blend(under, patch, mask, fade)
    whole[cut] = mask
    return Pasted(image, whole, ground, pose, round(MARGIN + fade, 3))
