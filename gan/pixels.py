"""From what a generator draws to bytes of pixels."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor


def to_pixels(images: Tensor) -> NDArray[np.uint8]:
    """(N, C, S, S) in [-1, 1] to (N, S, S, C) uint8: mapped to 0..255 and rounded to the nearest."""
    scaled = images.float().add(1.0).mul(127.5).round().clamp(0, 255).to(torch.uint8)
    pixels: NDArray[np.uint8] = scaled.permute(0, 2, 3, 1).contiguous().cpu().numpy()
    return pixels
