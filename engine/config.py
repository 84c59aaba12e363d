"""From a YAML file and `--set a.b=v` to a checked configuration."""

from __future__ import annotations

import difflib
import logging
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar, TypeVar, get_args

import yaml
from pydantic import BaseModel, ConfigDict, ValidationError, model_validator

from engine.errors import UsageError

logger = logging.getLogger(__name__)

Config = TypeVar("Config", bound=BaseModel)

_PACKAGED = Path(__file__).resolve().parent.parent / "configs"


class Section(BaseModel):
    """A part of a configuration: immutable, and a key that it does not have is an error.

    Attributes:
        RENAMED: former keys by their present names; files and checkpoints may still hold them.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)
    RENAMED: ClassVar[Mapping[str, str]] = {}

    @model_validator(mode="before")
    @classmethod
    def _read_former_keys(cls, data: Any) -> Any:
        if not isinstance(data, Mapping):
            return data
        return {cls.RENAMED.get(key, key) if cls.RENAMED.get(key) not in data else key: data[key] for key in data}


def load_config(name_or_path: str | None, model: type[Config], sets: Sequence[str] = (), folder: str = "gan") -> Config:
    """Reads a configuration and checks every key and value of it.

    Args:
        name_or_path: A name such as `magna` found in the packaged `configs/<folder>`, a path to a YAML file, or None
            for the model's defaults.
        model: The pydantic model to build; unknown keys are refused whatever its own `extra` setting is.
        sets: Overrides `a.b=v`, the value in YAML, applied in order after the file.
        folder: The folder below `configs` in which bare names are looked up.

    Raises:
        UsageError: No such file, no YAML, an unknown key (named with the nearest known one), or a refused value.
    """
    source = "defaults" if name_or_path is None else str(name_or_path)
    data = {} if name_or_path is None else _read(_find(source, folder))
    for override in sets:
        _apply(data, override)
    for former, present in _former_keys(data, model):
        logger.warning("warning: %s: %s is now called %s; write that", source, former, present)
    try:
        return model.model_validate(data, extra="forbid")
    except ValidationError as error:
        raise UsageError(
            "\n".join(_explain(source, model, issue) for issue in error.errors()), code="E-config-value"
        ) from error


def dump_config(model: BaseModel) -> str:
    """The configuration as YAML that `load_config` reads back."""
    return str(yaml.safe_dump(model.model_dump(mode="json"), sort_keys=False, allow_unicode=True))


def config_names(folder: str) -> list[str]:
    """The names of the packaged configurations in a folder."""
    return sorted(path.stem for path in (_PACKAGED / folder).glob("*.yaml"))


def nearest(name: str, known: Iterable[str]) -> str:
    """A hint naming the nearest known name, or all of them where none is near.

    >>> nearest("thicknes", ["thickness", "brightness"])
    'did you mean thickness?'
    >>> nearest("x", ["thickness", "brightness"])
    'known are brightness, thickness'
    """
    names = sorted(known)
    close = difflib.get_close_matches(name, names, n=1, cutoff=0.5)
    return f"did you mean {close[0]}?" if close else f"known are {', '.join(names) or 'none'}"


def _find(name: str, folder: str) -> Path:
    path = Path(name)
    if path.suffix in {".yaml", ".yml"} or path.is_file():
        return path
    packaged = _PACKAGED / folder / f"{name}.yaml"
    if path.name == name and packaged.is_file():
        return packaged
    raise UsageError(
        f"no configuration is called {name}; {nearest(name, config_names(folder))} (or give a YAML file)",
        code="E-config-unknown",
    )


def _read(path: Path) -> dict[str, Any]:
    try:
        data = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        what = error.strerror if isinstance(error, OSError) else "is no UTF-8 text"
        raise UsageError(
            f"{path}: {what}; give a YAML file or one of the packaged names", code="E-config-unreadable"
        ) from error
    except (yaml.YAMLError, RecursionError) as error:
        raise UsageError(f"{path}: is no YAML: {' '.join(str(error).split())}; fix it", code="E-config-yaml") from error
    if data is None:
        return {}
    if not isinstance(data, dict):
        raise UsageError(
            f"{path}: expected keys and values, got a {type(data).__name__}; write `key: value` lines",
            code="E-config-yaml",
        )
    return data


def _apply(data: dict[str, Any], override: str) -> None:
    key, equals, text = override.partition("=")
    names = key.strip().split(".")
    if not equals or not all(names):
        raise UsageError(
            f"--set {override}: expected a.b=value; write the key, an equals sign and the value",
            code="E-config-override",
        )
    try:
        value = yaml.safe_load(text)
    except (yaml.YAMLError, RecursionError) as error:
        raise UsageError(
            f"--set {override:.60}: {text!r:.60} is no YAML value; quote it", code="E-config-override"
        ) from error
    for name in names[:-1]:
        inner = data.setdefault(name, {})
        if not isinstance(inner, dict):
            raise UsageError(
                f"--set {override}: {name} holds no keys of its own; set {name} itself", code="E-config-override"
            )
        data = inner
    data[names[-1]] = value


def _former_keys(data: Mapping[str, Any], model: type[BaseModel], at: str = "") -> list[tuple[str, str]]:
    """The former keys in a file or an override, each with its present name."""
    renamed: Mapping[str, str] = getattr(model, "RENAMED", {})
    found = [(f"{at}{key}", f"{at}{renamed[key]}") for key in data if key in renamed]
    for key, value in data.items():
        field = model.model_fields.get(renamed.get(key, key))
        inner = _inner_model(field.annotation) if field is not None else None
        if isinstance(value, Mapping) and inner is not None:
            found.extend(_former_keys(value, inner, f"{at}{key}."))
    return found


def _explain(source: str, model: type[BaseModel], issue: Mapping[str, Any]) -> str:
    location = tuple(issue["loc"])
    key = ".".join(str(part) for part in location)
    if issue["type"] == "extra_forbidden":
        return f"{source}: unknown key {key}; {nearest(str(location[-1]), _keys_at(model, location[:-1]))}"
    message = str(issue["msg"]).removeprefix("Value error, ")
    where = f"{source}: {key}" if key else source
    given = "" if isinstance(issue["input"], dict) else f", got {issue['input']!r}"
    return f"{where}: {message}{given}; correct it in the file or by --set"


def _keys_at(model: type[BaseModel], location: Sequence[Any]) -> list[str]:
    """The keys known at a place of the model; list positions and union tags on the way are stepped over."""
    for part in location:
        if part in model.model_fields:
            model = _inner_model(model.model_fields[part].annotation) or model
    return [field.alias or name for name, field in model.model_fields.items()]


def _inner_model(annotation: Any) -> type[BaseModel] | None:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    found = (_inner_model(inner) for inner in get_args(annotation))
    return next((inner for inner in found if inner is not None), None)
