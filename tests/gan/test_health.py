"""A run that goes wrong: losses and weights that are no numbers, a discriminator that has won, noise without effect."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

import gan.losses.adversarial
import gan.training.magna_step
from defects.formats.dataset import open_dataset
from gan.checkpoint import load_generator
from gan.data.dataset import prepare
from gan.training.loop import CollapseWatch
from gan.training.sample_grid import sample_grid
from tests.builders.errors import error_codes
from tests.builders.gan import error_line, metrics, tiny, train_gan, trainer

EVERY_EPOCH = {"train": {"checkpoint_every": 1}}
STEPS = 2  # in an epoch of the shared parts


def plant(monkeypatch: pytest.MonkeyPatch, term: str, step: int, spoil: Any) -> list[int]:
    """Spoils a loss at one step, counted from 1; the returned list grows with every step taken."""
    module = gan.training.magna_step if term == "discriminator_loss" else gan.losses.adversarial
    original = getattr(module, term)
    steps: list[int] = []

    def planted(*arguments: Any, **keywords: Any) -> Tensor:
        steps.append(1)
        value: Tensor = original(*arguments, **keywords)
        return spoil(value) if len(steps) == step else value

    monkeypatch.setattr(module, term, planted)
    return steps


def assert_the_checkpoint_is_good(out: Path, epoch: int) -> None:
    loaded = load_generator(out)
    assert loaded.meta["epoch"] == epoch
    assert all(bool(torch.isfinite(value).all()) for value in loaded.network.state_dict().values())


@pytest.mark.parametrize("number", [float("nan"), float("inf")])
@pytest.mark.parametrize("term", ["reconstruction_loss", "discriminator_loss"])
def test_a_loss_that_is_no_number_stops_the_run_at_its_step_and_the_last_checkpoint_is_good(
    data: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    term: str,
    number: float,
) -> None:
    out, step = tmp_path / "run", 2 * STEPS + 1
    steps = plant(monkeypatch, term, step, lambda value: value * number)
    assert train_gan(data, out, **EVERY_EPOCH) == 1
    assert len(steps) == step
    line = error_line(capsys)
    assert line.startswith("error: epoch 3, step 1: ")
    assert line.endswith("[E-train-not-a-number]")
    assert_the_checkpoint_is_good(out, 2)
    assert [row["epoch"] for row in metrics(out)] == [1, 2]
    assert "NaN" not in (out / "metrics.jsonl").read_text()


def test_a_gradient_that_is_no_number_is_never_saved(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "run"
    plant(monkeypatch, "generator_loss", 2 * STEPS, lambda value: value + 0 * (0 * value).sqrt())
    assert train_gan(data, out, **EVERY_EPOCH) == 1
    assert error_codes(capsys) == ["E-train-not-a-number"]
    assert_the_checkpoint_is_good(out, 1)


def test_a_run_that_broke_by_chance_is_resumed_as_if_it_had_not(
    data: Path, whole: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "run"
    with monkeypatch.context() as patch:
        plant(patch, "reconstruction_loss", 3 * STEPS, lambda value: value * float("nan"))
        assert train_gan(data, out) == 1
    assert train_gan(data, out, "--resume") == 0
    assert (out / "metrics.jsonl").read_bytes() == (whole / "metrics.jsonl").read_bytes()


@pytest.mark.parametrize(
    ("epoch", "real", "fake", "warned"),
    [
        (5, 0.99, 0.01, True),
        (50, 0.999, 0.001, True),
        (4, 0.99, 0.01, False),
        (50, 0.9, 0.01, False),
        (50, 0.99, 0.1, False),
    ],
)
def test_a_discriminator_that_has_won_is_warned_of(
    caplog: pytest.LogCaptureFixture, epoch: int, real: float, fake: float, warned: bool
) -> None:
    with caplog.at_level(logging.WARNING):
        CollapseWatch().discriminator({"d_real": real, "d_fake": fake}, epoch)
    assert ("tells every patch apart" in caplog.text) == warned


def test_a_collapse_is_warned_of_once_a_spell(caplog: pytest.LogCaptureFixture) -> None:
    watch = CollapseWatch()
    with caplog.at_level(logging.WARNING):
        for epoch, real in enumerate((0.99, 0.99, 0.5, 0.99, 0.99), start=10):
            watch.discriminator({"d_real": real, "d_fake": 0.0}, epoch)
            watch.modes(0.0 if real > 0.9 else 9.0, 10.0, epoch)
    assert [record.args[0] for record in caplog.records if isinstance(record.args, tuple)] == [10, 10, 13, 13]


def test_noise_without_effect_is_warned_of_and_noise_with_one_is_not(
    data: Path, caplog: pytest.LogCaptureFixture
) -> None:
    config = tiny()
    parts = prepare(open_dataset(data), config)
    network = trainer(parts, config).generator
    weights = {name: value.clone() for name, value in network.state_dict().items()}
    weights["to_image.weight"] = torch.randn_like(weights["to_image.weight"])
    with caplog.at_level(logging.WARNING):
        grid = sample_grid(network, weights, parts, columns=4, seed=0)
        watch = CollapseWatch()
        watch.modes(grid.spread, grid.typical, 1)
        assert "mode collapse" not in caplog.text
        again = sample_grid(network, weights, parts, columns=4, seed=0)
        weights["to_image.weight"] = torch.zeros_like(weights["to_image.weight"])
        still = sample_grid(network, weights, parts, columns=4, seed=0)
        watch.modes(still.spread, still.typical, 2)
    assert "epoch 2: mode collapse: another noise changes an image by 0.00 gray levels" in caplog.text
    assert np.array_equal(grid.image, again.image)
    assert grid.image.shape == (5 * 32, 4 * 32, 3)
