"""`bench-utility --export-splits DIR`: the images of each few-shot split, as data for a generator of its own."""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import numpy as np

from classify.utility.design.bench import Bench, Request, open_bench
from classify.utility.design.sources import SEED, SHOTS, filled, is_template
from classify.utility.design.trials import FewShotSplit
from defects.images.decode import encode_image, read_bytes, read_sample
from defects.manifest import NAME, read_manifest, row_of, write_manifest
from defects.sample import GOOD, Sample
from engine.errors import DataError, OutputError, UsageError
from engine.files.atomic import check_apart, inside, output_errors, sha256_bytes, write_bytes
from engine.files.json_lines import lock_folder

FLAG = "--export-splits"


class SplitContent(NamedTuple):
    """A few-shot split with its defective and its good images."""

    split: FewShotSplit
    defective: Sequence[Sample]
    good: Sequence[Sample]


def plan_export(request: Request, folder: Path) -> tuple[Bench, list[SplitContent]]:
    """The few-shot splits of a comparison; nothing is written yet.

    Raises:
        DataError: A folder is missing or invalid, or too few images are left.
        UsageError: The folder is a template, or inside another one.
    """
    if is_template(folder):
        raise UsageError(
            f"{FLAG}: names its folders {SHOTS}-{SEED} itself; give the folder they go into", code="E-utility-template"
        )
    shared = tuple((name, root) for name, root in request.synthetic if not is_template(root))
    apart = {"REAL": request.real} | {f"--synthetic {name}": root for name, root in shared}
    check_apart(folder, apart, flag=FLAG)
    bench = open_bench(replace(request, synthetic=shared, pasted="alpha"))
    splits = dict.fromkeys(trial.split for trial in bench.trials)
    return bench, [SplitContent(split, bench.subset(split), bench.good) for split in splits]


def export_splits(
    contents: Sequence[SplitContent], out: Path, hashes: Mapping[str, str], *, resume: bool = False
) -> Iterator[Path]:
    """Writes each few-shot split as a sample folder, for `train-gan`; its `masks` are for `gen-defects --masks`.

    Images are copied byte for byte and keep their names, so that a generator's training images can be compared.
    Published sets hold defective images whose masks are empty; these are left out, no generator can use them.
    A folder gets its name once it is complete.

    Args:
        contents: What the splits hold.
        out: A folder `{shots}-{seed}` of each is written in it.
        hashes: SHA-256 of each image's file by name.
        resume: Leave folders that exist, if they hold what they should.

    Yields:
        Every folder, once it is complete.

    Raises:
        DataError: An image or its mask does not open, or a defective one has no mask.
        OutputError: A folder exists, or was written with other settings, or cannot be written.
    """
    roots = [filled(out / f"{SHOTS}-{SEED}", split) for split, _, _ in contents]
    there = [root for root in roots if root.exists()]
    if there and not resume:
        raise OutputError(
            f"{there[0]}: exists already; add --resume, or choose another folder for {FLAG}", code="E-out-exists"
        )
    blind = [sample.name for _, defective, _ in contents for sample in defective if not sample.has_pixels]
    if blind:
        raise DataError(f"{FLAG}: {blind[0]} has no mask, which generators need; give masks", code="E-utility-no-masks")
    for root, content in zip(roots, contents, strict=True):
        if root in there and not _holds(root, content, hashes):
            raise OutputError(
                f"{root}: holds images outside its few-shot split; choose another folder for {FLAG}",
                code="E-utility-split-differs",
            )
    with lock_folder(out):
        for root, content in zip(roots, contents, strict=True):
            if root not in there:
                begun = root.with_name(f".{root.name}.part")
                with output_errors(begun):
                    shutil.rmtree(begun, ignore_errors=True)
                    _write(begun, [*content.defective, *content.good])
                    begun.rename(root)
            yield root


def _holds(root: Path, content: SplitContent, hashes: Mapping[str, str]) -> bool:
    """Whether a folder holds the images of a split; defective ones with an empty mask may be missing."""
    if not (root / NAME).is_file():
        return False
    samples, issues = read_manifest(root)
    own = {(sample.name, sample.metadata.get("sha256")) for sample in samples}
    least, more = (
        {(sample.name, hashes[sample.name]) for sample in part} for part in (content.good, content.defective)
    )
    return not issues and least <= own <= least | more


def _write(root: Path, samples: Sequence[Sample]) -> None:
    rows, masks = [], set()
    for sample in samples:
        mask = None
        if sample.label != GOOD:
            pixels = read_sample(sample)[1]
            if not pixels.any():
                continue
            mask = inside(root, f"masks/{sample.label}/{sample.name.replace('/', '_')}.png")
            if mask in masks:
                raise DataError(
                    f"{sample.image}: another image's mask would have its name; rename one of them",
                    code="E-utility-mask-name",
                )
            masks.add(mask)
            write_bytes(mask, encode_image(pixels[..., None].astype(np.uint8) * 255, "png"))
        image, data = inside(root, f"images/{sample.name}{sample.image.suffix}"), read_bytes(sample.image)
        write_bytes(image, data)
        metadata = {key: value for key, value in sample.metadata.items() if key not in ("rle", "sha256")}
        copy = Sample(sample.name, image, mask, (), sample.label, sample.group, sample.source, metadata)
        rows.append(row_of(copy, root, sha256=sha256_bytes(data)))
    write_manifest(root, rows)
