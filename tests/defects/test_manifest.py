"""A manifest says everything of its images, gives it back unchanged, and lets nothing out of its folder."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from defects.manifest import NAME, read_manifest, row_of, sample_of
from defects.sample import Sample
from engine.files.atomic import sha256_file
from tests.builders import noise_image, sample_folder, save
from tests.builders.errors import raises


def _rows(root: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (root / NAME).read_text().splitlines()]


def _write(root: Path, rows: list[Any]) -> None:
    (root / NAME).write_text("".join(json.dumps(row) + "\n" for row in rows))


def test_a_row_holds_the_columns_that_cross_every_boundary(tmp_path: Path) -> None:
    row = _rows(sample_folder(tmp_path))[0]
    assert row["file_name"] == "images/part_0.png"
    assert row["mask"] == "masks/part_0.png"
    assert row["guide"] == {"raw": {"thickness": 6.0}, "scaled": {}}
    assert row["sha256"] == sha256_file(tmp_path / "images" / "part_0.png")
    assert (row["label"], row["group"], row["source"]) == ("crack", "g0", "real")


names = st.text(st.characters(blacklist_categories=["Cs", "Cc"], blacklist_characters="/\\:"), min_size=1, max_size=12)


@given(
    name=names.filter(lambda text: text.strip(". ")),
    label=names,
    group=names,
    guide=st.dictionaries(names, st.floats(-10, 10) | names, max_size=3),
    extra=st.dictionaries(st.sampled_from(["seed", "checkpoint"]), st.integers(0, 2**62), max_size=2),
)
def test_what_is_written_comes_back(
    name: str, label: str, group: str, guide: dict[str, Any], extra: dict[str, Any]
) -> None:
    root = Path("folder")
    metadata = {"sha256": "0" * 64, **extra, **({"guide": guide} if guide else {})}
    sample = Sample(
        name, root / "images" / f"{name}.png", root / "masks" / f"{name}.png", (), label, group, "synthetic", metadata
    )
    assert sample_of(json.loads(json.dumps(row_of(sample, root))), root) == sample


def test_polygons_survive_the_manifest(tmp_path: Path) -> None:
    image = save(tmp_path / "images" / "a.png", noise_image())
    sample = Sample("a", image, polygons=(((1.0, 2.0), (3.5, 2.0), (3.0, 4.0)),), label="pit")
    assert sample_of(row_of(sample, tmp_path), tmp_path).polygons == sample.polygons


def test_a_row_is_only_written_for_files_within(tmp_path: Path) -> None:
    image = save(tmp_path / "elsewhere" / "a.png", noise_image())
    with pytest.raises(ValueError, match="copy it into the folder first"):
        row_of(Sample("a", image), tmp_path / "folder")


BAD_ROWS: dict[str, tuple[Any, str]] = {
    "traversal": ({"file_name": "../a.png"}, "leaves the folder by '..'"),
    "absolute": ({"file_name": "/etc/hosts"}, "is absolute"),
    "windows": ({"file_name": "C:\\a.png"}, "is absolute"),
    "mask traversal": ({"file_name": "images/part_0.png", "mask": "../../m.png"}, "leaves the folder by '..'"),
    "no name": ({"label": "crack"}, "without file_name"),
    "number as label": ({"file_name": "images/part_0.png", "label": 3}, "expected a label"),
    "source": ({"file_name": "images/part_0.png", "source": "dream"}, "unknown source 'dream'; use one of real"),
    "guide": ({"file_name": "images/part_0.png", "guide": [1]}, "expected guide as"),
    "guide NaN": ({"file_name": "images/part_0.png", "guide": {"raw": {"thickness": float("nan")}}}, "not a number"),
    "polygons": ({"file_name": "images/part_0.png", "polygons": [[1]]}, "expected polygons"),
    "mask number": ({"file_name": "images/part_0.png", "mask": 4}, "expected the mask's path or null"),
    "no object": ([1, 2], "expected a JSON object"),
    "missing file": ({"file_name": "images/none.png"}, "listed in the manifest but not there"),
    "missing mask": ({"file_name": "images/part_0.png", "mask": "masks/none.png"}, "the mask listed .* is missing"),
    "no mask": ({"file_name": "images/part_0.png", "label": "crack"}, "of class 'crack' but without a mask"),
}


@pytest.mark.parametrize("case", BAD_ROWS)
def test_a_bad_row_is_named_and_the_good_ones_are_read(tmp_path: Path, case: str) -> None:
    root = sample_folder(tmp_path)
    row, says = BAD_ROWS[case]
    _write(root, [row, *_rows(root)[1:]])
    samples, issues = read_manifest(root)
    assert len(samples) == 3
    assert len(issues) == 1
    assert re.search(says, str(issues[0]))
    assert issues[0].remedy


def test_all_bad_rows_are_listed_at_once(tmp_path: Path) -> None:
    root = sample_folder(tmp_path)
    _write(root, [row for row, _ in BAD_ROWS.values()])
    assert len(read_manifest(root)[1]) == len(BAD_ROWS)


def test_a_symlink_out_of_the_folder_is_refused(tmp_path: Path) -> None:
    root = sample_folder(tmp_path / "folder")
    outside = save(tmp_path / "outside.png", noise_image())
    (root / "images" / "part_0.png").unlink()
    (root / "images" / "part_0.png").symlink_to(outside)
    assert "leaves the folder by a symlink" in str(read_manifest(root)[1][0])


def test_duplicate_and_colliding_names_are_issues(tmp_path: Path) -> None:
    root = sample_folder(tmp_path)
    first = _rows(root)[0]
    save(root / "images" / "PART_0.png", noise_image())
    save(root / "images" / "part_0.jpg", noise_image())
    changed = [{**first, "file_name": f"images/{name}"} for name in ("PART_0.png", "part_0.jpg", "part_0.png")]
    _write(root, [first, *changed])
    what = [issue.what for issue in read_manifest(root)[1]]
    assert what == [
        "images/PART_0.png differs from images/part_0.png only in upper and lower case",
        "images/part_0.jpg differs from images/part_0.png only in its ending",
        "images/part_0.png is listed twice",
    ]


def test_a_torn_last_line_says_how_to_go_on(tmp_path: Path) -> None:
    root = sample_folder(tmp_path)
    with (root / NAME).open("a") as file:
        file.write('{"file_name": "images/pa')
    samples, issues = read_manifest(root)
    assert len(samples) == 4
    assert "with --resume" in issues[0].remedy
    assert issues[0].path.endswith(f"{NAME}:5")


def test_a_changed_image_is_found_on_request(tmp_path: Path) -> None:
    root = sample_folder(tmp_path)
    save(root / "images" / "part_1.png", noise_image(99))
    assert read_manifest(root)[1] == []
    assert "sha256 differs" in str(read_manifest(root, verify=True)[1][0])


def test_a_missing_manifest_and_one_that_is_no_text(tmp_path: Path) -> None:
    with raises("E-manifest-missing"):
        read_manifest(tmp_path)
    (tmp_path / NAME).write_bytes(b"\xff\xfe\x00")
    with raises("E-manifest-json"):
        read_manifest(tmp_path)


@pytest.mark.slow
def test_hugging_face_datasets_opens_the_folder(tmp_path: Path) -> None:
    import datasets

    root = sample_folder(tmp_path / "data")
    loaded = datasets.load_dataset("imagefolder", data_dir=str(root), cache_dir=str(tmp_path / "cache"), split="train")
    assert "label" in loaded.column_names
