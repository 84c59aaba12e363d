"""The folder of a training run: its configuration, its environment, its results; and its resumption."""

from __future__ import annotations

import importlib.metadata
import os
import platform
import subprocess
import sys
from collections.abc import Mapping
from contextlib import ExitStack
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from engine.config import load_config
from engine.errors import DataError, OutputError, UsageError
from engine.files.atomic import remove_temporaries, write_json, write_text
from engine.files.json_lines import LOCK_NAME, LineLog, lock_folder

if TYPE_CHECKING:
    from pydantic import BaseModel

_PACKAGES = (
    "magna-defect",
    "torch",
    "torchvision",
    "lightning-fabric",
    "numpy",
    "opencv-python-headless",
    "safetensors",
)


class RunFolder:
    """A run folder held by this process; use it as a context manager or `close` it.

    Attributes:
        path: The folder.
        resumed: Whether it held anything when it was opened.
    """

    def __init__(self, path: Path, *, resumed: bool, resources: ExitStack) -> None:
        self.path = path
        self.resumed = resumed
        self._resources = resources

    @classmethod
    def create(cls, path: str | os.PathLike[str], resume: bool = False) -> RunFolder:
        """Makes or reopens the folder, takes its lock and clears what a killed run left half written.

        Raises:
            OutputError: The folder holds files and `resume` is off, another process writes it, or it is read-only.
        """
        folder = Path(path)
        with ExitStack() as stack:
            stack.enter_context(lock_folder(folder))
            remove_temporaries(folder)
            resumed = any(entry.name != LOCK_NAME for entry in folder.iterdir())
            if resumed and not resume:
                raise OutputError(
                    f"{folder}: is not empty; add --resume to go on with it or choose another folder",
                    code="E-out-not-empty",
                )
            return cls(folder, resumed=resumed, resources=stack.pop_all())

    @property
    def config(self) -> Path:
        """The resolved configuration, `config.yaml`."""
        return self.path / "config.yaml"

    @property
    def checkpoints(self) -> Path:
        """The folder of checkpoints; created with the first of them."""
        return self.path / "checkpoints"

    @property
    def samples(self) -> Path:
        """The folder of sample images; created with the first of them."""
        return self.path / "samples"

    @cached_property
    def metrics(self) -> LineLog:
        """One JSON line a tick, `metrics.jsonl`."""
        return self._resources.enter_context(LineLog(self.path / "metrics.jsonl"))

    @cached_property
    def timing(self) -> LineLog:
        """How long each tick took, `timing.jsonl`: the one file that two runs of one seed do not share."""
        return self._resources.enter_context(LineLog(self.path / "timing.jsonl"))

    def write_config(self, config: BaseModel) -> None:
        """Writes the resolved configuration."""
        from engine.config import dump_config

        write_text(self.config, dump_config(config))

    def write_environment(self, **extra: Any) -> None:
        """Writes `environment.json` once; a resumed run keeps the one it began with."""
        path = self.path / "environment.json"
        if not path.exists():
            write_json(path, describe_environment() | extra)

    def close(self) -> None:
        """Closes the metrics and lets go of the lock."""
        self._resources.close()

    def __enter__(self) -> RunFolder:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def describe_environment() -> dict[str, Any]:
    """Python, platform, package versions, the commit of the code where it is a checkout, and the command line."""
    versions = {}
    for name in _PACKAGES:
        try:
            versions[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
    return {
        "python": platform.python_version(),
        "platform": platform.platform(),
        "packages": versions,
        "commit": _commit(Path(__file__).resolve().parent.parent),
        "command": [Path(sys.argv[0]).name, *sys.argv[1:]],
    }


def _commit(root: Path) -> str | None:
    if not (root / ".git").exists():
        return None
    try:
        answer = subprocess.run(
            ["git", "-C", str(root), "rev-parse", "HEAD"], capture_output=True, text=True, timeout=10, check=True
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return answer.stdout.strip()


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
    """Compares a requested configuration with the one that a run was started with.

    Raises:
        UsageError: They differ; the first key that does is named.
        DataError: The folder holds something else than a run.
    """
    before = own_config(run.path, type(config))
    if before is None and run.resumed:
        raise DataError(
            f"{run.path}: holds no config.yaml, so this is no run to resume; choose another --out",
            code="E-resume-foreign",
        )
    if before is None or before == config:
        return
    old, new = (_flat(model.model_dump(mode="json")) for model in (before, config))
    key = next(key for key in {**new, **old} if old.get(key) != new.get(key))
    raise UsageError(
        f"{run.config}: was started with another configuration ({key} {old.get(key)}, now {new.get(key)}); "
        "leave --config and --set out to resume, or give another --out",
        code="E-resume-config",
    )


def _flat(values: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for key, value in values.items():
        flat |= _flat(value, f"{prefix}{key}.") if isinstance(value, dict) else {f"{prefix}{key}": value}
    return flat
