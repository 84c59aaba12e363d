"""The configuration of a run that is gone on with: its own, or one that says the same."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from engine.config import load_config
from engine.errors import DataError, UsageError
from engine.run import RunFolder

if TYPE_CHECKING:
    from pydantic import BaseModel

__all__ = ["own_config", "same_config"]

Config = TypeVar("Config", bound="BaseModel")


def own_config(folder: Path, model: type[Config]) -> Config | None:
    """The configuration in a run folder; keys that did not exist when the run began have their defaults.

    Returns:
        None where the folder holds none.

    Raises:
        UsageError: It cannot be read, or holds what this version does not know.
    """
    path = folder / "config.yaml"
    return load_config(str(path), model) if path.is_file() else None


def same_config(run: RunFolder, config: BaseModel) -> None:
    """Compares what is asked for with what a run was begun with.

    Raises:
        UsageError: They differ; the first key that does is named.
        DataError: The folder holds something else than a run.
    """
    before = own_config(run.path, type(config))
    if before is None and run.resumed:
        raise DataError(f"{run.path}: holds no config.yaml, so this is no run to resume; choose another --out")
    if before is None or before == config:
        return
    old, new = (_flat(model.model_dump(mode="json")) for model in (before, config))
    key = next(key for key in {**new, **old} if old.get(key) != new.get(key))
    raise UsageError(
        f"{run.config}: was made with another configuration ({key} {old.get(key)}, now {new.get(key)}); "
        "leave --config and --set out to resume, or give another --out"
    )


def _flat(values: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for key, value in values.items():
        flat |= _flat(value, f"{prefix}{key}.") if isinstance(value, dict) else {f"{prefix}{key}": value}
    return flat
