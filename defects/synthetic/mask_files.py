"""Procedural masks as PNG files in a folder."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from pathlib import Path

from defects.attributes.request import parse_range, parse_whole_range
from defects.images.decode import encode_image
from defects.synthetic.masks import POSITIONS, ShapeSpec
from engine.errors import OutputError, UsageError
from engine.files.atomic import remove_temporaries, write_many
from engine.files.json_lines import LOCK_NAME, lock_folder
from engine.seeding import numpy_generator

_BATCH = 32
_LARGEST = 8192


def shape_spec(
    class_name: str,
    size: int,
    per_mask: str | None = None,
    length: str | None = None,
    width: str | None = None,
    orientation: str = "0..180",
    position: str = "any",
) -> ShapeSpec:
    """The ranges that a command line requests; what it leaves out is typical of the class and size.

    Raises:
        UsageError: A value cannot be read or is out of range.
    """
    if size > _LARGEST:
        raise UsageError(
            f"--size: expected at most {_LARGEST} px, got {size}; give a smaller size", code="E-gen-masks-size"
        )
    try:
        spec = ShapeSpec.typical(class_name, size)
        return dataclasses.replace(
            spec,
            count=parse_whole_range(per_mask, "--per-mask") if per_mask else spec.count,
            length=parse_range(length, "--length") if length else spec.length,
            width=parse_range(width, "--width") if width else spec.width,
            orientation=parse_range(orientation, "--orientation"),
            position=_position(position),
        )
    except ValueError as error:
        raise UsageError(str(error), code="E-gen-masks-setting") from None


def _position(text: str) -> tuple[float, float, float, float]:
    text = {"centre": "center"}.get(text, text)
    if text in POSITIONS:
        return POSITIONS[text]
    try:
        left, top, right, bottom = (float(value) for value in text.split(","))
    except ValueError:
        names = ", ".join(POSITIONS)
        raise UsageError(
            f"--position: expected {names} or x0,y0,x1,y1 in 0..1, got {text!r}; write it so",
            code="E-gen-masks-position",
        ) from None
    return left, top, right, bottom


def write_masks(
    out: Path,
    spec: ShapeSpec,
    count: int,
    size: int,
    seed: int,
    *,
    resume: bool = False,
    on_progress: Callable[[int], None] | None = None,
) -> int:
    """Write `count` masks as `<class>-0000.png` and so on, white on black.

    Mask number i depends on the settings and i alone. A resumed run renders every mask again and compares, which costs
    little and shows whether the folder was started with other settings.

    Returns:
        The number of files written now.

    Raises:
        OutputError: The folder is not empty, holds masks of other settings, is in use or cannot be written.
    """
    written = 0
    with lock_folder(out):
        remove_temporaries(out)
        if not resume and any(entry.name != LOCK_NAME for entry in out.iterdir()):
            raise OutputError(
                f"{out}: is not empty; add --resume to go on with it or choose another folder", code="E-out-not-empty"
            )
        for start in range(0, count, _BATCH):
            indices = range(start, min(start + _BATCH, count))
            files = [_mask(out, spec, size, seed, index) for index in indices]
            missing = [(path, data) for path, data in files if not _there(path, data)]
            write_many(missing)
            written += len(missing)
            if on_progress is not None:
                on_progress(len(indices))
    return written


def _mask(out: Path, spec: ShapeSpec, size: int, seed: int, index: int) -> tuple[Path, bytes]:
    rng = numpy_generator(seed, spec.class_name, index)
    return out / f"{spec.class_name}-{index:04d}.png", encode_image(spec.sample(rng).draw(size, rng))


def _there(path: Path, data: bytes) -> bool:
    if not path.is_file():
        return False
    if path.read_bytes() != data:
        raise OutputError(
            f"{path}: was written with other settings; repeat those or choose another folder", code="E-resume-settings"
        )
    return True
