"""The bilinear resize of TensorFlow 1, which Inception for FID was published with: no antialiasing, no half pixels.

Equal bit for bit to torch-fidelity's, which takes four copies of the whole result; here each row of the image is
interpolated once, not once for every row of the result that reads it.
"""

from __future__ import annotations

import torch
from torch import Tensor

__all__ = ["tensorflow_resize"]


def tensorflow_resize(images: Tensor, side: int) -> Tensor:
    """(N, C, H, W) of any type to float32 (N, C, side, side): pixel i is read at i * H / side."""
    pixels = images.float()
    for axis in (3, 2):
        before = images.shape[axis]
        if before == side:
            continue
        shape = [1, 1, 1, 1]
        shape[axis] = side
        at = torch.arange(side, dtype=torch.float32, device=images.device) * torch.tensor(before / side)
        low = at.long()
        start = pixels.index_select(axis, low)
        pixels = pixels.index_select(axis, (low + 1).clamp_max_(before - 1)).sub_(start)
        pixels = pixels.mul_((at - low.float()).view(shape)).add_(start)
    return pixels
