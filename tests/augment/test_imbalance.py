"""The imbalance report: numbers in closed form, verdicts on data sets built to suffer or not, a page of one file."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from augment.balancing.output import write_report
from augment.balancing.report import imbalance_report
from augment.balancing.strata import Measure, measure_image
from augment.balancing.verdicts import Verdict, verdicts
from defects.images.crops import CropSpec
from defects.sample import Sample
from tests.builders.errors import raises
from tests.builders.surfaces import SHAPE, blob, defective, good, surface


def _measure(label: str, mask: np.ndarray, group: str = "") -> Measure:
    return measure_image(Sample("x", Path("x.png"), Path("m.png"), label=label, group=group), surface(0), mask)


def _box(y: int, x: int, height: int, width: int) -> np.ndarray:
    mask = np.zeros(SHAPE, bool)
    mask[y : y + height, x : x + width] = True
    return mask


NONE = np.zeros(SHAPE, bool)


def _verdict(measures: list[Measure], name: str, task: str = "") -> Verdict:
    return next(v for v in verdicts(measures) if v.name.startswith(name) and v.task.startswith(task))


def test_an_instance_is_measured_in_closed_form() -> None:
    found = _measure("pit", _box(10, 20, 4, 12) | _box(0, 60, 5, 5))
    strip, corner = sorted(found.instances, key=lambda i: i.box[0])
    assert (strip.area, strip.box, strip.truncated) == (48, (20, 10, 12, 4), False)
    assert strip.elongation == pytest.approx(3.0)
    assert strip.solidity == pytest.approx(1.0)
    assert (corner.area, corner.truncated, corner.elongation) == (25, True, pytest.approx(1.0))
    assert found.share == pytest.approx(73 / (96 * 128))


def test_a_single_pixel_is_round_and_full() -> None:
    (one,) = _measure("pit", _box(5, 5, 1, 1)).instances
    assert (one.elongation, one.solidity) == (pytest.approx(1), pytest.approx(1))


def test_a_balanced_set_does_not_suffer_from_binary_imbalance() -> None:
    even = [_measure("good", NONE)] * 5 + [_measure("pit", _box(9, 9, 9, 9))] * 5
    odd = [_measure("good", NONE)] * 15 + [_measure("pit", _box(9, 9, 9, 9))] * 5
    assert (_verdict(even, "binary").suffers, _verdict(even, "binary").value) == (False, 1.0)
    assert (_verdict(odd, "binary").suffers, _verdict(odd, "binary").value) == (True, 3.0)


@pytest.mark.parametrize(
    ("counts", "name"),
    [
        ((50, 50, 50, 5), "few minority / many majority"),
        ((50, 50, 5, 5), "many minority / many majority"),
        ((50, 5, 5, 5), "many minority / few majority"),
    ],
)
def test_multi_class_imbalance_is_named_by_how_many_classes_are_rare(counts: tuple[int, ...], name: str) -> None:
    labels = ("good", "crack", "pit", "spot")
    measures = [
        _measure(label, NONE if label == "good" else _box(9, 9, 9, 9))
        for label, count in zip(labels, counts, strict=True)
        for _ in range(count)
    ]
    found = _verdict(measures, "multi-class")
    assert found.name == f"multi-class, {name}"
    assert (found.suffers, found.value) == (True, 10.0)


def test_pixels_and_foreground_are_counted_over_the_whole_set() -> None:
    small = [_measure("pit", _box(9, 9, 8, 8))] * 2
    assert _verdict(small, "pixel-wise").value == pytest.approx((96 * 128 - 64) / 64)
    assert _verdict(small, "foreground").value == pytest.approx(96 * 128 / 64)
    assert _verdict(small, "pixel-wise").suffers
    large = [_measure("pit", _box(0, 0, 80, 100))]
    assert _verdict(large, "pixel-wise").suffers is False
    assert _verdict(large, "foreground").suffers is False


def test_scale_and_deformation_measure_the_spread() -> None:
    same = [_measure("pit", _box(9, 9, 10, 10))] * 4
    spread = [_measure("pit", _box(9, 9, 3, 3)), _measure("pit", _box(9, 9, 60, 60))] * 3
    bent = [_measure("pit", _box(9, 9, 10, 10)), _measure("pit", _box(9, 9, 4, 60))] * 3
    assert _verdict(same, "scale").suffers is False
    assert (_verdict(spread, "scale").suffers, _verdict(spread, "scale").value) == (True, 20.0)
    assert _verdict(same, "deformation").suffers is False
    assert _verdict(bent, "deformation").suffers is True


def test_occlusion_is_not_guessed() -> None:
    for task in ("segmentation", "detection"):
        found = _verdict([_measure("pit", _box(0, 0, 5, 5))], "occlusion", task)
        assert (found.suffers, found.value) == (None, None)
        assert "1 of 1 defects reach the border" in found.what


def test_every_verdict_says_its_number_or_why_there_is_none() -> None:
    for measures in ([_measure("good", NONE)], [_measure("pit", _box(3, 3, 5, 5))] * 3):
        for verdict in verdicts(measures):
            assert (verdict.value is None) == (verdict.suffers is None) == verdict.what.startswith("unknown")
    assert len(verdicts([_measure("good", NONE)])) == 8


def test_the_report_counts_classes_groups_and_pixels(tmp_path: Path) -> None:
    samples = good(tmp_path) + defective(tmp_path) + defective(tmp_path, "chip", count=1, edge=True)
    report = imbalance_report(samples)
    data = report.to_dict()
    assert list(data["kinds"]) == ["good", "chip", "pit"]
    assert (data["kinds"]["pit"]["images"], data["kinds"]["pit"]["groups"]) == (4, 2)
    area = sum(int(blob((50 + 6 * i, 40 + 3 * i), (6 + 2 * i, 4 + i)).sum()) for i in range(4))
    assert data["kinds"]["pit"]["defect_pixels"] == area
    assert len(data["cells"]) == 18
    assert sum(stratum["count"] for stratum in data["cells"]) == 5
    assert set(data["empty_cells"]) == {c.name for c in report.strata if c.count == 0}
    assert any("chip has a single image" in warning for warning in report.warnings)
    text = "\n".join(report.lines())
    assert "small/dark" in text
    assert "unknown" in text
    json.dumps(data, allow_nan=False)


def test_a_crop_spec_measures_crops(tmp_path: Path) -> None:
    report = imbalance_report(defective(tmp_path), CropSpec(32, 48, 1))
    assert {m.shape for m in report.measures} == {(32, 32)}
    assert report.to_dict()["framing"] == {"size": 32, "window": 48}


def test_the_page_holds_its_figures_and_escapes_names(tmp_path: Path) -> None:
    report = imbalance_report(good(tmp_path) + defective(tmp_path))
    paths = write_report(report, tmp_path / "report", title="<tiles>")
    page = paths[0].read_text()
    assert page.count("data:image/png;base64,") == 4
    assert "&lt;tiles&gt;" in page
    assert "http" not in page
    assert "<tiles>" not in page
    assert all(path.is_file() for path in paths)


def test_a_set_without_defects_gets_a_report_too(tmp_path: Path) -> None:
    report = imbalance_report(good(tmp_path))
    assert (report.strata, report.terciles) == ([], None)
    assert write_report(report, tmp_path / "report")[0].is_file()
    assert report.lines()
    with raises("E-report-no-images"):
        imbalance_report([])
