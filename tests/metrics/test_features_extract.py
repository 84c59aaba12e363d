"""Extracting: order, cache, duplicates, memory, and what goes wrong."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from torch import Tensor

from defects.images.crops import CropSpec
from defects.sample import Sample
from engine.errors import DataError
from metrics.data.image_set import ImageSet
from metrics.features.cache import FeatureCache
from metrics.features.extraction import Extracted, extract, read_ahead
from tests.builders import noise_image, save
from tests.builders.errors import raises
from tests.builders.features import DummyImages, MeanExtractor, noise


def expected(images: DummyImages) -> np.ndarray:
    return np.array([image.reshape(-1, image.shape[2]).mean(0) for image in images.images], np.float32)


@pytest.mark.parametrize("batch_size", [1, 3, 7, 100])
def test_rows_stand_in_the_order_of_the_images_for_any_batch_size(batch_size: int) -> None:
    images = DummyImages(noise(7))
    features = extract(images, MeanExtractor(), cache=FeatureCache(None), batch_size=batch_size)
    assert (features.name, features.extractor) == ("dummy", "mean")
    assert features.values.dtype == np.float32
    np.testing.assert_allclose(features.values, expected(images), rtol=1e-6)
    assert features.logits is not None
    np.testing.assert_allclose(features.logits[:, 0], features.values.sum(1), rtol=1e-6)


def test_a_gray_image_is_repeated() -> None:
    images = DummyImages(noise(2, channels=1))
    values = extract(images, MeanExtractor(), cache=FeatureCache(None)).values
    np.testing.assert_allclose(values, np.repeat(expected(images), 3, axis=1), rtol=1e-6)


def test_a_second_run_needs_no_network(tmp_path: Path) -> None:
    images, first, second = DummyImages(noise(5)), MeanExtractor(), MeanExtractor()
    before = extract(images, first, cache=FeatureCache(tmp_path), batch_size=2)
    after = extract(images, second, cache=FeatureCache(tmp_path), batch_size=3)
    assert (first.batches_given, second.batches_given) == ([2, 2, 1], [])
    np.testing.assert_array_equal(before.values, after.values)
    assert before.logits is not None
    assert after.logits is not None
    np.testing.assert_array_equal(before.logits, after.logits)


def test_only_what_is_new_is_computed_and_in_full_batches(tmp_path: Path) -> None:
    images = noise(8)
    extract(DummyImages(images[::2]), MeanExtractor(), cache=FeatureCache(tmp_path))
    extractor = MeanExtractor()
    mixed = DummyImages(images)
    features = extract(mixed, extractor, cache=FeatureCache(tmp_path), batch_size=2)
    assert extractor.batches_given == [2, 2]
    np.testing.assert_allclose(features.values, expected(mixed), rtol=1e-6)


def test_equal_images_are_computed_once() -> None:
    image = noise(1)[0]
    images, extractor = DummyImages([image, *noise(1, seed=1), image]), MeanExtractor()
    features = extract(images, extractor, cache=FeatureCache(None))
    assert extractor.batches_given == [2]
    np.testing.assert_allclose(features.values, expected(images), rtol=1e-6)


def test_another_fingerprint_has_other_rows(tmp_path: Path) -> None:
    class Other(MeanExtractor):
        fingerprint = "mean 2"

    extract(DummyImages(noise(2)), MeanExtractor(), cache=FeatureCache(tmp_path))
    other = Other()
    extract(DummyImages(noise(2)), other, cache=FeatureCache(tmp_path))
    assert other.batches_given == [2]


def test_progress_counts_every_image_once(tmp_path: Path) -> None:
    images = DummyImages([*noise(5), noise(1)[0]])
    for _ in range(2):
        counts: list[int] = []
        extract(images, MeanExtractor(), cache=FeatureCache(tmp_path), batch_size=2, on_progress=counts.append)
        assert sum(counts) == 6


@pytest.mark.parametrize("bad", [float("nan"), float("inf")])
def test_nan_features_are_refused_by_the_name_of_the_image_and_not_cached(tmp_path: Path, bad: float) -> None:
    class Sick(MeanExtractor):
        def __call__(self, images: Tensor) -> Extracted:
            features, logits = super().__call__(images)
            if len(self.batches_given) == 2:
                features[1, 2] = bad
            return Extracted(features, logits)

    images = DummyImages(noise(4))
    with raises("E-features-not-finite", r"^dummy/3\.png: mean gives NaN or infinite features for it; remove"):
        extract(images, Sick(), cache=FeatureCache(tmp_path), batch_size=2)
    healthy = MeanExtractor()
    extract(images, healthy, cache=FeatureCache(tmp_path))
    assert healthy.batches_given == [1]


def test_an_empty_set_is_refused() -> None:
    with raises("E-features-no-images"):
        extract(DummyImages([]), MeanExtractor(), cache=FeatureCache(None))


def test_an_image_that_does_not_open_is_refused_and_the_rest_is_cached(tmp_path: Path) -> None:
    samples = []
    for index in range(3):
        path = save(tmp_path / f"{index}.png", noise_image(index))
        samples.append(Sample(str(index), path))
    (tmp_path / "2.png").write_bytes(b"no image")
    images = ImageSet("real", samples, CropSpec(16))
    with raises("E-image-damaged", r"2\.png"):
        extract(images, MeanExtractor(), cache=FeatureCache(tmp_path / "cache"), batch_size=1)
    again = MeanExtractor()
    extract(images.part([0, 1]), again, cache=FeatureCache(tmp_path / "cache"))
    assert again.batches_given == []


def test_reading_ahead_keeps_order_and_raises_where_it_happened() -> None:
    def items() -> Iterator[int]:
        yield from range(5)
        raise DataError("broken", code="E-test-broken")

    ahead = read_ahead(items())
    assert [next(ahead) for _ in range(5)] == list(range(5))
    with raises("E-test-broken"):
        next(ahead)


def test_reading_ahead_stops_when_nobody_listens() -> None:
    generated = []

    def items() -> Iterator[int]:
        for index in range(1000):
            generated.append(index)
            yield index

    ahead = read_ahead(items())
    assert next(ahead) == 0
    ahead.close()
    assert len(generated) < 10
