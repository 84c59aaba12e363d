"""Differentiable augmentation (Zhao et al. 2020): the discriminator's input is changed the same way for real and fake.

With a few dozen defects it would otherwise learn them by heart. Changes of brightness and contrast, shifts and a hole
are sampled beforehand as uniform numbers, so that a step is a function of its arguments.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

NUMBERS = 7
NEUTRAL = 0.5
"""The number that changes nothing, in every place."""
BRIGHTNESS = 0.15
CONTRAST = 0.2
SHIFT = 0.1
HOLE = 0.2
HOLE_SHARE = 0.5


def augment_alike(images: Tensor, masks: Tensor, draws: Tensor) -> tuple[Tensor, Tensor]:
    """Images and masks as the discriminator sees them.

    Args:
        images: (N, C, H, W) in [-1, 1].
        masks: (N, 1, H, W).
        draws: (N, `NUMBERS`) uniform in 0..1.
    """
    signed = 2 * draws[:, :4] - 1
    light = (1 + CONTRAST * signed[:, 0]).view(-1, 1, 1, 1)
    middle = images.mean(dim=(1, 2, 3), keepdim=True)
    images = (images - middle) * light + middle + BRIGHTNESS * signed[:, 1].view(-1, 1, 1, 1)
    height, width = images.shape[2:]
    rows = _moved(signed[:, 2], height)
    columns = _moved(signed[:, 3], width)
    shown = 1 - _hole(draws, height, width)
    return _taken(images, rows, columns) * shown, _taken(masks, rows, columns) * shown


def _moved(shares: Tensor, side: int) -> Tensor:
    """(N, side) source coordinates of a shift by `shares` of the largest one; the border is repeated."""
    steps = (shares * SHIFT * side).round().long()
    return (torch.arange(side, device=shares.device) + steps[:, None]).clamp(0, side - 1)


def _taken(values: Tensor, rows: Tensor, columns: Tensor) -> Tensor:
    """Values (N, C, H, W) at rows (N, H) and columns (N, W), by matrices with one 1 a row.

    The gradient of indexing adds up in the order in which threads arrive; that of a matrix product does not.
    """
    height, width = values.shape[2:]
    down = F.one_hot(rows, height).to(values.dtype)[:, None]
    across = F.one_hot(columns, width).to(values.dtype)[:, None]
    return down @ values @ across.transpose(2, 3)


def _hole(draws: Tensor, height: int, width: int) -> Tensor:
    """(N, 1, H, W), 1 inside a box that a share of the images has."""
    side = HOLE * min(height, width) / 2
    y = torch.arange(height, device=draws.device)[None, :] - draws[:, 4:5] * height
    x = torch.arange(width, device=draws.device)[None, :] - draws[:, 5:6] * width
    inside = (y.abs() < side)[:, None, :, None] & (x.abs() < side)[:, None, None, :]
    return (inside & (draws[:, 6] < HOLE_SHARE)[:, None, None, None]).to(draws.dtype)
