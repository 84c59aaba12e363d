"""Configuration: every key known, every value checked, every refusal one line."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import ClassVar

import pytest
from pydantic import BaseModel, Field

from engine import config
from engine.config import dump_config, load_config
from tests.builders.errors import raises


class Losses(BaseModel):
    adversarial: float = 1.0
    style: float = Field(default=0.1, ge=0)


class Stage(BaseModel):
    channels: int = 8


class Toy(BaseModel):
    size: int = 128
    name: str | None = None
    losses: Losses = Losses()
    stages: list[Stage] = []
    extra: Losses | None = None


@pytest.fixture
def packaged(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "gan").mkdir()
    (tmp_path / "gan" / "magna.yaml").write_text("size: 256\nlosses:\n  style: 0.5\n", encoding="utf-8")
    monkeypatch.setattr(config, "_PACKAGED", tmp_path)
    return tmp_path


def test_no_name_gives_the_defaults() -> None:
    assert load_config(None, Toy, []) == Toy()


def test_a_bare_name_is_found_among_the_packaged_ones_and_a_path_where_it_is(packaged: Path) -> None:
    expected = Toy(size=256, losses=Losses(style=0.5))
    assert load_config("magna", Toy, []) == expected
    assert load_config(str(packaged / "gan" / "magna.yaml"), Toy, []) == expected


def test_set_overrides_in_order_and_reads_yaml(packaged: Path) -> None:
    sets = ["size=64", "size=512", "losses.style=1e-4", "name=null", "stages=[{channels: 3}]", "extra.adversarial=2"]
    assert load_config("magna", Toy, sets) == Toy(
        size=512, losses=Losses(style=1e-4), stages=[Stage(channels=3)], extra=Losses(adversarial=2)
    )


@pytest.mark.parametrize(
    ("override", "code"),
    [
        ("sise=64", "E-config-value"),
        ("losses.stile=1", "E-config-value"),
        ("extra.stile=1", "E-config-value"),
        ("stages=[{chanels: 1}]", "E-config-value"),
        ("q=1", "E-config-value"),
        ("size=big", "E-config-value"),
        ("losses.style=-1", "E-config-value"),
        ("size", "E-config-override"),
        ("a..b=1", "E-config-override"),
        ("=1", "E-config-override"),
        ("name=[", "E-config-override"),
    ],
)
def test_a_wrong_override_is_one_line(override: str, code: str) -> None:
    with raises(code) as caught:
        load_config(None, Toy, [override])
    assert "\n" not in str(caught.value)


def test_an_unknown_key_is_answered_with_the_nearest_one_or_all_of_them() -> None:
    with raises("E-config-value", r"defaults: unknown key extra\.stile; did you mean style\?"):
        load_config(None, Toy, ["extra.stile=1"])
    with raises("E-config-value", "unknown key q; known are extra, losses, name, size, stages"):
        load_config(None, Toy, ["q=1"])


def test_an_override_below_a_plain_value_is_refused() -> None:
    with raises("E-config-override"):
        load_config(None, Toy, ["size=1", "size.x=2"])


@pytest.mark.parametrize(
    ("content", "code"),
    [
        (b"size: [", "E-config-yaml"),
        (b"- 1\n", "E-config-yaml"),
        (b"size: \xff", "E-config-unreadable"),
        (b"unknown: 1\nsize: x\n", "E-config-value"),
    ],
)
def test_a_wrong_file_is_named(tmp_path: Path, content: bytes, code: str) -> None:
    path = tmp_path / "x.yaml"
    path.write_bytes(content)
    with raises(code) as caught:
        load_config(str(path), Toy, [])
    assert all(str(path) in each for each in str(caught.value).splitlines())


def test_a_missing_file_or_name_is_one_line(packaged: Path) -> None:
    with raises("E-config-unreadable"):
        load_config("no.yaml", Toy, [])
    with raises("E-config-unknown", r"no configuration is called mgna; did you mean magna\?"):
        load_config("mgna", Toy, [])


def test_an_empty_file_gives_the_defaults(tmp_path: Path) -> None:
    (tmp_path / "x.yaml").write_text("# nothing\n", encoding="utf-8")
    assert load_config(str(tmp_path / "x.yaml"), Toy, []) == Toy()


def test_what_is_dumped_is_read_back(tmp_path: Path) -> None:
    toy = Toy(size=3, name="ü: 1", stages=[Stage(channels=2)], extra=Losses(style=1e-7))
    (tmp_path / "x.yaml").write_text(dump_config(toy), encoding="utf-8")
    assert load_config(str(tmp_path / "x.yaml"), Toy, []) == toy


class Renamed(config.Section):
    RENAMED: ClassVar[Mapping[str, str]] = {"colour": "color"}
    color: float = 0.0


class Whole(config.Section):
    data: Renamed = Renamed()


@pytest.mark.parametrize("sets", [["data.colour=0.5"], ["data={colour: 0.5}"]])
def test_a_former_key_is_read_with_one_line(sets: list[str], caplog: pytest.LogCaptureFixture) -> None:
    loaded = config.load_config(None, Whole, sets)
    assert loaded == Whole(data=Renamed(color=0.5))
    assert caplog.messages == ["warning: defaults: data.colour is now called data.color; write that"]


def test_a_former_key_next_to_the_present_one_is_refused() -> None:
    with raises("E-config-value", r"data\.colour"):
        config.load_config(None, Whole, ["data.colour=0.5", "data.color=0.2"])
