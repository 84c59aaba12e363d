from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from defects.formats.dataset import open_dataset
from defects.images.crops import CropSpec
from metrics.data.image_set import ImageSet
from tests.builders import sample_folder


@pytest.fixture
def images(tmp_path: Path) -> ImageSet:
    return ImageSet("real", open_dataset(sample_folder(tmp_path / "set", 5)).samples, CropSpec(16, None, 1))


def test_images_and_masks_are_cut_to_the_crop(images: ImageSet) -> None:
    image, mask = images.read(0)
    assert image.shape == (16, 16, 1)
    assert image.dtype == np.uint8
    assert mask.shape == (16, 16)
    assert mask.any()
    assert images.labels == ["crack"] * 4 + ["good"]


def test_batches_hold_every_image_in_order(images: ImageSet) -> None:
    batches = list(images.batches(2))
    assert [len(batch) for batch in batches] == [2, 2, 1]
    np.testing.assert_array_equal(np.concatenate(batches), np.stack([images.read(i)[0] for i in range(5)]))


def test_a_batch_of_nothing_is_refused(images: ImageSet) -> None:
    with pytest.raises(ValueError, match="expected a batch of at least 1 image, got 0"):
        next(images.batches(0))


def test_a_part_shares_what_was_cut(images: ImageSet) -> None:
    first, _ = images.read(3)
    part = images.part([3, 1], name="two")
    assert part.name == "two"
    assert len(part) == 2
    assert part.read(0)[0] is first


def test_memory_is_bounded_and_images_are_read_again(tmp_path: Path) -> None:
    samples = open_dataset(sample_folder(tmp_path / "set", 3)).samples
    images = ImageSet("real", samples, CropSpec(16, None, 1), cache_bytes=600)
    first, second = images.read(0)[0], images.read(1)[0]
    assert images.read(0)[0] is first
    assert images.read(1)[0] is not second
    np.testing.assert_array_equal(images.read(1)[0], second)


def test_what_is_cached_cannot_be_written_to(images: ImageSet) -> None:
    with pytest.raises(ValueError, match="read-only"):
        images.read(0)[0][:] = 0


def test_masks_of_no_image(images: ImageSet) -> None:
    assert images.masks().shape == (5, 16, 16)
    assert images.part([]).masks().shape == (0, 16, 16)
