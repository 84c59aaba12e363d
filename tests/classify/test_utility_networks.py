"""Whole networks and segmenters as trials: a few steps of each, and the scores of masks."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from classify.utility.analysis.verdict import SEGMENT
from classify.utility.design.trials import Arm, Trial
from classify.utility.report.results import TaskResult
from classify.utility.runners.finetune import FinetuneRunner
from classify.utility.runners.segmentation import CropSet, SegmentRunner, overlaps, segment_trials
from defects.images.crops import CropSpec
from defects.sample import Sample
from tests.builders.utility import bench_of, folder, real_folder


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    root = tmp_path_factory.mktemp("networks")
    return real_folder(root), folder(root / "fakes", 40, 0, seed=7)


def test_overlaps_are_of_images() -> None:
    masks = np.zeros((3, 8, 8), bool)
    masks[0, :2], masks[1, :2] = True, True
    samples = [Sample("a", Path("a"), label="pit"), Sample("a", Path("a"), label="pit"), Sample("b", Path("b"))]
    images = CropSet("test", samples, [(np.zeros((8, 8, 1), np.uint8), mask) for mask in masks], CropSpec(8, None, 1))
    predicted = masks.copy()
    predicted[1] = False
    predicted[2, 0, :4] = True
    values = overlaps(predicted, images)
    assert values["iou"] == [0.5, 0.0]
    assert values["dice"] == [pytest.approx(2 / 3), 0.0]
    assert values["spilt"] == [0.0, 4 / 64]


@pytest.mark.slow
def test_whole_networks_are_trained_by_equal_steps(folders: tuple[Path, Path], tmp_path: Path) -> None:
    bench = bench_of(folders[0], {"gan": folders[1]}, pasted="alpha", ratios=(0.0, 1.0))
    bench = replace(bench, settings=replace(bench.settings, mode="finetune", steps=6, batch=4, learning_rate=1e-3))
    runner = FinetuneRunner(bench, tmp_path, threads=1)
    row = runner.run(Trial(Arm(True, ("pasted", "gan")), 1.0, 4, 0))
    assert row["images"] == {"real_defective": 4, "real_good": row["images"]["real_good"], "pasted": 2, "gan": 2}
    assert len(row["scores"]) == len(bench.division.test)
    again = FinetuneRunner(bench, tmp_path, threads=1).run(Trial(Arm(True, ("pasted", "gan")), 1.0, 4, 0))
    assert again["scores"] == row["scores"]


@pytest.mark.slow
def test_segmenters_are_compared(folders: tuple[Path, Path]) -> None:
    bench = bench_of(folders[0], {"gan": folders[1]}, ratios=(0.0, 2.0), shots=(4,), seeds=2)
    runner = SegmentRunner(bench, steps=4, threads=1)
    trials = segment_trials(bench)
    assert {trial.arm.name for trial in trials} == {"real", "real+gan"}
    result = TaskResult(bench, [runner.run(trial) for trial in trials], SEGMENT)
    assert result.first_line.startswith("gan: ")
    assert all(0 <= entry.mean <= 1 for entry in result.table.entries.values())
    assert result.to_dict()["primary"] == "iou"
    assert len(result.plots()) == 3
