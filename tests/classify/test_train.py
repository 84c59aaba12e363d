"""A run folder: what it records, and that a killed run ends in the bytes of an undisturbed one."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

import classify.training.loop
from classify.models.checkpoint import load_classifier
from tests.builders.classifiers import error_line, parts, small_network, train_classifier, tree

__all__ = ["small_network"]

pytestmark = pytest.mark.usefixtures("small_network")

AVERAGED: dict[str, Any] = {"ema": 0.9, "balance": "sampler", "schedule": "plateau", "plateau_patience": 1}


class Killed(BaseException):
    """What a kill is in these tests."""


@pytest.fixture
def data(tmp_path: Path) -> Path:
    return parts(tmp_path / "data")


def rows(run: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]


def test_a_run_records_what_was_trained_on_what_and_how(data: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    assert train_classifier(data, run) == 0
    assert [row["epoch"] for row in rows(run)] == [1, 2, 3]
    best = load_classifier(run)
    assert best.meta["epoch"] == max(rows(run), key=lambda row: (row["val_accuracy"], -row["val_loss"]))["epoch"]
    assert best.meta["weights"] == "none"
    assert len(best.meta["data"]["train_images"]) == best.meta["data"]["train"]
    assert best.meta["data"]["test"]
    last = load_classifier(run / "checkpoints" / "last.safetensors")
    assert last.meta["epoch"] == 3
    assert (run / "config.yaml").is_file()
    assert (run / "environment.json").is_file()


def test_the_same_command_gives_the_same_bytes(data: Path, tmp_path: Path) -> None:
    for name in ("one", "two"):
        assert train_classifier(data, tmp_path / name, train=AVERAGED) == 0
    assert tree(tmp_path / "one") == tree(tmp_path / "two")


@pytest.mark.parametrize("train", [{}, AVERAGED], ids=["plain", "averaged"])
@pytest.mark.parametrize("writes", range(1, 7))
def test_a_run_killed_at_any_write_ends_in_the_bytes_of_an_undisturbed_one(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, train: dict[str, Any], writes: int
) -> None:
    whole, killed = tmp_path / "whole", tmp_path / "killed"
    assert train_classifier(data, whole, train=train) == 0
    left = [writes]

    def counted(original: Any) -> Any:
        def wrapped(*given: Any, **options: Any) -> Any:
            if not left[0]:
                raise Killed
            left[0] -= 1
            return original(*given, **options)

        return wrapped

    with monkeypatch.context() as patched:
        patched.setattr(classify.training.loop, "save_classifier", counted(classify.training.loop.save_classifier))
        patched.setattr(classify.training.loop, "save_checkpoint", counted(classify.training.loop.save_checkpoint))
        with pytest.raises(Killed):
            train_classifier(data, killed, train=train)
    assert train_classifier(data, killed, "--resume", train=train) == 0
    assert tree(killed) == tree(whole)


def test_a_finished_run_that_is_resumed_changes_nothing(data: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    assert train_classifier(data, run) == 0
    before = tree(run)
    assert train_classifier(data, run, "--resume") == 0
    assert tree(run) == before


def test_a_stop_on_validation_ends_the_run_early(data: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    settings = {"epochs": 30, "patience": 1, "learning_rate": 1e-9}
    assert train_classifier(data, run, train=settings) == 0
    assert len(rows(run)) < 30


def test_a_folder_with_a_run_is_not_written_over(
    data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = tmp_path / "run"
    assert train_classifier(data, run) == 0
    capsys.readouterr()
    assert train_classifier(data, run) == 1
    assert "is not empty; add --resume" in error_line(capsys)


def test_resuming_with_another_configuration_or_other_images_is_rejected(
    data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = tmp_path / "run"
    assert train_classifier(data, run) == 0
    capsys.readouterr()
    assert train_classifier(data, run, "--resume", train={"learning_rate": 0.5}) == 2
    assert "another configuration (train.learning_rate 0.001, now 0.5)" in error_line(capsys)
    other = parts(tmp_path / "other", first=40)
    assert train_classifier(other, run, "--resume") == 2
    assert "was started with another train_sha256" in error_line(capsys)
