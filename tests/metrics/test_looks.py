"""Copies seen by eye: disguised training images are caught, fair samples are not."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt
import pytest

from metrics.data.image_set import ImageSet
from metrics.looks import look_alikes, looks
from tests.builders import save
from tests.metrics.surfaces import surfaces

Pixels = npt.NDArray[np.uint8]


@pytest.fixture(scope="module")
def train(tmp_path_factory: pytest.TempPathFactory) -> ImageSet:
    return surfaces(tmp_path_factory.mktemp("train"), 80, seed=0, good=40)


@pytest.fixture(scope="module")
def test(tmp_path_factory: pytest.TempPathFactory) -> ImageSet:
    return surfaces(tmp_path_factory.mktemp("test"), 40, seed=1, good=20)


def _changed(images: ImageSet, root: Path, how: Callable[[Pixels], Pixels]) -> ImageSet:
    samples = [
        replace(sample, image=save(root / f"{number}.png", how(images.read(number)[0])), mask=None, label="good")
        for number, sample in enumerate(images.samples)
    ]
    return ImageSet("fake", samples, images.crop_spec)


def _noisy_jpeg(image: Pixels) -> Pixels:
    noise = np.random.default_rng(0).normal(0, 4, image.shape)
    data = cv2.imencode(".jpg", np.clip(image + noise, 0, 255).astype(np.uint8), [cv2.IMWRITE_JPEG_QUALITY, 70])[1]
    return cv2.imdecode(data, cv2.IMREAD_GRAYSCALE)[..., None].astype(np.uint8)


DISGUISES: dict[str, Callable[[Pixels], Pixels]] = {
    "noise and JPEG": _noisy_jpeg,
    "mirrored": lambda image: np.ascontiguousarray(image[:, ::-1]),
    "turned": lambda image: np.ascontiguousarray(image[::-1, ::-1]),
    "blurred": lambda image: cv2.GaussianBlur(image, (0, 0), 1.0)[..., None].astype(np.uint8),
    "brighter": lambda image: np.clip(image * 1.1 + 10.0, 0, 255).astype(np.uint8),
}


@pytest.mark.parametrize("disguise", DISGUISES)
def test_disguised_training_images_are_caught_and_named(
    train: ImageSet, test: ImageSet, tmp_path: Path, disguise: str
) -> None:
    fake = _changed(train.part(range(30, 70)), tmp_path, DISGUISES[disguise])
    result = look_alikes(train=train, test=test, fake=fake)
    assert result.copies
    assert result.c_t is not None
    assert result.c_t < -5
    assert (result.index == np.arange(30, 70)).mean() > 0.9


def test_a_few_disguised_ones_among_fair_ones_are_caught(train: ImageSet, test: ImageSet, tmp_path: Path) -> None:
    fair = surfaces(tmp_path / "fair", 40, seed=2, good=20)
    copies = _changed(train.part(range(12)), tmp_path, _noisy_jpeg)
    fake = ImageSet("fake", [*fair.samples, *copies.samples], fair.crop_spec)
    result = look_alikes(train=train, test=test, fake=fake)
    assert result.copies
    assert {pair.fake for pair in result.closest(12)} == set(range(60, 72))


@pytest.mark.parametrize("seed", [2, 3, 4])
def test_a_fair_sample_is_not_accused(train: ImageSet, test: ImageSet, tmp_path: Path, seed: int) -> None:
    assert not look_alikes(train=train, test=test, fake=surfaces(tmp_path, 40, seed=seed, good=20)).copies


def test_mirrored_looks_follow_the_plain_ones(train: ImageSet) -> None:
    few = train.part(range(5))
    plain, all_four = looks(few), looks(few, mirrored=True)
    assert plain.shape == (5, 256)
    np.testing.assert_array_equal(all_four[:5], plain)
    np.testing.assert_array_equal(all_four[5].reshape(16, 16), plain[0].reshape(16, 16)[:, ::-1])
    np.testing.assert_allclose(np.linalg.norm(all_four, axis=1), 1, rtol=1e-5)
