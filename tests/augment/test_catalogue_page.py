"""The page of pictures shows every transform and preset, of given samples and without any."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from augment.transforms.catalog import CATALOG
from augment.transforms.catalog_page import catalog_page, cell, strip_of_transform, titled
from augment.transforms.pipeline import preset_names
from defects.formats.dataset import open_dataset
from defects.images.decode import read_image
from engine.errors import DataError
from tests.augment.blobs import defect, picture
from tests.builders import magnetic_tile, sample_folder


def test_the_page_has_a_picture_of_every_transform_and_preset(tmp_path: Path) -> None:
    page = catalog_page(None, tmp_path / "out", size=64, draws=1)
    text = page.read_text(encoding="utf-8")
    for name in [*CATALOG, *(f"preset_{name}" for name in preset_names())]:
        assert f"images/{name}.jpg" in text
        assert read_image(tmp_path / "out" / "images" / f"{name}.jpg").shape[2] == 3
    assert read_image(tmp_path / "out" / "catalogue.jpg").shape[0] > 64 * len(CATALOG)


def test_the_same_pictures_are_drawn_again() -> None:
    pictures = [(picture(), defect()), (picture(seed=1), defect())]
    strips = [titled(strip_of_transform(CATALOG["perspective"], pictures, 3, 7)) for _ in range(2)]
    assert np.array_equal(*strips)


@pytest.mark.parametrize("build", [magnetic_tile, sample_folder])
def test_samples_are_shown_grey_or_in_colour(build: object, tmp_path: Path) -> None:
    folder = build(tmp_path / "data")  # type: ignore[operator]
    page = catalog_page(open_dataset(folder).samples, tmp_path / "out", size=24, draws=1)
    assert page.is_file()


def test_without_a_defect_there_is_nothing_to_show(tmp_path: Path) -> None:
    samples = [sample for sample in open_dataset(sample_folder(tmp_path / "data")).samples if sample.label == "good"]
    with pytest.raises(DataError, match="none of 1 samples shows a defect; give a folder with masks"):
        catalog_page(samples, tmp_path / "out")


@pytest.mark.parametrize("name", CATALOG)
def test_every_strip_is_equally_long_and_begins_with_the_picture_itself(name: str) -> None:
    cells = strip_of_transform(CATALOG[name], [(picture(), defect())] * 2, 2, 0)
    assert len(cells) == 5
    assert np.array_equal(cells[0][0], cell(picture(), defect(), "before")[0])


def test_the_outline_lies_around_the_defect_and_not_on_it() -> None:
    shown, _ = cell(picture(), defect(), "")
    assert np.array_equal(shown[defect()], picture()[defect()])
    assert (shown != picture()).any()
