"""Examples: how they are cropped and labeled, and that an image is decoded once."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import classify.data.examples
from classify.config import DataConfig
from classify.data.examples import examples_of
from defects.formats.dataset import open_dataset
from defects.images.decode import encode_image
from defects.sample import Sample
from engine.errors import DataError
from tests.builders.classifiers import defect_image, parts
from tests.builders.errors import raises

TILES = DataConfig.model_validate({"size": 16, "tile": {"side": 16, "overlap": 4, "pixels": 5}})


def samples(root: Path, *labels: str) -> list[Sample]:
    return open_dataset(parts(root, labels)).samples


def test_whole_images_become_crops_with_their_class(tmp_path: Path) -> None:
    examples = examples_of(samples(tmp_path, "crack", "good", "pit"), DataConfig(size=32), "binary")
    assert examples.classes == ("good", "defect")
    assert examples.labels.tolist() == [1, 0, 1]
    image, mask = examples.read(0)
    assert image.shape == (32, 32, 3)
    assert image.dtype == np.uint8
    assert mask.any()
    assert not examples.read(1)[1].any()


def test_defect_classes_are_classes(tmp_path: Path) -> None:
    examples = examples_of(samples(tmp_path, "crack", "good", "pit"), DataConfig(size=32), "classes")
    assert examples.classes == ("good", "crack", "pit")
    assert examples.counts == {"good": 1, "crack": 1, "pit": 1}


def test_a_tile_is_what_lies_at_its_place_and_defective_by_its_own_pixels(tmp_path: Path) -> None:
    found = samples(tmp_path, "crack")
    image, mask = defect_image(0, "crack")
    examples = examples_of(found, TILES, "binary")
    assert len(examples) == 9
    for index, example in enumerate(examples.examples):
        assert example.box is not None
        x, y, width, height = example.box
        cut = slice(y, y + height), slice(x, x + width)
        assert np.array_equal(examples.read(index)[0], image[cut])
        assert np.array_equal(examples.read(index)[1], mask[cut])
        assert example.label == int(mask[cut].sum() >= 5)
    assert set(examples.labels.tolist()) == {0, 1}


def test_tiles_of_a_class_without_good_images_still_have_a_good_class(tmp_path: Path) -> None:
    examples = examples_of(samples(tmp_path, "crack", "pit"), TILES, "classes")
    assert examples.classes == ("good", "crack", "pit")
    assert all(examples.counts.values())


def test_a_tile_is_resized_to_the_input_of_the_network(tmp_path: Path) -> None:
    data = TILES.model_copy(update={"size": 32, "channels": 1})
    examples = examples_of(samples(tmp_path, "crack"), data, "binary")
    assert examples.read(0)[0].shape == (32, 32, 1)
    assert examples.batch([0, 3]).shape == (2, 32, 32, 1)


def test_an_image_is_decoded_once_for_all_its_tiles_and_parts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    read: list[str] = []
    original = classify.data.examples.read_sample

    def counted(sample: Sample) -> object:
        read.append(sample.name)
        return original(sample)

    monkeypatch.setattr(classify.data.examples, "read_sample", counted)
    examples = examples_of(samples(tmp_path, "crack", "good"), TILES, "binary")
    half = examples.part(range(12))
    for index in range(len(half)):
        half.read(index)
    for index in range(len(examples)):
        examples.read(index)
    assert sorted(read) == ["part_00", "part_01"]


def test_what_is_read_cannot_be_written_to(tmp_path: Path) -> None:
    examples = examples_of(samples(tmp_path, "crack"), DataConfig(size=40), "binary")
    with pytest.raises(ValueError, match="read-only"):
        examples.read(0)[0][0, 0] = 1


def test_a_defect_that_nobody_outlined_can_be_classified_but_not_tiled(tmp_path: Path) -> None:
    bare = [replace(sample, mask=None) for sample in samples(tmp_path, "crack")]
    image, mask = examples_of(bare, DataConfig(size=32), "binary").read(0)
    assert image.any()
    assert not mask.any()
    with pytest.raises(DataError, match="no mask"):
        examples_of(bare, TILES, "binary")


def test_a_tile_larger_than_the_image_is_rejected(tmp_path: Path) -> None:
    data = DataConfig.model_validate({"size": 32, "tile": {"side": 64}})
    with pytest.raises(DataError, match=r"40 x 40 px is smaller than a tile of 64 px"):
        examples_of(samples(tmp_path, "crack"), data, "binary")


def test_a_label_that_is_no_class_is_rejected(tmp_path: Path) -> None:
    with raises("E-classify-unknown-class"):
        examples_of(samples(tmp_path, "pit"), DataConfig(size=32), "classes", ("good", "crack"))


def test_the_crop_is_that_of_the_generators(tmp_path: Path) -> None:
    from defects.images.crops import CropSpec, read_crop

    path = tmp_path / "wide.png"
    path.write_bytes(encode_image(np.random.default_rng(0).integers(0, 255, (40, 90, 3)).astype(np.uint8)))
    wide = Sample("wide", path)
    image, _ = examples_of([wide], DataConfig(size=32, fit="crop", crop=36), "binary").read(0)
    assert np.array_equal(image, read_crop(wide, CropSpec(32, 36, 3))[0])
