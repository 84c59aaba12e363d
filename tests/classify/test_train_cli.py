"""The command: help at once, one line for every error, and the verbs."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from classify.cli.train import app
from engine.commands import main
from tests.builders.classifiers import arguments, error_line, parts, small_network, train_classifier

__all__ = ["small_network"]


def test_help_loads_nothing_heavy() -> None:
    code = (
        "import sys\nfrom classify.cli.train import app\nfrom engine.commands import main\n"
        "main(app, ['train', '--help'])\n"
        "sys.exit(','.join(name for name in ('torch', 'numpy', 'timm', 'optuna') if name in sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.stderr.strip() == ""
    assert "--resume" in done.stdout


def test_the_verbs_are_listed_and_training_needs_none(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(app, ["--help"], name="train-classifier") == 0
    shown = capsys.readouterr().out
    for verb in ("train", "predict", "evaluate", "explain", "export", "search", "table"):
        assert f"  {verb} " in shown


def test_a_dry_run_prints_configuration_and_split_and_writes_nothing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    data = parts(tmp_path / "data")
    assert train_classifier(data, tmp_path / "run", "--dry-run") == 0
    shown = capsys.readouterr().out
    assert yaml.safe_load(shown)["data"]["size"] == 32
    assert "# test: " in shown
    assert not (tmp_path / "run").exists()


def test_the_result_is_one_json_object_and_names_the_next_command(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], small_network: None
) -> None:
    data, run = parts(tmp_path / "data"), tmp_path / "run"
    assert train_classifier(data, run, "--json") == 0
    result = json.loads(capsys.readouterr().out)
    assert Path(result["checkpoint"]).is_file()
    assert train_classifier(data, run, "--resume") == 0
    assert f"next        train-classifier evaluate --data {data} --model {run}" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("labels", "more", "code", "said"),
    [
        (["good"] * 20, [], 1, "one class only (20 good)"),
        (("crack", "good"), [], 1, "cannot be divided into train, val, test"),
        (("crack", "good") * 10, ["--set", "data.tile.side=64"], 1, "smaller than a tile of 64 px"),
        (("crack", "good") * 10, ["--set", "network.name=alexnet"], 2, "unknown network"),
        (("crack", "good") * 10, ["--set", "data.preset=nothing"], 2, "nothing"),
        (("crack", "good") * 10, ["--set", "data.preset=feature_space"], 2, "images are trained on here"),
        (("crack", "good") * 10, ["--config", "bsdata"], 2, "did you mean bsdata_p1?"),
        (("crack", "good") * 10, ["--weights", "missing.safetensors"], 1, "No such file"),
        (("crack", "good") * 10, ["--weights", "weights.pth"], 1, "read from .safetensors only"),
        (("crack", "good") * 10, ["--device", "tpu"], 2, "is not known"),
    ],
    ids=[
        "one class",
        "too few",
        "large tile",
        "network",
        "preset",
        "points",
        "config",
        "no weights",
        "pickle",
        "device",
    ],
)
def test_an_error_is_one_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], small_network: None,
    labels: tuple[str, ...], more: list[str], code: int, said: str,
) -> None:  # fmt: skip
    data = parts(tmp_path / "data", labels)
    assert train_classifier(data, tmp_path / "run", *more) == code
    assert said in error_line(capsys)


def test_a_missing_folder_is_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(app, arguments(tmp_path / "none", tmp_path / "run"), name="train-classifier") == 1
    assert "no such folder" in error_line(capsys)
