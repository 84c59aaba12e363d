"""Checkpoints: safetensors for the numbers, JSON for what they mean; never a pickle.

The JSON is written last and holds the SHA-256 of the safetensors, so a checkpoint that was not finished is not one.
Give every checkpoint a name of its own (`epoch-0012`) and remove old ones after the new one is there: a name written
a second time is, for a moment, invalid.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import safetensors.torch
import torch
from safetensors import SafetensorError

from engine.errors import CheckpointError
from engine.files.atomic import from_json, sha256_bytes, sha256_file, write_bytes, write_json

logger = logging.getLogger(__name__)

_FORMAT = "magna-checkpoint-1"
_PICKLED = {".pt", ".pth", ".ckpt", ".pkl", ".pickle", ".bin"}


def save_checkpoint(path_stem: str | Path, tensors: Mapping[str, torch.Tensor], meta: Mapping[str, Any]) -> Path:
    """Writes `<stem>.safetensors`, then `<stem>.json`.

    Args:
        path_stem: Path without extension, e.g. `run/checkpoints/epoch-0012`.
        tensors: Tensors by name, on any device; stored contiguous.
        meta: What JSON can hold.

    Returns:
        The path of the safetensors file.

    Raises:
        OutputError: It cannot be written; no temporary is left.
    """
    stem = Path(path_stem)
    stored = {name: tensor.detach().to("cpu").contiguous().clone() for name, tensor in tensors.items()}
    data = safetensors.torch.save(stored, metadata={"format": "pt"})
    path = stem.parent / f"{stem.name}.safetensors"
    write_bytes(path, data)
    write_json(_json_of(path), {"format": _FORMAT, "sha256": sha256_bytes(data), "meta": dict(meta)})
    return path


def load_checkpoint(path: str | Path) -> tuple[dict[str, torch.Tensor], dict[str, Any]]:
    """Reads a checkpoint back on the CPU.

    Args:
        path: See `find_checkpoint`.

    Returns:
        The tensors by name and the meta it was saved with.

    Raises:
        CheckpointError: There is none, it is pickled, unfinished or damaged.
    """
    file = find_checkpoint(path)
    description = _read_json(file)
    data = _read(file)
    if sha256_bytes(data) != description["sha256"]:
        raise CheckpointError(
            f"{file}: does not match the sha256 in {_json_of(file).name}: unfinished or damaged; "
            "use another checkpoint",
            code="E-checkpoint-damaged",
        )
    return load_tensors(data, file), description["meta"]


def stated_sha256(file: Path) -> str:
    """What a checkpoint's JSON says of its safetensors file; `load_checkpoint` has compared the two.

    Raises:
        CheckpointError: The JSON is missing or damaged.
    """
    return str(_read_json(file)["sha256"])


def load_tensors(data: bytes, name: str | Path) -> dict[str, torch.Tensor]:
    """Tensors from the bytes of a safetensors file; `name` stands in the message.

    Raises:
        CheckpointError: They are no safetensors.
    """
    try:
        return dict(safetensors.torch.load(data))
    except (SafetensorError, KeyError, ValueError) as error:
        raise CheckpointError(
            f"{name}: is no safetensors file ({error}); give another file", code="E-checkpoint-format"
        ) from error


def find_checkpoint(path: str | Path) -> Path:
    """The safetensors file meant by a path.

    Args:
        path: The safetensors file, its JSON, their common stem, or a run folder. In a run folder's `checkpoints`
            (or the folder itself) the first valid one is taken of `best`, `last`, then the highest number.

    Raises:
        CheckpointError: There is none, or the file is pickled: such a file is not even opened.
    """
    given = Path(path)
    if given.suffix.lower() in _PICKLED and given.exists():
        raise CheckpointError(
            f"{given}: pickled checkpoints are never loaded, they can run any code; give a .safetensors checkpoint",
            code="E-checkpoint-pickled",
        )
    if given.is_dir():
        return _newest_in(given)
    if given.suffix in {".safetensors", ".json"}:
        file = given.with_suffix(".safetensors")
    else:
        file = given.parent / f"{given.name}.safetensors"
    if not file.is_file():
        raise CheckpointError(
            f"{given}: no checkpoint is there; give a run folder or a .safetensors checkpoint",
            code="E-checkpoint-missing",
        )
    return file


def remove_checkpoint(path_stem: str | Path) -> None:
    """Removes a checkpoint, its JSON first, so that half of one is never taken for valid."""
    stem = Path(path_stem)
    for suffix in (".json", ".safetensors"):
        (stem.parent / f"{stem.name}{suffix}").unlink(missing_ok=True)


def prune_checkpoints(folder: Path, retained: int = 2) -> None:
    """Removes all but the newest of the checkpoints `epoch-NNNN` in a folder."""
    for old in sorted(folder.glob("epoch-*.safetensors"))[:-retained]:
        remove_checkpoint(old.with_suffix(""))


def _newest_in(folder: Path) -> Path:
    place = folder / "checkpoints" if (folder / "checkpoints").is_dir() else folder
    for file in sorted(place.glob("*.safetensors"), key=_order):
        try:
            if sha256_file(file) == _read_json(file)["sha256"]:
                return file
            logger.warning("%s: unfinished or damaged, passed over", file)
        except (CheckpointError, OSError) as error:
            logger.warning("passed over: %s", error)
    raise CheckpointError(
        f"{folder}: holds no valid checkpoint; train one first, or give another folder", code="E-checkpoint-missing"
    )


def _order(file: Path) -> tuple[int, int, str]:
    numbers = re.findall(r"\d+", file.stem)
    rank = {"best": 0, "last": 1}.get(file.stem, 2)
    return rank, -int(numbers[-1]) if numbers else 1, file.stem


def _json_of(file: Path) -> Path:
    return file.with_suffix(".json")


def _read(file: Path) -> bytes:
    try:
        return file.read_bytes()
    except OSError as error:
        raise CheckpointError(
            f"{file}: {error.strerror}; give another checkpoint", code="E-checkpoint-unreadable"
        ) from error


def _read_json(file: Path) -> dict[str, Any]:
    path = _json_of(file)
    try:
        description = from_json(_read(path))
    except ValueError as error:
        raise CheckpointError(f"{path}: is no JSON; use another checkpoint", code="E-checkpoint-format") from error
    if not isinstance(description, dict) or description.get("format") != _FORMAT:
        raise CheckpointError(
            f"{path}: is not of the format {_FORMAT}; give a checkpoint that this project wrote",
            code="E-checkpoint-format",
        )
    if not isinstance(description.get("sha256"), str) or not isinstance(description.get("meta"), dict):
        raise CheckpointError(f"{path}: lacks sha256 or meta; use another checkpoint", code="E-checkpoint-format")
    return description
