"""Crops as the evaluation unit: sets in which every image is defective."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from classify.cli.utility import app
from classify.utility.analysis.scores import Resamples
from classify.utility.analysis.verdict import SEGMENT
from classify.utility.design.crop_units import labeled_boxes
from classify.utility.design.division import UNCLEAR, reject_one_class, views_of
from classify.utility.design.sources import shot_order
from classify.utility.design.trials import AUTO, CROPS, IMAGES, Arm, Settings, Trial
from classify.utility.report.results import TaskResult
from classify.utility.runners import features
from classify.utility.runners.finetune import FinetuneRunner
from classify.utility.runners.segmentation import SegmentRunner, segment_trials
from defects.sample import GOOD, Sample
from engine.commands import main
from engine.errors import MagnaError
from tests.builders.errors import raises
from tests.builders.utility import SpotFeatures, bench_of, by_crops, dark_runner, folder, real_folder, spindles


@pytest.fixture(scope="module")
def real(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return spindles(tmp_path_factory.mktemp("crops") / "spindles")


def test_all_images_defective_are_scored_by_crops(real: Path) -> None:
    bench = by_crops(real)
    assert bench.crops is not None
    assert bench.settings.eval_on == CROPS
    assert bench.why.startswith("0 of the ")
    computing = dark_runner(bench)
    rows = [computing.run(trial) for trial in bench.trials]
    assert all(len(row["scores"]) == len(bench.crops.test) == 3 * len(bench.division.test) for row in rows)
    few = [row["images"] for row in rows if row["shots"] == "4" and row["arm"] == "real"]
    assert few[0] == {"real_defective": 4, "real_good_squares": 48, "defective_squares": 4, "good_squares": 48}
    result = TaskResult(bench, rows)
    assert result.to_dict()["unit"] == "squares"
    assert "average precision of crops" in result.first_line
    best = result.table.best("real", "all")
    assert best is not None
    assert best.mean > 0.8
    assert dark_runner(bench).run(bench.trials[-1])["scores"] == rows[-1]["scores"]


def test_crops_of_an_image_and_of_a_part_never_cross_splits(real: Path) -> None:
    scored = by_crops(real).scored
    splits = [scored.train, scored.val, scored.test]
    for name in ("image", "part"):
        sets = [{str(getattr(sample, name)) for sample in part} for part in splits]
        assert all(sets)
        assert sum(len(one) for one in sets) == len(set().union(*sets))
    names = [sample.name for part in splits for sample in part]
    assert len(names) == len(set(names)) == 3 * 36


def test_resamples_of_crops_draw_whole_parts(real: Path) -> None:
    test = by_crops(real).scored.test
    weights = Resamples(test, count=20).weights
    parts = np.asarray([sample.part for sample in test])
    for part in set(parts):
        assert (np.ptp(weights[:, parts == part], axis=1) == 0).all()


def test_good_crops_are_thinned_alike_and_a_larger_number_holds_the_smaller(real: Path) -> None:
    few, more = by_crops(real, good=10), by_crops(real, good=20)
    assert few.crops is not None
    assert more.crops is not None
    names = [{sample.name for sample in bench.backgrounds} for bench in (few, more, by_crops(real, good=10))]
    assert names[0] == names[2] < names[1]
    assert sum(not crop.good for crop in few.crops.train) == len(few.division.train)
    assert any("10 of the 48 good training crops" in note for note in few.notes)
    with raises("E-utility-good", "--good 5000: there are 48 good training crops"):
        by_crops(real, good=5000)


def test_defects_of_the_level_are_pasted_on_good_crops_of_training_images(real: Path) -> None:
    bench = by_crops(real)
    subset = shot_order(bench.defective, 0)[:4]
    pasted = list(bench.paste(subset, 0, 8))
    train = {bench.hashes[sample.name] for sample in bench.division.train}
    assert {one.metadata["defect"]["name"] for one in pasted} <= {sample.name for sample in subset}
    assert {one.metadata["ground"]["sha256"] for one in pasted} <= train
    assert {one.metadata["ground"]["name"] for one in pasted} <= {sample.name for sample in bench.backgrounds}
    assert all(one.image.shape == (64, 64, 1) for one in pasted)
    background = next(sample for sample in bench.backgrounds if sample.name == pasted[0].metadata["ground"]["name"])
    x, y, side, _ = background.metadata["square"]
    image = next(sample for sample in bench.real if sample.image == background.image)
    views = views_of(image, size=64, channels=1, crop=64)
    own = next(view for view in views if view.box == (x, y, side, side))
    assert (np.where(pasted[0].mask[..., None], own.image, pasted[0].image) == own.image).mean() > 0.6


def test_labels_without_decoding_are_those_of_the_views(real: Path) -> None:
    for sample in by_crops(real).real[:3]:
        for crop, least in ((64, 1), (50, 30), (None, 10_000)):
            views = views_of(sample, size=64, channels=1, crop=crop, least=least)
            assert labeled_boxes(sample, crop=crop, least=least) == [(view.box, view.label) for view in views]


def test_unclear_crops_are_not_scored(real: Path) -> None:
    settings = Settings(size=64, crop=24, channels=1, least=40, eval_on=CROPS)
    bench = by_crops(real, settings=settings)
    labels = [label for sample in bench.division.test for _, label in labeled_boxes(sample, crop=24, least=40)]
    assert UNCLEAR in labels
    assert len(bench.scored.test) == sum(label != UNCLEAR for label in labels)


def test_images_are_the_unit_where_enough_are_good(tmp_path: Path) -> None:
    real, fakes = real_folder(tmp_path), folder(tmp_path / "fakes", 40, 0, seed=7)
    usual = bench_of(real, {"gan": fakes})
    bench = bench_of(real, {"gan": fakes}, settings=replace(usual.request.settings, eval_on=AUTO))
    assert bench.settings.eval_on == IMAGES
    assert "images are good, enough" in bench.why
    assert bench.names() == usual.names()
    assert "unit" not in usual.settings.to_dict()


@pytest.mark.parametrize(
    ("words", "exit_code", "code"),
    [
        (["--eval-on", "image"], 1, "E-utility-one-class"),
        (["--eval-on", "photographs"], 1, "E-utility-one-class"),
        (["--eval-on", "places"], 2, "E-utility-settings"),
        (["--good", "5000"], 1, "E-utility-good"),
    ],
)
def test_errors_are_one_line(
    real: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], words: list[str], exit_code: int, code: str
) -> None:
    out = tmp_path / "run"
    assert main(app, [str(real), "--crop", "64", "--shots", "4", "--out", str(out), *words], name="x") == exit_code
    error = capsys.readouterr().err
    assert f"[{code}]" in error
    assert error.count("\n") == 1
    assert not out.exists()


def test_crops_that_are_all_defective_are_rejected(tmp_path: Path) -> None:
    whole = folder(tmp_path / "whole", 24, 0, seed=1)
    with raises("E-utility-too-few", "test crops: 2 groups show a defective one and 0 a good one"):
        by_crops(whole)


@pytest.mark.parametrize("unit", [CROPS, AUTO, IMAGES])
def test_images_without_masks_have_no_crops(unit: str) -> None:
    blind = [Sample(f"{index}", Path("x"), label="pit") for index in range(4)]
    with pytest.raises(MagnaError, match="give masks"):
        reject_one_class(Path("x"), blind, unit)


def test_the_command_names_the_unit_everywhere(
    real: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(features, "FrozenLite0", SpotFeatures)
    words = [str(real), "--crop", "64", "--size", "64", "--shots", "4,all", "--ratios", "0,1", "--seeds", "2"]
    words += ["--steps", "8", "--augmentations", "1", "--no-cache", "--out", str(tmp_path / "run")]
    assert main(app, words, name="bench-utility") == 0
    streams = capsys.readouterr()
    assert "evaluation unit: crop (0 of the " in streams.err
    assert "AP of crops" in streams.out
    summary = json.loads((tmp_path / "run" / "summary.json").read_text())
    assert (summary["unit"], summary["settings"]["unit"]) == ("squares", "squares")
    page = (tmp_path / "run" / "report.html").read_text()
    assert "by crop" in page
    assert "crops, training" in page
    assert main(app, [*words, "--resume", "--json"], name="bench-utility") == 0
    assert json.loads(capsys.readouterr().out)["unit"] == "squares"


@pytest.mark.slow
def test_whole_networks_and_segmenters_learn_from_the_same_crops(real: Path, tmp_path: Path) -> None:
    bench = by_crops(real, good=10)
    brief = replace(bench.settings, mode="finetune", steps=2, batch=4, learning_rate=1e-3)
    trial = Trial(Arm(True, ("pasted",)), 1.0, 4, 0)
    row = FinetuneRunner(replace(bench, settings=brief), tmp_path, threads=1).run(trial)
    assert len(row["scores"]) == len(bench.scored.test)
    assert row["images"] == {"real_defective": 4, "real_good_squares": 10, "pasted": 4}
    segmented = SegmentRunner(bench, steps=2, threads=1)
    rows = [segmented.run(one) for one in segment_trials(bench) if one.shots == 4 and one.ratio in (0.0, 1.0)]
    assert all(len(one["scores"]) == len(bench.scored.test) for one in rows)
    assert "of crops" in TaskResult(bench, rows, SEGMENT).first_line


def test_good_labels_of_crops_are_good(real: Path) -> None:
    crops = by_crops(real).crops
    assert crops is not None
    assert {crop.item.label for crop in crops.test} == {GOOD, "pit"}
    assert sum(crop.good for crop in crops.test) == 2 * sum(not crop.good for crop in crops.test)
