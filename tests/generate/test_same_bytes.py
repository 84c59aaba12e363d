"""Same seed, same bytes: for any batch size, worker count, thread count and resume point."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
import torch

from tests.builders.generate import gen_defects, recorded, tree_hash

GUIDE = "thickness=0.3|0.8,brightness=0.1..0.9"
ALL = "mask,coco,yolo,labelme"


def _arguments(masks: Path, checkpoint: Path, out: Path) -> list[object]:
    return ["--masks", masks, "--checkpoint", checkpoint, "--guide", GUIDE, "--num", 3, "--seed", 7,
            "--labels", ALL, "--out", out]  # fmt: skip


@pytest.fixture(scope="module")
def reference(masks: Path, checkpoint: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("reference") / "out"
    assert gen_defects(*_arguments(masks, checkpoint, out), "--workers", 1) == 0
    assert recorded(out) == 7 * 2 * 3
    return out


@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize("workers", [1, 2])
@pytest.mark.parametrize("batch_size", [1, 3, 8])
def test_tree_does_not_depend_on_batch_size_workers_and_threads(
    masks: Path, checkpoint: Path, reference: Path, tmp_path: Path, batch_size: int, workers: int, threads: int
) -> None:
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        code = gen_defects(
            *_arguments(masks, checkpoint, tmp_path / "out"), "--batch-size", batch_size, "--workers", workers
        )
        assert torch.get_num_threads() == threads, "the process's own setting came back"
    finally:
        torch.set_num_threads(before)
    assert code == 0
    assert tree_hash(tmp_path / "out") == tree_hash(reference)


def _cut(reference: Path, out: Path, rows: int, *, torn: bool) -> None:
    """The reference as a kill after `rows` rows could have left it: later files there or not, the last line torn."""
    shutil.copytree(reference, out)
    lines = (out / "metadata.jsonl").read_bytes().splitlines(keepends=True)
    (out / "metadata.jsonl").write_bytes(b"".join(lines[:rows]) + (lines[rows][:40] if torn else b""))
    for line in lines[rows + 2 :]:
        row = json.loads(line)
        (out / row["file_name"]).unlink()
        (out / row["mask"]).unlink()
    for name in ("annotations.coco.json", "preview.png", "data.yaml"):
        (out / name).unlink()
    (out / "images" / ".half.png.4711.tmp").write_bytes(b"half")
    (out / ".lock").write_bytes(b"4711\n")


@pytest.mark.parametrize(("rows", "torn"), [(0, False), (5, True), (21, False)])
def test_resume_ends_in_the_tree_of_an_undisturbed_run(
    masks: Path, checkpoint: Path, reference: Path, tmp_path: Path, rows: int, torn: bool
) -> None:
    out = tmp_path / "out"
    _cut(reference, out, rows, torn=torn)
    assert gen_defects(*_arguments(masks, checkpoint, out), "--resume", "--batch-size", 3) == 0
    assert tree_hash(out) == tree_hash(reference)


def test_resume_makes_recorded_files_again_that_are_lost(
    masks: Path, checkpoint: Path, reference: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    shutil.copytree(reference, out)
    rows = [json.loads(line) for line in (out / "metadata.jsonl").read_text(encoding="utf-8").splitlines()]
    (out / rows[3]["file_name"]).unlink()
    (out / rows[20]["mask"]).unlink()
    assert gen_defects(*_arguments(masks, checkpoint, out), "--resume") == 0
    assert tree_hash(out) == tree_hash(reference)


def test_another_seed_gives_other_images_and_an_added_mask_changes_none_of_the_others(
    masks: Path, checkpoint: Path, reference: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    assert gen_defects(*_arguments(masks, checkpoint, out), "--seed", 8) == 0
    for image in (reference / "images").rglob("*.png"):
        assert image.read_bytes() != (out / image.relative_to(reference)).read_bytes()
    subset = tmp_path / "subset"
    shutil.copytree(masks / "pit", subset / "pit")
    assert gen_defects(*_arguments(subset, checkpoint, tmp_path / "fewer")) == 0
    labels = sorted((tmp_path / "fewer" / "masks").rglob("*.png"))
    assert len(labels) == 3 * 2 * 3
    for label in labels:
        assert label.read_bytes() == (reference / label.relative_to(tmp_path / "fewer")).read_bytes()


def test_same_noise_gives_one_image_for_grid_points_that_agree(masks: Path, checkpoint: Path, tmp_path: Path) -> None:
    arguments = ["--masks", masks / "4.png", "--checkpoint", checkpoint, "--guide",
                 "thickness=0.5|0.5,brightness=0.5,background=dark,kind=pit"]  # fmt: skip
    for flag, alike in (("--same-noise", True), (None, False)):
        out = tmp_path / str(flag)
        assert gen_defects(*arguments, "--out", out, *([flag] if flag else [])) == 0
        first, second = sorted((out / "images").iterdir())
        assert (first.read_bytes() == second.read_bytes()) is alike
