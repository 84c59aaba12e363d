"""Points in feature space: added for the classical arms of one trial, within the classes, and refused for images."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from augment.transforms.pipeline import Pipeline
from classify.cli.utility import app
from classify.utility.runners.features import FrozenFeatures, Items
from classify.utility.runners.frozen import FrozenRunner
from engine.commands import main
from metrics.features.cache import FeatureCache
from tests.builders.utility import SpotFeatures, bench_of, folder, real_folder


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    root = tmp_path_factory.mktemp("space")
    return real_folder(root), folder(root / "fakes", 24, 0, seed=7)


def runner(folders: tuple[Path, Path], preset: str) -> FrozenRunner:
    bench = bench_of(folders[0], {"gan": folders[1]}, ratios=(1.0,), shots=(4,), seeds=1)
    pipeline = Pipeline.from_preset(preset, of_features=True)
    return FrozenRunner(bench, FrozenFeatures(SpotFeatures(), FeatureCache(None), pipeline))


def test_the_classical_arms_alone_train_on_points_and_the_bank_lets_them_go(folders: tuple[Path, Path]) -> None:
    plain, with_points = runner(folders, "flips"), runner(folders, "feature_space")
    blocks = len(with_points._bank)
    for trial in plain.bench.trials:
        before, after = plain.run(trial), with_points.run(trial)
        points = after["images"].pop("feature_space_points", 0)
        assert before["images"] == after["images"]
        images = after["images"]["defective_squares"] + after["images"]["good_squares"]
        assert points == (images if trial.arm.classical else 0)
        changing = {"seconds", "scores", "val", "test", "chosen"} if trial.arm.classical else {"seconds"}
        assert {k: v for k, v in before.items() if k not in changing} == {
            k: v for k, v in after.items() if k not in changing
        }
    assert len(with_points._bank) == blocks


def test_points_lie_between_images_of_their_class(folders: tuple[Path, Path]) -> None:
    bank, block = (own := runner(folders, "feature_space"))._bank, own._train
    every = np.ones(len(block.first), bool)
    positives, negatives = (block.items(label, every, augmented=True) for label in (1, 0))
    for before, after in zip((positives, negatives), bank.with_points(positives, negatives, 3), strict=True):
        images, points = bank.take(before.first), bank.take(after.first[len(before) :])
        assert len(points)
        assert (after.count[len(before) :] == 1).all()
        assert isinstance(after, Items)
        low, high = images.min(axis=0), images.max(axis=0)
        assert ((low - 1e-4 <= points) & (points <= high + 1e-4)).all()
        assert np.abs(points[:, None] - images[None]).max(axis=2).min() > 0


@pytest.mark.parametrize("words", [["--mode", "finetune"], ["schemes"]])
def test_a_training_on_images_refuses_the_preset(
    folders: tuple[Path, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str], words: list[str]
) -> None:
    preset = ["--preset", "feature_space"]
    if words == ["schemes"]:
        from classify.cli.schemes import app as schemes

        code = main(schemes, [str(folders[0]), "--synthetic", str(folders[1]), *preset], name="bench-utility schemes")
    else:
        line = [str(folders[0]), *preset, "--out", str(tmp_path / "run"), *words]
        code = main(app, line, name="bench-utility")
    assert code == 2
    assert "[E-augment-feature-space]" in capsys.readouterr().err
