"""The generator of a plan, and its commands."""

from __future__ import annotations

import math
import re
import shlex
from dataclasses import dataclass
from pathlib import Path

from augment.balancing.strata import Terciles
from defects.attributes.guide import CategoricalEntry, GuideSchema, NumericEntry
from defects.attributes.request import parse_guide
from defects.images.crops import CropSpec
from defects.provenance import Provenance, file_name, read_provenance
from engine.errors import DataError, UsageError
from engine.files.atomic import from_json


@dataclass(frozen=True)
class Generator:
    """A generator that a plan is for.

    Attributes:
        schema: its guide entries and their scales.
        crop_spec: how images are cropped for it.
        sha256: of its weights.
        checkpoint: for `gen-defects`; None where only its images are known.
        train_sha256: of every image file it was trained on.
    """

    schema: GuideSchema
    crop_spec: CropSpec
    sha256: str
    checkpoint: Path | None = None
    train_sha256: frozenset[str] = frozenset()


def read_generator(path: Path) -> Generator:
    """Reads a generator's description; its weights are not loaded.

    Args:
        path: a `generator.json` or the folder of synthetic images that holds one; or a checkpoint (file, JSON or
            stem) or a run folder.

    Raises:
        DataError: a `generator.json` is damaged or holds no guide entries.
        CheckpointError: there is no valid checkpoint.
    """
    folder = path.parent if path.name == file_name else path
    known = read_provenance(folder) if folder.is_dir() else None
    if known is not None:
        if known.schema is None:
            raise DataError(
                f"{folder / file_name}: has no guide entries; give the checkpoint instead", code="E-plan-no-guide"
            )
        return Generator(known.schema, known.crop_spec, known.checkpoint, None, known.train_sha256)
    from engine.checkpoint import find_checkpoint, stated_sha256

    file = find_checkpoint(path)
    sha256 = stated_sha256(file)
    try:
        meta = from_json(file.with_suffix(".json").read_bytes())["meta"]
        known = Provenance.from_checkpoint(meta, sha256)
        if known.schema is None:
            raise ValueError("no guide entries")
    except (KeyError, TypeError, ValueError, OSError) as error:
        what = f"{file.with_suffix('.json')}: does not describe a generator ({type(error).__name__}: {error})"
        raise DataError(f"{what}; give a checkpoint of train-gan", code="E-plan-no-generator") from None
    return Generator(known.schema, known.crop_spec, sha256, path, known.train_sha256)


_NARROWEST = 0.01
"""Least width of a brightness range, scaled units."""


def guide_of(class_name: str, brightness: str, terciles: Terciles, schema: GuideSchema) -> str:
    """The guide of a stratum, in the schema's scaled units.

    Raises:
        ValueError: the generator cannot generate it; the message says why.

    >>> schema = GuideSchema((NumericEntry("brightness", -0.4, 0.4),))
    >>> guide_of("crack", "dark", Terciles((0.1, 0.2), (-0.2, 0.0)), schema)
    'brightness=0..0.25'
    """
    parts = []
    if "brightness" in schema.names:
        entry = schema["brightness"]
        if not isinstance(entry, NumericEntry):
            raise ValueError("the generator's brightness is a category, not a number")
        low, high = (entry.scale(edge) for edge in terciles.brightness)
        start, end = {"dark": (0.0, low), "neutral": (low, high), "bright": (high, 1.0)}[brightness]
        start, end = math.ceil(start * 1000) / 1000, math.floor(end * 1000) / 1000
        if end - start < _NARROWEST:
            raise ValueError(f"{brightness} lies outside the brightness the generator was trained on")
        parts.append(f"brightness={start:g}..{end:g}")
    if "kind" in schema.names:
        known = schema["kind"]
        values = known.values if isinstance(known, CategoricalEntry) else ()
        value = next((v for v in values if v.casefold() == class_name.casefold()), None)
        if value is None:
            raise ValueError(f"the generator knows no {class_name!r}, only {', '.join(values)}")
        parts.append(f"kind={value}")
    guide = ",".join(parts)
    try:
        parse_guide(guide, schema)
    except UsageError as error:
        raise ValueError(str(error)) from None
    return guide


def command(
    masks: str, guide: str, num: int, out: str, seed: int, class_name: str, generator: Generator | None
) -> tuple[str, ...]:
    """The words of a `gen-defects` command; `$CHECKPOINT` stands for the generator."""
    arguments = ["gen-defects", "--masks", masks]
    arguments += ["--guide", guide] if guide else []
    arguments += ["--num", str(num), "--seed", str(seed), "--out", out]
    if generator is None or "kind" not in generator.schema.names:
        arguments += ["--label", class_name]
    return (*arguments, "--checkpoint", "$CHECKPOINT")


def quoted(arguments: tuple[str, ...]) -> str:
    """A shell line."""
    return " ".join('"$CHECKPOINT"' if word == "$CHECKPOINT" else shlex.quote(word) for word in arguments)


def folder_name(class_name: str) -> str:
    """A class as the name of a folder."""
    return re.sub(r"[^\w.-]+", "_", class_name).strip(".") or "defect"
