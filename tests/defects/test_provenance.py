"""The description of the generator in a synthetic sample folder."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from defects.attributes.guide import CategoricalEntry, GuideSchema, NumericEntry
from defects.images.crops import CropSpec
from defects.provenance import Provenance, file_name, read_provenance
from tests.builders.errors import raises

SCHEMA = GuideSchema((NumericEntry("thickness", 1.5, 6.0, "px"), CategoricalEntry("background", ("dark", "light"))))
FULL = Provenance(
    "ab" * 32, 128, 1, 256, SCHEMA, "magna", "bsdata", "CC BY 4.0", 7, 5, ("Pitting",), ("a", "b/c"),
    frozenset({"01" * 32, "02" * 32}),
)  # fmt: skip


def written(folder: Path, content: Any) -> Path:
    text = content if isinstance(content, str) else json.dumps(content)
    (folder / file_name).write_text(text, encoding="utf-8")
    return folder


def test_a_folder_without_a_description_has_none(tmp_path: Path) -> None:
    assert read_provenance(tmp_path) is None


@pytest.mark.parametrize("provenance", [FULL, Provenance("ab" * 32, 64, 3)])
def test_what_is_written_is_read_back(tmp_path: Path, provenance: Provenance) -> None:
    assert read_provenance(written(tmp_path, provenance.to_dict())) == provenance


def test_the_crop_spec_is_that_of_the_training(tmp_path: Path) -> None:
    assert FULL.crop_spec == CropSpec(128, 256, 1)
    assert Provenance("ab", 64, 3).crop_spec == CropSpec(64, None, 3)


def test_the_keys_are_those_that_other_packages_read() -> None:
    content = FULL.to_dict()
    assert list(content) == ["checkpoint", "architecture", "size", "channels", "window", "guides", "data"]
    assert list(content["data"]) == ["layout", "licence", "train", "defective", "kinds", "test", "train_sha256"]


def test_unknown_keys_are_ignored_and_absent_ones_are_nothing(tmp_path: Path) -> None:
    least = {"checkpoint": "ab", "size": 32, "channels": 3, "new": [1], "data": {"newer": {}}}
    assert read_provenance(written(tmp_path, least)) == Provenance("ab", 32, 3)


@pytest.mark.parametrize(
    "content",
    [
        "", "{", "[]", "null", "\ufeff{}", "[" * 100_000, {}, {"checkpoint": "ab", "size": 32},
        FULL.to_dict() | {"size": "128"}, FULL.to_dict() | {"size": True}, FULL.to_dict() | {"channels": 2},
        FULL.to_dict() | {"window": 0}, FULL.to_dict() | {"data": []}, FULL.to_dict() | {"data": {"test": [1]}},
        FULL.to_dict() | {"data": {"train_sha256": "ab"}}, FULL.to_dict() | {"guides": {"entries": [{}]}},
        FULL.to_dict() | {"guides": {"entries": 3}}, FULL.to_dict() | {"guides": {"no": "entries"}},
    ],
)  # fmt: skip
def test_a_damaged_description_is_one_line_that_names_the_file(tmp_path: Path, content: Any) -> None:
    with raises("E-provenance-damaged", r"generator\.json: is damaged \(.+\); generate the folder again") as caught:
        read_provenance(written(tmp_path, content))
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 300 + len(str(tmp_path))


def test_bytes_that_are_no_text_are_damage_too(tmp_path: Path) -> None:
    (tmp_path / file_name).write_bytes(b"\xff\xfe\x00{")
    with raises("E-provenance-damaged"):
        read_provenance(tmp_path)


def test_a_folder_in_the_place_of_the_file_is_one_line(tmp_path: Path) -> None:
    (tmp_path / file_name).mkdir()
    with raises("E-provenance-unreadable"):
        read_provenance(tmp_path)
