"""The sheet of samples of a Magna-Blend run: backgrounds, masks, what is drawn into them, and the real defects."""

from __future__ import annotations

import copy
from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from defects.guides import GuideSchema
from engine.seeding import torch_generator
from gan.blend.generator import BlendGenerator
from gan.blend.step import to_pairs
from gan.blend.windows import BlendSource
from gan.grid import Grid, spread_over_kinds
from gan.pixels import to_pixels


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
    for grounds, pixels in (
        (pairs.backgrounds, np.stack([w.background for w in windows])),
        (pairs.others, np.stack([w.other for w in windows])),
    ):
        rows.append(pixels)
        for draw in range(2):
            noise = network.draw_noise(len(windows), torch_generator(seed, "grid", draw)).to(device)
            with torch.no_grad():
                draws.append(to_pixels(network(grounds, pairs.distances, noise, pairs.guides).images))
            rows.append(draws[-1])
    spread = float(np.abs(draws[0].astype(int) - draws[1])[white[..., 0] > 0].mean())
    inside = [p.image[p.mask].astype(int).mean(axis=0) for p in windows]
    usual = float(np.abs(np.diff(np.stack(inside), axis=0)).mean()) if len(inside) > 1 else 0.0
    return Grid(np.concatenate([np.concatenate(list(row), axis=1) for row in rows], axis=0), spread, usual)
