"""The page of the catalog has every transform and preset, on given samples and without any."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from augment.transforms.catalog import CATALOG
from augment.transforms.catalog_page import catalog_page, strip_of_transform, tile, titled
from defects.formats.dataset import open_dataset
from defects.images.decode import read_image
from engine.config import config_names
from tests.builders import magnetic_tile, sample_folder
from tests.builders.blobs import defect, smooth_image
from tests.builders.errors import raises


def test_the_page_has_an_image_of_every_transform_and_preset(tmp_path: Path) -> None:
    page = catalog_page(None, tmp_path / "out", size=64, draws=1)
    text = page.read_text(encoding="utf-8")
    for name in [*CATALOG, *(f"preset_{name}" for name in config_names("augment"))]:
        assert f"images/{name}.jpg" in text
        assert read_image(tmp_path / "out" / "images" / f"{name}.jpg").shape[2] == 3
    assert read_image(tmp_path / "out" / "catalog.jpg").shape[0] > 64 * len(CATALOG)


def test_the_same_seed_gives_the_same_images() -> None:
    images = [(smooth_image(), defect()), (smooth_image(seed=1), defect())]
    strips = [titled(strip_of_transform(CATALOG["perspective"], images, 3, 7)) for _ in range(2)]
    assert np.array_equal(*strips)


@pytest.mark.parametrize("build", [magnetic_tile, sample_folder])
def test_samples_are_gray_or_color(build: object, tmp_path: Path) -> None:
    folder = build(tmp_path / "data")  # type: ignore[operator]
    page = catalog_page(open_dataset(folder).samples, tmp_path / "out", size=24, draws=1)
    assert page.is_file()


def test_without_a_defect_there_is_an_error(tmp_path: Path) -> None:
    samples = [sample for sample in open_dataset(sample_folder(tmp_path / "data")).samples if sample.label == "good"]
    with raises("E-catalog-no-defect"):
        catalog_page(samples, tmp_path / "out")


@pytest.mark.parametrize("name", CATALOG)
def test_every_strip_is_equally_long_and_begins_with_the_image_itself(name: str) -> None:
    tiles = strip_of_transform(CATALOG[name], [(smooth_image(), defect())] * 2, 2, 0)
    assert len(tiles) == 5
    assert np.array_equal(tiles[0][0], tile(smooth_image(), defect(), "before")[0])


def test_the_outline_lies_around_the_defect_and_not_on_it() -> None:
    printed, _ = tile(smooth_image(), defect(), "")
    assert np.array_equal(printed[defect()], smooth_image()[defect()])
    assert (printed != smooth_image()).any()
