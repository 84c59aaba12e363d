"""All labels of an image say the same, and other programs read them."""

from __future__ import annotations

import io
import json
from collections.abc import Callable
from contextlib import redirect_stdout
from functools import partial
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import yaml
from pycocotools.coco import COCO

from defects.formats.dataset import open_dataset
from defects.formats.labelme import read_outlines
from defects.formats.listing import Listing
from defects.images.decode import read_image, read_mask_image, read_sample
from defects.masks.outlines import fill_polygons
from defects.masks.width import width
from engine.files.atomic import sha256_file
from tests.builders.components import components
from tests.builders.generate import SIDE, gen_defects, save_masks


@pytest.fixture(scope="module")
def out(masks: Path, checkpoint: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("labels") / "out"
    assert gen_defects("--masks", masks, "--checkpoint", checkpoint, "--guide", "thickness=0.1|0.9", "--out", out,
                       "--labels", "mask,coco,yolo,labelme") == 0  # fmt: skip
    return out


def _rows(out: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (out / "metadata.jsonl").read_text(encoding="utf-8").splitlines()]


def test_the_label_has_the_requested_width_and_never_is_the_input_copied(out: Path) -> None:
    for row in _rows(out):
        mask, two_valued = read_mask_image(out / row["mask"])
        assert two_valued
        assert mask.shape == (SIDE, SIDE)
        assert width(mask) == pytest.approx(row["guide"]["raw"]["thickness"], rel=0.3, abs=0.6)


def test_every_manifest_row_is_complete_and_true(out: Path, checkpoint: Path) -> None:
    rows = _rows(out)
    assert len(rows) == 7 * 2
    for row in rows:
        assert row["sha256"] == sha256_file(out / row["file_name"])
        assert row["checkpoint"] == sha256_file(checkpoint)
        assert (row["source"], row["seed"]) == ("synthetic", 0)
        assert row["mask_source"].startswith(row["group"] + ".")
        assert row["label"] == row["guide"]["raw"]["kind"] == row["guide"]["scaled"]["kind"]
        folder = row["group"].split("/")[0]
        assert row["label"] == folder or folder == "4"
        assert 0 <= row["guide"]["scaled"]["brightness"] <= 1
        assert read_image(out / row["file_name"]).shape == (SIDE, SIDE, 3)


# pycocotools 2.0.11 decodes with a call that NumPy 2 deprecates.
@pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")
def test_coco_is_read_by_pycocotools_and_every_area_is_the_part_of_the_mask(out: Path) -> None:
    with redirect_stdout(io.StringIO()):
        coco = COCO(str(out / "annotations.coco.json"))
    rows = {row["file_name"]: row for row in _rows(out)}
    assert {image["file_name"] for image in coco.imgs.values()} == rows.keys()
    for number, image in coco.imgs.items():
        row = rows[image["file_name"]]
        mask, _ = read_mask_image(out / row["mask"])
        marks = coco.loadAnns(coco.getAnnIds(imgIds=[number]))
        assert len(marks) == len(components(mask))
        union = np.zeros_like(mask)
        for mark in marks:
            sampled = coco.annToMask(mark).astype(bool)
            assert sampled.sum() == mark["area"]
            ys, xs = np.nonzero(sampled)
            assert mark["bbox"] == [xs.min(), ys.min(), np.ptp(xs) + 1, np.ptp(ys) + 1]
            assert coco.cats[mark["category_id"]]["name"] == row["label"]
            union |= sampled
        assert np.array_equal(union, mask)


def test_yolo_polygons_sampled_as_trainers_draw_them_give_the_mask(out: Path) -> None:
    names = yaml.safe_load((out / "data.yaml").read_text(encoding="utf-8"))["names"]
    for row in _rows(out):
        mask, _ = read_mask_image(out / row["mask"])
        label = out / row["file_name"].replace("images/", "labels/").replace(".png", ".txt")
        sampled = np.zeros(mask.shape, np.uint8)
        for line in label.read_text(encoding="utf-8").splitlines():
            label, *values = line.split()
            assert names[int(label)] == row["label"]
            points = np.array(values, float).reshape(-1, 2)
            assert points.min() >= 0
            assert points.max() <= 1
            cv2.fillPoly(sampled, [(points * SIDE).astype(np.int32)], 1)
        assert np.array_equal(sampled.astype(bool), mask)


def test_labelme_files_name_their_image_and_enclose_the_mask(out: Path) -> None:
    for row in _rows(out):
        path = out / row["file_name"].replace("images/", "labelme/").replace(".png", ".json")
        content = json.loads(path.read_text(encoding="utf-8"))
        assert (path.parent / content["imagePath"]).resolve() == (out / row["file_name"]).resolve()
        assert (content["imageHeight"], content["imageWidth"], content["imageData"]) == (SIDE, SIDE, None)
        listing = Listing()
        outlines = read_outlines(path, listing)
        assert outlines is not None
        assert not listing.issues
        sampled = np.zeros((SIDE, SIDE), bool)
        fill_polygons(sampled, [points for _, points in outlines])
        assert {label for label, _ in outlines} == {row["label"]}
        assert np.array_equal(sampled, read_mask_image(out / row["mask"])[0])


def test_the_folder_is_read_as_sample_folder_coco_and_yolo_alike(out: Path) -> None:
    by_layout = {
        layout: {sample.name.removeprefix("images/"): sample for sample in open_dataset(out, layout).samples}
        for layout in ("auto", "coco", "yolo")
    }
    assert by_layout["auto"].keys() == by_layout["coco"].keys() == by_layout["yolo"].keys()
    for name, sample in by_layout["auto"].items():
        image, mask = read_sample(sample)
        for layout in ("coco", "yolo"):
            other = by_layout[layout][name]
            assert other.label == sample.label
            assert np.array_equal(read_sample(other)[0], image)
            assert np.array_equal(read_sample(other)[1], mask)


@pytest.fixture
def load_dataset(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Any]:
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    monkeypatch.setenv("HF_HOME", str(tmp_path / "home"))
    import datasets

    return partial(datasets.load_dataset, split="train", cache_dir=str(tmp_path / "cache"))


def test_hugging_face_datasets_opens_the_folder(out: Path, load_dataset: Callable[..., Any]) -> None:
    data = load_dataset("imagefolder", data_dir=str(out))
    rows = _rows(out)
    by_mask = {row["mask"]: row for row in rows}
    assert sorted(data["mask"]) == sorted(by_mask)
    for item in data:
        row = by_mask[item["mask"]]
        assert item["guide"]["raw"]["thickness"] == row["guide"]["raw"]["thickness"]
        assert np.array_equal(np.array(item["image"]), read_image(out / row["file_name"]))


def test_the_card_keeps_hugging_face_from_splitting_the_folder_by_names(
    checkpoint: Path, tmp_path: Path, load_dataset: Callable[..., Any]
) -> None:
    masks = save_masks(tmp_path / "masks", ["test/1.png", "train/2.png", "val-3.png"])
    assert gen_defects("--masks", masks, "--checkpoint", checkpoint, "--out", tmp_path / "out") == 0
    data = load_dataset(str(tmp_path / "out"))
    assert sorted(data["group"]) == ["test/1", "train/2", "val-3"]
