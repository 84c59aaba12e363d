"""Training of the evaluator; its augmentation is sampled first, then applied: flips, shifts, brightness, contrast."""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional as F

from defects.masks.width import Mask
from engine.runtime.threads import threads_set
from engine.seeding import numpy_generator
from metrics.data.image_set import ImageSet
from metrics.labels.network import SegmenterSettings

_MOVED = 0.5  # share of crops: moving invents a mirrored border, and a chipped edge is a defect too
_SHIFT = 0.25  # of the side: the crops of real defects are centered, those of generated ones are anywhere
_ZOOM = (0.9, 1.25)
_BRIGHTNESS = 0.08
_CONTRAST = 0.2


@dataclass(frozen=True)
class Variation:
    """What is done to one crop; `shift` in shares of the side, `gain` and `offset` on luminance in 0..1."""

    flip_x: bool
    flip_y: bool
    zoom: float
    shift: tuple[float, float]
    gain: float
    offset: float


def draw(rng: np.random.Generator) -> Variation:
    """One variation."""
    flip_x, flip_y, moved = (bool(value) for value in rng.random(3) < (0.5, 0.5, _MOVED))
    zoom, x, y = rng.uniform(*_ZOOM), *rng.uniform(-_SHIFT, _SHIFT, 2)
    gain, offset = 1 + _CONTRAST * rng.uniform(-1, 1), _BRIGHTNESS * rng.uniform(-1, 1)
    place = (float(zoom), (float(x), float(y))) if moved else (1.0, (0.0, 0.0))
    return Variation(flip_x, flip_y, *place, float(gain), float(offset))


def vary(image: NDArray[np.uint8], mask: Mask, how: Variation) -> tuple[NDArray[np.float32], Mask]:
    """Image (S, S, C) and mask (S, S) to an image (S, S, C) float in [0, 1] and its mask; borders are mirrored."""
    side = mask.shape[0]
    axes = tuple(axis for axis, flipped in ((0, how.flip_y), (1, how.flip_x)) if flipped)
    image, mask = np.flip(image, axes), np.flip(mask, axes)
    center = (side - 1) / 2
    moved = [center * (1 - how.zoom) + share * side for share in how.shift]
    matrix = np.asarray([[how.zoom, 0, moved[0]], [0, how.zoom, moved[1]]], np.float32)
    size, border = (side, side), cv2.BORDER_REFLECT_101
    pixels = cv2.warpAffine(np.ascontiguousarray(image), matrix, size, flags=cv2.INTER_LINEAR, borderMode=border)
    soft = cv2.warpAffine(
        np.ascontiguousarray(mask, np.float32), matrix, size, flags=cv2.INTER_LINEAR, borderMode=border
    )
    light = pixels.reshape(side, side, -1).astype(np.float32) / 255
    middle = float(light.mean())
    varied: NDArray[np.float32] = np.clip((light - middle) * how.gain + middle + how.offset, 0, 1).astype(np.float32)
    moved_mask: Mask = np.asarray(soft >= 0.5, np.bool_)
    return varied, moved_mask


_SPILT = 0.002  # share of the image at which what is found where nothing is costs half of all


def overlap_loss(logits: Tensor, masks: Tensor) -> Tensor:
    """Binary cross-entropy plus Dice loss (Milletari et al. 2016, eq. 3), image by image.

    Over a whole batch, one large defect would outweigh all small ones. An image without a defect has no overlap: there
    the loss is that of what is found, and a few px of it cost nearly as much as many.

    Args:
        logits: (N, 1, H, W).
        masks: (N, 1, H, W), 0 or 1.
    """
    entropy = F.binary_cross_entropy_with_logits(logits, masks)
    shares, areas = torch.sigmoid(logits), masks.sum(dim=(1, 2, 3))
    found, both = shares.sum(dim=(1, 2, 3)), (shares * masks).sum(dim=(1, 2, 3))
    dice = 1 - (2 * both + 1) / (found + areas + 1)
    spilt = found / (found + _SPILT * masks[0].numel())
    return entropy + torch.where(areas > 0, dice, spilt).mean()


def train_network(
    network: nn.Module,
    images: ImageSet,
    settings: SegmenterSettings,
    *,
    threads: int | None = None,
    on_progress: Callable[[int], object] | None = None,
) -> None:
    """Trains in place; the network ends in evaluation mode with the averaged weights.

    The same seed gives the same weights for one number of threads on one machine.

    Args:
        network: From (N, 3, S, S) in [0, 1] to logits (N, 1, S, S), with the encoder at `unet.encoder`.
        images: Real images; those without a defect serve as negatives.
        settings: How.
        threads: Of PyTorch; None leaves them as they are.
        on_progress: Called with 1 after every step.

    Raises:
        ValueError: No image shows a defect.
    """
    network.to(memory_format=torch.channels_last)
    averaged = copy.deepcopy(network)
    optimizer = _optimizer(network, settings)
    rates = [group["lr"] for group in optimizer.param_groups]
    network.train()
    with threads_set(threads):
        for step, (pixels, masks) in enumerate(_batches(images, settings)):
            share = _rate(step, settings)
            for group, rate in zip(optimizer.param_groups, rates, strict=True):
                group["lr"] = rate * share
            with half_precision():
                logits = network(pixels)
            loss = overlap_loss(logits.float(), masks)
            optimizer.zero_grad(set_to_none=True)
            loss.backward()  # type: ignore[no-untyped-call]
            nn.utils.clip_grad_norm_(network.parameters(), 1.0)
            optimizer.step()
            # A short run must not end in the average of its first steps.
            _follow(averaged, network, min(settings.average, step / (step + 10)))
            if on_progress is not None:
                on_progress(1)
    network.load_state_dict(averaged.state_dict())
    network.eval().requires_grad_(False)


def to_images(crops: np.ndarray[tuple[int, ...], np.dtype[np.uint8]]) -> Tensor:
    """Windows uint8 (N, S, S, C) to images (N, 3, S, S) in [0, 1]; gray is repeated."""
    images = torch.from_numpy(np.ascontiguousarray(crops)).permute(0, 3, 1, 2).float() / 255
    return images.expand(-1, 3, -1, -1).contiguous(memory_format=torch.channels_last)


@contextmanager
def half_precision() -> Iterator[None]:
    """bfloat16 where the processor multiplies it in hardware; elsewhere nothing changes."""
    can = torch.cpu.get_capabilities()
    with torch.autocast("cpu", dtype=torch.bfloat16, enabled=bool(can.get("amx_bf16") or can.get("avx512_bf16"))):
        yield


def _batches(images: ImageSet, settings: SegmenterSettings) -> Iterator[tuple[Tensor, Tensor]]:
    """(N, 3, S, S) images in [0, 1] and (N, 1, S, S) masks, one batch a step."""
    marked = [bool(images.read(index)[1].any()) for index in range(len(images))]
    defective, good = np.flatnonzero(marked), np.flatnonzero(~np.asarray(marked, np.bool_))
    if not defective.size:
        raise ValueError(
            f"expected images with a defect in {images.name}, got none; a segmenter needs some to learn from"
        )
    goods = round(settings.good_share * settings.batch) if good.size else 0
    order = {
        "defective": _endless(defective, numpy_generator(settings.seed, "segmenter", "defective")),
        "good": _endless(good, numpy_generator(settings.seed, "segmenter", "good")),
    }
    rng = numpy_generator(settings.seed, "segmenter", "variation")
    for _ in range(settings.steps):
        selected = [next(order["good" if place < goods else "defective"]) for place in range(settings.batch)]
        varied = [vary(*images.read(index), draw(rng)) for index in selected]
        pixels = torch.from_numpy(np.stack([image for image, _ in varied])).permute(0, 3, 1, 2).expand(-1, 3, -1, -1)
        masks = torch.from_numpy(np.stack([mask for _, mask in varied]))[:, None].float()
        yield pixels.contiguous(memory_format=torch.channels_last), masks


def _endless(numbers: np.ndarray[tuple[int, ...], np.dtype[np.intp]], rng: np.random.Generator) -> Iterator[int]:
    """All of them in a new order, again and again."""
    while numbers.size:
        yield from rng.permutation(numbers).tolist()


def _optimizer(network: nn.Module, settings: SegmenterSettings) -> torch.optim.Optimizer:
    encoder: list[nn.Parameter] = []
    others: list[nn.Parameter] = []
    for name, parameter in network.named_parameters():
        (encoder if name.startswith("unet.encoder.") else others).append(parameter)
    rate = settings.learning_rate
    groups = [{"params": encoder, "lr": rate / 3 if settings.pretrained else rate}, {"params": others, "lr": rate}]
    return torch.optim.AdamW([group for group in groups if group["params"]], weight_decay=settings.weight_decay)


def _rate(step: int, settings: SegmenterSettings) -> float:
    """Share of the highest rate: a linear rise, then half a cosine to zero."""
    if step < settings.warmup:
        return (step + 1) / settings.warmup
    done = (step - settings.warmup) / max(1, settings.steps - settings.warmup)
    return 0.5 * (1 + math.cos(math.pi * done))


@torch.no_grad()
def _follow(averaged: nn.Module, network: nn.Module, decay: float) -> None:
    """Moves the average, running statistics included, by `1 - decay` towards the network."""
    now = network.state_dict()
    for name, retained in averaged.state_dict().items():
        if retained.is_floating_point():
            retained.lerp_(now[name], 1 - decay)
        else:
            retained.copy_(now[name])
