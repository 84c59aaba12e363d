"""A mixture as pixels and as a sample folder: the same images whether a training asks for them or they are written."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from augment.mixing.plan import Item, Plan
from augment.mixing.request import Request
from defects.formats.listing import SPLITS
from defects.images.decode import encode_image
from defects.manifest import NAME, dataset_card, row_of
from defects.masks.width import Mask
from defects.sample import GOOD, Sample
from engine.errors import DataError
from engine.files.atomic import sha256_bytes, to_json, write_bytes, write_json, write_text
from engine.run.sample_folder import Item as FolderItem
from engine.run.sample_folder import SampleFolder, WriteJob, open_sample_folder
from engine.runtime.threads import threads_set
from engine.seeding import numpy_generator

REQUEST = "mix.json"
RECORD = "leak.json"
DROPPED = "dropped.jsonl"
SUMMARY = "summary.json"
UNCHANGED = "unchanged"
"""Stands in the column `applied` of an image whose defect every attempt of the augmentation lost."""

_ATTEMPTS = 8
_CHUNK = 16
_OF_PIXELS = ("guide", "guide_scaled")
_REPLACED = frozenset(
    ("sha256", "rle", "split", "origin", "original", "original_sha256", "parent", "version", "applied", "weight")
)
_TEXTS = ("split", "origin", "original", "original_sha256", "checkpoint", "mask_source", "method")
_HUB_NAMES = {"train": "train", "val": "validation", "test": "test"}

Row = dict[str, Any]


@dataclass(frozen=True)
class Pixels:
    """One variant of an image.

    Attributes:
        image: (H, W, C) uint8.
        mask: (H, W).
        applied: Names of the transforms, in order.
    """

    image: NDArray[np.uint8]
    mask: Mask
    applied: list[str]


def pixels(plan: Plan, entries: Sequence[tuple[Item, int]]) -> list[Pixels]:
    """Reads and augments images.

    An augmentation depends on the seed, the item's name and its number alone; on a device its gray levels may differ
    by a rounding. One that loses the defect would be a wrong label: it is sampled again, and the image stays unchanged
    if that does not help.

    Args:
        plan: Of the mixture.
        entries: Items with the number of a variant: 0 for the image itself, 1 and up for augmentations.

    Raises:
        DataError: An image or its mask does not open.
        ValueError: An augmentation of an image that is not augmented.
    """
    results = [Pixels(*plan.cropper.read(item.sample), []) for item, _ in entries]
    waiting = [index for index, (_, variant) in enumerate(entries) if variant]
    for index in waiting:
        item, variant = entries[index]
        if plan.pipeline is None or item.split != "train":
            raise ValueError(f"expected variant 0 of {item.name}, got {variant}; only training images are augmented")
    originals = list(results)
    for attempt in range(_ATTEMPTS):
        augmented = _augment(plan, entries, originals, waiting, attempt)
        for index, result in augmented.items():
            results[index] = result
        waiting = [i for i, r in augmented.items() if entries[i][0].sample.label != GOOD and not r.mask.any()]
    for index in waiting:
        results[index] = Pixels(originals[index].image, originals[index].mask, [UNCHANGED])
    return results


def _augment(
    plan: Plan, entries: Sequence[tuple[Item, int]], originals: Sequence[Pixels], waiting: Sequence[int], attempt: int
) -> dict[int, Pixels]:
    """One attempt of the augmentations that are waiting; on a device images of one shape together."""
    generators = {
        index: numpy_generator(plan.request.seed, "augment", entries[index][0].name, entries[index][1], attempt)
        for index in waiting
    }
    if plan.pipeline is None:
        return {}
    if not plan.request.device:
        return {i: Pixels(*plan.pipeline(originals[i].image, originals[i].mask, g)) for i, g in generators.items()}
    by_shape: dict[tuple[int, ...], list[int]] = {}
    for index in waiting:
        by_shape.setdefault(originals[index].image.shape, []).append(index)
    results: dict[int, Pixels] = {}
    for indices in by_shape.values():
        images, masks = ([getattr(originals[i], name) for i in indices] for name in ("image", "mask"))
        batch = plan.pipeline.batch_uint8(images, masks, [generators[i] for i in indices], device=plan.request.device)
        results |= {i: Pixels(*one) for i, one in zip(indices, batch, strict=True)}
    return results


@dataclass(frozen=True)
class WriteResult:
    """What a run wrote.

    Attributes:
        images: In the folder.
        written: By this run.
        seconds: Of this run.
        unchanged: Augmentations that lost the defect in every attempt and left the image as it is.
    """

    images: int
    written: int
    seconds: float
    unchanged: int = 0


def input_folders(request: Request) -> dict[str, Path | None]:
    """The folders of a request by their flags."""
    synthetic = {f"--synthetic {name}": path for name, path in request.synthetic.items()}
    return {"--real": request.real, "--pasted": request.pasted, **synthetic}


def write_mixture(
    plan: Plan,
    out: Path,
    *,
    resume: bool = False,
    workers: int = 2,
    on_progress: Callable[[int], object] | None = None,
) -> WriteResult:
    """Writes every image of the plan that does not exist yet.

    Args:
        plan: Of the mixture.
        out: The folder.
        resume: Continue a folder begun with the same plan.
        workers: Threads that augment.
        on_progress: Called with the number of images completed since the last call.

    Raises:
        OutputError: The folder is in use, not empty, or cannot be written; what is recorded stays valid.
        UsageError: Resumed with other settings or other images.
        DataError: An image does not open, or two images would get the same name.
    """
    start = time.perf_counter()
    _check_names(plan)
    entries = list(plan.entries())

    def make(numbers: range, needed: Sequence[int]) -> list[FolderItem]:
        # On a device the whole chunk is augmented together, so that a resumed run gives the same bytes.
        together = list(numbers) if plan.request.device else list(needed)
        results = dict(zip(together, pixels(plan, [entries[i] for i in together]), strict=True))
        return [_encode(plan, out, number, *entries[number], results[number]) for number in needed]

    job = WriteJob(len(entries), lambda number: entries[number][0].files(entries[number][1]), make, chunk=_CHUNK)
    with open_sample_folder(out, plan.describe(), request=REQUEST, resume=resume, manifest=NAME) as folder:
        if plan.near_duplicates is not None:
            write_json(out / RECORD, plan.near_duplicates.record)
        alone = _one_thread if plan.request.device else None
        with threads_set(None) if plan.request.device else nullcontext():
            written = folder.write(
                job, folder.recorded(job), workers=workers, on_progress=on_progress, initializer=alone
            )
        _finish(folder, plan)
        unchanged = sum(UNCHANGED in row["applied"] for row in folder.manifest.stream())
    return WriteResult(len(plan), written, time.perf_counter() - start, unchanged)


def _one_thread() -> None:
    """Each maker thread computes alone, so that sums do not depend on the number of threads."""
    import torch

    torch.set_num_threads(1)


def _check_names(plan: Plan) -> None:
    names: dict[str, str] = {}
    for item, variant in plan.entries():
        name = item.files(variant)[0]
        earlier = names.get(name.casefold())
        if earlier is not None:
            what = f"{item.sample.image}: would be written as {name}, which {earlier} is already; rename one of them"
            raise DataError(what, code="E-mix-name-clash")
        names[name.casefold()] = f"{item.sample.image}" + (f" (augmentation {variant})" if variant else "")


def _encode(plan: Plan, out: Path, number: int, item: Item, variant: int, result: Pixels) -> FolderItem:
    image, mask = item.files(variant)
    data = encode_image(result.image)
    columns = item.sample.metadata
    # What was measured on an image is true only as long as its pixels are the same.
    same = variant == 0 and plan.cropper.is_whole(item.sample, result.mask.shape)
    metadata = {key: value for key, value in columns.items() if key not in _OF_PIXELS and key not in _REPLACED}
    metadata |= {key: columns[key] for key in _OF_PIXELS if same and key in columns}
    metadata |= {
        "split": item.split,
        "origin": item.folder,
        "original": item.sample.name,
        "original_sha256": item.sha256,
        "parent": item.files(0)[0] if variant else None,
        "version": variant,
        "applied": result.applied,
        "weight": round(plan.weight(item), 6),
    }
    sample = Sample(
        item.variant(variant), out / image, out / mask, (), item.sample.label, item.sample.group,
        item.sample.source, metadata,
    )  # fmt: skip
    row = row_of(sample, out, sha256=sha256_bytes(data))
    return FolderItem(number, {image: data, mask: encode_image(result.mask)}, row)


def _finish(folder: SampleFolder, plan: Plan) -> None:
    """Writes what needs all rows: a manifest and a card for each split, the dropped images and the summary."""
    out, counts = folder.path, {}
    for split in SPLITS:
        lines = [to_json(_split_row(row, split)) + b"\n" for row in folder.manifest.stream() if row["split"] == split]
        if lines:
            counts[split] = len(lines)
            write_bytes(out / split / NAME, b"".join(lines))
            write_text(out / split / "README.md", _card({_HUB_NAMES[split]: ""}, plan, {split: len(lines)}))
    write_bytes(out / DROPPED, b"".join(to_json(drop.to_dict()) + b"\n" for drop in plan.dropped))
    write_json(out / SUMMARY, plan.summary())
    write_text(out / "README.md", _card({_HUB_NAMES[split]: f"{split}/" for split in counts}, plan, counts))


def _split_row(row: Mapping[str, Any], split: str) -> Row:
    """A row of the whole folder as one of its split's folder.

    Every row of every split has the same columns of the same types and nothing is null, for that is what
    `datasets.load_dataset` needs for several splits; `mask_file_name` makes it open the masks as well. What only some
    sources have, their guide values for one, is in the manifest of the whole folder.
    """
    names = {key: str(row[key] or "").removeprefix(f"{split}/") for key in ("file_name", "mask", "parent")}
    texts = {key: str(row.get(key) or "") for key in ("label", "group", "source", "sha256", *_TEXTS)}
    return {
        "file_name": names["file_name"],
        "mask": names["mask"],
        "mask_file_name": names["mask"],
        **texts,
        "parent": names["parent"],
        "version": int(row["version"]),
        "applied": ", ".join(row["applied"]),
        "weight": float(row["weight"]),
    }


def _card(splits: Mapping[str, str], plan: Plan, counts: Mapping[str, int]) -> str:
    paths = {name: f'["{where}{NAME}", "{where}images/**"]' for name, where in splits.items()}
    numbers = ", ".join(f"{number} in {name}" for name, number in counts.items())
    text = f"""Images of surface defects ({", ".join(plan.classes)}), mixed by `mix-defects`: {numbers}.

Validation and test hold real images only. `source` says of every image whether it is real, synthetic or pasted; an
augmented image names its `parent` and the transforms `applied`; `weight` is how often a training should sample it.
"""
    return dataset_card(paths, ("defect-detection",), text)
