"""Transforms of gray levels on uint8 images, and the random numbers per pixel that both engines share.

To sample a normal number for each pixel is the slowest part of a pipeline with noise. A *bank* of numbers is sampled
once per process, from a fixed seed, and a field is a slice of it with a random offset. Each slice has the bank's
distribution, and two slices of different offsets are uncorrelated.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from functools import cache
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from augment.transforms.geometry import Erase
from defects.sample import Image
from engine.seeding import numpy_generator

BANK = 1 << 22  # numbers in a bank: 16 MiB

Field = NDArray[np.float32]


@cache
def normal_bank() -> Field:
    """(BANK,) standard normal numbers, the same in every process."""
    return _frozen(numpy_generator(0, "noise bank", "normal").standard_normal(BANK, np.float32))


@cache
def uniform_bank() -> Field:
    """(BANK,) numbers in [0, 1), the same in every process."""
    return _frozen(numpy_generator(0, "noise bank", "uniform").random(BANK, np.float32))


def offset_in_bank(key: int, count: int) -> int | None:
    """Offset of the `count` numbers for a key, or None where the bank is too short."""
    return key % (BANK - count + 1) if count <= BANK // 2 else None


def normal_field(key: int, shape: tuple[int, ...], *, bank: bool = True) -> Field:
    """Standard normal numbers for a key; read only where they come from the bank."""
    count = int(np.prod(shape))
    offset = offset_in_bank(key, count) if bank else None
    if offset is None:
        return numpy_generator(key, "normal").standard_normal(shape, np.float32)
    return normal_bank()[offset : offset + count].reshape(shape)


def uniform_field(key: int, shape: tuple[int, ...], *, bank: bool = True) -> Field:
    """Numbers in [0, 1) for a key; read only where they come from the bank."""
    count = int(np.prod(shape))
    offset = offset_in_bank(key, count) if bank else None
    if offset is None:
        return numpy_generator(key, "uniform").random(shape, np.float32)
    return uniform_bank()[offset : offset + count].reshape(shape)


def _frozen(bank: Field) -> Field:
    bank.setflags(write=False)
    return bank


@cache
def albumentations() -> Any:
    """The package."""
    os.environ["NO_ALBUMENTATIONS_UPDATE"] = "1"
    import albumentations as package

    return package


@cache
def _pixels() -> Any:
    albumentations()
    from albumentations.augmentations.pixel import functional

    return functional


def _library_hue_saturation(image: Image, hue: float, saturation: float, value: float) -> Image:
    """Image (H, W, 3) with hue shifted by degrees, saturation and value by shares of 1."""
    return np.asarray(_pixels().shift_hsv(image, hue / 2, saturation * 255, value * 255))


def _library_salt_and_pepper(image: Image, salt: NDArray[np.bool_], pepper: NDArray[np.bool_]) -> Image:
    """Image (H, W, C) set to white or black where the masks (H, W) say so."""
    return np.asarray(_pixels().apply_salt_and_pepper(image, salt, pepper), np.uint8)


Table = NDArray[np.uint8]
Values = Mapping[str, Any]

_LEVELS = np.arange(256, dtype=np.float64)
_SMOOTH = np.array([[1, 1, 1], [1, 5, 1], [1, 1, 1]], np.float32) / 13  # Pillow's SMOOTH


def look_up(image: Image, table: Table) -> Image:
    """Every level replaced; a table (256,) for all channels, or (1, 256, 3)."""
    return np.asarray(cv2.LUT(image, table), np.uint8).reshape(image.shape)


def brightness(image: Image, values: Values) -> Table:  # noqa: ARG001 - one way to call all tables
    """x + by."""
    return _table(_LEVELS + values["by"] * 255)


def contrast(image: Image, values: Values) -> Table:
    """mean + factor (x - mean), with the mean of the image's luminance."""
    gray = image if image.shape[2] == 1 else cv2.cvtColor(image, cv2.COLOR_RGB2GRAY)
    return _table(_LEVELS * values["factor"] + float(cv2.mean(gray)[0]) * (1 - values["factor"]))


def gamma(image: Image, values: Values) -> Table:  # noqa: ARG001
    """x to the power gamma, of levels in [0, 1]."""
    return _table((_LEVELS / 255) ** values["gamma"] * 255)


def channel_shift(image: Image, values: Values) -> Table:
    """x + by, another number for each channel."""
    shifts = np.array(values["by"][: image.shape[2]]) * 255
    return _table(_LEVELS[None, :, None] + shifts) if len(shifts) > 1 else _table(_LEVELS + shifts[0])


def gaussian_noise(image: Image, values: Values) -> Image:
    """x + sigma z."""
    field = normal_field(values["field"], image.shape, bank=values["bank"])
    return np.asarray(cv2.addWeighted(image, 1.0, field, values["sigma"] * 255, 0.0, dtype=cv2.CV_8U), np.uint8)


def poisson_noise(image: Image, values: Values) -> Image:
    """Poisson counts of mean x * photons, from normal numbers z by the Cornish-Fisher expansion.

    mean + sqrt(mean) z + (z^2 - 1) / 6, rounded: mean, variance and skewness are those of a Poisson count (Cornish and
    Fisher 1938, first terms). Below a mean of 1 the last term fades, so that black stays black, and the mean comes out
    up to a tenth too high.
    """
    mean = (_LEVELS / 255 * values["photons"]).astype(np.float32)
    z = normal_field(values["field"], image.shape, bank=values["bank"])
    counts = cv2.LUT(image, np.sqrt(mean)).reshape(z.shape) * z
    counts += cv2.LUT(image, mean).reshape(z.shape)
    counts += cv2.LUT(image, np.minimum(mean, 1) * np.float32(1 / 6)).reshape(z.shape) * (z * z - 1)
    np.maximum(np.rint(counts, out=counts), 0, out=counts)
    counts *= np.float32(255 / values["photons"])
    return np.asarray(np.minimum(np.rint(counts, out=counts), 255), np.uint8)


def salt_and_pepper(image: Image, values: Values) -> Image:
    """White where a uniform number is below amount * salt, black where it is among the highest amount * (1 - salt)."""
    chance = uniform_field(values["field"], image.shape[:2], bank=values["bank"])
    salt = np.float32(values["amount"] * values["salt"])
    pepper = np.float32(1 - values["amount"] * (1 - values["salt"]))
    return _library_salt_and_pepper(image, chance < salt, chance >= pepper)


def color_space(image: Image, values: Values) -> Image:  # noqa: ARG001
    """Hue (a share of the circle), saturation and value in place of red, green and blue."""
    hsv = cv2.cvtColor(image.astype(np.float32) / 255, cv2.COLOR_RGB2HSV)
    return np.rint(hsv * np.array([255 / 360, 255, 255], np.float32)).astype(np.uint8)


def hue_saturation(image: Image, values: Values) -> Image:
    """Shifted in hue, saturation and value."""
    return _library_hue_saturation(image, values["hue"], values["saturation"], values["value"])


def sharpness(image: Image, values: Values) -> Image:
    """smooth + factor (x - smooth); the outermost pixels stay as they are."""
    smooth = cv2.filter2D(image, cv2.CV_32F, _SMOOTH).reshape(image.shape)
    for edge in (np.s_[0], np.s_[-1], np.s_[:, 0], np.s_[:, -1]):
        smooth[edge] = image[edge]
    factor = values["factor"]
    return np.asarray(cv2.addWeighted(image, factor, smooth, 1 - factor, 0.0, dtype=cv2.CV_8U), np.uint8)


def gaussian_blur(image: Image, values: Values) -> Image:
    """Smoothed; the kernel reaches 3 sigma."""
    side = blur_side(values["sigma"])
    return np.asarray(
        cv2.GaussianBlur(image, (side, side), values["sigma"], borderType=cv2.BORDER_REFLECT_101), np.uint8
    )


def blur_side(sigma: float) -> int:
    """Side of the kernel, px."""
    return 2 * int(np.ceil(3 * sigma)) + 1


def erase(image: Image, operation: Erase) -> Image:
    """The box filled with noise, the mean color or black."""
    left, top, width, height = operation.box
    result = image.copy()
    box = result[top : top + height, left : left + width]
    if operation.fill == "noise":
        box[:] = uniform_field(operation.field, box.shape, bank=operation.bank) * 256
    else:
        box[:] = np.rint(image.mean(axis=(0, 1))) if operation.fill == "mean" else 0
    return result


def mix(image: Image, other: Image, weight: float) -> Image:
    """(1 - weight) x + weight * other."""
    return np.asarray(cv2.addWeighted(image, 1 - weight, other, weight, 0.0), np.uint8)


def _table(levels: NDArray[np.float64]) -> Table:
    return np.clip(np.rint(levels), 0, 255).astype(np.uint8)


TABLES: dict[str, Callable[[Image, Values], Table]] = {
    "brightness": brightness, "contrast": contrast, "gamma": gamma, "channel_shift": channel_shift,
}  # fmt: skip
LIGHTING: dict[str, Callable[[Image, Values], Image]] = {
    "gaussian_noise": gaussian_noise, "poisson_noise": poisson_noise, "salt_and_pepper": salt_and_pepper,
    "colour_space": color_space, "hue_saturation": hue_saturation, "sharpness": sharpness,
    "gaussian_blur": gaussian_blur,
}  # fmt: skip
