"""Control: a guide that is obeyed, one that is not, and one entry that moves another."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from defects.attributes.guide import CategoricalEntry, GuideSchema, NumericEntry
from defects.images.crops import CropSpec
from defects.masks.width import width
from defects.sample import Sample
from metrics.conditioning.control import EntryControl, control, disturbance
from metrics.conditioning.readings import near
from metrics.data.image_set import ImageSet
from tests.builders import save
from tests.builders.scratches import SIDE, DarkSpots, surface, surfaces, with_defect

THICKNESS, BRIGHTNESS = NumericEntry("thickness", 3.0, 11.0, "px"), NumericEntry("brightness", -0.5, -0.2)
CLASS = CategoricalEntry("kind", ("pit", "scratch"))
SCHEMA = GuideSchema((THICKNESS, BRIGHTNESS, CLASS))


def _bar(thickness: int) -> np.ndarray[tuple[int, int], np.dtype[np.bool_]]:
    mask = np.zeros((SIDE, SIDE), np.uint8)
    cv2.line(mask, (10, 32), (54, 32), 1, thickness)
    return mask > 0


def _requested(root: Path, count: int = 24, *, obedient: bool = True, label_true: bool = True) -> ImageSet:
    """Bars whose width and darkness are the requested ones, or sampled anew when the generator ignores its guide."""
    rng = np.random.default_rng(0)
    samples = []
    for index in range(count):
        requested_all = {"thickness": 1 + 2 * int(rng.integers(2, 6)), "depth": float(rng.uniform(60, 120))}
        generated = (
            requested_all
            if obedient
            else {"thickness": 1 + 2 * int(rng.integers(2, 6)), "depth": float(rng.uniform(60, 120))}
        )
        mask = _bar(int(generated["thickness"]))
        label = mask if label_true else _bar(int(requested_all["thickness"]))
        scaled = {
            "thickness": THICKNESS.scale(width(_bar(int(requested_all["thickness"])))),
            "brightness": BRIGHTNESS.scale(-requested_all["depth"] / 255),
            "kind": "scratch",
        }
        samples.append(
            Sample(
                f"{index:03}",
                save(root / "images" / f"{index:03}.png", with_defect(surface(rng), mask, generated["depth"])),
                save(root / "masks" / f"{index:03}.png", label),
                label="scratch",
                source="synthetic",
                metadata={"guide_scaled": scaled, "mask_source": f"{index % 6}.png"},
            )
        )
    return ImageSet(root.name, samples, CropSpec(SIDE, None, 1))


def _entries(images: ImageSet, real: ImageSet, **more: Any) -> dict[str, EntryControl]:
    found = control(images, SCHEMA, real=real, segmenter=DarkSpots(), **more)
    json.dumps(found.to_dict(), allow_nan=False)
    return {entry.name: entry for entry in found.entries}


@pytest.fixture(scope="module")
def real(tmp_path_factory: pytest.TempPathFactory) -> ImageSet:
    return surfaces(tmp_path_factory.mktemp("real"), 16, seed=7)


def test_a_guide_that_is_obeyed_has_a_high_score(real: ImageSet, tmp_path: Path) -> None:
    entries = _entries(_requested(tmp_path), real)
    for name in ("thickness", "brightness"):
        entry = entries[name]
        assert entry.spearman is not None, name
        assert entry.spearman > 0.8, name
        assert entry.calibration_error is not None, name
        assert entry.calibration_error < 0.2, name
        assert entry.count == 24, name
    assert entries["thickness"].reference is not None
    assert entries["thickness"].reference < 0.2


def test_a_guide_that_is_ignored_has_a_low_score_even_where_the_labels_obey(real: ImageSet, tmp_path: Path) -> None:
    entries = _entries(_requested(tmp_path, obedient=False, label_true=False), real)
    for name in ("thickness", "brightness"):
        spearman = entries[name].spearman
        assert spearman is not None, name
        assert abs(spearman) < 0.5, name
    assert entries["thickness"].calibration_error is not None
    assert entries["thickness"].calibration_error > 0.25


def test_a_defect_that_is_not_there_has_no_width(real: ImageSet, tmp_path: Path) -> None:
    images = _requested(tmp_path)
    found = control(images, SCHEMA, real=real, segmenter=DarkSpots(), predicted=np.zeros((24, SIDE, SIDE), bool))
    assert found.entries[0].measured == (None,) * 24
    assert "not found where the labels are" in found.entries[0].why


def test_what_cannot_be_measured_says_why(real: ImageSet, tmp_path: Path) -> None:
    images = _requested(tmp_path, 4)
    schema = GuideSchema((*SCHEMA.entries, NumericEntry("roughness", 0, 1), NumericEntry("age", 0, 1)))
    for sample, value in zip(images.samples, (0.1, 0.2, 0.3, 0.4), strict=True):
        sample.metadata["guide_scaled"]["roughness"] = value
    why = {entry.name: entry.why for entry in control(images, schema, real=real).entries}
    assert why == {
        "thickness": "no segmenter; thickness is measured on what it finds in the image",
        "brightness": "",
        "kind": "requested value does not vary; ask for several values of kind",
        "roughness": "nothing here can see roughness in an image",
        "age": "no value of age was requested",
    }


def _with_classes(images: ImageSet, classes: list[str]) -> ImageSet:
    samples = [
        replace(sample, metadata={**sample.metadata, "guide_scaled": {"kind": class_name}})
        for sample, class_name in zip(images.samples, classes, strict=True)
    ]
    return ImageSet(images.name, samples, images.crop_spec)


def test_classes_are_recognized_by_what_real_images_look_like(real: ImageSet, tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    classes = ["pit", "scratch"] * 12
    images = _with_classes(_requested(tmp_path), classes)
    real_features = (
        rng.normal(size=(16, 8)) + 6 * np.asarray([class_name == "pit" for class_name in real.labels])[:, None]
    )
    features = rng.normal(size=(24, 8)) + 6 * np.asarray([class_name == "pit" for class_name in classes])[:, None]
    obeyed = _entries(images, real, features=features, real_features=real_features)["kind"]
    assert obeyed.accuracy == 1
    assert obeyed.reference == 1
    assert obeyed.confusion == ((12, 0), (0, 12))
    swapped = _entries(images, real, features=features[::-1].copy(), real_features=real_features)["kind"]
    assert swapped.accuracy == 0
    assert swapped.confusion == ((0, 12), (12, 0))


def test_a_class_entry_that_real_images_do_not_carry_is_compared_among_other_masks(
    real: ImageSet, tmp_path: Path
) -> None:
    rng = np.random.default_rng(0)
    backgrounds = [f"background-{1 + index % 2}" for index in range(24)]
    images = _requested(tmp_path)
    for sample, background in zip(images.samples, backgrounds, strict=True):
        sample.metadata["guide_scaled"]["background"] = background
        sample.metadata["mask_source"] = f"{rng.integers(6)}.png"  # type: ignore[index]
    schema = GuideSchema((CategoricalEntry("background", ("background-1", "background-2")),))
    shown = (
        rng.normal(size=(24, 8)) + 6 * np.asarray([background == "background-1" for background in backgrounds])[:, None]
    )
    (obeyed,) = control(images, schema, real=real, features=shown, real_features=rng.normal(size=(16, 8))).entries
    assert obeyed.accuracy == 1
    assert "of other masks" in obeyed.how
    (ignored,) = control(images, schema, real=real, features=rng.normal(size=(24, 8))).entries
    assert ignored.accuracy is not None
    assert ignored.accuracy < 0.8


def test_found_pixels_far_from_the_label_do_not_count() -> None:
    label, found = np.zeros((SIDE, SIDE), bool), np.zeros((SIDE, SIDE), bool)
    label[20:24, 20:40] = True
    found[21:26, 20:40] = True
    found[50:60, 5:20] = True
    np.testing.assert_array_equal(np.flatnonzero(near(found, label).any(axis=1)), np.arange(21, 26))


def test_an_entry_that_moves_another_shows_next_to_the_diagonal() -> None:
    rng = np.random.default_rng(0)
    a, b = rng.random(200), rng.random(200)
    matrix = disturbance([a.tolist(), b.tolist()], [a.tolist(), (b + 0.7 * a).tolist()])
    assert matrix[0, 0] > 0.99
    assert matrix[1, 1] > 0.9
    assert matrix[0, 1] > 0.6
    assert abs(matrix[1, 0]) < 0.15


def test_requests_that_rise_together_are_not_taken_for_disturbance() -> None:
    rng = np.random.default_rng(0)
    a = rng.random(300)
    b = a + 0.2 * rng.random(300)
    measured = [(a + 0.05 * rng.random(300)).tolist(), (b + 0.05 * rng.random(300)).tolist()]
    assert np.corrcoef(a, measured[1])[0, 1] > 0.9
    matrix = disturbance([a.tolist(), b.tolist()], measured)
    assert abs(matrix[0, 1]) < 0.3
    assert abs(matrix[1, 0]) < 0.3
    assert min(matrix[0, 0], matrix[1, 1]) > 0.75


def test_a_class_entry_can_disturb_and_be_disturbed() -> None:
    rng = np.random.default_rng(0)
    classes = rng.choice(["x", "y", "z"], 300)
    a = rng.random(300)
    shift = np.asarray([{"x": 0.0, "y": 1.0, "z": 2.0}[class_name] for class_name in classes])
    matrix = disturbance([a.tolist(), classes.tolist()], [(a + shift).tolist(), classes.tolist()])
    assert matrix[1, 0] > 0.8
    assert matrix[1, 1] == pytest.approx(1)
    assert matrix[0, 1] < 0.15


def test_what_does_not_vary_has_no_disturbance() -> None:
    matrix = disturbance([[0.1, 0.2, 0.3, 0.4, 0.5], [1.0] * 5], [[1.0, 3.0, 2.0, 4.0, 5.0], [None] * 5])
    assert matrix[0, 0] == pytest.approx(0.9)
    assert np.isnan([matrix[0, 1], matrix[1, 0], matrix[1, 1]]).all()
    same = [0.1, 0.5, 0.3, 0.2, 0.4]
    assert np.isnan(disturbance([same, same], [same, same])).all()
