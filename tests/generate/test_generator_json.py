"""What `gen-defects` says of its generator, in the folder of its images."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from defects.provenance import file_name, read_provenance
from engine.checkpoint import load_checkpoint, save_checkpoint
from engine.run.sample_folder import REQUEST, SampleFolder
from gan.checkpoint import load_generator
from tests.builders.errors import error_codes
from tests.builders.generate import gen_defects, tree_hash

DATA = {
    "layout": "folders", "licence": "CC0", "train": 4, "defective": 3, "kinds": ["crack"], "test": ["b", "a"],
    "train_sha256": ["02" * 32, "01" * 32],
}  # fmt: skip


@pytest.fixture(scope="module")
def telling(checkpoint: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The tiny generator, described as `train-gan` describes one."""
    tensors, meta = load_checkpoint(checkpoint)
    stem = tmp_path_factory.mktemp("telling") / "tiny"
    return save_checkpoint(stem, tensors, meta | {"data": DATA, "config": {"data": {"window": 96}}})


def arguments(masks: Path, checkpoint: Path, out: Path) -> list[object]:
    return ["--masks", masks / "pit", "--checkpoint", checkpoint, "--out", out]


def test_the_folder_says_what_its_generator_was_trained_on(masks: Path, telling: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    assert gen_defects(*arguments(masks, telling, out)) == 0
    said = read_provenance(out)
    assert said is not None
    assert said == load_generator(telling).provenance
    assert (said.size, said.channels, said.crop, said.architecture) == (32, 3, 96, "magna")
    assert (said.license, said.layout, said.train, said.defective) == ("CC0", "folders", 4, 3)
    assert (said.classes, said.test) == (("crack",), ("b", "a"))
    assert said.train_sha256 == {"01" * 32, "02" * 32}
    rows = [json.loads(row) for row in (out / "metadata.jsonl").read_text().splitlines()]
    assert {row["checkpoint"] for row in rows} == {said.checkpoint}
    assert json.loads((out / file_name).read_text())["guides"] == load_generator(telling).schema.to_dict()


def test_an_old_checkpoint_that_says_little_gives_nothing_where_it_is_silent(
    masks: Path, checkpoint: Path, tmp_path: Path
) -> None:
    assert gen_defects(*arguments(masks, checkpoint, tmp_path / "out")) == 0
    said = read_provenance(tmp_path / "out")
    assert said is not None
    assert (said.crop, said.license, said.train, said.test, said.train_sha256) == (None, None, None, (), frozenset())
    assert said.schema == load_generator(checkpoint).schema


def test_the_bundled_generator_names_its_training_images_and_license() -> None:
    said = load_generator().provenance
    assert (said.size, said.channels, said.crop) == (128, 3, None)
    assert len(said.train_sha256) == said.train == 747
    assert said.license is not None
    assert "Apache-2.0" in said.license


def test_the_bundled_magna_blend_names_its_images_and_whoever_took_them() -> None:
    bundled = load_generator(blend=True)
    said = bundled.provenance
    assert (said.architecture, said.size, said.channels, said.crop) == ("blend", 128, 3, 256)
    assert len(said.train_sha256) == said.train == len(bundled.background_stats) == len(bundled.local_contrasts) == 254
    assert said.license is not None
    assert "CC BY-SA 4.0 (BSData, Schlagenhauf and Landwehr" in said.license


def test_it_is_there_before_the_first_image(
    masks: Path, telling: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(*_: Any, **__: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(SampleFolder, "write", interrupted)
    assert gen_defects(*arguments(masks, telling, tmp_path / "out")) == 130
    assert {"request.json", file_name} <= {path.name for path in (tmp_path / "out").iterdir()}
    assert not (tmp_path / "out" / "images").exists()


def test_a_run_killed_before_it_was_written_is_resumed(masks: Path, telling: Path, tmp_path: Path) -> None:
    whole, out = tmp_path / "whole", tmp_path / "out"
    assert gen_defects(*arguments(masks, telling, whole)) == 0
    out.mkdir()
    shutil.copy(whole / REQUEST, out)
    assert gen_defects(*arguments(masks, telling, out), "--resume") == 0
    assert tree_hash(out) == tree_hash(whole)


def test_a_folder_that_describes_another_generator_is_not_resumed(
    masks: Path, telling: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    assert gen_defects(*arguments(masks, telling, out)) == 0
    content = json.loads((out / file_name).read_text())
    (out / file_name).write_text(json.dumps(content | {"data": {**content["data"], "licence": "none"}}))
    before = tree_hash(out)
    capsys.readouterr()
    assert gen_defects(*arguments(masks, telling, out), "--resume") == 1
    assert error_codes(capsys) == ["E-resume-generator"]
    assert tree_hash(out) == before
    (out / file_name).write_text("{")
    assert gen_defects(*arguments(masks, telling, out), "--resume") == 1
    assert error_codes(capsys) == ["E-provenance-damaged"]


@pytest.mark.parametrize(
    "change",
    [
        {"data": [1]}, {"data": {"kinds": 3}}, {"data": {"train_sha256": [1]}}, {"data": {"test": "a"}},
        {"config": "x"}, {"config": {"data": {"window": "x"}}}, {"licence": ["CC0"]},
    ],
)  # fmt: skip
def test_a_checkpoint_whose_description_is_damaged_is_one_line(
    masks: Path, checkpoint: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], change: dict[str, Any]
) -> None:
    tensors, meta = load_checkpoint(checkpoint)
    stem = save_checkpoint(tmp_path / "tiny", tensors, meta | change)
    assert gen_defects(*arguments(masks, stem, tmp_path / "out")) == 1
    assert error_codes(capsys) == ["E-checkpoint-description"]
    assert not (tmp_path / "out").exists()


def test_a_request_nested_without_end_is_no_run_to_resume(
    masks: Path, checkpoint: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / REQUEST).write_text("[" * 100_000)
    assert gen_defects(*arguments(masks, checkpoint, tmp_path / "out"), "--resume") == 1
    assert error_codes(capsys) == ["E-resume-no-run"]


@pytest.mark.parametrize(
    ("flag", "value"), [("--num", "9" * 20), ("--label", "\n"), ("--label", " "), ("--label", "a\0")]
)
def test_absurd_numbers_and_names_are_wrong_usage(
    masks: Path, checkpoint: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], flag: str, value: str
) -> None:
    assert gen_defects(*arguments(masks, checkpoint, tmp_path / "out"), flag, value) == 2
    assert error_codes(capsys) == ["E-generate-range" if flag == "--num" else "E-generate-label"]
