"""Squares as the unit: sets in which every photograph is defective."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from classify.cli.utility import app
from classify.utility.analysis.scores import SEGMENT
from classify.utility.analysis.statistics import Resamples
from classify.utility.design.division import refuse_one_class
from classify.utility.design.few_shot import shot_order
from classify.utility.design.settings import AUTO, PHOTOGRAPHS, SQUARES, Settings
from classify.utility.design.trials import Arm, Cell
from classify.utility.design.views import UNCLEAR, labelled_boxes, views_of
from classify.utility.report.findings import Found
from classify.utility.runners import features
from classify.utility.runners.finetune import FinetuneRunner
from classify.utility.runners.pasting import pasted_images
from classify.utility.runners.segmentation import SegmentRunner, segment_cells
from defects.sample import GOOD, Sample
from engine.commands import main
from engine.errors import DataError
from tests.classify.spindles import by_squares, seeing, spindles
from tests.classify.utility_folders import Looks, bench_of, folder, real_folder


@pytest.fixture(scope="module")
def real(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return spindles(tmp_path_factory.mktemp("squares") / "spindles")


def test_all_photographs_defective_are_scored_by_squares(real: Path) -> None:
    bench = by_squares(real)
    assert bench.squares is not None
    assert bench.settings.unit == SQUARES
    assert bench.why.startswith("0 of the ")
    computing = seeing(bench)
    rows = [computing.run(cell) for cell in bench.cells]
    assert all(len(row["scores"]) == len(bench.squares.test) == 3 * len(bench.division.test) for row in rows)
    few = [row["images"] for row in rows if row["shots"] == "4" and row["arm"] == "real"]
    assert few[0] == {"real_defective": 4, "real_good_squares": 48, "defective_squares": 4, "good_squares": 48}
    found = Found(bench, rows)
    assert found.to_dict()["unit"] == SQUARES
    assert "average precision of squares" in found.first_line
    best = found.table.best("real", "all")
    assert best is not None
    assert best.mean > 0.8
    assert seeing(bench).run(bench.cells[-1])["scores"] == rows[-1]["scores"]


def test_squares_of_a_photograph_and_of_a_part_never_cross_splits(real: Path) -> None:
    scored = by_squares(real).scored
    splits = [scored.train, scored.val, scored.test]
    for told in ("image", "part"):
        sets = [{str(getattr(sample, told)) for sample in part} for part in splits]
        assert all(sets)
        assert sum(len(one) for one in sets) == len(set().union(*sets))
    names = [sample.name for part in splits for sample in part]
    assert len(names) == len(set(names)) == 3 * 36


def test_resamples_of_squares_draw_whole_parts(real: Path) -> None:
    test = by_squares(real).scored.test
    weights = Resamples(test, count=20).weights
    parts = np.asarray([sample.part for sample in test])
    for part in set(parts):
        assert (np.ptp(weights[:, parts == part], axis=1) == 0).all()


def test_good_squares_are_thinned_alike_and_a_larger_number_holds_the_smaller(real: Path) -> None:
    few, more = by_squares(real, good=10), by_squares(real, good=20)
    assert few.squares is not None
    assert more.squares is not None
    names = [{sample.name for sample in bench.background_stats} for bench in (few, more, by_squares(real, good=10))]
    assert names[0] == names[2] < names[1]
    assert sum(not square.good for square in few.squares.train) == len(few.division.train)
    assert any("10 of the 48 good training squares" in note for note in few.notes)
    with pytest.raises(DataError, match="--good 5000: there are 48 good training squares"):
        by_squares(real, good=5000)


def test_defects_of_the_level_are_pasted_on_good_squares_of_training_photographs(real: Path) -> None:
    bench = by_squares(real)
    chosen = shot_order(bench.defective, 0)[:4]
    made = list(pasted_images(bench, chosen, bench.background_stats, 0, 8))
    train = {bench.hashes[sample.name] for sample in bench.division.train}
    assert {one.metadata["defect"]["name"] for one in made} <= {sample.name for sample in chosen}
    assert {one.metadata["ground"]["sha256"] for one in made} <= train
    assert {one.metadata["ground"]["name"] for one in made} <= {sample.name for sample in bench.background_stats}
    assert all(one.image.shape == (64, 64, 1) for one in made)
    ground = next(sample for sample in bench.background_stats if sample.name == made[0].metadata["ground"]["name"])
    x, y, side, _ = ground.metadata["square"]
    photograph = next(sample for sample in bench.real if sample.image == ground.image)
    views = views_of(photograph, size=64, channels=1, window=64)
    shown = next(view for view in views if view.box == (x, y, side, side))
    assert (np.where(made[0].mask[..., None], shown.image, made[0].image) == shown.image).mean() > 0.6


def test_labels_without_decoding_are_those_of_the_views(real: Path) -> None:
    for sample in by_squares(real).real[:3]:
        for window, least in ((64, 1), (50, 30), (None, 10_000)):
            views = views_of(sample, size=64, channels=1, window=window, least=least)
            assert labelled_boxes(sample, window=window, least=least) == [(view.box, view.label) for view in views]


def test_unclear_squares_are_not_scored(real: Path) -> None:
    settings = Settings(size=64, window=24, channels=1, least=40, unit=SQUARES)
    bench = by_squares(real, settings=settings)
    told = [label for sample in bench.division.test for _, label in labelled_boxes(sample, window=24, least=40)]
    assert UNCLEAR in told
    assert len(bench.scored.test) == sum(label != UNCLEAR for label in told)


def test_photographs_are_the_unit_where_enough_are_good(tmp_path: Path) -> None:
    real, fakes = real_folder(tmp_path), folder(tmp_path / "fakes", 40, 0, seed=7)
    usual = bench_of(real, {"gan": fakes})
    bench = bench_of(real, {"gan": fakes}, settings=replace(usual.request.settings, unit=AUTO))
    assert bench.settings.unit == PHOTOGRAPHS
    assert "photographs are good, enough" in bench.why
    assert bench.names() == usual.names()
    assert "unit" not in usual.settings.to_dict()


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (["--unit", "photographs"], 1, "all 36 images are defective"),
        (["--unit", "places"], 2, "--unit"),
        (["--good", "5000"], 1, "good training squares"),
    ],
)
def test_faults_are_one_line(
    real: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], words: list[str], code: int, said: str
) -> None:
    out = tmp_path / "run"
    assert main(app, [str(real), "--window", "64", "--shots", "4", "--out", str(out), *words], name="x") == code
    error = capsys.readouterr().err
    assert said in error
    assert error.count("\n") == 1
    assert not out.exists()


def test_squares_that_are_all_defective_are_refused(tmp_path: Path) -> None:
    whole = folder(tmp_path / "whole", 24, 0, seed=1)
    with pytest.raises(DataError, match="test squares: 2 parts show a defective one and 0 a good one"):
        by_squares(whole)


@pytest.mark.parametrize("unit", [SQUARES, AUTO, PHOTOGRAPHS])
def test_photographs_without_masks_have_no_squares(unit: str) -> None:
    blind = [Sample(f"{index}", Path("x"), label="pit") for index in range(4)]
    with pytest.raises(DataError, match="give masks"):
        refuse_one_class(Path("x"), blind, unit)


def test_the_command_says_the_unit_everywhere(
    real: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(features, "FrozenLite0", Looks)
    words = [str(real), "--window", "64", "--size", "64", "--shots", "4,all", "--ratios", "0,1", "--seeds", "2"]
    words += ["--steps", "8", "--versions", "1", "--no-cache", "--out", str(tmp_path / "run")]
    assert main(app, words, name="bench-utility") == 0
    told = capsys.readouterr()
    assert "unit: squares (0 of the " in told.err
    assert "AP of squares" in told.out
    summary = json.loads((tmp_path / "run" / "summary.json").read_text())
    assert (summary["unit"], summary["settings"]["unit"]) == (SQUARES, SQUARES)
    page = (tmp_path / "run" / "report.html").read_text()
    assert "by square" in page
    assert "squares, training" in page
    assert main(app, [*words, "--resume", "--json"], name="bench-utility") == 0
    assert json.loads(capsys.readouterr().out)["unit"] == SQUARES


@pytest.mark.slow
def test_whole_networks_and_segmenters_learn_from_the_same_squares(real: Path, tmp_path: Path) -> None:
    bench = by_squares(real, good=10)
    brief = replace(bench.settings, mode="finetune", steps=2, batch=4, learning_rate=1e-3)
    cell = Cell(Arm(True, ("pasted",)), 1.0, 4, 0)
    row = FinetuneRunner(replace(bench, settings=brief), tmp_path, threads=1).run(cell)
    assert len(row["scores"]) == len(bench.scored.test)
    assert row["images"] == {"real_defective": 4, "real_good_squares": 10, "pasted": 4}
    segmented = SegmentRunner(bench, steps=2, threads=1)
    rows = [segmented.run(one) for one in segment_cells(bench) if one.shots == 4 and one.ratio in (0.0, 1.0)]
    assert all(len(one["scores"]) == len(bench.scored.test) for one in rows)
    assert "of squares" in Found(bench, rows, SEGMENT).first_line


def test_good_labels_of_squares_are_good(real: Path) -> None:
    squares = by_squares(real).squares
    assert squares is not None
    assert {square.item.label for square in squares.test} == {GOOD, "pit"}
    assert sum(square.good for square in squares.test) == 2 * sum(not square.good for square in squares.test)
