"""The grid of samples that a training run draws every few epochs: fixed masks, guides and noise."""

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
from gan.data.blend_pairs import BlendSource
from gan.data.crops import Window
from gan.data.dataset import Prepared
from gan.networks.blend_generator import BlendGenerator
from gan.networks.layers import to_pixels
from gan.networks.registry import Generator
from gan.training.blend_step import to_pairs

DRAWS = 3


@dataclass(frozen=True)
class Grid:
    """A sheet of samples.

    Attributes:
        picture: (H, W, C). Columns: training masks; rows: real image, mask, and `DRAWS` draws of the noise.
        spread: by how many grey levels another noise changes an image, mean over all pixels.
        usual: by how many one real image differs from the next.
    """

    picture: NDArray[np.uint8]
    spread: float
    usual: float


def sample_grid(
    generator: Generator, weights: dict[str, Tensor], prepared: Prepared, *, columns: int, seed: int
) -> Grid:
    """Draws the sheet of the averaged `weights`; one mask of each kind comes first."""
    network = copy.deepcopy(generator).float().eval()
    network.load_state_dict(weights)
    device = next(network.parameters()).device
    windows = [prepared.train.cut(i, None) for i in _defective(prepared, columns)]
    masks = torch.from_numpy(np.stack([w.mask for w in windows])[:, None]).float().to(device)
    vectors = torch.from_numpy(np.stack([prepared.schema.encode(prepared.schema.scale(w.guide)) for w in windows])).to(
        device
    )
    real = np.stack([w.image for w in windows])
    draws = []
    for draw in range(DRAWS):
        noise = network.sample_noise([torch_generator(seed, "grid", draw) for _ in windows]).to(device)
        with torch.no_grad():
            draws.append(to_pixels(network(masks, noise, vectors)))
    spread = float(np.abs(draws[0].astype(int) - draws[1]).mean())
    usual = float(np.abs(real[:-1].astype(int) - real[1:]).mean()) if len(real) > 1 else 0.0
    rows = [real, _white(windows, real.shape[-1]), *draws]
    return Grid(np.concatenate([np.concatenate(list(row), axis=1) for row in rows], axis=0), spread, usual)


def _white(windows: list[Window], channels: int) -> NDArray[np.uint8]:
    return np.stack([np.repeat(w.mask[..., None].astype(np.uint8) * 255, channels, axis=2) for w in windows])


def _defective(prepared: Prepared, count: int) -> list[int]:
    kinds = [prepared.train.samples[i].label for i in prepared.defective]
    return [prepared.defective[i] for i in spread_over_kinds(kinds, count)]


def spread_over_kinds(kinds: Sequence[str], count: int) -> list[int]:
    """Up to `count` positions in the list, taking the kinds in turn."""
    by_kind: dict[str, list[int]] = {}
    for i, kind in enumerate(kinds):
        by_kind.setdefault(kind, []).append(i)
    queues = [iter(indices[:: max(1, len(indices) // count)]) for indices in by_kind.values()]
    chosen: list[int] = []
    while queues and len(chosen) < count:
        for queue in list(queues):
            index = next(queue, None)
            if index is None:
                queues.remove(queue)
            elif len(chosen) < count:
                chosen.append(index)
    return chosen


def blend_grid(
    generator: BlendGenerator,
    weights: dict[str, Tensor],
    source: BlendSource,
    schema: GuideSchema,
    defective: Sequence[int],
    *,
    columns: int,
    seed: int,
) -> Grid:
    """Draws the sheet of the averaged `weights`.

    Columns are training masks, one of each kind first. Rows: the real crop, its mask, its in-painted background, two
    draws of the noise on that, a good surface, and two draws on that.
    """
    network = copy.deepcopy(generator).float().eval()
    network.load_state_dict(weights)
    device = next(network.parameters()).device
    chosen = spread_over_kinds([source.samples[i].label for i in defective], columns)
    windows = [source.cut(defective[i], None) for i in chosen]
    pairs = to_pairs(windows, schema).to(device)
    white = np.stack([w.mask[..., None].astype(np.uint8) * np.uint8(255) for w in windows])
    real = np.stack([w.image for w in windows])
    rows = [real, np.repeat(white, real.shape[-1], axis=3)]
    draws = []
    for background_stats, pixels in (
        (pairs.backgrounds, np.stack([w.background for w in windows])),
        (pairs.others, np.stack([w.other for w in windows])),
    ):
        rows.append(pixels)
        for draw in range(2):
            noise = network.draw_noise(len(windows), torch_generator(seed, "grid", draw)).to(device)
            with torch.no_grad():
                draws.append(to_pixels(network(background_stats, pairs.distances, noise, pairs.guides).images))
            rows.append(draws[-1])
    spread = float(np.abs(draws[0].astype(int) - draws[1])[white[..., 0] > 0].mean())
    inside = [p.image[p.mask].astype(int).mean(axis=0) for p in windows]
    usual = float(np.abs(np.diff(np.stack(inside), axis=0)).mean()) if len(inside) > 1 else 0.0
    return Grid(np.concatenate([np.concatenate(list(row), axis=1) for row in rows], axis=0), spread, usual)
