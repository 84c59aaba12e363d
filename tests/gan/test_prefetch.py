"""Windows cut by any number of threads: the same ones in the same order."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from defects.formats.dataset import open_dataset
from gan.data.crops import TrainingCrop
from gan.data.dataset import Prepared, prepare
from gan.data.loader import epoch_crops
from tests.builders.errors import raises
from tests.builders.gan import sample_folder, tiny

CONFIG = tiny(train={"batch_size": 2}, data={"test_fraction": 0.0, "good_per_defect": 1.0})


@pytest.fixture(scope="module")
def parts(tmp_path_factory: pytest.TempPathFactory) -> Prepared:
    return prepare(open_dataset(sample_folder(tmp_path_factory.mktemp("parts") / "data")), CONFIG)


def pixels(batches: list[list[TrainingCrop]]) -> list[list[bytes]]:
    return [[w.image.tobytes() + w.mask.tobytes() + w.condition.tobytes() for w in batch] for batch in batches]


@pytest.mark.parametrize("workers", [1, 2, 7])
def test_the_crops_do_not_depend_on_the_number_of_threads(parts: Prepared, workers: int) -> None:
    fresh = prepare(open_dataset(parts.train.samples[0].image.parents[1]), CONFIG, workers=workers)
    assert fresh.table == parts.table
    for epoch in range(2):
        one = list(epoch_crops(parts, CONFIG, epoch, workers=1))
        many = list(epoch_crops(fresh, CONFIG, epoch, workers=workers))
        assert pixels(one) == pixels(many)
        assert [[w.guide for w in batch] for batch in one] == [[w.guide for w in batch] for batch in many]


def test_the_processes_share_an_epoch_between_them(parts: Prepared) -> None:
    whole = pixels(list(epoch_crops(parts, tiny(train={"batch_size": 4}, data=CONFIG.data.model_dump()), 0)))
    shares = [pixels(list(epoch_crops(parts, CONFIG, 0, rank=rank, ranks=2))) for rank in range(2)]
    assert [[a, c, b, d] for (a, b), (c, d) in zip(*shares, strict=True)] == whole


def test_an_epoch_that_is_left_early_ends_its_threads(parts: Prepared) -> None:
    crops = epoch_crops(parts, CONFIG, 0)
    next(crops)
    crops.close()  # type: ignore[attr-defined]


def test_an_image_that_is_missing_is_named(tmp_path: Path) -> None:
    parts = prepare(open_dataset(sample_folder(tmp_path / "data")), CONFIG)
    parts.train.samples[3].image.unlink()
    parts.train._cache.clear()
    with raises("E-image-missing", parts.train.samples[3].image.name):
        list(epoch_crops(parts, CONFIG, 0))


def test_crops_are_arrays_of_their_own(parts: Prepared) -> None:
    first, second = (next(iter(epoch_crops(parts, CONFIG, 0))) for _ in range(2))
    first[0].image[:] = 0
    assert not np.array_equal(first[0].image, second[0].image)
