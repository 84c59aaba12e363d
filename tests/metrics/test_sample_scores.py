from __future__ import annotations

import json

from metrics.bench.summary import SampleScores, rows_to_bytes

ROW = SampleScores("magna", "images/ä.png", "0" * 64, "efficientnet_lite0", 0.5, 1.1, "MT/a", 2.0, 0.9)


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
