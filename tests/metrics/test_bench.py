"""What is measured of which images: memorized ones, wrong labels, guide values, by a segmenter that knows the truth."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import numpy as np
import pytest

from defects.images.crops import CropSpec
from engine.files.atomic import sha256_file
from metrics.bench import evaluation
from metrics.bench.comparison import Comparison, Request, open_comparison
from metrics.bench.derived_scores import further_scores, score_names
from metrics.bench.evidence import Evidence
from metrics.bench.run import Options, measure
from metrics.bench.summary import results_of, sample_rows
from metrics.data.image_set import ImageSet
from metrics.features.onnx_network import Network
from metrics.report.build import build_page, render
from tests.builders.bench import SCHEMA, folder, images_of, network, trained_on


class Dark:
    """Finds what is darker than anything a good surface shows."""

    def predict(self, images: ImageSet) -> np.ndarray:
        found = [images.read(at)[0][..., 0] < 85 for at in range(len(images))]
        return np.stack(found) if found else np.zeros((0, images.crop_spec.size, images.crop_spec.size), bool)


@pytest.fixture
def comparison(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Comparison:
    monkeypatch.setattr(evaluation, "load_or_train", lambda *_, **__: Dark())
    real = folder(tmp_path / "real", 24, good=2)
    fake = trained_on(folder(tmp_path / "fake", 14, seed=1, source="synthetic"), *images_of(real)[:12])
    copier = trained_on(folder(tmp_path / "copier", 12, seed=0, source="synthetic"), *images_of(real)[:12])
    return open_comparison(Request(real, (("magna", fake), ("copier", copier)), held_out=True))


def measured(comparison: Comparison, skip: frozenset[str] = frozenset()) -> Evidence:
    net = Network(network(comparison.request.real.parent / "net.onnx"))
    return measure(comparison, [net], Options(resamples=20, skip=skip))


def test_crop_specs_and_sets(comparison: Comparison) -> None:
    assert comparison.crop_spec == CropSpec(32, None, 1)
    assert (len(comparison.real), len(comparison.train), len(comparison.held)) == (12, 12, 12)
    assert [len(source.training_images) for source in comparison.sources] == [12, 12]


def test_a_copier_is_caught_and_an_honest_generator_is_not(comparison: Comparison) -> None:
    found = measured(comparison)
    copier, magna = found.sources["copier"].memorization, found.sources["magna"].memorization
    assert copier is not None
    assert magna is not None
    assert copier.memorized
    assert copier.share_memorized == 1.0
    assert not magna.memorized
    rows = [row for row in sample_rows(comparison, found) if row.source == "copier"]
    assert [row.nearest for row in rows] == [f"real-0-{index:02d}" for index in range(12)]
    assert all(row.nearest_ratio == pytest.approx(0, abs=1e-3) for row in rows)


def test_every_name_of_a_gate_has_a_score(comparison: Comparison) -> None:
    found = measured(comparison)
    results = results_of(comparison, found, {})
    names = score_names(["onnx_net"], [SCHEMA])
    for source in results.sources:
        assert [score.name for score in source.scores] == names
        assert all(score.value is not None or score.why for score in source.scores)


def test_each_part_can_be_left_out_and_is_listed(comparison: Comparison) -> None:
    found = measured(comparison, frozenset({"control", "labels", "memorization", "tsne"}))
    results = results_of(comparison, found, {})
    why = {missing.what: missing.why for missing in results.missing}
    assert {why[part] for part in ("control", "labels", "memorization", "tsne")} == {"left out by --skip"}
    scores = {score.name: score for score in results.sources[0].scores}
    assert scores["label_iou"].why == scores["control_kind"].why == scores["c_t"].why == "left out by --skip"
    assert b'id="missing"' in render(build_page(comparison, found, results))


def test_the_page_shows_every_part_of_every_source(comparison: Comparison) -> None:
    found = measured(comparison)
    page = build_page(comparison, found, results_of(comparison, found, {"seed": 0}))
    assert [one.source for one in page.labels] == [one.source for one in page.memories] == ["magna", "copier"]
    assert {grid.class_name for grid in page.grids} == {"pit", "scratch"}
    assert [shelf.name for shelf in page.grids[0].shelves] == ["real", "magna", "copier"]
    assert page.places is not None
    assert len(page.places.points) == 12 + 12 + 14 + 12
    assert [curve.name for curve in page.controls[0].curves] == ["Brightness"]
    marks = {name: [answer.mark for answer in answers] for name, _, _, answers in page.sources}
    assert marks["copier"][3] == "poor"
    assert marks["magna"][3] == "good"
    assert len(render(page)) < 8_000_000


def test_labels_next_to_the_defect_fail_visibly(comparison: Comparison) -> None:
    source = comparison.sources[0]
    shifted = [
        dataclasses.replace(sample, mask=source.images.samples[at - 1].mask)
        for at, sample in enumerate(source.images.samples)
    ]
    wrong = dataclasses.replace(source, images=ImageSet("wrong", shifted, source.images.crop_spec), name="wrong")
    found = measured(dataclasses.replace(comparison, sources=[source, wrong]))
    right, comparison_text = ({s.name: s for s in further_scores(comparison, found, one)} for one in (source, wrong))
    assert right["label_iou"].value is not None
    assert comparison_text["label_iou"].value is not None
    assert comparison_text["label_iou"].value < 0.3 < right["label_iou"].value
    assert right["label_iou"].baseline is not None


def test_halved_real_images_are_one_group_on_the_map(tmp_path: Path) -> None:
    real, fake = folder(tmp_path / "real", 16), folder(tmp_path / "fake", 8, seed=1, source="synthetic")
    comparison = open_comparison(Request(real, (("other", fake),)))
    found = measured(comparison, frozenset({"labels"}))
    assert [images.name for images, _ in found.places] == ["real", "other"]
    assert {missing.what for missing in found.missing} == {"control", "labels", "memorization"}


def test_real_training_images_give_the_baseline_where_they_are_at_hand(comparison: Comparison) -> None:
    found = measured(comparison, frozenset({"labels", "control", "memorization", "tsne"}))
    scores = {score.name: score for score in found.sources["magna"].scores}
    assert scores["fid_onnx_net"].estimator.endswith("; baseline: real halves, groups not split")  # only 12 of them


def test_as_many_training_images_as_synthetic_ones_are_scored(tmp_path: Path) -> None:
    real = folder(tmp_path / "real", 52)
    fake = trained_on(folder(tmp_path / "fake", 22, seed=1, source="synthetic"), *images_of(real)[:40])
    comparison = open_comparison(Request(real, (("magna", fake),), held_out=True))
    found = measured(comparison, frozenset({"labels", "control", "memorization", "tsne"}))
    scores = {score.name: score for score in found.sources["magna"].scores}
    assert scores["fid_onnx_net"].estimator.endswith("; baseline: as many real training images")
    memorized = open_comparison(Request(real, (("copier", trained_on(real, *images_of(real)[:40])),), held_out=True))
    assert any("are files of --real, byte for byte" in note for note in memorized.notes)
    baseline, value = scores["fid_onnx_net"].baseline, scores["fid_onnx_net"].value
    assert baseline is not None
    assert value is not None
    assert baseline < value


def test_the_segmenter_is_not_trained_on_the_backgrounds_of_blended_images(tmp_path: Path) -> None:
    real = folder(tmp_path / "real", 16, good=4)
    files = images_of(real)
    fake = trained_on(folder(tmp_path / "fake", 6, seed=2, source="synthetic"), *files[:8], *files[16:])
    rows = [json.loads(line) for line in (fake / "metadata.jsonl").read_text().splitlines()]
    rows[0]["background"] = {"name": "good", "sha256": sha256_file(files[16])}
    (fake / "metadata.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    opened = open_comparison(Request(real, (("blend", fake),), held_out=True))
    left_out = {sample.image for sample in opened.train.samples} - {
        sample.image for sample in evaluation.without_backgrounds(opened).samples
    }
    assert left_out == {files[16], files[17]}
