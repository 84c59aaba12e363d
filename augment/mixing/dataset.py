"""PyTorch datasets of a mixture, from the plan and from the written folder, and the sampler of their epochs."""

from __future__ import annotations

import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch.utils.data import Dataset, Sampler

from augment.mixing.folder import REQUEST, Pixels, pixels
from augment.mixing.plan import EpochSampling, Plan
from defects.images.decode import read_sample
from defects.manifest import read_manifest
from engine.errors import DataError, IssuesError
from engine.files.atomic import from_json


class _Sampled(Protocol):
    @property
    def sampling(self) -> EpochSampling: ...


class MixedDataset(Dataset[dict[str, Any]]):
    """The images of a plan, read and augmented on demand.

    Index `image * variants + variant` is the image of that row of the split's manifest once the plan is written.

    Args:
        plan: Of the mixture.
        split: `train`, `val` or `test`.
    """

    def __init__(self, plan: Plan, split: str = "train") -> None:
        self.plan, self.items = plan, plan.items[split]
        self.variants = plan.variants if split == "train" else 1
        self.classes = plan.classes

    @property
    def sampling(self) -> EpochSampling:
        """The training images of each epoch."""
        return self.plan.sampling

    def __len__(self) -> int:
        return len(self.items) * self.variants

    def read(self, index: int) -> Pixels:
        """The pixels at an index.

        Raises:
            IndexError: There is no such index.
            DataError: An image does not open.
        """
        number, variant = divmod(_checked(index, len(self)), self.variants)
        return pixels(self.plan, [(self.items[number], variant)])[0]

    def __getitem__(self, index: int) -> dict[str, Any]:
        """`image` (C, H, W) and `mask` (1, H, W), float in [0, 1]; `label`, the class index; `source` and `name`."""
        number, variant = divmod(_checked(index, len(self)), self.variants)
        item = self.items[number]
        return _tensors(self.read(index)) | {
            "label": self.classes.index(item.sample.label),
            "source": item.sample.source,
            "name": item.variant(variant),
        }


class MixedFolder(Dataset[dict[str, Any]]):
    """The images of a written mixture, with the indices of `MixedDataset`.

    Args:
        root: The folder that `mix-defects` wrote.
        split: `train`, `val` or `test`.

    Raises:
        DataError: It is no such folder, or not complete.
        IssuesError: Images are missing.
    """

    def __init__(self, root: Path, split: str = "train") -> None:
        samples, issues = read_manifest(root / split)
        if issues:
            raise IssuesError(issues)
        try:
            self.request: dict[str, Any] = from_json((root / REQUEST).read_bytes())
            self.classes: list[str] = list(self.request["kinds"])
            self.variants = 1 + int(self.request["copies"]) if split == "train" else 1
        except (OSError, ValueError, KeyError, TypeError):
            what = f"{root / REQUEST}: missing or unreadable; give a folder of mix-defects"
            raise DataError(what, code="E-mix-no-mixture") from None
        self.samples, self.split = samples, split

    @property
    def sampling(self) -> EpochSampling:
        """The training images of each epoch."""
        members: dict[str, list[int]] = {}
        for number, sample in enumerate(self.samples[:: self.variants]):
            source = "real" if sample.source == "procedural" else sample.source
            members.setdefault(source, []).append(number)
        length = self.request["epoch"] or len(self.samples)
        return EpochSampling(members, self.request["shares"], length, self.variants, self.request["seed"])

    def __len__(self) -> int:
        return len(self.samples)

    def read(self, index: int) -> Pixels:
        """The pixels at an index."""
        sample = self.samples[_checked(index, len(self))]
        image, mask = read_sample(sample)
        return Pixels(image, mask, [name for name in str(sample.metadata.get("applied") or "").split(", ") if name])

    def __getitem__(self, index: int) -> dict[str, Any]:
        """As that of `MixedDataset`."""
        sample = self.samples[_checked(index, len(self))]
        return _tensors(self.read(index)) | {
            "label": self.classes.index(sample.label),
            "source": sample.source,
            "name": sample.name,
        }


def rank_indices(indices: NDArray[np.int64], rank: int, world: int) -> NDArray[np.int64]:
    """The indices of one of several processes: every `world`-th, repeated so that all have equally many."""
    if not 0 <= rank < world:
        raise ValueError(f"expected a rank from 0 to {world - 1}, got {rank}; ranks count from 0")
    each = math.ceil(len(indices) / world)
    selected: NDArray[np.int64] = np.resize(indices, each * world)[rank::world]
    return selected


class EpochSampler(Sampler[int]):
    """The training indices of one epoch after another; each process of a training gets its own.

    Args:
        data: A `MixedDataset` or `MixedFolder` of the training split.
        rank: Of this process.
        world: Number of processes.
    """

    def __init__(self, data: _Sampled, *, rank: int = 0, world: int = 1) -> None:
        self.sampling, self.rank, self.world, self.number = data.sampling, rank, world, 0

    def set_epoch(self, number: int) -> None:
        """Sets the epoch of the next iteration."""
        self.number = number

    def __iter__(self) -> Iterator[int]:
        yield from rank_indices(self.sampling.epoch(self.number), self.rank, self.world).tolist()

    def __len__(self) -> int:
        return -(-self.sampling.length // self.world)


def _checked(index: int, length: int) -> int:
    """An index counted from 0; a negative one counts from the end."""
    if not -length <= index < length:
        raise IndexError(f"expected an index from 0 to {length - 1}, got {index}")
    return index % length


def _tensors(result: Pixels) -> dict[str, Any]:
    def tensor(values: NDArray[Any]) -> torch.Tensor:
        return torch.from_numpy(np.ascontiguousarray(values)).float()

    return {"image": tensor(result.image.transpose(2, 0, 1)) / 255, "mask": tensor(result.mask[None])}
