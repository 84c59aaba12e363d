"""Depthwise convolutions whose gradients are quick on a CPU, in place of PyTorch's during training.

Two of oneDNN's kernels are slow there: the weight gradient of 5 x 5 kernels, 10 to 30 times that of 3 x 3 ones, and in
bfloat16 the input gradient at stride 2, over 100 times that in float32. The first is put together from four 3 x 3 ones,
the second is computed in float32.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any, cast

import torch
from timm.layers.conv2d_same import Conv2dSame
from timm.layers.padding import pad_same
from torch import Tensor, nn
from torch.nn import functional as F

_BLOCK = 3


class _Depthwise(torch.autograd.Function):
    """Images (N, C, H, W) and weights (C, 1, k, k), of one number format."""

    @staticmethod
    def forward(ctx: Any, images: Tensor, weight: Tensor, stride: int, padding: int) -> Tensor:
        ctx.save_for_backward(images, weight)
        ctx.stride, ctx.padding = stride, padding
        return F.conv2d(images, weight, None, stride, padding, 1, weight.shape[0])

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, Tensor | None, None, None]:
        images, weight = ctx.saved_tensors
        gradient = gradients[0].contiguous(memory_format=torch.channels_last)
        image_gradient = weight_gradient = None
        if ctx.needs_input_grad[0]:
            image_gradient = _of_images(gradient, images, weight, ctx.stride, ctx.padding)
        if ctx.needs_input_grad[1]:
            weight_gradient = _of_weight(gradient, images, weight, ctx.stride, ctx.padding)
        return image_gradient, weight_gradient, None, None


def depthwise(images: Tensor, weight: Tensor, stride: int, padding: int) -> Tensor:
    """`F.conv2d` with one group a channel and no bias, with quick gradients.

    Args:
        images: (N, C, H, W).
        weight: (C, 1, k, k), of the images' number format.
        stride: the same along both axes.
        padding: the same on all sides.
    """
    return cast(Tensor, _Depthwise.apply(images, weight, stride, padding))


@contextmanager
def quick_depthwise(network: nn.Module, device: torch.device) -> Iterator[None]:
    """On a CPU, all depthwise convolutions of a network go through `depthwise` while the block runs."""
    replaced = [module for module in network.modules() if _fits(module)] if device.type == "cpu" else []
    for module in replaced:
        module.forward = partial(_forward, cast(nn.Conv2d, module))
    try:
        yield
    finally:
        for module in replaced:
            del module.forward


def _fits(module: nn.Module) -> bool:
    if not isinstance(module, nn.Conv2d) or module.bias is not None or module.groups == 1:
        return False
    alike = all(
        not isinstance(value, str) and value[0] == value[1]
        for value in (module.kernel_size, module.stride, module.padding)
    )
    channels = module.in_channels == module.out_channels == module.groups
    return alike and channels and module.dilation == (1, 1) and module.padding_mode == "zeros"


def _forward(module: nn.Conv2d, images: Tensor) -> Tensor:
    weight, padding = module.weight, int(module.padding[0])
    if torch.is_autocast_enabled("cpu"):
        images, weight = images.to(torch.get_autocast_dtype("cpu")), weight.to(torch.get_autocast_dtype("cpu"))
    if isinstance(module, Conv2dSame):
        pad: Callable[..., Tensor] = pad_same
        images, padding = pad(images, list(module.kernel_size), list(module.stride), list(module.dilation)), 0
    return depthwise(images, weight, module.stride[0], padding)


def _of_images(gradient: Tensor, images: Tensor, weight: Tensor, stride: int, padding: int) -> Tensor:
    exact = stride > 1 and images.dtype == torch.bfloat16
    if exact:
        gradient, weight = gradient.float(), weight.float()
    given = images.to(gradient.dtype) if exact else images
    return _backward(gradient, given, weight, stride, padding, images_too=True).to(images.dtype)


def _of_weight(gradient: Tensor, images: Tensor, weight: Tensor, stride: int, padding: int) -> Tensor:
    side = weight.shape[-1]
    if side <= _BLOCK:
        return _backward(gradient, images, weight, stride, padding, images_too=False)
    blocks = -(-side // _BLOCK)
    more = blocks * _BLOCK - side
    wide = F.pad(images, (padding, padding + more, padding, padding + more))
    wide = wide.contiguous(memory_format=torch.channels_last)
    height, width = (stride * (length - 1) + _BLOCK for length in gradient.shape[2:])
    small = weight.new_empty(weight.shape[0], 1, _BLOCK, _BLOCK)
    result = weight.new_empty(weight.shape[0], 1, blocks * _BLOCK, blocks * _BLOCK)
    for top in range(0, blocks * _BLOCK, _BLOCK):
        for left in range(0, blocks * _BLOCK, _BLOCK):
            part = wide[:, :, top : top + height, left : left + width].contiguous(memory_format=torch.channels_last)
            block = _backward(gradient, part, small, stride, 0, images_too=False)
            result[:, :, top : top + _BLOCK, left : left + _BLOCK] = block
    return result[:, :, :side, :side].contiguous()


def _backward(
    gradient: Tensor, images: Tensor, weight: Tensor, stride: int, padding: int, *, images_too: bool
) -> Tensor:
    """The gradient towards the images, or towards the weight."""
    gradients = torch.ops.aten.convolution_backward(
        gradient, images, weight, None, [stride] * 2, [padding] * 2, [1, 1], False, [0, 0], weight.shape[0],
        [images_too, not images_too, False],
    )  # fmt: skip
    return cast(Tensor, gradients[0] if images_too else gradients[1])
