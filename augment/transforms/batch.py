"""The engine for batches: applies the plans of N images together, through kornia, on any device."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import NamedTuple, TypeVar

import kornia
import numpy as np
import torch
from torch import Tensor

from augment.transforms.catalog import PipelineConfig
from augment.transforms.geometry import IDENTITY, Border, Erase, Light, Matrix, Mix, Plan, Warp, is_affine
from augment.transforms.lighting_batch import LIGHTING, random_fields
from augment.transforms.plan import Slot, draw_plan, last_pixel

_PADDING: dict[Border, str] = {"reflect": "reflection", "edge": "border", "black": "zeros"}
_AXES = {(True, False): (2,), (False, True): (1,), (True, True): (1, 2)}

OperationT = TypeVar("OperationT")
Pair = tuple[Tensor, Tensor]


class Batch(NamedTuple):
    """Augmented images (N, C, H, W) and masks (N, 1, H, W), and the names of the transforms applied to each."""

    images: Tensor
    masks: Tensor
    applied: list[list[str]]


def apply_batch(
    config: PipelineConfig,
    slots: Sequence[Slot],
    images: Tensor,
    masks: Tensor,
    generators: Sequence[np.random.Generator],
    partners: Pair | None = None,
) -> Batch:
    """Augments a batch on its device: for the same generators as `Pipeline` one by one, except for rounded levels.

    Args:
        config: The pipeline.
        slots: Its slots.
        images: (N, C, H, W), float in [0, 1], C 1 or 3.
        masks: (N, 1, H, W), 0 or 1.
        generators: One for each image.
        partners: Images (M, C, H, W) and masks (M, 1, H, W) for `mixing`; by default others of the batch, so that the
            result depends on what else is in it.

    Raises:
        ValueError: Shapes, types or the number of generators do not fit together.
    """
    _check(images, masks, generators)
    pool = (images, masks) if partners is None else partners
    plans = _draw_plans(config, slots, masks, images.shape[1], generators, pool[1], within=partners is None)
    before = masks
    blend = partial(_mix, pool=pool)
    for slot in range(len(slots)):
        operations = [plan.operations[slot] for plan in plans]
        if slots[slot][0][1].moves:
            moves = [operation if isinstance(operation, Warp) else None for operation in operations]
            if any(moves):
                images, masks = _warp(images, masks, moves, config.border)
            continue
        images, masks = _apply(images, masks, operations, Light, _light)
        images, masks = _apply(images, masks, operations, Erase, _erase)
        images, masks = _apply(images, masks, operations, Mix, blend)
    if masks is not before and config.min_defect_share > 0:
        masks = _not_emptied(before, masks, plans)
    return Batch(images, masks, [plan.applied for plan in plans])


def _draw_plans(
    config: PipelineConfig,
    slots: Sequence[Slot],
    masks: Tensor,
    channels: int,
    generators: Sequence[np.random.Generator],
    pool: Tensor,
    *,
    within: bool,
) -> list[Plan]:
    bools = (masks[:, 0] >= 0.5).cpu().numpy()
    others = list(bools) if within else list((pool[:, 0] >= 0.5).cpu().numpy())
    plans = []
    for i, rng in enumerate(generators):
        # within the batch the image itself comes last and is never its own partner
        candidates = [*others[i + 1 :], *others[:i]] if within else others
        plan = draw_plan(config, slots, bools[i], channels, rng, candidates)
        if within:
            operations = tuple(
                Mix((o.partner + i + 1) % len(others), o.weight) if isinstance(o, Mix) else o for o in plan.operations
            )
            plan = Plan(operations, plan.applied, plan.keep)
        plans.append(plan)
    return plans


def _apply(
    images: Tensor,
    masks: Tensor,
    operations: Sequence[object],
    operation_type: type[OperationT],
    change: Callable[[Tensor, Tensor, list[OperationT]], Pair],
) -> Pair:
    """Changes the images whose operation is of a class; the whole batch at once where all are."""
    rows = [i for i, operation in enumerate(operations) if isinstance(operation, operation_type)]
    if not rows:
        return images, masks
    matching = [operation for operation in operations if isinstance(operation, operation_type)]
    if len(rows) == len(operations):
        return change(images, masks, matching)
    at = torch.tensor(rows, device=images.device)
    some, some_masks = change(images[at], masks[at], matching)
    return images.index_copy(0, at, some), masks if operation_type is Light else masks.index_copy(0, at, some_masks)


def _warp(images: Tensor, masks: Tensor, moves: Sequence[Warp | None], border: Border) -> Pair:
    """One warp of images and masks as channels of one tensor; images that are flipped or unchanged are copied."""
    stack = torch.cat((images, masks), 1)
    still = {i: (False, False) if move is None else move.flips for i, move in enumerate(moves)}
    rest = [i for i, flips in still.items() if flips is None]
    if 2 * len(rest) > len(moves):  # to warp all costs less than to pick them out
        result = _moved(stack, [move.matrix if move else IDENTITY for move in moves], border)
    else:
        result = torch.empty_like(stack)
        if rest:
            at = torch.tensor(rest, device=images.device)
            result[at] = _moved(stack[at], [move.matrix for move in moves if move and move.flips is None], border)
    for i, flips in still.items():
        if flips is not None:
            result[i] = torch.flip(stack[i], _AXES[flips]) if any(flips) else stack[i]
    channels = images.shape[1]
    if rest:
        return result[:, :channels], (result[:, channels:] >= 0.5).to(masks.dtype)
    return result[:, :channels], result[:, channels:]


def _moved(stack: Tensor, moves: Sequence[Matrix], border: Border) -> Tensor:
    size = (stack.shape[2], stack.shape[3])
    matrices = torch.tensor(moves, dtype=stack.dtype).view(-1, 3, 3).to(stack.device)
    padding = _PADDING[border]
    if all(is_affine(move) for move in moves):
        moved = kornia.geometry.warp_affine(stack, matrices[:, :2], size, padding_mode=padding, align_corners=True)
    else:
        moved = kornia.geometry.warp_perspective(stack, matrices, size, padding_mode=padding, align_corners=True)
    return torch.as_tensor(moved)


def _light(images: Tensor, masks: Tensor, operations: list[Light]) -> Pair:
    return LIGHTING[operations[0].name](images, [light.values for light in operations]), masks


def _erase(images: Tensor, masks: Tensor, erased: list[Erase]) -> Pair:
    images, masks = images.clone(), masks.clone()
    for i, one in enumerate(erased):
        left, top, width, height = one.box
        box = images[i, :, top : top + height, left : left + width]
        if one.fill == "noise":
            values = [{"field": one.field, "bank": one.bank}]
            noise = random_fields("uniform", values, (height, width, len(box)), images)[0].permute(2, 0, 1)
            box.copy_((noise * 256).floor_() / 255)
        else:
            box.copy_(images[i].mean((1, 2)).view(-1, 1, 1).expand_as(box) if one.fill == "mean" else 0 * box)
        if one.follow:
            masks[i, :, top : top + height, left : left + width] = 0
    return images, masks


def _mix(images: Tensor, masks: Tensor, mixed: list[Mix], pool: Pair) -> Pair:
    at = torch.tensor([one.partner for one in mixed], device=images.device)
    weight = torch.tensor([one.weight for one in mixed], dtype=images.dtype, device=images.device).view(-1, 1, 1, 1)
    return torch.lerp(images, pool[0][at], weight), torch.maximum(masks, pool[1][at])


def _not_emptied(before: Tensor, after: Tensor, plans: Sequence[Plan]) -> Tensor:
    """Masks in which a defect too small to fill half of any pixel still has one."""
    emptied = before.flatten(1).any(1) & ~after.flatten(1).any(1)
    if not emptied.any():
        return after
    after = after.clone()
    for i in emptied.nonzero().flatten().tolist():
        pixel = last_pixel((before[i, 0] >= 0.5).cpu().numpy(), plans[i])
        after[i, 0] = torch.from_numpy(pixel).to(after)
    return after


def _check(images: Tensor, masks: Tensor, generators: Sequence[np.random.Generator]) -> None:
    if images.ndim != 4 or images.shape[1] not in (1, 3) or not images.is_floating_point():
        raise ValueError(f"expected float images (N, 1 or 3, H, W), got {images.dtype} {tuple(images.shape)}")
    if masks.shape != (len(images), 1, *images.shape[2:]):
        raise ValueError(f"expected masks (N, 1, H, W) of images {tuple(images.shape)}, got {tuple(masks.shape)}")
    if len(generators) != len(images):
        raise ValueError(f"expected one seed for each of {len(images)} images, got {len(generators)}")
