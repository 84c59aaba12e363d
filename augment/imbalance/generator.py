"""What a plan needs to know of the generator it asks: its guide entries and how it sees a photograph."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from defects.guides import GuideSchema
from defects.provenance import file_name, read_provenance
from defects.windows import Framing
from engine.errors import DataError, MagnaError
from engine.files import from_json

__all__ = ["Generator", "read_generator"]


@dataclass(frozen=True)
class Generator:
    """A generator to be asked for images.

    Attributes:
        schema: its guide entries and their scales.
        framing: how it sees a photograph.
        sha256: of its weights.
        checkpoint: what to give `gen-defects`; None where only images of it are known.
        train_sha256: of every image file it was trained on.
    """

    schema: GuideSchema
    framing: Framing
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
        return Generator(known.schema, known.framing, known.checkpoint, None, known.train_sha256)
    from engine.checkpoint import find_checkpoint, stated_sha256

    file = find_checkpoint(path)
    sha256 = stated_sha256(file)
    try:
        meta: dict[str, Any] = from_json(file.with_suffix(".json").read_bytes())["meta"]
        network, data = meta["network"], meta.get("data") or {}
        window = ((meta.get("config") or {}).get("data") or {}).get("window")
        framing = Framing(int(network["size"]), window, int(network["channels"]))
        schema = GuideSchema.from_dict(meta["guides"])
    except (KeyError, TypeError, ValueError, OSError) as error:
        raise _not_a_generator(file, error) from None
    return Generator(schema, framing, sha256, path, frozenset(data.get("train_sha256") or ()))


def _not_a_generator(file: Path, error: Exception) -> MagnaError:
    return DataError(
        f"{file.with_suffix('.json')}: does not describe a generator ({type(error).__name__}: {error}); "
        "give a checkpoint of train-gan"
    )
