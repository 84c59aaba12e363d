"""The written folder: true rows, the same bytes again, and nothing lost when it is killed."""

from __future__ import annotations

import errno
import os
import random
import signal
import time
from pathlib import Path

import pytest

from augment.mixing.folder import RECORD
from defects.images.decode import encode_image
from engine.files import atomic
from engine.files.atomic import sha256_file
from tests.builders.mixing import (
    error_lines,
    mix,
    provenance,
    real_images,
    rows_of,
    start,
    synthetic_images,
    texture,
    tree_hash,
)

AUGMENTATIONS = 4


@pytest.fixture(scope="module")
def sources(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    root = tmp_path_factory.mktemp("sources")
    return real_images(root / "real"), provenance(synthetic_images(root / "gan", 12), size=32)


def _arguments(sources: tuple[Path, Path], out: Path) -> list[object]:
    real, synthetic = sources
    return ["--real", real, "--synthetic", f"gan={synthetic}", "--augment", "oliena", "--augmentations", AUGMENTATIONS,
            "--check", "files", "--out", out]  # fmt: skip


@pytest.fixture(scope="module")
def reference(sources: tuple[Path, Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("undisturbed") / "out"
    assert mix(*_arguments(sources, out)) == 0
    return out


def test_every_row_is_true(reference: Path) -> None:
    rows = rows_of(reference)
    by_name = {row["file_name"]: row for row in rows}
    assert len(by_name) == len(rows)
    for row in rows:
        assert sha256_file(reference / row["file_name"]) == row["sha256"]
        assert (reference / row["mask"]).is_file()
        assert row["source"] == ("synthetic" if row["origin"] == "gan" else "real")
        assert row["source"] == "real" or row["split"] == "train"
        if row["version"]:
            parent = by_name[row["parent"]]
            assert (parent["original"], parent["version"]) == (row["original"], 0)
            assert row["guide"]["raw"] == {}  # measured on other pixels
        else:
            assert row["parent"] is None
            assert row["applied"] == []
    assert {row["version"] for row in rows if row["split"] == "train"} == set(range(AUGMENTATIONS + 1))
    unchanged = [row for row in rows if row["source"] == "synthetic" and not row["version"]]
    assert all(row["guide"]["raw"] == {"thickness": 4.0} and row["checkpoint"] == "c" * 64 for row in unchanged)


def test_each_split_is_a_sample_folder_of_its_own(reference: Path) -> None:
    for split in ("train", "val", "test"):
        own = [row for row in rows_of(reference) if row["split"] == split]
        listed = rows_of(reference / split)
        assert [f"{split}/{row['file_name']}" for row in listed] == [row["file_name"] for row in own]
        assert all((reference / split / row["mask"]).is_file() for row in listed)
        assert all(value is not None for row in listed for value in row.values())


@pytest.mark.parametrize("workers", [1, 3])
def test_the_same_seed_gives_the_same_bytes_for_any_number_of_workers(
    sources: tuple[Path, Path], reference: Path, tmp_path: Path, workers: int
) -> None:
    assert mix(*_arguments(sources, tmp_path / "out"), "--workers", workers) == 0
    assert tree_hash(tmp_path / "out") == tree_hash(reference)


def test_another_seed_gives_others(sources: tuple[Path, Path], reference: Path, tmp_path: Path) -> None:
    assert mix(*_arguments(sources, tmp_path / "out"), "--seed", 1) == 0
    assert tree_hash(tmp_path / "out") != tree_hash(reference)


def _kill_and_resume(sources: tuple[Path, Path], out: Path, after: float) -> bool:
    """Kills the command once `after` of its rows are recorded, then lets it finish; whether the kill hit it."""
    total = len(rows_of(_REFERENCE[0]))
    process = start(*_arguments(sources, out))
    log = out / "metadata.jsonl"
    while process.poll() is None and not (log.is_file() and log.read_bytes().count(b"\n") >= after * total):
        time.sleep(0.001)
    hit = process.poll() is None
    process.send_signal(signal.SIGKILL)
    process.communicate()
    assert mix(*_arguments(sources, out), "--resume") == 0
    return hit


_REFERENCE: list[Path] = []


def test_killed_and_resumed_gives_the_identical_tree(
    sources: tuple[Path, Path], reference: Path, tmp_path: Path
) -> None:
    _REFERENCE[:] = [reference]
    _kill_and_resume(sources, tmp_path / "out", 0.3)
    assert tree_hash(tmp_path / "out") == tree_hash(reference)


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_killed_twenty_times_at_random_moments_gives_the_identical_tree(
    sources: tuple[Path, Path], reference: Path, tmp_path: Path
) -> None:
    _REFERENCE[:] = [reference]
    rng, hit = random.Random(2), 0
    for number in range(40):
        hit += _kill_and_resume(sources, tmp_path / f"out{number}", 0.9 * rng.random())
        assert tree_hash(tmp_path / f"out{number}") == tree_hash(reference)
        if hit == 20:
            break
    assert hit == 20, "kills come too late"


@pytest.mark.parametrize("call", [30, 90])
def test_a_full_disk_is_one_line_and_is_resumed(
    sources: tuple[Path, Path], reference: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str], call: int,
) -> None:  # fmt: skip
    out, real, calls = tmp_path / "out", os.write, 0

    def full(descriptor: int, data: bytes) -> int:
        nonlocal calls
        calls += 1
        if calls >= call:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return real(descriptor, data)

    with monkeypatch.context() as patched:
        patched.setattr(atomic.os, "write", full)
        assert mix(*_arguments(sources, out)) == 1
    lines = error_lines(capsys.readouterr().err)
    assert len(lines) == 1
    assert "No space left on device; free some space, then run the same command with --resume" in lines[0]
    assert not list(out.rglob("*.tmp"))
    assert mix(*_arguments(sources, out), "--resume") == 0
    assert tree_hash(out) == tree_hash(reference)


def test_a_lost_file_is_written_again(sources: tuple[Path, Path], reference: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    assert mix(*_arguments(sources, out)) == 0
    (out / rows_of(out)[5]["file_name"]).unlink()
    (out / rows_of(out)[9]["mask"]).unlink()
    assert mix(*_arguments(sources, out), "--resume") == 0
    assert tree_hash(out) == tree_hash(reference)


def test_a_folder_with_something_in_it_is_not_overwritten(
    sources: tuple[Path, Path], reference: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert mix(*_arguments(sources, reference)) == 1
    assert "is not empty; add --resume" in capsys.readouterr().err
    assert mix(*_arguments(sources, reference), "--seed", 5, "--resume") == 2
    assert "was started with seed 0, now it is 5" in capsys.readouterr().err
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "mine.txt").write_text("x")
    assert mix(*_arguments(sources, tmp_path / "out"), "--resume") == 1
    assert "this is no run to resume" in capsys.readouterr().err


def test_changed_inputs_are_noticed_on_resume(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    real, out = real_images(tmp_path / "real", each=1), tmp_path / "out"
    assert mix("--real", real, "--check", "files", "--out", out) == 0
    image = real / "images" / "good" / "g0_0.png"
    image.write_bytes(encode_image(texture(999)))
    assert mix("--real", real, "--check", "files", "--out", out, "--resume") == 2
    assert "was started with inputs" in capsys.readouterr().err


def test_a_defect_that_every_augmentation_loses_leaves_the_image_unchanged(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    real, pipeline = real_images(tmp_path / "real", each=1), tmp_path / "far.yaml"
    pipeline.write_text(
        "min_defect_share: 0\nborder: black\nsteps:\n  - translation: {x: [0.9, 0.9], y: [0.9, 0.9], p: 1.0}\n"
    )
    assert mix("--real", real, "--check", "files", "--augment", pipeline, "--out", tmp_path / "out") == 0
    rows = [row for row in rows_of(tmp_path / "out") if row["version"] and row["label"] != "good"]
    assert {tuple(row["applied"]) for row in rows} == {("unchanged",)}
    assert f"{len(rows)} augmentations leave the image unchanged" in capsys.readouterr().out


def test_the_record_of_the_leak_check_is_stored_with_the_folder(tmp_path: Path) -> None:
    real = real_images(tmp_path / "real", each=1)
    assert mix("--real", real, "--out", tmp_path / "out") == 0
    assert (tmp_path / "out" / RECORD).is_file()
