"""The leak check: nothing that trains may show a photograph that is held out."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from augment.mixer.copies import Likeness, References, calibrated
from augment.mixer.dropped import Dropped
from defects.sample import Sample
from engine.errors import DataError
from engine.files import sha256_bytes, to_json

__all__ = ["Findings", "find_copies", "recall", "refuse"]

_VERSION = 1
_NAMED = 3


@dataclass(frozen=True)
class Findings:
    """What a leak check found.

    Attributes:
        drops: Images that show a held-out photograph.
        least: Likeness from which on they count as copies.
        record: The likenesses of all images, as JSON; `recall` reads it, so that a resumed run need not look again.
    """

    drops: list[Dropped]
    least: float
    record: dict[str, Any]


def recall(path: Path | None, key: str) -> list[Likeness] | None:
    """The likenesses recorded in a file for the same images; None where there are none."""
    if path is None:
        return None
    try:
        content = json.loads(path.read_bytes())
        return [Likeness(str(n), float(v)) for n, v in content["found"]] if content["key"] == key else None
    except (OSError, ValueError, KeyError, TypeError):
        return None


def find_copies(
    train: Sequence[Sample],
    made: Mapping[str, Sequence[Sample]],
    held: Sequence[Sample],
    *,
    hashes: Mapping[str, str],
    workers: int = 2,
    on_progress: Callable[[int], object] | None = None,
    memory: Path | None = None,
) -> Findings:
    """Images that show a held-out photograph.

    Args:
        train: Training photographs, of other groups than the held-out ones.
        made: Synthetic and pasted images by the name of their folder.
        held: Photographs of validation and test.
        hashes: SHA-256 of every file involved, by its path.
        workers: Threads.
        on_progress: Told how many more images were compared.
        memory: File with the record of an earlier check.

    Raises:
        DataError: An image does not open.
    """
    if not held:
        return Findings([], 1.0, {})
    suspects = [("real", sample) for sample in train]
    suspects += [(name, sample) for name, samples in made.items() for sample in samples]
    order = [[name, hashes[str(sample.image)]] for name, sample in suspects]
    key = sha256_bytes(to_json([_VERSION, [[s.name, hashes[str(s.image)]] for s in held], order]))
    found = recall(memory, key)
    if found is None or len(found) != len(suspects):
        references = References(held, workers=workers)
        compared = references.compare((sample for _, sample in suspects), workers=workers, on_progress=on_progress)
        found = [Likeness(each.name, round(each.value, 6)) for each in compared]
    least = calibrated([each.value for each in found[: len(train)]])
    drops = [
        Dropped(name, sample.name, "held-out", f"shows the held-out {each.name} (likeness {each.value:.2f})")
        for (name, sample), each in zip(suspects, found, strict=True)
        if each.value > least
    ]
    return Findings(drops, least, {"key": key, "found": [[each.name, each.value] for each in found]})


def refuse(drops: Sequence[Dropped]) -> None:
    """Says what leaks, and what to do.

    Raises:
        DataError: Something does.
    """
    if drops:
        named = "; ".join(f"{drop.source}/{drop.name} {drop.detail}" for drop in drops[:_NAMED])
        more = f"; and {len(drops) - _NAMED} more" if len(drops) > _NAMED else ""
        raise DataError(
            f"{len(drops)} training images show held-out photographs: {named}{more}; "
            "remove them, or add --drop-copies to leave them out"
        )
