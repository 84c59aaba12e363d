"""The search: in its ranges, the best is the best, and a resumed one samples what an undisturbed one would have."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

import classify.training.search
from classify.cli.train import app
from classify.config import ClassifierConfig
from classify.training.search import Space, search, space_of
from engine.commands import main
from engine.config import load_config
from engine.errors import TrainingError
from tests.builders.classifiers import arguments, error_line, parts, prepared, small_network, tiny, tree
from tests.builders.errors import raises

__all__ = ["small_network"]

pytestmark = pytest.mark.usefixtures("small_network")

SPACE = Space(1e-4, 1e-1, (4, 8))


def trials(folder: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (folder / "trials.jsonl").read_text().splitlines()][1:]


def test_trials_stay_in_their_ranges_and_the_best_is_written(tmp_path: Path) -> None:
    config = tiny(train={"epochs": 1})
    best = search(prepared(tmp_path / "data", config), config, tmp_path / "run", SPACE, trials=4, weights="none")
    rows = trials(tmp_path / "run")
    assert [row["trial"] for row in rows] == [1, 2, 3, 4]
    assert all(1e-4 <= row["learning_rate"] <= 1e-1 and row["batch_size"] in (4, 8) for row in rows)
    assert len({row["learning_rate"] for row in rows}) == 4
    assert best["val_accuracy"] == max(row["val_accuracy"] for row in rows)
    found = load_config(str(tmp_path / "run" / "best.yaml"), ClassifierConfig)
    assert found.train.learning_rate == best["learning_rate"]
    assert found.train.batch_size == best["batch_size"]


def test_a_resumed_search_ends_in_the_same_bytes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    config = tiny(train={"epochs": 1})
    found = prepared(tmp_path / "data", config)
    search(found, config, tmp_path / "whole", SPACE, trials=3, weights="none")
    search(found, config, tmp_path / "cut", SPACE, trials=1, weights="none")
    search(found, config, tmp_path / "cut", SPACE, trials=3, weights="none", resume=True)
    assert tree(tmp_path / "cut") == tree(tmp_path / "whole")
    with raises("E-out-other-run", "was started with other rates"):
        search(found, config, tmp_path / "cut", Space(1e-3, 1e-1, (4, 8)), trials=4, weights="none", resume=True)


def test_a_trial_that_ends_in_no_number_counts_as_the_worst(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    original = classify.training.search.fit

    def sometimes(fitting: Any, **given: Any) -> Any:
        if len(trials(tmp_path / "run")) == 0:
            raise TrainingError("no number", code="E-classify-not-a-number")
        return original(fitting, **given)

    monkeypatch.setattr(classify.training.search, "fit", sometimes)
    config = tiny(train={"epochs": 1})
    best = search(prepared(tmp_path / "data", config), config, tmp_path / "run", SPACE, trials=2, weights="none")
    assert trials(tmp_path / "run")[0]["val_accuracy"] is None
    assert best["trial"] == 2


def test_the_ranges_are_the_thesiss() -> None:
    assert space_of("efficientnetv2_s") == Space(1e-4, 1e-2, (32, 64))
    assert space_of("vit_tiny") == Space(1e-5, 1e-4, (32, 64))


def test_the_command_says_what_to_do_next_and_refuses_nonsense(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    data, run = parts(tmp_path / "data"), tmp_path / "run"
    given = [argument for argument in arguments(data, run, train={"epochs": 1}) if argument not in ("--device", "cpu")]
    assert main(app, ["search", *given, "--trials", "2", "--batches", "4,8"], name="train-classifier") == 0
    assert f"--config {run / 'best.yaml'}" in capsys.readouterr().out
    assert main(app, ["search", *given, "--rates", "1,x"], name="train-classifier") == 2
    assert "give numbers" in error_line(capsys)
