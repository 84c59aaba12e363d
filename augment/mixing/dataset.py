"""The pixels of one image of a mixture: the same whether a training asks for them or a folder is written."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch.utils.data import Dataset, Sampler

from augment.mixing.output import REQUEST
from augment.mixing.plan import Item, Plan
from augment.mixing.sampling_weights import Exposure, rank_part
from defects.images.decode import read_sample
from defects.manifest import read_manifest
from defects.masks.width import Mask
from defects.sample import GOOD
from engine.errors import DataError, IssuesError
from engine.files.atomic import from_json
from engine.seeding import numpy_generator

UNCHANGED = "unchanged"
"""Named as what was applied where every try of the augmentation lost the defect."""

_TRIES = 8


@dataclass(frozen=True)
class Pixels:
    """One version of an image.

    Attributes:
        image: (H, W, C) uint8.
        mask: (H, W).
        applied: The transforms, in order.
    """

    image: NDArray[np.uint8]
    mask: Mask
    applied: list[str]


def pixels(plan: Plan, item: Item, version: int) -> Pixels:
    """Reads an image and augments it.

    A copy depends on the seed, the item's name and its number alone. A copy that lost the defect would be a wrong
    label: it is drawn anew, and left unchanged if that does not help.

    Args:
        plan: Of the mixture.
        item: Of the plan.
        version: 0 for the image itself, 1 and up for augmented copies.

    Raises:
        DataError: The image or its mask does not open.
        ValueError: A copy of an image that is not augmented.
    """
    image, mask = plan.cutter.read(item.sample)
    if version == 0:
        return Pixels(image, mask, [])
    if plan.pipeline is None or item.split != "train":
        raise ValueError(f"expected version 0 of {item.name}, got {version}; only training images have copies")
    for attempt in range(_TRIES):
        rng = numpy_generator(plan.request.seed, "augment", item.name, version, attempt)
        other, marked, applied = plan.pipeline(image, mask, rng)
        if item.sample.label == GOOD or marked.any():
            return Pixels(other, marked, applied)
    return Pixels(image, mask, [UNCHANGED])


class _Exposed(Protocol):
    @property
    def exposure(self) -> Exposure: ...


class MixedDataset(Dataset[dict[str, Any]]):
    """The images of a plan, made when they are asked for.

    Index `image * versions + version` is the image of that row of the split's manifest once the plan is written.

    Args:
        plan: Of the mixture.
        split: `train`, `val` or `test`.
    """

    def __init__(self, plan: Plan, split: str = "train") -> None:
        self.plan, self.items = plan, plan.items[split]
        self.versions = plan.versions if split == "train" else 1
        self.kinds = plan.kinds

    @property
    def exposure(self) -> Exposure:
        """What an epoch of training sees."""
        return self.plan.exposure

    def __len__(self) -> int:
        return len(self.items) * self.versions

    def read(self, index: int) -> Pixels:
        """The pixels at an index.

        Raises:
            IndexError: There is no such index.
            DataError: An image does not open.
        """
        number, version = divmod(_checked(index, len(self)), self.versions)
        return pixels(self.plan, self.items[number], version)

    def __getitem__(self, index: int) -> dict[str, Any]:
        """`image` (C, H, W) and `mask` (1, H, W), float in [0, 1]; `label`, the kind's number; `source` and `name`."""
        number, version = divmod(_checked(index, len(self)), self.versions)
        item = self.items[number]
        made = pixels(self.plan, item, version)
        return _tensors(made.image, made.mask) | {
            "label": self.kinds.index(item.sample.label),
            "source": item.sample.source,
            "name": item.version(version),
        }


class MixedFolder(Dataset[dict[str, Any]]):
    """The images of a mixture that was written, with the indices of `MixedDataset`.

    Args:
        root: The folder that `mix-defects` wrote.
        split: `train`, `val` or `test`.

    Raises:
        DataError: It is no such folder, or not finished.
        IssuesError: Images are missing.
    """

    def __init__(self, root: Path, split: str = "train") -> None:
        samples, issues = read_manifest(root / split)
        if issues:
            raise IssuesError(issues)
        try:
            self.request: dict[str, Any] = from_json((root / REQUEST).read_bytes())
            self.kinds: list[str] = list(self.request["kinds"])
            self.versions = 1 + int(self.request["copies"]) if split == "train" else 1
        except (OSError, ValueError, KeyError, TypeError):
            raise DataError(f"{root / REQUEST}: missing or unreadable; give a folder of mix-defects") from None
        self.samples, self.split = samples, split

    @property
    def exposure(self) -> Exposure:
        """What an epoch of training sees."""
        members: dict[str, list[int]] = {}
        for number, sample in enumerate(self.samples[:: self.versions]):
            source = "real" if sample.source == "procedural" else sample.source
            members.setdefault(source, []).append(number)
        length = self.request["epoch"] or len(self.samples)
        return Exposure(members, self.request["shares"], length, self.versions, self.request["seed"])

    def __len__(self) -> int:
        return len(self.samples)

    def read(self, index: int) -> Pixels:
        """The pixels at an index."""
        sample = self.samples[_checked(index, len(self))]
        image, mask = read_sample(sample)
        return Pixels(image, mask, [name for name in str(sample.metadata.get("applied") or "").split(", ") if name])

    def __getitem__(self, index: int) -> dict[str, Any]:
        """As `MixedDataset` gives it."""
        sample, made = self.samples[_checked(index, len(self))], self.read(index)
        return _tensors(made.image, made.mask) | {
            "label": self.kinds.index(sample.label),
            "source": sample.source,
            "name": sample.name,
        }


class ExposureSampler(Sampler[int]):
    """The training indices of one epoch after another; every process of a training draws its own part.

    Args:
        data: A `MixedDataset` or `MixedFolder` of the training split.
        rank: Of this process.
        world: Number of processes.
    """

    def __init__(self, data: _Exposed, *, rank: int = 0, world: int = 1) -> None:
        self.exposure, self.rank, self.world, self.number = data.exposure, rank, world, 0

    def set_epoch(self, number: int) -> None:
        """Chooses the epoch that is drawn next."""
        self.number = number

    def __iter__(self) -> Iterator[int]:
        yield from rank_part(self.exposure.epoch(self.number), self.rank, self.world).tolist()

    def __len__(self) -> int:
        return -(-self.exposure.length // self.world)


def _checked(index: int, length: int) -> int:
    """An index counted from 0; a negative one counts from the end."""
    if not -length <= index < length:
        raise IndexError(f"expected an index from 0 to {length - 1}, got {index}")
    return index % length


def _tensors(image: NDArray[np.uint8], mask: NDArray[np.bool_]) -> dict[str, Any]:
    return {
        "image": torch.from_numpy(np.ascontiguousarray(image.transpose(2, 0, 1))).float() / 255,
        "mask": torch.from_numpy(np.ascontiguousarray(mask[None])).float(),
    }
