"""The grid of samples that a training run draws every few epochs: fixed masks, guides and noise."""

from __future__ import annotations

import copy
import logging

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from engine.seeding import torch_generator
from gan.generator import MagnaGenerator
from gan.prepare import Prepared
from gan.windows import Window

logger = logging.getLogger(__name__)

DRAWS = 3


def to_pixels(images: Tensor) -> NDArray[np.uint8]:
    """(N, C, S, S) in [-1, 1] to (N, S, S, C) uint8, rounded to nearest."""
    scaled = ((images.float() + 1) * 127.5).round().clamp(0, 255).to(torch.uint8)
    return scaled.permute(0, 2, 3, 1).cpu().numpy()


def sample_grid(
    generator: MagnaGenerator, weights: dict[str, Tensor], prepared: Prepared, *, columns: int, seed: int
) -> NDArray[np.uint8]:
    """Columns: training masks, one of each kind first; rows: real image, mask, and `DRAWS` draws of the noise.

    Also warns of mode collapse, when another noise changes an image by less than a twentieth of what one real image
    differs from another.
    """
    network = copy.deepcopy(generator).float().eval()
    network.load_state_dict(weights)
    device = next(network.parameters()).device
    windows = [prepared.train.cut(i, None) for i in _spread(prepared, columns)]
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
    if spread < 0.05 * usual:
        logger.warning(
            "mode collapse: another noise changes an image by %.2f grey levels, real images differ by %.1f",
            spread,
            usual,
        )
    rows = [real, _white(windows, real.shape[-1]), *draws]
    return np.concatenate([np.concatenate(list(row), axis=1) for row in rows], axis=0)


def _white(windows: list[Window], channels: int) -> NDArray[np.uint8]:
    return np.stack([np.repeat(w.mask[..., None].astype(np.uint8) * 255, channels, axis=2) for w in windows])


def _spread(prepared: Prepared, count: int) -> list[int]:
    """Indices of defective samples, taking the kinds in turn."""
    by_kind: dict[str, list[int]] = {}
    for i in prepared.defective:
        by_kind.setdefault(prepared.train.samples[i].label, []).append(i)
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
