"""The pieces that the networks are built from."""

from __future__ import annotations

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor, nn

SLOPE = 0.2
DETAIL = 4.0


def pixel_norm(features: Tensor) -> Tensor:
    """Scales every pixel's feature vector to mean square 1 (Karras et al. 2018, section 4.2); (N, C, H, W)."""
    return features * torch.rsqrt(features.pow(2).mean(dim=1, keepdim=True) + 1e-6)


class PixelNorm(nn.Module):
    """`pixel_norm` as a layer."""

    def forward(self, features: Tensor) -> Tensor:
        return pixel_norm(features)


def normalization(name: str, channels: int) -> nn.Module:
    """`batch` as in pix2pix, `pixel` for results that do not depend on the batch."""
    return nn.BatchNorm2d(channels) if name == "batch" else PixelNorm()


def reflected(features: Tensor) -> Tensor:
    """One pixel more on every side, mirrored about the outermost one; (N, C, H, W) -> (N, C, H + 2, W + 2).

    The values of `F.pad(mode="reflect")`, which has no deterministic gradient on a CUDA device; a side of one pixel is
    repeated.
    """
    for axis in (2, 3):
        side = features.shape[axis]
        ends = features.narrow(axis, min(1, side - 1), 1), features.narrow(axis, max(0, side - 2), 1)
        features = torch.cat([ends[0], features, ends[1]], dim=axis)
    return features


class Convolution(nn.Conv2d):
    """A convolution with a border of one pixel, of zeros or reflected."""

    def __init__(
        self, channels_in: int, channels_out: int, kernel: int, *, stride: int = 1, bias: bool = True, padding: str
    ) -> None:
        super().__init__(channels_in, channels_out, kernel, stride=stride, padding=1, bias=bias)
        self.reflects = padding == "reflect"

    def forward(self, input: Tensor) -> Tensor:
        if not self.reflects:
            return super().forward(input)
        return F.conv2d(reflected(input), self.weight, self.bias, self.stride)


class Down(nn.Module):
    """Stride-2 convolution and LeakyReLU: (N, C, H, W) -> (N, C', H/2, W/2)."""

    def __init__(
        self, channels_in: int, channels_out: int, *, norm: nn.Module | None = None, padding: str = "zeros"
    ) -> None:
        super().__init__()
        self.convolution = Convolution(channels_in, channels_out, 4, stride=2, padding=padding)
        self.norm = norm if norm is not None else nn.Identity()

    def forward(self, features: Tensor) -> Tensor:
        return F.leaky_relu(self.norm(self.convolution(features)), SLOPE)


class Up(nn.Module):
    """One decoder stage: convolve, enlarge, add the skip, normalize, modulate, inject noise, activate.

    The features are convolved *before* they are enlarged by nearest neighbors, at a quarter of the cost; the next
    stage's convolution smooths the blocks, so that no checkerboard remains. The skip has a convolution of its own,
    which equals joining the channels and saves the copy.
    """

    def __init__(
        self,
        channels_in: int,
        skip: int,
        channels_out: int,
        code: int,
        *,
        norm: str | None,
        modulation: bool,
        noise_injection: bool,
        directional_noise: bool = False,
        padding: str = "zeros",
    ) -> None:
        super().__init__()
        self.convolution = Convolution(channels_in, channels_out, 3, padding=padding)
        self.join = Convolution(skip, channels_out, 3, bias=False, padding=padding)
        self.add_module("normalise", normalization(norm, channels_out) if norm else nn.Identity())
        self.modulate = nn.Linear(code, 2 * channels_out) if modulation else None
        self.strength = nn.Parameter(torch.full((1, channels_out, 1, 1), 0.1)) if noise_injection else None
        self.directional_noise = directional_noise
        if directional_noise:
            self.register_parameter("lay", nn.Parameter(torch.full((2, channels_out, 1, 1), 0.1)))

    def forward(self, features: Tensor, skip: Tensor, code: Tensor, noise: Tensor | None) -> Tensor:
        """`features` (N, C, h, w), `skip` (N, B, H, W), `code` (N, K), `noise` (N, 1, H, W) standard normal,
        or (N, 3, H, W) with the two maps of directional noise.

        Returns:
            (N, C', H, W).
        """
        features = self.convolution(features)
        if features.shape[-1] != skip.shape[-1]:
            features = F.interpolate(features, size=skip.shape[-2:], mode="nearest")
        features = self.get_submodule("normalise")(features + self.join(skip))
        if self.modulate is not None:
            scale, shift = self.modulate(code)[:, :, None, None].chunk(2, dim=1)
            features = torch.addcmul(shift, features, 1 + scale)
        if self.strength is not None and noise is not None:
            features = torch.addcmul(features, self.strength, noise[:, :1])
            if self.directional_noise:
                columns, rows = self.get_parameter("lay")
                features = features + columns * noise[:, 1:2] + rows * noise[:, 2:]
        return F.leaky_relu(features, SLOPE)


def initialize(network: nn.Module, std: float | None) -> None:
    """Initializes all weights from N(0, std), as the paper does, or He-normal when `std` is None; biases are zero.

    Modulation layers start near zero in the second case, so that every stage begins as nearly a plain convolution.
    """
    for module in network.modules():
        if isinstance(module, nn.Conv2d | nn.Linear):
            if std is None:
                nn.init.kaiming_normal_(module.weight, SLOPE, nonlinearity="leaky_relu")
            else:
                nn.init.normal_(module.weight, 0.0, std)
            if module.bias is not None:
                nn.init.zeros_(module.bias)
        if isinstance(module, Up) and module.modulate is not None:
            nn.init.normal_(module.modulate.weight, 0.0, std or 0.02)


def to_pixels(images: Tensor) -> NDArray[np.uint8]:
    """(N, C, S, S) in [-1, 1] to (N, S, S, C) uint8: mapped to 0..255 and rounded to the nearest."""
    scaled = images.float().add(1.0).mul(127.5).round().clamp(0, 255).to(torch.uint8)
    pixels: NDArray[np.uint8] = scaled.permute(0, 2, 3, 1).contiguous().cpu().numpy()
    return pixels


def area(images: Tensor, side: int) -> Tensor:
    """(N, C, S, S) to (N, C, side, side) by area: the values of `adaptive_avg_pool2d`, whose gradient on CUDA is added
    up in any order, by kernels that add in a fixed order wherever one side is a multiple of the other.
    """
    given = images.shape[-1]
    if given % side == 0:
        return F.avg_pool2d(images, given // side)
    if side % given == 0:
        return F.interpolate(images, size=(side, side), mode="nearest")
    return F.adaptive_avg_pool2d(images, side)


def detail(images: Tensor) -> Tensor:
    """`DETAIL` times the difference of each pixel from the mean of its 3 x 3 neighbors; (N, C, H, W)."""
    return DETAIL * (images - F.avg_pool2d(images, 3, stride=1, padding=1, count_include_pad=False))
