"""Each published folder layout is detected and read into the same samples; every issue is reported."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from defects.formats.dataset import LAYOUTS, open_dataset, read_dataset
from defects.formats.labelme import group_places
from defects.formats.magnetic_tile import group_shots
from defects.formats.validation import check_images
from defects.images.decode import read_sample
from tests import builders
from tests.builders import SIZE, bar, noise_image, save, write_json
from tests.builders.errors import raises

CLASSES = {
    "sample_folder": {"good": 1, "crack": 3},
    "magnetic_tile": {"good": 3, "crack": 3},
    "bsdata": {"good": 1, "pitting": 3},
    "mvtec": {"good": 3, "scratch": 1},
    "coco": {"good": 1, "crack": 2},
    "yolo": {"good": 1, "pit": 1},
    "folders": {"good": 1, "defect": 3},
}


def test_every_layout_has_a_builder_and_an_expectation() -> None:
    assert set(LAYOUTS) == set(CLASSES) == set(builders.LAYOUTS)


@pytest.mark.parametrize("layout", CLASSES)
def test_a_layout_is_detected_and_read(tmp_path: Path, layout: str) -> None:
    dataset = open_dataset(builders.LAYOUTS[layout](tmp_path / "Ünï code"))
    assert dataset.layout == layout
    assert dataset.issues == []
    assert check_images(dataset) == []
    counts: dict[str, int] = {}
    for sample in dataset.samples:
        counts[sample.label] = counts.get(sample.label, 0) + 1
        image, mask = read_sample(sample)
        assert image.shape == (*SIZE, 1 if layout == "magnetic_tile" else 3)
        assert np.array_equal(mask, bar() if sample.label != "good" else np.zeros(SIZE, bool))
    assert counts == CLASSES[layout]
    names = [sample.name for sample in dataset.samples]
    assert names == sorted(set(names))


@pytest.mark.parametrize("layout", CLASSES)
def test_a_layout_can_be_requested(tmp_path: Path, layout: str) -> None:
    root = builders.LAYOUTS[layout](tmp_path)
    assert [sample.name for sample in read_dataset(root, layout).samples] == [
        sample.name for sample in read_dataset(root).samples
    ]


def test_an_unknown_layout_lists_the_known_ones(tmp_path: Path) -> None:
    with raises("E-dataset-unknown-layout", "unknown layout 'voc'; use one of auto, sample_folder, magnetic_tile"):
        read_dataset(tmp_path, "voc")


def test_a_folder_that_fits_none_lists_the_known_layouts(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("nothing")
    with raises("E-dataset-no-layout", r"expected one of .*yolo \(images/ \+ labels"):
        read_dataset(tmp_path)


def test_a_missing_and_an_empty_folder_have_different_codes(tmp_path: Path) -> None:
    with raises("E-dataset-no-folder"):
        read_dataset(tmp_path / "none")
    with raises("E-dataset-empty"):
        read_dataset(tmp_path)


def test_a_layout_without_images_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "images").mkdir()
    (tmp_path / "masks").mkdir()
    with raises("E-dataset-no-images"):
        open_dataset(tmp_path)


def test_all_issues_of_a_folder_are_reported_at_once(tmp_path: Path) -> None:
    root = builders.folders(tmp_path / "data")
    outside = save(tmp_path / "outside.png", noise_image())
    (root / "images" / "linked.png").symlink_to(outside)
    save(root / "images" / "PART_0.png", noise_image())
    save(root / "images" / "part_1.jpg", noise_image())
    save(root / "masks" / "orphan.png", bar())
    text = "\n".join(str(issue) for issue in read_dataset(root).issues)
    assert "linked.png: a symlink that leaves the folder; copy the file itself" in text
    assert "PART_0.png: differs from part_0.png only in upper and lower case; rename" in text
    assert "part_1.jpg: has the same name as part_1.png; rename" in text
    assert "orphan.png: a mask without its image; add images/orphan" in text


def test_a_symlink_within_the_folder_is_fine(tmp_path: Path) -> None:
    root = builders.folders(tmp_path)
    (root / "images" / "again.png").symlink_to(root / "images" / "part_3.png")
    assert len(open_dataset(root).samples) == 5


def test_folders_within_images_name_the_classes(tmp_path: Path) -> None:
    save(tmp_path / "images" / "crack" / "a b.png", noise_image())
    save(tmp_path / "masks" / "crack" / "a b_mask.png", bar())
    save(tmp_path / "images" / "good" / "c.png", noise_image(defect=False))
    save(tmp_path / "images" / "pit" / "d.png", noise_image())
    dataset = read_dataset(tmp_path)
    assert [(sample.name, sample.label) for sample in dataset.samples] == [("crack/a b", "crack"), ("good/c", "good")]
    assert [issue.code for issue in dataset.issues] == ["E-format-mask-missing"]


def test_a_missing_mask_is_an_issue_but_not_of_a_good_image(tmp_path: Path) -> None:
    root = builders.magnetic_tile(tmp_path)
    (root / "MT_Free" / "Imgs" / "exp1_num_5020.png").unlink()
    assert open_dataset(root).issues == []
    (root / "MT_Crack" / "Imgs" / "exp1_num_1020.png").unlink()
    with raises("E-format-mask-missing", "exp1_num_1020.jpg: its mask is missing; add exp1_num_1020.png next to it"):
        open_dataset(root)


def test_a_missing_mvtec_mask_is_an_issue(tmp_path: Path) -> None:
    root = builders.mvtec(tmp_path)
    (root / "ground_truth" / "scratch" / "000_mask.png").unlink()
    assert "add ground_truth/scratch/000_mask.png" in str(read_dataset(root).issues[0])


def test_shots_of_one_tile_are_one_group_across_classes_and_tiles_are_not(tmp_path: Path) -> None:
    dataset = open_dataset(builders.magnetic_tile(tmp_path))
    assert {sample.group for sample in dataset.samples if sample.label == "crack"} == {"tile_1020"}
    assert {sample.group for sample in dataset.samples if sample.label == "good"} == {"tile_5020"}


@pytest.mark.parametrize(
    ("names", "groups"),
    [
        (["exp1_num_100", "exp2_num_125", "exp6_num_600"], 1),
        (["exp1_num_100", "exp6_num_400", "exp1_num_800"], 2),
        (["exp6_num_100", "exp1_num_130"], 1),
        (["exp1_num_100", "exp2_num_9000"], 2),
        (["exp5_num_8676", "exp6_num_9196", "exp4_num_10642"], 1),
        (["other", "exp1_num_1"], 1),
    ],
    ids=["shutter time rises", "shutter time falls", "near", "far", "taken again", "other name"],
)
def test_the_rule_for_one_tile(names: list[str], groups: int) -> None:
    assert len(set(group_shots(names).values())) == groups


@given(st.permutations([f"exp{1 + index % 6}_num_{40 * index}" for index in range(30)]))
def test_groups_do_not_depend_on_the_order(names: list[str]) -> None:
    assert group_shots(names) == group_shots(sorted(names))


def test_images_of_one_place_are_one_group(tmp_path: Path) -> None:
    groups = {sample.name: sample.group for sample in open_dataset(builders.bsdata(tmp_path)).samples}
    assert len(set(groups.values())) == 2
    names = ["01_20_395000_270_crop_1", "01_21_397500_315_crop_2", "01_20_430000_180_crop_1", "02_20_395000_270_crop_1"]
    assert len(set(group_places(names).values())) == 3
    assert set(group_places(["KGT1-S-065-A02_crop_0", "KGT1-V-138-A07_crop_0"]).values()) == {"spindle_KGT1"}
    assert group_places(["x_crop_1", "x_crop_2"]) == {"x_crop_1": "x", "x_crop_2": "x"}


def test_labelme_rectangles_count_and_lines_are_reported(tmp_path: Path) -> None:
    root = builders.bsdata(tmp_path)
    path = sorted((root / "label").glob("*.json"))[0]
    box = {"label": "Pitting", "points": [[10, 8], [22, 14]], "shape_type": "rectangle"}
    line = {"label": "Pitting", "points": [[1, 1], [2, 2]], "shape_type": "line"}
    write_json(path, {"shapes": [box, line]})
    dataset = open_dataset(root)
    assert np.array_equal(read_sample(dataset.samples[0])[1], bar())
    assert "1 shapes are neither polygon nor rectangle" in str(dataset.issues[0])


@pytest.mark.parametrize("content", ["{", "[]", '{"shapes": [{"label": "x"}]}', '{"shapes": [{"points": [[1]]}]}'])
def test_a_broken_labelme_file_is_named(tmp_path: Path, content: str) -> None:
    root = builders.bsdata(tmp_path)
    path = sorted((root / "label").glob("*.json"))[0]
    path.write_text(content)
    with raises("E-format-bad-annotation", r"not a readable labelme file.*; export it again"):
        open_dataset(root)


def test_a_labelme_file_without_image_is_an_issue(tmp_path: Path) -> None:
    root = builders.bsdata(tmp_path)
    write_json(root / "label" / "ghost.json", {"shapes": []})
    assert "E-format-image-missing" in [issue.code for issue in read_dataset(root).issues]


def _change_coco(root: Path, change: str) -> None:
    path = root / "annotations" / "instances.json"
    content = json.loads(path.read_text())
    if change == "traversal":
        content["images"][0]["file_name"] = "../../secret.png"
    if change == "missing":
        content["images"][0]["file_name"] = "none.png"
    if change == "twice":
        content["images"][1]["file_name"] = content["images"][0]["file_name"]
    if change == "orphan":
        content["annotations"][0]["image_id"] = 99
    if change == "broken":
        content["annotations"][0]["segmentation"] = [["x", "y"]]
    write_json(path, content)


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ("traversal", "E-file-name"),
        ("missing", "E-format-image-missing"),
        ("twice", "E-format-duplicate-name"),
        ("orphan", "E-format-image-missing"),
        ("broken", "E-format-bad-annotation"),
    ],
)
def test_an_error_in_a_coco_file_is_reported(tmp_path: Path, change: str, code: str) -> None:
    root = builders.coco(tmp_path)
    _change_coco(root, change)
    with raises(code):
        open_dataset(root)


def test_damaged_coco_run_lengths_are_reported_with_the_image(tmp_path: Path) -> None:
    root = builders.coco(tmp_path)
    path = root / "annotations" / "instances.json"
    path.write_text(path.read_text().replace('"counts": [', '"counts": [9999, '))
    assert "part_1.png: its run-length mask is damaged" in str(check_images(open_dataset(root))[0])


@pytest.mark.parametrize(
    ("line", "text"),
    [
        ("0 0.1 0.1 0.2", "expected a class number and x y pairs"),
        ("0 nan 0.1 0.2 0.2 0.3 0.1", "expected a class number and x y pairs"),
        ("0 1 1 200 1 200 150", "a coordinate is not within 0 to 1"),
        ("crack 0.1 0.1 0.2 0.2 0.3 0.1", "expected a class number"),
        ("0 0.5 0.5 0.2 0.2", "a box instead of an outline"),
    ],
)
def test_an_error_in_a_yolo_file_is_reported_with_its_line(tmp_path: Path, line: str, text: str) -> None:
    root = builders.yolo(tmp_path)
    (root / "labels" / "part_0.txt").write_text(f"\n{line}\n")
    issue = read_dataset(root).issues[0]
    assert text in str(issue)
    assert "part_0.txt:2" in str(issue)


def test_yolo_labels_without_names_are_numbered_and_orphans_reported(tmp_path: Path) -> None:
    root = builders.yolo(tmp_path)
    (root / "data.yaml").unlink()
    shutil.copy(root / "labels" / "part_0.txt", root / "labels" / "ghost.txt")
    dataset = read_dataset(root)
    assert dataset.samples[0].label == "kind_1"
    assert "ghost.txt: an annotation file without its image" in str(dataset.issues[0])
