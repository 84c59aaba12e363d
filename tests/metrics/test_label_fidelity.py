"""Label fidelity: what a generator whose defects are missing, or next to their masks, must not get away with."""

from __future__ import annotations

import json
from pathlib import Path

import cv2
import numpy as np
import pytest

from defects.formats.dataset import open_dataset
from defects.images.crops import CropSpec
from defects.synthetic.mpi_dataset import dataset
from metrics.data.image_set import ImageSet
from metrics.labels.fidelity import fidelity, label_fidelity, overlaps
from metrics.labels.network import SegmenterSettings
from metrics.labels.segmenter import Segmenter, train_segmenter
from tests.builders.scratches import DarkSpots, surfaces


def _block(at: int, side: int = 4) -> np.ndarray[tuple[int, int], np.dtype[np.bool_]]:
    mask = np.zeros((16, 16), bool)
    mask[at : at + side, at : at + side] = True
    return mask


EMPTY = np.zeros((16, 16), bool)


def test_overlap_is_intersection_over_union_and_1_for_two_empty_masks() -> None:
    found = np.stack([_block(2), _block(4), _block(9), EMPTY, EMPTY])
    written = np.stack([_block(2), _block(2), _block(2), EMPTY, _block(2)])
    np.testing.assert_allclose(overlaps(found, written), [1, 4 / 28, 0, 1, 0])


def test_masks_of_other_shapes_are_refused() -> None:
    with pytest.raises(ValueError, match=r"of one shape, got \(1, 16, 16\) and \(2, 16, 16\)"):
        overlaps(EMPTY[None], np.stack([EMPTY, EMPTY]))


def test_means_stand_by_class_by_size_and_for_defects_alone() -> None:
    written = np.stack([_block(2, 2), _block(2, 4), _block(2, 8), EMPTY, EMPTY])
    found = np.stack([_block(2, 2), _block(2, 4), EMPTY, EMPTY, _block(3)])
    result = fidelity(found, written, classes=["pit", "pit", "scratch", "good", "good"])
    assert result.mean == pytest.approx(3 / 5)
    assert result.defective.value == pytest.approx(2 / 3)
    assert {class_name: mean.value for class_name, mean in result.by_class.items()} == {
        "good": 0.5,
        "pit": 1,
        "scratch": 0,
    }
    assert {size: (mean.value, mean.count) for size, mean in result.by_size.items()} == {
        "small": (1, 1), "medium": (1, 1), "large": (0, 1),
    }  # fmt: skip
    assert result.missed == pytest.approx(1 / 3)
    assert result.false_alarms == 0.5
    assert "per_image" not in json.dumps(result.to_dict())


def test_size_bounds_of_another_set_are_used() -> None:
    written = np.stack([_block(2, 2), _block(2, 3)])
    result = fidelity(written, written, classes=["pit", "pit"], size_bounds=(20.0, 30.0))
    assert [result.by_size[size].count for size in ("small", "medium", "large")] == [2, 0, 0]
    assert result.by_size["large"].value is None


def test_images_of_one_part_widen_the_interval() -> None:
    values = np.asarray([1, 0] * 20, bool)
    found = values[:, None, None] & _block(2)
    written = np.broadcast_to(_block(2), found.shape)
    classes = ["pit"] * 40
    alone = fidelity(found, written, classes=classes)
    together = fidelity(found, written, classes=classes, parts=[str(v) + str(i // 10) for i, v in enumerate(values)])
    assert alone.mean == together.mean == 0.5
    assert None not in (alone.low, alone.high, together.low, together.high)
    assert together.high - together.low > 1.5 * (alone.high - alone.low)  # type: ignore[operator]
    assert fidelity(found[:1], written[:1], classes=["pit"]).low is None


def test_the_same_seed_gives_the_same_interval() -> None:
    rng = np.random.default_rng(0)
    found, written = rng.random((20, 16, 16)) < 0.3, rng.random((20, 16, 16)) < 0.3
    first, second = (fidelity(found, written, classes=["pit"] * 20, seed=5) for _ in range(2))
    assert (first.low, first.high) == (second.low, second.high)
    assert first.low < first.mean < first.high  # type: ignore[operator]


def test_an_empty_set_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="expected images and a class for each, got 0"):
        fidelity(np.zeros((0, 8, 8), bool), np.zeros((0, 8, 8), bool), classes=[])


def test_labels_of_defects_that_are_missing_or_lie_next_to_them_have_no_fidelity(tmp_path: Path) -> None:
    finder = DarkSpots()
    true = label_fidelity(finder, surfaces(tmp_path / "true", 12, good=2))
    nothing = label_fidelity(finder, surfaces(tmp_path / "nothing", 12, sampled=False))
    comparison_text = label_fidelity(finder, surfaces(tmp_path / "beside", 12, label_shift=14))
    assert true.defective.low > 0.7  # type: ignore[operator]
    assert nothing.mean == 0
    assert nothing.missed == 1
    assert comparison_text.high < 0.2  # type: ignore[operator]


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Segmenter:
    train = surfaces(tmp_path_factory.mktemp("train"), 24, seed=1, good=8)
    return train_segmenter(train, settings=SegmenterSettings(steps=40, batch=6, learning_rate=4e-3, warmup=5))


@pytest.mark.slow
def test_a_trained_segmenter_sees_defects_that_are_missing_or_next_to_their_labels(
    trained: Segmenter, tmp_path: Path
) -> None:
    true = label_fidelity(trained, surfaces(tmp_path / "true", 10, seed=2, good=4))
    nothing = label_fidelity(trained, surfaces(tmp_path / "nothing", 10, seed=2, sampled=False))
    comparison_text = label_fidelity(trained, surfaces(tmp_path / "beside", 10, seed=2, label_shift=14))
    assert true.defective.value > 0.5  # type: ignore[operator]
    assert nothing.mean < 0.2  # type: ignore[operator]
    assert comparison_text.mean < 0.2  # type: ignore[operator]


@pytest.mark.slow
def test_on_procedural_fasteners_true_labels_stand_and_planted_errors_fall(tmp_path: Path) -> None:
    dataset(tmp_path, 90, size=128, seed=5)
    samples = open_dataset(tmp_path).samples
    crop_spec = CropSpec(128, None, 3)
    held = ImageSet("held", samples[60:], crop_spec)
    segmenter = train_segmenter(ImageSet("train", samples[:60], crop_spec), settings=SegmenterSettings(steps=150))
    predicted = segmenter.predict(held)
    true = label_fidelity(segmenter, held, predicted=predicted)
    marked = np.flatnonzero(held.masks().any(axis=(1, 2)))
    classes, labels = ["defect"] * len(marked), held.masks()[marked]
    comparison_text = fidelity(predicted[marked], np.roll(labels, 24, axis=(1, 2)), classes=classes)
    erased = []
    for index in marked:
        image, mask = held.read(int(index))
        near = cv2.dilate(mask.astype(np.uint8), np.ones((15, 15), np.uint8))
        erased.append(cv2.inpaint(image, near, 5, cv2.INPAINT_TELEA))
    nothing = fidelity(segmenter.probabilities(np.stack(erased)) >= 0.5, labels, classes=classes)
    assert true.defective.low > 0.5  # type: ignore[operator]
    assert comparison_text.mean < 0.2  # type: ignore[operator]
    assert nothing.mean < 0.2  # type: ignore[operator]
