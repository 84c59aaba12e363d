"""The quality filter: which synthetic images are dropped by their scores, and that each drop has a reason."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from augment.mixing.filtering import read_scores
from augment.mixing.planning import make_plan
from augment.mixing.request import Request, Thresholds
from engine.files.atomic import sha256_file
from tests.builders.errors import raises
from tests.builders.mixing import mix, real_images, rows_of, synthetic_images


def _scores(folder: Path, path: Path, rows: dict[str, dict[str, float | None]]) -> Path:
    lines = [
        json.dumps({"source": "gan", "file_name": f"images/{name}.png",
                    "sha256": sha256_file(folder / "images" / f"{name}.png"), "extractor": "efficientnet_lite0",
                    "label_iou": 0.9, "realism": 1.2, "nearest_ratio": 1.0, **values})
        for name, values in rows.items()
    ]  # fmt: skip
    path.write_text("\n".join(lines) + "\n")
    return path


@pytest.fixture
def folders(tmp_path: Path) -> tuple[Path, Path, Path]:
    real, synthetic = real_images(tmp_path / "real", each=1), synthetic_images(tmp_path / "gan", 6)
    rows: dict[str, dict[str, float | None]] = {
        "synthetic_000": {}, "synthetic_001": {"label_iou": 0.1}, "synthetic_002": {"realism": 0.2},
        "synthetic_003": {"nearest_ratio": 0.05}, "synthetic_004": {"realism": None},
    }  # fmt: skip
    return real, synthetic, _scores(synthetic, tmp_path / "scores.jsonl", rows)


ALL = Thresholds(label_iou=0.5, realism=0.8, nearest_ratio=0.3)


def test_each_threshold_drops_what_is_below_it_and_says_why(folders: tuple[Path, Path, Path]) -> None:
    real, synthetic, scores = folders
    plan = make_plan(Request(real, {"gan": synthetic}, scores=(scores,), thresholds=ALL, check="files"))
    assert [i.sample.name for i in plan.items["train"] if i.source == "synthetic"] == ["synthetic_000"]
    reasons = {drop.name[-1]: drop.reason for drop in plan.dropped}
    assert reasons == {"1": "label_iou", "2": "realism", "3": "nearest_ratio", "4": "no score", "5": "no score"}
    assert plan.summary()["dropped"] == {"gan": {"label_iou": 1, "nearest_ratio": 1, "no score": 2, "realism": 1}}
    assert any("2 images without the required scores are dropped" in line for line in plan.warnings)


def test_unscored_images_are_used_on_request_and_still_counted(folders: tuple[Path, Path, Path]) -> None:
    real, synthetic, scores = folders
    request = Request(
        real, {"gan": synthetic}, scores=(scores,), thresholds=ALL, keep_unscored=True, check="files"
    )  # fmt: skip
    plan = make_plan(request)
    used = [item.sample.name[-1] for item in plan.items["train"] if item.source == "synthetic"]
    assert used == ["0", "4", "5"]
    assert any("2 images without the required scores are used" in line for line in plan.warnings)


def test_drops_are_written_with_their_reason(folders: tuple[Path, Path, Path], tmp_path: Path) -> None:
    real, synthetic, scores = folders
    out = tmp_path / "out"
    assert mix("--real", real, "--synthetic", f"gan={synthetic}", "--scores", scores, "--min-label-iou", 0.5,
               "--keep-unscored", "--check", "files", "--out", out) == 0  # fmt: skip
    drops = [json.loads(line) for line in (out / "dropped.jsonl").read_text().splitlines()]
    assert [(drop["name"], drop["reason"]) for drop in drops] == [("synthetic_001", "label_iou")]
    assert "0.100, at least 0.5" in drops[0]["detail"]
    assert sum(row["source"] == "synthetic" for row in rows_of(out)) == 5


def test_thresholds_without_scores_are_an_error(tmp_path: Path) -> None:
    with raises("E-mix-conflicting-options", "give --scores"):
        Request(tmp_path, thresholds=ALL)


@pytest.mark.parametrize("line", ["{", "[]", '{"label_iou": 1}', '{"sha256": "a", "realism": "x"}'])
def test_damaged_scores_are_one_line(tmp_path: Path, line: str) -> None:
    path = tmp_path / "scores.jsonl"
    path.write_text(line + "\n")
    with raises("E-mix-bad-scores", r"scores.jsonl:1: .*run bench-fid again"):
        read_scores([path])
