from __future__ import annotations

import json
from pathlib import Path

import pytest

from engine.errors import DataError
from metrics.bench.sample_scores import SampleScores, read_sample_scores, rows_to_bytes

ROW = SampleScores("magna", "images/ä.png", "0" * 64, "efficientnet_lite0", 0.5, 1.1, "MT/a", 2.0, 0.9)


def test_rows_come_back_as_they_were(tmp_path: Path) -> None:
    rows = [ROW, SampleScores("magna", "images/b.png", "1" * 64, "efficientnet_lite0")]
    path = tmp_path / "scores.jsonl"
    path.write_bytes(rows_to_bytes(rows))
    assert read_sample_scores(path) == rows


def test_one_object_a_line_with_every_column() -> None:
    (line,) = rows_to_bytes([ROW]).decode().splitlines()
    assert list(json.loads(line)) == [
        "source", "file_name", "sha256", "extractor", "label_iou", "realism", "nearest", "nearest_distance",
        "nearest_ratio",
    ]  # fmt: skip


def test_a_number_that_is_not_finite_becomes_null() -> None:
    row = SampleScores("magna", "a.png", "0" * 64, "x", label_iou=float("nan"), realism=float("inf"))
    content = json.loads(rows_to_bytes([row]))
    assert content["label_iou"] is None
    assert content["realism"] is None


@pytest.mark.parametrize("line", ["{", "[1]", '{"source": "m"}', json.dumps({**ROW.__dict__, "label_iou": "0.5"})])
def test_a_damaged_line_is_named(tmp_path: Path, line: str) -> None:
    path = tmp_path / "scores.jsonl"
    path.write_bytes(rows_to_bytes([ROW]) + line.encode() + b"\n")
    with pytest.raises(DataError, match=r"scores\.jsonl:2: is no row of scores .*; write it again by bench-fid"):
        read_sample_scores(path)


def test_a_missing_file_is_told(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="write it by bench-fid"):
        read_sample_scores(tmp_path / "scores.jsonl")
