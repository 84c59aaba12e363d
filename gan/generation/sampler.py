"""The network applied to a fixed, padded micro-batch, so that an image does not depend on how many are asked for.

A kernel's rounding depends on the batch's size and on the number of threads. Here the size is a constant, and a
thread that paints computes alone (`torch.set_num_threads(1)`); several threads paint different micro-batches.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray

from engine.runtime.device import inference_dtype, prepare
from engine.seeding import torch_generator
from gan.networks.layers import to_pixels
from gan.networks.magna_generator import Noise

MICRO_BATCH = {"cpu": 8, "cuda": 32}


class Painter:
    """Masks, guides and noise keys to pixels.

    Args:
        network: a generator; it is moved and converted in place.
        device: where to compute.
        seed: of all noise.
        dtype: number format; None for the fastest that the device has.
    """

    def __init__(self, network: Any, device: torch.device, seed: int, dtype: torch.dtype | None = None) -> None:
        self.device, self.seed = device, seed
        self.dtype = dtype or inference_dtype(device)
        self.count = MICRO_BATCH[device.type]
        self.network: Any = prepare(network, device, self.dtype)

    def paint(
        self,
        masks: Sequence[NDArray[np.bool_]],
        vectors: Sequence[NDArray[np.float32]],
        keys: Sequence[tuple[str | int, ...]],
    ) -> NDArray[np.uint8]:
        """Up to `count` images.

        Args:
            masks: (S, S) each, at the generator's size.
            vectors: (G,) guide vectors.
            keys: what the noise of each image depends on, besides the seed.

        Returns:
            (n, S, S, C) uint8, see `to_pixels`.

        Raises:
            ValueError: there are more masks than fit into the micro-batch.
        """
        n = len(masks)
        if not 0 < n <= self.count:
            raise ValueError(f"expected 1 to {self.count} masks, got {n}; cut the jobs into micro-batches")
        noise = self.network.sample_noise([torch_generator(self.seed, *key) for key in keys])
        padded = Noise(self._filled(noise.latent), tuple(self._filled(texture) for texture in noise.texture))
        with torch.inference_mode():
            images = self.network(
                self._filled(torch.from_numpy(np.stack(masks)[:, None])),
                padded,
                self._filled(torch.from_numpy(np.stack(vectors))),
            )
            return to_pixels(images[:n])

    def _filled(self, rows: torch.Tensor) -> torch.Tensor:
        """Rows moved to the device, converted, and filled up with zeros to the micro-batch's size."""
        full = F.pad(rows.to(self.dtype), (0, 0) * (rows.dim() - 1) + (0, self.count - rows.shape[0]))
        if full.dim() == 4:
            full = full.contiguous(memory_format=torch.channels_last)
        return full.to(self.device)
