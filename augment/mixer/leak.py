"""The leak check: nothing that trains may show a photograph that is held out."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from augment.mixer.copies import Likeness, References, calibrated
from augment.mixer.dropped import Dropped
from defects.sample import Sample
from engine.errors import DataError
from engine.files import sha256_bytes, to_json, write_json

__all__ = ["Memory", "find_copies", "refuse"]

_VERSION = 1
_NAMED = 3


class Memory:
    """What a leak check found before, in a file of the folder that is written; a resumed run need not look again.

    Args:
        path: The file; None to remember nothing.
    """

    def __init__(self, path: Path | None) -> None:
        self.path = path

    def recall(self, key: str) -> list[Likeness] | None:
        """The likenesses found under a key."""
        if self.path is None:
            return None
        try:
            content = json.loads(self.path.read_bytes())
            return [Likeness(str(n), float(v)) for n, v in content["found"]] if content["key"] == key else None
        except (OSError, ValueError, KeyError, TypeError):
            return None

    def keep(self, key: str, found: Sequence[Likeness]) -> None:
        """Writes the likenesses, where there is a folder to write to."""
        if self.path is not None and self.path.parent.is_dir():
            write_json(self.path, {"key": key, "found": [[each.name, round(each.value, 6)] for each in found]})


def find_copies(
    train: Sequence[Sample],
    made: Mapping[str, Sequence[Sample]],
    held: Sequence[Sample],
    *,
    hashes: Mapping[str, str],
    workers: int = 2,
    on_progress: Callable[[int], object] | None = None,
    memory: Memory | None = None,
) -> tuple[list[Dropped], float]:
    """Images that show a held-out photograph.

    Args:
        train: Training photographs, of other groups than the held-out ones.
        made: Synthetic and pasted images by the name of their folder.
        held: Photographs of validation and test.
        hashes: SHA-256 of every file involved, by its path.
        workers: Threads.
        on_progress: Told how many more images were compared.
        memory: Of an earlier check of the same files.

    Returns:
        Those found, and the likeness from which on they count as copies.

    Raises:
        DataError: An image does not open.
    """
    if not held:
        return [], 1.0
    suspects = [("real", sample) for sample in train]
    suspects += [(name, sample) for name, samples in made.items() for sample in samples]
    order = [[name, hashes[str(sample.image)]] for name, sample in suspects]
    key = sha256_bytes(to_json([_VERSION, [[s.name, hashes[str(s.image)]] for s in held], order]))
    found = memory.recall(key) if memory is not None else None
    if found is None or len(found) != len(suspects):
        references = References(held, workers=workers)
        compared = references.compare((sample for _, sample in suspects), workers=workers, on_progress=on_progress)
        found = list(compared)
        if memory is not None:
            memory.keep(key, found)
    least = calibrated([each.value for each in found[: len(train)]])
    drops = [
        Dropped(name, sample.name, "held-out", f"shows the held-out {each.name} (likeness {each.value:.2f})")
        for (name, sample), each in zip(suspects, found, strict=True)
        if each.value > least
    ]
    return drops, least


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
