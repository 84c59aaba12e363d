"""The guide text and the command line that ask a generator for the images of a cell."""

from __future__ import annotations

import math
import re
import shlex

from augment.imbalance.cells import Terciles
from augment.imbalance.generator import Generator
from defects.guide_request import parse_guide
from defects.guides import CategoricalEntry, GuideSchema, NumericEntry
from engine.errors import UsageError

__all__ = ["command", "folder_name", "guide_of"]

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
