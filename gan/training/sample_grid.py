"""The grid of samples that a training run writes every few epochs: fixed masks, guides and noise."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from defects.attributes.guide import GuideSchema
from engine.seeding import torch_generator
from gan.data.blend_pairs import PairSource
from gan.data.crops import TrainingCrop
from gan.data.dataset import Prepared
from gan.networks.blend_generator import BlendGenerator
from gan.networks.layers import to_pixels
from gan.networks.registry import WholeImageGenerator
from gan.training.blend_step import to_pairs

DRAWS = 3


@dataclass(frozen=True)
class SampleGrid:
    """A grid of samples.

    Attributes:
        image: (H, W, C). Columns: training masks; rows: real image, mask, and `DRAWS` samples of the noise.
        spread: By how many gray levels another noise changes an image, mean over all pixels.
        typical: By how many one real image differs from the next.
    """

    image: NDArray[np.uint8]
    spread: float
    typical: float


def sample_grid(
    generator: WholeImageGenerator, weights: dict[str, Tensor], prepared: Prepared, *, columns: int, seed: int
) -> SampleGrid:
    """The grid of the averaged `weights`; one mask of each class comes first."""
    network = copy.deepcopy(generator).float().eval()
    network.load_state_dict(weights)
    device = next(network.parameters()).device
    crops = [prepared.train.cut(i, None) for i in _defective(prepared, columns)]
    masks = torch.from_numpy(np.stack([crop.mask for crop in crops])[:, None]).float().to(device)
    vectors = torch.from_numpy(
        np.stack([prepared.schema.encode(prepared.schema.scale(crop.guide)) for crop in crops])
    ).to(device)
    real = np.stack([crop.image for crop in crops])
    draws = []
    for draw in range(DRAWS):
        noise = network.sample_noise([torch_generator(seed, "grid", draw) for _ in crops]).to(device)
        with torch.no_grad():
            draws.append(to_pixels(network(masks, noise, vectors)))
    spread = float(np.abs(draws[0].astype(int) - draws[1]).mean())
    typical = float(np.abs(real[:-1].astype(int) - real[1:]).mean()) if len(real) > 1 else 0.0
    rows = [real, _white(crops, real.shape[-1]), *draws]
    return SampleGrid(np.concatenate([np.concatenate(list(row), axis=1) for row in rows], axis=0), spread, typical)


def _white(crops: list[TrainingCrop], channels: int) -> NDArray[np.uint8]:
    return np.stack([np.repeat(crop.mask[..., None].astype(np.uint8) * 255, channels, axis=2) for crop in crops])


def _defective(prepared: Prepared, count: int) -> list[int]:
    classes = [prepared.train.samples[i].label for i in prepared.defective]
    return [prepared.defective[i] for i in spread_over_classes(classes, count)]


def spread_over_classes(classes: Sequence[str], count: int) -> list[int]:
    """Up to `count` positions in the list, taking the classes in turn."""
    by_class: dict[str, list[int]] = {}
    for i, name in enumerate(classes):
        by_class.setdefault(name, []).append(i)
    queues = [iter(indices[:: max(1, len(indices) // count)]) for indices in by_class.values()]
    selected: list[int] = []
    while queues and len(selected) < count:
        for queue in list(queues):
            index = next(queue, None)
            if index is None:
                queues.remove(queue)
            elif len(selected) < count:
                selected.append(index)
    return selected


def blend_grid(
    generator: BlendGenerator,
    weights: dict[str, Tensor],
    source: PairSource,
    schema: GuideSchema,
    defective: Sequence[int],
    *,
    columns: int,
    seed: int,
) -> SampleGrid:
    """The grid of the averaged `weights`.

    Columns are training masks, one of each class first. Rows: the real crop, its mask, its inpainted background, two
    samples of the noise on that, a good surface, and two samples on that.
    """
    network = copy.deepcopy(generator).float().eval()
    network.load_state_dict(weights)
    device = next(network.parameters()).device
    selected = spread_over_classes([source.samples[i].label for i in defective], columns)
    crops = [source.cut(defective[i], None) for i in selected]
    pairs = to_pairs(crops, schema).to(device)
    white = np.stack([crop.mask[..., None].astype(np.uint8) * np.uint8(255) for crop in crops])
    real = np.stack([crop.image for crop in crops])
    rows = [real, np.repeat(white, real.shape[-1], axis=3)]
    draws = []
    for backgrounds, pixels in (
        (pairs.backgrounds, np.stack([w.background for w in crops])),
        (pairs.others, np.stack([w.other for w in crops])),
    ):
        rows.append(pixels)
        for draw in range(2):
            noise = network.draw_noise(len(crops), torch_generator(seed, "grid", draw)).to(device)
            with torch.no_grad():
                draws.append(to_pixels(network(backgrounds, pairs.distances, noise, pairs.guides).images))
            rows.append(draws[-1])
    spread = float(np.abs(draws[0].astype(int) - draws[1])[white[..., 0] > 0].mean())
    inside = [p.image[p.mask].astype(int).mean(axis=0) for p in crops]
    typical = float(np.abs(np.diff(np.stack(inside), axis=0)).mean()) if len(inside) > 1 else 0.0
    return SampleGrid(np.concatenate([np.concatenate(list(row), axis=1) for row in rows], axis=0), spread, typical)
