"""Inception-v3 as it is used for FID (the graph of 2015-12-05), written once for any backend.

Szegedy et al. 2016, "Rethinking the Inception Architecture for Computer Vision", with what that TensorFlow graph does
otherwise: averages leave the padding out, the last block takes a maximum, there are 1008 classes. Tensors are named as
in torch-fidelity's `inception-v3-compat`.

Two rearrangements keep the function and save time. The 1 x 1 convolutions that read the same input are one
convolution. The one behind an average pool is taken before it, where there are fewer channels to average: both are
linear and the weights of an average sum to one.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol, TypeVar

INPUT = 299
FEATURES = 2048
CLASSES = 1008

T = TypeVar("T")

# Name: channels out, channels in, height and width of the kernel.
Convolution = tuple[int, int, int, int]


class Backend(Protocol[T]):
    """What the network consists of; `T` is a tensor, or the name of one in a graph."""

    def convolution(self, images: T, names: Sequence[str], *, stride: int, same: bool, rectified: bool) -> T:
        """The named convolutions of one shape next to one another; `same` pads so that the size stays."""

    def largest(self, images: T, *, stride: int) -> T:
        """Maximum over 3 x 3; padded where the stride is 1."""

    def mean(self, images: T) -> T:
        """Average over 3 x 3 of what lies inside the image."""

    def rectified(self, images: T) -> T:
        """max(x, 0)."""

    def divided(self, images: T, sizes: Sequence[int]) -> Sequence[T]:
        """Consecutive channels, so many each."""

    def joined(self, parts: Sequence[T]) -> T:
        """Channels one behind the other."""

    def pooled(self, images: T) -> T:
        """Mean over the image: (N, C)."""


def inception(backend: Backend[T], images: T) -> T:
    """(N, 3, 299, 299) in [-1, 1] to the 2048 pooled features."""
    images = _convolve(backend, images, "Conv2d_1a_3x3", stride=2, same=False)
    images = _convolve(backend, images, "Conv2d_2a_3x3", same=False)
    images = _convolve(backend, images, "Conv2d_2b_3x3")
    images = backend.largest(images, stride=2)
    images = _convolve(backend, images, "Conv2d_3b_1x1")
    images = _convolve(backend, images, "Conv2d_4a_3x3", same=False)
    images = backend.largest(images, stride=2)
    for block in ("Mixed_5b", "Mixed_5c", "Mixed_5d"):
        images = _block_a(backend, images, block)
    images = _block_b(backend, images, "Mixed_6a")
    for block in ("Mixed_6b", "Mixed_6c", "Mixed_6d", "Mixed_6e"):
        images = _block_c(backend, images, block)
    images = _block_d(backend, images, "Mixed_7a")
    images = _block_e(backend, images, "Mixed_7b", averaged=True)
    images = _block_e(backend, images, "Mixed_7c", averaged=False)
    return backend.pooled(images)


def _convolve(backend: Backend[T], images: T, *names: str, stride: int = 1, same: bool = True) -> T:
    for name in names:
        images = backend.convolution(images, [name], stride=stride, same=same, rectified=True)
    return images


def _heads(backend: Backend[T], images: T, names: Sequence[str]) -> Sequence[T]:
    """The 1 x 1 convolutions that read one input."""
    together = backend.convolution(images, names, stride=1, same=True, rectified=True)
    return backend.divided(together, [CONVOLUTIONS[name][0] for name in names])


def _averaged(backend: Backend[T], images: T, name: str) -> T:
    mixed = backend.convolution(images, [name], stride=1, same=True, rectified=False)
    return backend.rectified(backend.mean(mixed))


def _block_a(backend: Backend[T], images: T, block: str) -> T:
    first, five, three = _heads(backend, images, _names(block, "branch1x1", "branch5x5_1", "branch3x3dbl_1"))
    five = _convolve(backend, five, *_names(block, "branch5x5_2"))
    three = _convolve(backend, three, *_names(block, "branch3x3dbl_2", "branch3x3dbl_3"))
    return backend.joined([first, five, three, _averaged(backend, images, f"{block}.branch_pool")])


def _block_b(backend: Backend[T], images: T, block: str) -> T:
    three = _convolve(backend, images, f"{block}.branch3x3", stride=2, same=False)
    double = _convolve(backend, images, *_names(block, "branch3x3dbl_1", "branch3x3dbl_2"))
    double = _convolve(backend, double, f"{block}.branch3x3dbl_3", stride=2, same=False)
    return backend.joined([three, double, backend.largest(images, stride=2)])


def _block_c(backend: Backend[T], images: T, block: str) -> T:
    first, seven, double = _heads(backend, images, _names(block, "branch1x1", "branch7x7_1", "branch7x7dbl_1"))
    seven = _convolve(backend, seven, *_names(block, "branch7x7_2", "branch7x7_3"))
    double = _convolve(backend, double, *_names(block, *(f"branch7x7dbl_{part}" for part in (2, 3, 4, 5))))
    return backend.joined([first, seven, double, _averaged(backend, images, f"{block}.branch_pool")])


def _block_d(backend: Backend[T], images: T, block: str) -> T:
    three, seven = _heads(backend, images, _names(block, "branch3x3_1", "branch7x7x3_1"))
    three = _convolve(backend, three, f"{block}.branch3x3_2", stride=2, same=False)
    seven = _convolve(backend, seven, *_names(block, "branch7x7x3_2", "branch7x7x3_3"))
    seven = _convolve(backend, seven, f"{block}.branch7x7x3_4", stride=2, same=False)
    return backend.joined([three, seven, backend.largest(images, stride=2)])


def _block_e(backend: Backend[T], images: T, block: str, *, averaged: bool) -> T:
    first, three, double = _heads(backend, images, _names(block, "branch1x1", "branch3x3_1", "branch3x3dbl_1"))
    double = _convolve(backend, double, f"{block}.branch3x3dbl_2")
    parts = [first]
    for images_of, branch in ((three, "branch3x3_2"), (double, "branch3x3dbl_3")):
        parts += [_convolve(backend, images_of, f"{block}.{branch}{side}") for side in "ab"]
    pool = f"{block}.branch_pool"
    if averaged:
        parts.append(_averaged(backend, images, pool))
    else:
        parts.append(_convolve(backend, backend.largest(images, stride=1), pool))
    return backend.joined(parts)


def _names(block: str, *branches: str) -> list[str]:
    return [f"{block}.{branch}" for branch in branches]


def _convolutions() -> dict[str, Convolution]:
    table: dict[str, Convolution] = {
        "Conv2d_1a_3x3": (32, 3, 3, 3),
        "Conv2d_2a_3x3": (32, 32, 3, 3),
        "Conv2d_2b_3x3": (64, 32, 3, 3),
        "Conv2d_3b_1x1": (80, 64, 1, 1),
        "Conv2d_4a_3x3": (192, 80, 3, 3),
    }

    def add(block: str, **branches: Convolution) -> None:
        table.update({f"{block}.{branch}": shape for branch, shape in branches.items()})

    for block, before, pool in (("Mixed_5b", 192, 32), ("Mixed_5c", 256, 64), ("Mixed_5d", 288, 64)):
        add(block, branch1x1=(64, before, 1, 1), branch5x5_1=(48, before, 1, 1), branch5x5_2=(64, 48, 5, 5))
        add(block, branch3x3dbl_1=(64, before, 1, 1), branch3x3dbl_2=(96, 64, 3, 3), branch3x3dbl_3=(96, 96, 3, 3))
        add(block, branch_pool=(pool, before, 1, 1))
    add("Mixed_6a", branch3x3=(384, 288, 3, 3), branch3x3dbl_1=(64, 288, 1, 1))
    add("Mixed_6a", branch3x3dbl_2=(96, 64, 3, 3), branch3x3dbl_3=(96, 96, 3, 3))
    for block, inner in (("Mixed_6b", 128), ("Mixed_6c", 160), ("Mixed_6d", 160), ("Mixed_6e", 192)):
        add(block, branch1x1=(192, 768, 1, 1), branch7x7_1=(inner, 768, 1, 1), branch7x7_2=(inner, inner, 1, 7))
        add(block, branch7x7_3=(192, inner, 7, 1), branch7x7dbl_1=(inner, 768, 1, 1))
        add(block, branch7x7dbl_2=(inner, inner, 7, 1), branch7x7dbl_3=(inner, inner, 1, 7))
        add(block, branch7x7dbl_4=(inner, inner, 7, 1), branch7x7dbl_5=(192, inner, 1, 7))
        add(block, branch_pool=(192, 768, 1, 1))
    add("Mixed_7a", branch3x3_1=(192, 768, 1, 1), branch3x3_2=(320, 192, 3, 3), branch7x7x3_1=(192, 768, 1, 1))
    add("Mixed_7a", branch7x7x3_2=(192, 192, 1, 7), branch7x7x3_3=(192, 192, 7, 1), branch7x7x3_4=(192, 192, 3, 3))
    for block, before in (("Mixed_7b", 1280), ("Mixed_7c", 2048)):
        add(block, branch1x1=(320, before, 1, 1), branch3x3_1=(384, before, 1, 1), branch3x3_2a=(384, 384, 1, 3))
        add(block, branch3x3_2b=(384, 384, 3, 1), branch3x3dbl_1=(448, before, 1, 1))
        add(block, branch3x3dbl_2=(384, 448, 3, 3), branch3x3dbl_3a=(384, 384, 1, 3))
        add(block, branch3x3dbl_3b=(384, 384, 3, 1), branch_pool=(192, before, 1, 1))
    return table


CONVOLUTIONS = _convolutions()
