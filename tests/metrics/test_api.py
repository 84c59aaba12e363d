"""`metrics.fid` and its like: plain folders of images, any sizes, and the same numbers as the library's functions."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import metrics
from metrics.features.extraction import extract
from metrics.features.lite0 import Lite0
from metrics.scores.frechet import frechet_distance
from tests.builders import noise_image, save
from tests.builders.errors import raises


def images(root: Path, seeds: range, size: tuple[int, int] = (40, 48), channels: int = 3) -> Path:
    for seed in seeds:
        save(root / f"{seed:02}.png", noise_image(seed, size=size, channels=channels))
    return root


def test_fid_of_two_plain_folders_is_the_distance_of_their_features(tmp_path: Path) -> None:
    real, fake = images(tmp_path / "real", range(6)), images(tmp_path / "fake" / "deep", range(6, 11)).parent
    score = metrics.fid(real, fake, extractor="lite0", device="cpu")
    first, second = (metrics.compute_features(folder, device="cpu").values for folder in (real, fake))
    assert score.value == pytest.approx(frechet_distance(real=first, fake=second), rel=1e-9)
    assert score.low is not None
    assert score.high is not None
    assert score.low <= score.value <= score.high
    assert (score.n_real, score.n_fake, score.name) == (6, 5, "fid_efficientnet_lite0")
    assert "5 images" in score.warning


def test_images_of_several_sizes_and_channels_are_read(tmp_path: Path) -> None:
    folder = images(images(tmp_path, range(3)), range(3, 5), (64, 32), 1)
    found = metrics.compute_features(folder, device="cpu")
    alone = [
        metrics.compute_features(images(tmp_path.parent / f"one{n}", range(n, n + 1), (64, 32), 1)) for n in (3, 4)
    ]
    assert found.values.shape == (5, 1280)
    assert np.array_equal(found.values[3:], np.concatenate([one.values for one in alone]))


def test_masks_and_hidden_files_of_a_sample_folder_do_not_count(tmp_path: Path) -> None:
    images(tmp_path / "images", range(3))
    images(tmp_path / "masks", range(3))
    images(tmp_path / "images" / ".cache", range(3))
    assert len(metrics.compute_features(tmp_path, device="cpu").values) == 3


def test_a_cache_on_disk_changes_nothing(tmp_path: Path) -> None:
    folder = images(tmp_path / "real", range(3))
    plain = metrics.compute_features(folder, device="cpu")
    twice = [metrics.compute_features(folder, device="cpu", cache=tmp_path / "cache") for _ in range(2)]
    assert all(np.array_equal(plain.values, one.values) for one in twice)


def test_kid_and_all_scores_take_folders(tmp_path: Path) -> None:
    real, fake = images(tmp_path / "real", range(8)), images(tmp_path / "fake", range(8, 16))
    kid = metrics.kid(real, fake, device="cpu")
    table = {score.name: score for score in metrics.compute_scores(real, fake, device="cpu")}
    assert kid.value == pytest.approx(table["kid_efficientnet_lite0"].value)
    assert table["fid_efficientnet_lite0"].baseline is not None


def test_what_cannot_be_compared_is_one_line(tmp_path: Path) -> None:
    real = images(tmp_path / "real", range(3))
    with raises("E-features-no-images"):
        metrics.fid(real, tmp_path / "nowhere")
    with raises("E-extractor-unknown"):
        metrics.fid(real, real, extractor="vgg")
    with pytest.raises(ValueError, match="at least 2 fake rows"):
        metrics.fid(real, images(tmp_path / "one", range(1)), device="cpu")


def test_the_extractor_sees_whole_images(tmp_path: Path) -> None:
    from metrics.features.extraction import ImageFiles

    folder = images(tmp_path, range(2))
    files = ImageFiles(folder)
    assert len(files) == 2
    assert next(files.batches(4)).shape == (2, 40, 48, 3)
    assert extract(files, Lite0()).name == str(folder)
