"""The six schemes: what each trains on, and the table next to the paper's."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from classify.cli.schemes import app
from classify.utility.runners.schemes import load_schemes, published, summary_rows, table_lines
from engine.commands import main
from tests.builders.utility import folder, real_folder


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    root = tmp_path_factory.mktemp("schemes")
    return real_folder(root), folder(root / "fakes", 40, 0, seed=7)


def test_the_schemes_are_the_papers() -> None:
    schemes = load_schemes()
    assert "".join(schemes) == "abcdef"
    assert [scheme.imagenet for scheme in schemes.values()] == [False, False, False, True, True, True]
    assert [[stage.defects for stage in schemes[name].stages] for name in "ce"] == [
        [["synthetic"], ["original"]],
        [["synthetic"]],
    ]
    assert {name for name, scheme in schemes.items() if scheme.stages[-1].classical} == {"b", "d", "f"}
    assert published(schemes["f"], "resnet18") == {"f1": 0.947, "accuracy": 0.935}
    assert published(schemes["f"], "efficientnet_lite0") == {"f1": 0.973, "accuracy": 0.972}


def test_the_table_says_where_there_are_no_weights() -> None:
    schemes = load_schemes()
    test = {"precision": 0.9, "recall": 0.8, "f1": 0.85, "accuracy": 0.95}
    rows = [{"scheme": "a", "network": "resnet18", "test": test}] * 2
    entries = summary_rows(rows, {("d", "resnet18"): "no file"}, schemes, ["resnet18"])
    lines = table_lines(entries)
    assert "0.850 +- 0.000" in lines[1]
    assert "0.801 / 0.808" in lines[1]
    assert "no weights" in lines[4]
    assert lines[-1] == "no number: no file"


@pytest.mark.parametrize(
    ("words", "code"),
    [
        (["--networks", "resnet1"], "E-utility-network"),
        (["--weights", "resnet18"], "E-utility-network"),
        (["--weights", "resnet18=/nowhere"], "E-utility-network"),
        (["--synthetic", "own=fakes/{shots}-{seed}"], "E-utility-template"),
    ],
)
def test_errors_are_one_line(
    folders: tuple[Path, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str], words: list[str], code: str
) -> None:
    arguments = [str(folders[0]), "--synthetic", f"gan={folders[1]}", "--out", str(tmp_path / "out"), *words]
    assert main(app, arguments, name="bench-utility schemes") == 2
    error = capsys.readouterr().err
    assert f"[{code}]" in error
    assert error.count("\n") == 1


@pytest.mark.slow
def test_all_six_are_trained_and_a_second_run_trains_nothing(
    folders: tuple[Path, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = [str(folders[0]), "--synthetic", f"gan={folders[1]}", "--out", str(tmp_path / "out"), "--size", "64"]
    words += ["--networks", "efficientnet_lite0,resnet18", "--seeds", "1", "--epochs", "1", "--threads", "1", "--json"]
    assert main(app, words, name="bench-utility schemes") == 0
    entries = json.loads(capsys.readouterr().out)["schemes"]
    assert len(entries) == 12
    assert [entry["scheme"] for entry in entries if entry["missing"]] == ["d", "e", "f"]
    assert all(0 <= entry["f1"] <= 1 for entry in entries if not entry["missing"])
    rows = (tmp_path / "out" / "results.jsonl").read_bytes()
    assert main(app, [*words, "--resume"], name="bench-utility schemes") == 0
    assert (tmp_path / "out" / "results.jsonl").read_bytes() == rows
