"""What a plan needs to know of the generator it asks: its guide entries and how it sees a photograph."""

from __future__ import annotations

import math
import re
import shlex
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from augment.balancing.strata import Terciles
from defects.attributes.guide import CategoricalEntry, GuideSchema, NumericEntry
from defects.attributes.request import parse_guide
from defects.images.crops import CropSpec
from defects.provenance import file_name, read_provenance
from engine.errors import DataError, MagnaError, UsageError
from engine.files.atomic import from_json


@dataclass(frozen=True)
class Generator:
    """A generator to be asked for images.

    Attributes:
        schema: its guide entries and their scales.
        crop_spec: how it sees a photograph.
        sha256: of its weights.
        checkpoint: what to give `gen-defects`; None where only images of it are known.
        train_sha256: of every image file it was trained on.
    """

    schema: GuideSchema
    crop_spec: CropSpec
    sha256: str
    checkpoint: Path | None = None
    train_sha256: frozenset[str] = frozenset()


def read_generator(path: Path) -> Generator:
    """Read a generator's description; its weights are not loaded.

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
            raise DataError(f"{folder / file_name}: says nothing of the guide; give the checkpoint instead")
        return Generator(known.schema, known.crop_spec, known.checkpoint, None, known.train_sha256)
    from engine.checkpoint import find_checkpoint, stated_sha256

    file = find_checkpoint(path)
    sha256 = stated_sha256(file)
    try:
        meta: dict[str, Any] = from_json(file.with_suffix(".json").read_bytes())["meta"]
        network, data = meta["network"], meta.get("data") or {}
        window = ((meta.get("config") or {}).get("data") or {}).get("window")
        crop_spec = CropSpec(int(network["size"]), window, int(network["channels"]))
        schema = GuideSchema.from_dict(meta["guides"])
    except (KeyError, TypeError, ValueError, OSError) as error:
        raise _not_a_generator(file, error) from None
    return Generator(schema, crop_spec, sha256, path, frozenset(data.get("train_sha256") or ()))


def _not_a_generator(file: Path, error: Exception) -> MagnaError:
    return DataError(
        f"{file.with_suffix('.json')}: does not describe a generator ({type(error).__name__}: {error}); "
        "give a checkpoint of train-gan"
    )


_NARROWEST = 0.01
"""Scaled units: a narrower range is no choice."""


def guide_of(kind: str, brightness: str, terciles: Terciles, schema: GuideSchema) -> str:
    """The guide of a cell, in the schema's scaled units.

    Raises:
        ValueError: the generator cannot be asked for it; the message says why.

    >>> schema = GuideSchema((NumericEntry("brightness", -0.4, 0.4), CategoricalEntry("kind", ("crack", "pit"))))
    >>> guide_of("crack", "dark", Terciles((0.1, 0.2), (-0.2, 0.0)), schema)
    'brightness=0..0.25,kind=crack'
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
        value = next((v for v in values if v.casefold() == kind.casefold()), None)
        if value is None:
            raise ValueError(f"the generator knows no {kind!r}, only {', '.join(values)}")
        parts.append(f"kind={value}")
    guide = ",".join(parts)
    try:
        parse_guide(guide, schema)
    except UsageError as error:
        raise ValueError(str(error)) from None
    return guide


def command(
    masks: str, guide: str, num: int, out: str, seed: int, kind: str, generator: Generator | None
) -> tuple[str, ...]:
    """The words of a `gen-defects` command; `$CHECKPOINT` stands for the generator."""
    words = ["gen-defects", "--masks", masks]
    words += ["--guide", guide] if guide else []
    words += ["--num", str(num), "--seed", str(seed), "--out", out]
    if generator is None or "kind" not in generator.schema.names:
        words += ["--label", kind]
    return (*words, "--checkpoint", "$CHECKPOINT")


def quoted(words: tuple[str, ...]) -> str:
    """A shell line."""
    return " ".join('"$CHECKPOINT"' if word == "$CHECKPOINT" else shlex.quote(word) for word in words)


def folder_name(kind: str) -> str:
    """A kind as the name of a folder."""
    return re.sub(r"[^\w.-]+", "_", kind).strip(".") or "defect"
