"""JSON that is read comes from anybody: what it may hold must end in a ValueError, whatever it is."""

from __future__ import annotations

from pathlib import Path

import pytest

from defects.formats.dataset import open_dataset
from engine.checkpoint import load_checkpoint
from engine.config import load_config
from engine.files.atomic import from_json, to_json
from engine.files.json_lines import LineLog
from tests import builders
from tests.builders.errors import raises

DEEP = "[" * 100_000


def test_what_is_written_is_read() -> None:
    assert from_json(to_json({"a": [1, None, "ü"]})) == {"a": [1, None, "ü"]}


@pytest.mark.parametrize("text", [DEEP, '{"a":' * 100_000, "", "nope", b"\xff\xfe\x00", "1" * 5000])
def test_what_is_no_json_or_too_deep_is_a_value_error(text: str | bytes) -> None:
    with pytest.raises(ValueError, match=r"."):
        from_json(text)


def test_a_row_of_a_manifest_nested_too_deeply_is_refused(tmp_path: Path) -> None:
    builders.sample_folder(tmp_path)
    with (tmp_path / "metadata.jsonl").open("a") as file:
        file.write(f"{DEEP}\n")
    with raises("E-manifest-json"):
        open_dataset(tmp_path)


@pytest.mark.parametrize("start", ["", '{"annotations": [], "images": '])
def test_an_annotation_file_nested_too_deeply_is_refused(tmp_path: Path, start: str) -> None:
    file = builders.coco(tmp_path) / "annotations" / "instances.json"
    file.write_text(start + DEEP)
    with raises("E-dataset-no-layout"):
        open_dataset(tmp_path)
    with raises("E-dataset-no-images"):
        open_dataset(tmp_path, "coco")


def test_an_outline_file_nested_too_deeply_is_refused(tmp_path: Path) -> None:
    next((builders.bsdata(tmp_path) / "label").glob("*.json")).write_text(DEEP)
    with raises("E-format-bad-annotation"):
        open_dataset(tmp_path)


def test_yaml_nested_too_deeply_is_refused(tmp_path: Path) -> None:
    from classify.config import ClassifierConfig

    (builders.yolo(tmp_path) / "data.yaml").write_text(DEEP[:2000])
    with raises("E-format-bad-annotation"):
        open_dataset(tmp_path)
    with raises("E-config-yaml"):
        load_config(str(tmp_path / "data.yaml"), ClassifierConfig)
    with raises("E-config-override"):
        load_config("quick", ClassifierConfig, [f"name={DEEP[:2000]}"], folder="classify")


def test_a_log_and_a_checkpoint_nested_too_deeply_are_refused(tmp_path: Path) -> None:
    (tmp_path / "log.jsonl").write_text(f'{DEEP}\n{{"a": 1}}\n')
    with raises("E-log-damaged"):
        LineLog(tmp_path / "log.jsonl")
    (tmp_path / "best.safetensors").write_bytes(b"")
    (tmp_path / "best.json").write_text(DEEP)
    with raises("E-checkpoint-format"):
        load_checkpoint(tmp_path / "best")
