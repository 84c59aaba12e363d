"""What anybody may hand over by mistake ends in one line, before anything is trained or written."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import load_file, save_file

import classify.inference.export
from classify.cli import utility as utility_cli
from classify.cli.schemes import app as schemes_app
from classify.data.dataset import held_out, open_data
from classify.models.checkpoint import load_classifier
from classify.utility.design.trials import parse_ratios
from classify.utility.launch import compute
from engine.commands import main
from engine.errors import CheckpointError, DataError, OutputError, UsageError
from engine.files.atomic import sha256_file
from engine.run.folder import RunFolder
from tests.builders.classifiers import checkpoint, error_line, parts, small_network, tiny, train_classifier

__all__ = ["small_network"]

Capture = pytest.CaptureFixture[str]
Meta = dict[str, Any]


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return parts(tmp_path_factory.mktemp("data") / "parts")


@pytest.mark.usefixtures("small_network")
def test_images_that_do_not_open_are_all_named_before_training(tmp_path: Path, capsys: Capture) -> None:
    data = parts(tmp_path / "data")
    images = sorted((data / "images").iterdir())
    Image.fromarray(np.zeros((40, 40), np.uint16)).save(images[0])
    images[1].write_bytes(images[1].read_bytes()[:200])
    Image.fromarray(np.zeros((40, 40, 4), np.uint8)).save(images[2])
    images[3].write_bytes(b"")
    for name in ("masks/part_04.png", "masks/part_06.png"):
        Image.fromarray(np.zeros((20, 20), np.uint8)).save(data / name)
    assert train_classifier(data, tmp_path / "run", "--set", "data.test_fraction=0") == 1
    lines = [line for line in capsys.readouterr().err.splitlines() if line.startswith("error:")]
    assert len(lines) == 6
    for word in ("16-bit pixels", "truncated", "alpha channel", "0 bytes", "the mask is 20 x 20"):
        assert any(word in line for line in lines)
    assert not list((tmp_path / "run").iterdir())


@pytest.mark.usefixtures("small_network")
@pytest.mark.parametrize(
    ("more", "code", "said"),
    [
        (("--out", "{data}/run"), 2, "lie inside one another"),
        (("--set", "train.batch_size=1000000000"), 2, "train.batch_size: Input should be less than or equal to 4096"),
        (("--threads", "1000000000"), 2, "--threads"),
        (("--weights", "{weights}"), 1, "holds weights that are no numbers"),
    ],
)
def test_a_slip_in_an_option_is_rejected(
    data: Path, tmp_path: Path, capsys: Capture, more: tuple[str, ...], code: int, said: str
) -> None:
    weights = tmp_path / "nan.safetensors"
    save_file({"conv1.weight": torch.full((2,), float("nan"))}, weights)
    words = [word.format(data=data, weights=weights) for word in more]
    assert train_classifier(data, tmp_path / "run", *words) == code
    assert said in error_line(capsys)
    assert not (data / "run").exists()


@pytest.mark.usefixtures("small_network")
def test_a_state_that_somebody_has_changed_is_not_resumed(data: Path, tmp_path: Path, capsys: Capture) -> None:
    run = tmp_path / "run"
    assert train_classifier(data, run, train={"epochs": 1}) == 0
    (state,) = (run / "state").glob("*.json")
    whole = json.loads(state.read_text())
    for key, value in (("identity", 3), ("history", 5), ("history", []), ("history", [{"epoch": 2}])):
        state.write_text(json.dumps(whole | {"meta": whole["meta"] | {key: value}}))
        capsys.readouterr()
        assert train_classifier(data, run, "--resume", train={"epochs": 1}) == 1
        assert "its newest state is damaged" in error_line(capsys)


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return checkpoint(tmp_path_factory.mktemp("saved"))


@pytest.mark.parametrize(
    "change",
    [
        {"classes": 3}, {"classes": "ab"}, {"classes": ["good"]}, {"classes": ["good", "good"]}, {"classes": [1, 2]},
        {"classes": ["crack", "pit"]}, {"config": None}, {"config": {"x": 1}}, {"data": 3},
        {"data": {"test": 5}}, {"data": {"train_sha256": {"a": 1}}}, {"data": {"val": [[1]]}},
    ],
    ids=str,
)  # fmt: skip
def test_a_checkpoint_that_says_nonsense_is_rejected(saved: Path, change: Meta) -> None:
    file = saved.with_suffix(".json")
    whole = file.read_text()
    said = json.loads(whole)
    try:
        file.write_text(json.dumps(said | {"meta": said["meta"] | change}))
        with pytest.raises(CheckpointError, match="its configuration is damaged or of another version"):
            load_classifier(saved)
    finally:
        file.write_text(whole)


def nan(tensors: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    return {k: torch.full_like(v, float("nan")) if v.is_floating_point() else v for k, v in tensors.items()}


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (nan, "holds weights that are no numbers"),
        (
            lambda tensors: {k: v for k, v in tensors.items() if k != "head.weight"},
            "its weights are not those of mobilenetv3_large",
        ),
        (lambda tensors: dict.fromkeys(tensors, torch.zeros(3)), "its weights are not those of mobilenetv3_large"),
    ],
)
def test_weights_that_are_not_the_networks_are_rejected(
    tmp_path: Path, saved: Path, change: Callable[[dict[str, torch.Tensor]], dict[str, torch.Tensor]], said: str
) -> None:
    copy = tmp_path / "best.safetensors"
    save_file({name: value.clone() for name, value in change(load_file(saved)).items()}, copy)
    description = json.loads(saved.with_suffix(".json").read_text()) | {"sha256": sha256_file(copy)}
    copy.with_suffix(".json").write_text(json.dumps(description))
    with pytest.raises(CheckpointError, match=said):
        load_classifier(copy)


@pytest.mark.parametrize("text", ["1,nan", "nan", "0.5,nan,1", "inf", "-1,1", "1e9", "0", "-0.0", ""])
def test_ratios_are_numbers_from_0_to_1000(text: str) -> None:
    with pytest.raises(UsageError, match="--ratios"):
        parse_ratios(text)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--seeds", "1000000000"), "--seeds"),
        (("--steps", "1000000000"), "--steps"),
        (("--out", "{data}/x"), "lie inside one another"),
        (("--ratios", "0.001", "--shots", "1"), "nothing to compare is left"),
        (("--synthetic", "a/b={data}"), "is no name"),
        (("--synthetic", "a\nb={data}"), "is no name"),
    ],
)
def test_a_slip_in_an_option_of_bench_utility_is_rejected(
    data: Path, capsys: Capture, words: tuple[str, ...], said: str
) -> None:
    given = [str(data), "--val", "0.4", "--test", "0.4", "--dry-run", *(word.format(data=data) for word in words)]
    assert main(utility_cli.app, given, name="bench-utility") == 2
    assert said in error_line(capsys)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--seeds", "1000000000"), "--seeds"),
        (("--networks", ","), "--networks"),
        (("--preset", "nothing"), "nothing"),
        (("--out", "{data}"), "lie inside one another"),
    ],
)
def test_a_slip_in_an_option_of_schemes_is_rejected(
    data: Path, tmp_path: Path, capsys: Capture, words: tuple[str, ...], said: str
) -> None:
    given = [str(data), "--synthetic", str(data), "--out", str(tmp_path / "out")]
    assert main(schemes_app, [*given, *(word.format(data=data) for word in words)], name="bench-utility schemes") == 2
    assert said in error_line(capsys)
    assert not (tmp_path / "out").exists()


def test_a_line_of_results_without_a_result_is_computed_again(tmp_path: Path) -> None:
    def result(trial: int) -> dict[str, Any]:
        return {"test": trial}

    (tmp_path / "results.jsonl").write_text('{"id": "a"}\n{"id": "b", "test": 5}\n')
    with RunFolder.create(tmp_path, resume=True) as folder:
        rows = compute(folder, {1: "a", 2: "b"}, lambda: result)
    assert rows == [{"id": "a", "test": 1}, {"id": "b", "test": 5}]


def test_an_export_that_is_no_number_is_not_written(
    tmp_path: Path, saved: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(classify.inference.export, "_traced", lambda *_: b"")
    monkeypatch.setattr(classify.inference.export, "_described", lambda *_: b"")
    monkeypatch.setattr(
        classify.inference.export, "_compare", lambda *_: {"logits": 0.0, "map": float("nan"), "features": 0.0}
    )
    with pytest.raises(OutputError, match="its map is off PyTorch's by nan"):
        classify.inference.export.export_classifier(load_classifier(saved), tmp_path / "model.onnx")
    assert not list(tmp_path.iterdir())


def test_a_checkpoint_that_held_nothing_out_is_measured_on_other_images_only(data: Path) -> None:
    with pytest.raises(DataError, match="no images were held out as test in training; use another --split"):
        held_out(open_data(data), tiny(), ("good", "defect"), {"data": {"test": []}})
