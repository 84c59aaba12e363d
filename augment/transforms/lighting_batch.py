"""Transforms of gray levels on batches, through kornia; the same formulas as on the CPU, without rounding.

Every function takes images (N, C, H, W), float in [0, 1], and the sampled values of each of the N.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from functools import cache
from typing import Any

import kornia
import numpy as np
import torch
from torch import Tensor

from augment.transforms.lighting import (
    Field,
    blur_side,
    normal_bank,
    normal_field,
    offset_in_bank,
    uniform_bank,
    uniform_field,
)

Many = Sequence[Mapping[str, Any]]


def _column(values: Many, name: str, images: Tensor) -> Tensor:
    """(N,) sampled numbers, or (N, count)."""
    return torch.tensor([one[name] for one in values], dtype=images.dtype, device=images.device)


@cache
def _bank_on(distribution: str, device: torch.device) -> Tensor:
    bank: Field = normal_bank() if distribution == "normal" else uniform_bank()
    return torch.from_numpy(bank.copy()).to(device)


def random_fields(distribution: str, values: Many, shape: tuple[int, ...], images: Tensor) -> Tensor:
    """(N, *shape) random numbers: those that the CPU engine takes for the same keys."""
    count = math.prod(shape)
    if all(one["bank"] for one in values) and offset_in_bank(0, count) is not None:
        offsets = [offset_in_bank(one["field"], count) or 0 for one in values]
        bank = _bank_on(distribution, images.device)
        if images.device.type == "cpu":
            fields = torch.stack([bank[offset : offset + count] for offset in offsets])
        else:  # one kernel for all
            fields = bank.unfold(0, count, 1)[torch.tensor(offsets, device=images.device)]
        return fields.view(len(values), *shape)
    draw = normal_field if distribution == "normal" else uniform_field
    sampled = np.stack([draw(one["field"], shape, bank=one["bank"]) for one in values])
    return torch.from_numpy(sampled).to(images.device)


def _normal(values: Many, images: Tensor) -> Tensor:
    """(N, C, H, W), sampled pixel by pixel, as an image lies in memory on the CPU."""
    _, channels, height, width = images.shape
    return random_fields("normal", values, (height, width, channels), images).permute(0, 3, 1, 2)


def gaussian_noise(images: Tensor, values: Many) -> Tensor:
    """x + sigma z."""
    sigma = _column(values, "sigma", images).view(-1, 1, 1, 1)
    return torch.addcmul(images, _normal(values, images), sigma).clamp_(0, 1)


def poisson_noise(images: Tensor, values: Many) -> Tensor:
    """Poisson counts by the Cornish-Fisher expansion; see `augment.transforms.lighting.poisson_noise`."""
    photons = _column(values, "photons", images).view(-1, 1, 1, 1)
    z, mean = _normal(values, images), images * photons
    counts = mean + mean.sqrt() * z + mean.clamp(max=1) / 6 * (z * z - 1)
    return (counts.round_().clamp_(min=0) / photons).clamp_(max=1)


def salt_and_pepper(images: Tensor, values: Many) -> Tensor:
    """White and black pixels."""
    chance = random_fields("uniform", values, tuple(images.shape[2:]), images).unsqueeze(1)
    salt = torch.tensor([one["amount"] * one["salt"] for one in values], device=images.device).view(-1, 1, 1, 1)
    pepper = [1 - one["amount"] * (1 - one["salt"]) for one in values]
    images = images.masked_fill(chance < salt, 1.0)
    return images.masked_fill(chance >= torch.tensor(pepper, device=images.device).view(-1, 1, 1, 1), 0.0)


def color_space(images: Tensor, values: Many) -> Tensor:  # noqa: ARG001 - one way to call all
    """Hue (a share of the circle), saturation and value."""
    hue, saturation, value = kornia.color.rgb_to_hsv(images).unbind(1)
    return torch.stack((hue / (2 * math.pi), saturation, value), 1)


def hue_saturation(images: Tensor, values: Many) -> Tensor:
    """Shifted in hue, saturation and value; gray stays gray."""
    hue, saturation, value = kornia.color.rgb_to_hsv(images).unbind(1)
    by = [_column(values, name, images).view(-1, 1, 1) for name in ("hue", "saturation", "value")]
    hue = (hue + torch.deg2rad(by[0])) % (2 * math.pi)
    shifted = torch.where(saturation > 1 / 510, (saturation + by[1]).clamp(0, 1), saturation)
    return kornia.color.hsv_to_rgb(torch.stack((hue, shifted, (value + by[2]).clamp(0, 1)), 1)).clamp_(0, 1)


def channel_shift(images: Tensor, values: Many) -> Tensor:
    """x + by, another number for each channel."""
    by = _column(values, "by", images)[:, : images.shape[1]]
    if images.shape[1] == 3:
        return torch.as_tensor(kornia.enhance.shift_rgb(images, *by.unbind(1)))
    return (images + by.view(-1, 1, 1, 1)).clamp_(0, 1)


def gaussian_blur(images: Tensor, values: Many) -> Tensor:
    """Smoothed, images of one kernel size together."""
    result = torch.empty_like(images)
    sides = [blur_side(one["sigma"]) for one in values]
    for side in sorted(set(sides)):
        rows = torch.tensor([i for i, one in enumerate(sides) if one == side], device=images.device)
        sigma = _column([values[i] for i in rows.tolist()], "sigma", images)
        blurred = kornia.filters.gaussian_blur2d(images[rows], (side, side), torch.stack((sigma, sigma), 1), "reflect")
        result[rows] = blurred
    return result


LIGHTING: dict[str, Callable[[Tensor, Many], Tensor]] = {
    "gaussian_noise": gaussian_noise, "poisson_noise": poisson_noise, "salt_and_pepper": salt_and_pepper,
    "colour_space": color_space, "hue_saturation": hue_saturation, "channel_shift": channel_shift,
    "gaussian_blur": gaussian_blur,
    "sharpness": lambda images, values: kornia.enhance.sharpness(images, _column(values, "factor", images)),
    "brightness": lambda images, values: kornia.enhance.adjust_brightness(images, _column(values, "by", images)),
    "contrast": lambda images, values: (
        kornia.enhance.adjust_contrast_with_mean_subtraction(images, _column(values, "factor", images))
    ),
    "gamma": lambda images, values: kornia.enhance.adjust_gamma(images, _column(values, "gamma", images)),
}  # fmt: skip
