"""The grid of samples that a training run draws every few epochs: fixed masks, guides and noise."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from engine.seeding import torch_generator
from gan.architectures import Generator
from gan.pixels import to_pixels
from gan.prepare import Prepared
from gan.windows import Window

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
