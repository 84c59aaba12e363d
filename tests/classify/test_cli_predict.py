"""The verbs of a trained classifier: what they print, and one line for what cannot be."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from classify.cli.train import app, train_classifier
from defects.images.decode import read_image
from engine.commands import main
from tests import builders
from tests.builders.classifiers import checkpoint
from tests.classify.test_evaluate import meta


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return builders.folders(tmp_path_factory.mktemp("data"), count=5)


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory, data: Path) -> Path:
    folder = tmp_path_factory.mktemp("run")
    network = {"name": "efficientnet_lite0", "short": True}
    checkpoint(folder, bias=3.0, network=network, meta=meta(data, ["part_3", "part_4"], ["part_0"]))
    return folder


def say(*arguments: object) -> int:
    return main(app, [str(argument) for argument in arguments], name="train-classifier")


def test_predict_writes_a_folder_and_names_its_page(
    tmp_path: Path, data: Path, run: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    assert say("predict", data, "--model", run, "--out", out, "--truth") == 0
    assert f"open: {out / 'index.html'}" in capsys.readouterr().out
    assert say("predict", data, "--model", run, "--out", out, "--truth", "--resume", "--json") == 0
    result = json.loads(capsys.readouterr().out)
    assert (result["images"], result["written"], result["unreadable"]) == (5, 0, [])


def test_an_image_that_does_not_open_ends_with_one_line_and_the_others_are_done(
    tmp_path: Path, run: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    builders.save(tmp_path / "in" / "a.png", builders.noise_image())
    (tmp_path / "in" / "b.png").write_bytes(b"no image")
    assert say("predict", tmp_path / "in", "--model", run, "--out", tmp_path / "out") == 1
    said = capsys.readouterr()
    assert "1 of 2 images are predicted defective" in said.out
    assert [line for line in said.err.splitlines() if line.startswith("error:")] == [said.err.splitlines()[-1]]
    assert "b.png" in said.err


def test_evaluate_reports_the_held_out_and_ranks_several(
    tmp_path: Path, data: Path, run: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "result.json"
    twice = ("--model", run, "--model", run / "checkpoints" / "best.safetensors")
    assert say("evaluate", "--data", data, *twice, "--out", out) == 0
    said = capsys.readouterr().out
    assert f"{run}: 2 images of test in {data}" in said
    assert "crops, ranked" in said
    models = json.loads(out.read_text())["models"]
    assert all(one["images"] == ["part_3", "part_4"] for one in models.values())


def test_export_explain_and_table(tmp_path: Path, data: Path, run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert say("export", "--model", run, "--out", tmp_path / "m.onnx") == 0
    assert "bench-fid" in capsys.readouterr().out
    assert say("export", "--model", run, "--out", tmp_path / "m.onnx") == 1
    assert "[E-out-exists]" in capsys.readouterr().err
    assert say("explain", data / "images" / "part_0.png", "--model", run, "--out", tmp_path / "e.png") == 0
    assert read_image(tmp_path / "e.png").shape == (346, 6 * 320 + 5 * 8, 3)
    capsys.readouterr()
    assert say("table", "--json") == 0
    rows = json.loads(capsys.readouterr().out)
    assert all(row["parameters"] == row["published"]["parameters"] for row in rows)


@pytest.mark.parametrize(
    ("arguments", "code", "line"),
    [
        (("predict", "{data}", "--model", "{data}"), 1, "holds no valid checkpoint"),
        (("predict", "{data}", "--model", "{run}", "--out", "{data}/out"), 2, "lie inside one another"),
        (("predict", "{data}/gone", "--model", "{run}"), 1, "no such file or folder"),
        (("evaluate", "--data", "{data}", "--model", "{run}", "--split", "train"), 2, "--split: unknown 'train'"),
        (("evaluate", "--data", "{data}", "--model", "{run}", "--split", "all"), 1, "was trained on 1 of 5 images"),
        (("export", "--model", "{run}", "--out", "model.pt"), 2, "expected a file ending in .onnx"),
        (("evaluate", "--data", "{data}", "--model", "{run}", "--out", "{data}/e.json"), 2, "lie inside one another"),
        (("explain", "{data}/images/part_0.png", "--model", "{run}", "--out", "e.jpg"), 2, "ending in .png"),
        (("explain", "{data}/images/part_0.png", "--model", "{run}", "--out", "{data}/images/part_0.png"), 2, "itself"),
        (("predict", "{data}", "--model", "{run}", "--device", "tpu"), 2, "--device: 'tpu' is unknown"),
    ],
)
def test_what_cannot_be_is_one_line(
    data: Path, run: Path, capsys: pytest.CaptureFixture[str], arguments: tuple[str, ...], code: int, line: str
) -> None:
    assert say(*(word.format(data=data, run=run) for word in arguments)) == code
    said = capsys.readouterr().err.splitlines()
    assert len(said) == 1
    assert said[0].startswith("error: ")
    assert line in said[0]


def test_a_former_flag_is_read_with_one_line(
    data: Path, run: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["evaluate", "--data", str(data), "--model", str(run), "--part", "val", "--device", "cpu"]
    monkeypatch.setattr("sys.argv", ["train-classifier", *words])
    with pytest.raises(SystemExit) as ended:
        train_classifier()
    warning, error = capsys.readouterr().err.splitlines()
    assert ended.value.code == 1
    assert warning == "warning: --part is now --split; write that"
    assert error.endswith("[E-classify-nothing-held-out]")
