"""Data sets in other formats, read back by independent readers."""

from __future__ import annotations

import io
import json
import tarfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from defects.formats.dataset import open_dataset
from defects.formats.export import export
from defects.formats.listing import ExportRows
from defects.formats.webdataset import write as write_shards
from defects.images.decode import image_info, read_image, read_mask_image, read_sample
from defects.sample import Sample
from engine.files.atomic import sha256_file
from tests import builders
from tests.builders.errors import raises
from tests.builders.mixing import mix, real_images, rows_of, synthetic_images, tree_hash

ALL = ("mvtec", "coco", "yolo", "webdataset")


@pytest.fixture(scope="module")
def mixed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("mixed")
    out = root / "out"
    real, synthetic = real_images(root / "real", each=1), synthetic_images(root / "gan")
    pasted = synthetic_images(root / "pasted", 4, source="pasted", seed=2)
    sources = ["--real", real, "--synthetic", synthetic, "--pasted", pasted]
    assert mix(*sources, "--check", "files", "--out", out) == 0
    return out


@pytest.fixture(scope="module")
def exported(mixed: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("exported") / "out"
    export(open_dataset(mixed), out, ALL)
    return out


def _mask(mixed: Path, row: dict[str, str]) -> np.ndarray:
    return read_mask_image(mixed / row["mask"])[0]


@pytest.mark.filterwarnings("ignore")  # pycocotools of NumPy 1
def test_pycocotools_reads_masks_that_are_the_labels(mixed: Path, exported: Path) -> None:
    from pycocotools.coco import COCO

    rows = {f"{r['split']}/{r['file_name'].split('/images/')[1].replace('/', '__')}": r for r in rows_of(mixed)}
    trained = 0
    for path in sorted((exported / "coco" / "annotations").iterdir()):
        coco = COCO(str(path))
        names = {entry["id"]: entry["name"] for entry in coco.loadCats(coco.getCatIds())}
        for number in coco.getImgIds():
            entry = coco.loadImgs(number)[0]
            row = rows[entry["file_name"]]
            mask_file = np.zeros((entry["height"], entry["width"]), bool)
            for mark in coco.loadAnns(coco.getAnnIds(number)):
                part = coco.annToMask(mark) > 0
                assert mark["area"] == part.sum()
                assert names[mark["category_id"]] == row["label"]
                mask_file |= part
            assert np.array_equal(mask_file, _mask(mixed, row))
            assert (exported / "coco" / "images" / entry["file_name"]).is_file()
            trained += 1
    assert trained == len(rows)


@pytest.mark.filterwarnings("ignore")  # the reader leaves its files open
def test_webdataset_reads_every_image_mask_and_row(mixed: Path, exported: Path) -> None:
    import webdataset

    rows = {(row["split"], row["sha256"]): row for row in rows_of(mixed)}
    trained = 0
    for path in sorted((exported / "webdataset").glob("*.tar")):
        for sample in webdataset.WebDataset([str(path)], shardshuffle=False):
            description = json.loads(sample["json"])
            row = rows[description["split"], description["sha256"]]
            assert description["label"] == row["label"]
            assert path.name.startswith(description["split"])
            image = np.asarray(Image.open(io.BytesIO(sample["png"])))
            assert image.shape[:2] == (description["height"], description["width"])
            assert np.array_equal(np.asarray(Image.open(io.BytesIO(sample["mask.png"]))) > 0, _mask(mixed, row))
            trained += 1
    assert trained == len(rows)


@pytest.mark.filterwarnings("ignore")
def test_datasets_opens_the_folder_by_its_splits(mixed: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    monkeypatch.setenv("HF_DATASETS_DISABLE_PROGRESS_BARS", "1")
    import datasets

    loaded = datasets.load_dataset(str(mixed), cache_dir=str(tmp_path / "cache"))
    for split, name in (("train", "train"), ("val", "validation"), ("test", "test")):
        rows = [row for row in rows_of(mixed) if row["split"] == split]
        assert [entry["sha256"] for entry in loaded[name]] == [row["sha256"] for row in rows]
        assert {entry["source"] for entry in loaded[name]} == {row["source"] for row in rows}
        first = loaded[name][0]
        assert np.array_equal(np.asarray(first["mask"]) > 0, _mask(mixed, rows[0]))
        assert first["image"].size == first["mask"].size


def test_yolo_is_read_back_with_the_same_masks(mixed: Path, exported: Path) -> None:
    found = open_dataset(exported / "yolo").samples
    rows = {f"{r['split']}/{Path(r['file_name'].split('/images/')[1].replace('/', '__')).stem}": r
            for r in rows_of(mixed)}  # fmt: skip
    assert {sample.name for sample in found} == set(rows)
    for sample in found:
        assert sample.label == rows[sample.name]["label"]
        assert np.array_equal(read_sample(sample)[1], _mask(mixed, rows[sample.name]))


def test_mvtec_has_the_images_it_has_a_place_for(mixed: Path, exported: Path) -> None:
    found = open_dataset(exported / "mvtec")
    assert found.layout == "mvtec"
    rows = rows_of(mixed)
    test = [row for row in rows if row["split"] == "test"]
    good = [row for row in rows if row["split"] == "train" and row["label"] == "good"]
    assert len(found.samples) == len(test) + len(good)
    assert {s.label for s in found.samples if s.metadata["split"] == "train"} == {"good"}


def test_an_export_is_the_same_again_and_is_resumed(mixed: Path, exported: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    export(open_dataset(mixed), out, ALL)
    assert tree_hash(out) == tree_hash(exported)
    (out / "coco" / "annotations" / "instances_train.json").unlink()
    next((out / "coco" / "images" / "train").iterdir()).unlink()
    (out / "webdataset" / "test-000000.tar").unlink()
    (out / "yolo" / "data.yaml").unlink()
    with raises("E-export-not-empty", "is not empty; add --resume"):
        export(open_dataset(mixed), out, ALL)
    export(open_dataset(mixed), out, ALL, resume=True)
    assert tree_hash(out) == tree_hash(exported)


def test_shards_have_no_more_images_than_requested(mixed: Path, tmp_path: Path) -> None:
    data = open_dataset(mixed)
    write_shards(ExportRows.of(data.root, data.samples), tmp_path, on_progress=lambda _: None, shard=5)
    count = sum(row["split"] == "train" for row in rows_of(mixed))
    shards = sorted(tmp_path.glob("train-*.tar"))
    sizes = []
    for path in shards:
        with tarfile.open(path) as tar:
            sizes.append(len(tar.getnames()) // 3)
    assert sizes == [5] * (count // 5) + ([count % 5] if count % 5 else [])


def test_the_folder_of_another_export_is_not_continued(mixed: Path, exported: Path, tmp_path: Path) -> None:
    other = open_dataset(real_images(tmp_path / "other", each=1))
    with raises("E-export-other-folder"):
        export(other, exported, ["coco"], resume=True)


def test_an_unknown_format_and_an_unknown_split_are_errors(mixed: Path, tmp_path: Path) -> None:
    with raises("E-export-unknown-format", r"unknown format 'cocco'; did you mean coco\?"):
        export(open_dataset(mixed), tmp_path, "cocco")
    with raises("E-export-no-format"):
        export(open_dataset(mixed), tmp_path, [])
    data = open_dataset(mixed)
    lost = replace(data.samples[0], metadata={"split": "holdout"})
    with raises("E-export-unknown-split"):
        export(replace(data, samples=[lost]), tmp_path / "out", "coco")


@pytest.mark.parametrize("format", ["sample_folder", "folders", "bsdata", "mvtec", "coco", "yolo"])
@pytest.mark.parametrize("layout", builders.LAYOUTS)
def test_every_layout_is_written_as_every_format_with_the_same_masks(tmp_path: Path, layout: str, format: str) -> None:
    data = open_dataset(builders.LAYOUTS[layout](tmp_path / "in"))
    result = export(data, tmp_path / "out", format)
    assert result.images == len(data.samples)
    again = open_dataset(tmp_path / "out", format)
    left_out = sum((result.mvtec_left_out or {}).values())
    assert len(again.samples) == len(data.samples) - left_out

    def content(samples: list[Sample]) -> list[tuple[str, str, bytes]]:
        return sorted((s.label, sha256_file(s.image), read_sample(s)[1].tobytes()) for s in samples)

    assert set(content(again.samples)) <= set(content(data.samples))


def test_an_image_with_an_orientation_tag_is_written_upright(tmp_path: Path) -> None:
    root = builders.folders(tmp_path / "in")
    (root / "images" / "part_3.png").write_bytes(builders.with_orientation(builders.noise_image(), 6))
    export(open_dataset(root), tmp_path / "out", "sample_folder")
    written = next(s for s in open_dataset(tmp_path / "out").samples if s.label == "good")
    assert read_image(written.image).shape == (builders.SIZE[1], builders.SIZE[0], 3)
    assert image_info(written.image).orientation == 1
