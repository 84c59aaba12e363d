"""Whole networks and segmenters as cells: a few steps of each, and the scores of masks."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from classify.utility.analysis.scores import SEGMENT
from classify.utility.design.trials import Arm, Cell
from classify.utility.report.findings import Found
from classify.utility.runners.finetune import FinetuneRunner
from classify.utility.runners.segmentation import IOU, SegmentRunner, SquareSet, overlaps, segment_cells
from defects.images.crops import CropSpec
from defects.sample import Sample
from tests.classify.utility_folders import bench_of, folder, real_folder


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    root = tmp_path_factory.mktemp("networks")
    return real_folder(root), folder(root / "fakes", 40, 0, seed=7)


def test_overlaps_are_of_photographs() -> None:
    masks = np.zeros((3, 8, 8), bool)
    masks[0, :2], masks[1, :2] = True, True
    samples = [Sample("a", Path("a"), label="pit"), Sample("a", Path("a"), label="pit"), Sample("b", Path("b"))]
    images = SquareSet("test", samples, [(np.zeros((8, 8, 1), np.uint8), mask) for mask in masks], CropSpec(8, None, 1))
    found = masks.copy()
    found[1] = False
    found[2, 0, :4] = True
    values = overlaps(found, images)
    assert values["iou"] == [0.5, 0.0]
    assert values["dice"] == [pytest.approx(2 / 3), 0.0]
    assert values["spilt"] == [0.0, 4 / 64]


@pytest.mark.slow
def test_whole_networks_are_trained_by_equal_steps(folders: tuple[Path, Path], tmp_path: Path) -> None:
    bench = bench_of(folders[0], {"gan": folders[1]}, pasted="alpha", ratios=(0.0, 1.0))
    bench = replace(bench, settings=replace(bench.settings, mode="finetune", steps=6, batch=4, learning_rate=1e-3))
    runner = FinetuneRunner(bench, tmp_path, threads=1)
    row = runner.run(Cell(Arm(True, ("pasted", "gan")), 1.0, 4, 0))
    assert row["images"] == {"real_defective": 4, "real_good": row["images"]["real_good"], "pasted": 2, "gan": 2}
    assert len(row["scores"]) == len(bench.division.test)
    again = FinetuneRunner(bench, tmp_path, threads=1).run(Cell(Arm(True, ("pasted", "gan")), 1.0, 4, 0))
    assert again["scores"] == row["scores"]


@pytest.mark.slow
def test_segmenters_are_compared(folders: tuple[Path, Path]) -> None:
    bench = bench_of(folders[0], {"gan": folders[1]}, ratios=(0.0, 2.0), shots=(4,), seeds=2)
    runner = SegmentRunner(bench, steps=4, threads=1)
    cells = segment_cells(bench)
    assert {cell.arm.name for cell in cells} == {"real", "real+gan"}
    found = Found(bench, [runner.run(cell) for cell in cells], SEGMENT)
    assert found.first_line.startswith("gan: ")
    assert all(0 <= entry.mean <= 1 for entry in found.table.entries.values())
    assert found.to_dict()["primary"] == IOU
    assert len(found.pictures()) == 3
