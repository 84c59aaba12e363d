"""A run that was stopped, however it was stopped, ends in the very files of one that was not."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

import gan.training.loop
from engine.commands import main
from gan.cli.train import app
from tests.builders.errors import error_codes
from tests.builders.gan import LITERAL, arguments, error_line, sample_folder, save_vgg, train_gan, tree
from tests.builders.killing import train_with_kills

VARIANTS: dict[str, dict[str, dict[str, Any]]] = {
    "literal": LITERAL,
    "spectral": {"network": {"spectral": True}},
    "zeros": {"network": {"padding": "zeros"}},
    "bf16": {"train": {"precision": "bf16"}},
    "gray": {"network": {"channels": 1}},
}


def stop_before_epoch(monkeypatch: pytest.MonkeyPatch, epoch: int) -> None:
    """Ctrl-C at the beginning of an epoch, counted from 0."""
    original = gan.training.loop.Trainer.epoch

    def interrupted(self: gan.training.loop.Trainer, number: int, progress: Any) -> dict[str, float]:
        if number == epoch:
            raise KeyboardInterrupt
        return original(self, number, progress)

    monkeypatch.setattr(gan.training.loop.Trainer, "epoch", interrupted)


def stopped(
    data: Path, out: Path, epoch: int, monkeypatch: pytest.MonkeyPatch, *more: str, **sections: dict[str, Any]
) -> dict[str, str]:
    """The files of a run interrupted before an epoch and resumed."""
    with monkeypatch.context() as patch:
        stop_before_epoch(patch, epoch)
        assert train_gan(data, out, *more, **sections) == 130
    assert train_gan(data, out, "--resume", *more, **sections) == 0
    return tree(out)


def test_the_same_run_twice_gives_the_same_files(data: Path, whole: Path, tmp_path: Path) -> None:
    assert train_gan(data, tmp_path / "again") == 0
    assert tree(tmp_path / "again") == tree(whole)


@pytest.mark.parametrize("epoch", range(4))
def test_an_interrupted_run_ends_in_the_same_files(
    data: Path, whole: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, epoch: int
) -> None:
    assert stopped(data, tmp_path / "run", epoch, monkeypatch) == tree(whole)


@pytest.mark.parametrize("variant", VARIANTS)
def test_so_does_one_of_any_class_of_network(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, variant: str
) -> None:
    sections = VARIANTS[variant] | {"train": {"epochs": 2, "checkpoint_every": 1, **VARIANTS[variant].get("train", {})}}
    assert train_gan(data, tmp_path / "whole", **sections) == 0
    assert stopped(data, tmp_path / "run", 1, monkeypatch, **sections) == tree(tmp_path / "whole")


def test_so_does_one_with_a_style_loss(data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MAGNA_STYLE_WEIGHTS", str(save_vgg(tmp_path / "vgg.safetensors")))
    sections = {
        "train": {"epochs": 2, "checkpoint_every": 1},
        "loss": {"style": 0.1, "style_every": 2, "style_size": 16},
    }
    assert train_gan(data, tmp_path / "whole", **sections) == 0
    assert stopped(data, tmp_path / "run", 1, monkeypatch, **sections) == tree(tmp_path / "whole")


def test_resuming_a_finished_run_changes_nothing_and_names_its_checkpoint(
    data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "run"
    assert train_gan(data, out, train={"epochs": 1}) == 0
    before = tree(out)
    capsys.readouterr()
    assert train_gan(data, out, "--resume", "--json", train={"epochs": 1}) == 0
    assert tree(out) == before
    result = json.loads(capsys.readouterr().out)
    assert result["checkpoint"] == str(out / "checkpoints" / "epoch-0001.safetensors")


def test_what_a_kill_between_two_files_leaves_behind_is_cleared(data: Path, tmp_path: Path) -> None:
    out = tmp_path / "run"
    sections = {"train": {"epochs": 5, "checkpoint_every": 1}}
    assert train_gan(data, out, **sections) == 0
    whole = tree(out)
    for folder in ("checkpoints", "state"):  # not yet removed
        for suffix in ("safetensors", "json"):
            (out / folder / f"epoch-0003.{suffix}").write_bytes((out / folder / f"epoch-0004.{suffix}").read_bytes())
    (out / "state" / "epoch-0005.json").unlink()  # not yet written
    (out / "samples" / ".epoch-0005.png.99.tmp").write_bytes(b"half")
    with (out / "metrics.jsonl").open("a") as file:
        file.write('{"epoch": 6, "ra')
    assert train_gan(data, out, "--resume", **sections) == 0
    assert tree(out) == whole


def test_a_run_is_not_resumed_with_another_configuration(
    data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "run"
    assert train_gan(data, out, train={"epochs": 1}) == 0
    before = tree(out)
    assert train_gan(data, out, "--resume", train={"epochs": 2}) == 2
    line = error_line(capsys)
    assert "was started with another configuration (train.epochs 1, now 2); leave --config and --set out" in line
    assert tree(out) == before


def test_a_run_goes_on_with_its_own_configuration_where_none_is_given(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sections = {"train": {"epochs": 2, "checkpoint_every": 1}}
    assert train_gan(data, tmp_path / "whole", **sections) == 0
    out = tmp_path / "run"
    with monkeypatch.context() as patch:
        stop_before_epoch(patch, 1)
        assert train_gan(data, out, **sections) == 130
    assert main(app, [str(data), "--out", str(out), "--device", "cpu", "--resume"], name="train-gan") == 0
    assert tree(out) == tree(tmp_path / "whole")


def test_a_key_that_did_not_exist_when_the_run_began_has_its_default(
    data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "run"
    assert train_gan(data, out, train={"epochs": 1}) == 0
    before = tree(out)
    lines = (out / "config.yaml").read_text().splitlines(keepends=True)
    (out / "config.yaml").write_text("".join(line for line in lines if "jitter_share" not in line))
    assert train_gan(data, out, "--resume", train={"epochs": 1}, data={"jitter_share": 0.7}) == 2
    assert "(data.jitter_share 0.5, now 0.7)" in error_line(capsys)
    assert train_gan(data, out, "--resume", train={"epochs": 1}) == 0
    assert tree(out) == before


def test_a_folder_that_holds_something_else_is_not_resumed(
    data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "notes.txt").write_text("mine")
    assert train_gan(data, tmp_path / "run", "--resume") == 1
    assert error_codes(capsys) == ["E-resume-foreign"]
    assert set(tree(tmp_path / "run")) == {"notes.txt"}


def test_a_damaged_configuration_of_a_run_is_one_line(
    data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "run"
    out.mkdir()
    for text, code in (("train: {epoch: 3}", "E-config-value"), ("train: [", "E-config-yaml")):
        (out / "config.yaml").write_text(text)
        assert main(app, [str(data), "--out", str(out), "--device", "cpu", "--resume"], name="train-gan") == 2
        assert error_codes(capsys) == [code]


def test_a_run_is_not_resumed_on_other_images(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "run"
    few, more = sample_folder(tmp_path / "few"), sample_folder(tmp_path / "more", ("crack", "pit") * 6 + ("good",) * 4)
    assert train_gan(few, out, train={"epochs": 1}) == 0
    before = tree(out)
    assert train_gan(more, out, "--resume", train={"epochs": 1}) == 2
    assert error_codes(capsys) == ["E-resume-settings"]
    assert tree(out) == before


@pytest.mark.parametrize("kills", [1, pytest.param(40, marks=pytest.mark.slow)])
def test_killed_at_random_moments_it_ends_in_the_same_files(
    data: Path, whole: Path, tmp_path: Path, kills: int
) -> None:
    out = tmp_path / "run"
    train_with_kills([*arguments(data, out), "--resume"], out, kills, seed=kills)
    assert tree(out) == tree(whole)
