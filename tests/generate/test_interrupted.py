"""Killed, interrupted, out of space: what was recorded stays valid, and --resume ends in the identical tree."""

from __future__ import annotations

import errno
import os
import random
import signal
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from engine.errors import OutputError
from engine.files import atomic
from engine.files.json_lines import LineLog
from tests.builders.generate import files, gen_defects, recorded, save_masks, start, tree_hash

NUM = 12
TOTAL = 20 * NUM


@pytest.fixture(scope="module")
def many(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_masks(tmp_path_factory.mktemp("many"), [f"m{number:02d}.png" for number in range(20)])


def _arguments(many: Path, checkpoint: Path, out: Path) -> list[object]:
    return ["--masks", many, "--checkpoint", checkpoint, "--num", NUM, "--labels", "coco,yolo", "--out", out,
            "--workers", 2, "--batch-size", 8]  # fmt: skip


@pytest.fixture(scope="module")
def reference(many: Path, checkpoint: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("undisturbed") / "out"
    assert gen_defects(*_arguments(many, checkpoint, out)) == 0
    assert recorded(out) == TOTAL
    return out


def _wait(process: subprocess.Popen[str], ready: Callable[[], bool]) -> None:
    while process.poll() is None and not ready():
        time.sleep(0.001)


def _kill_loop(many: Path, checkpoint: Path, out: Path, points: list[Callable[[], bool]]) -> int:
    """Kills the command once for each point, then lets it finish; how often a kill hit a run that was under way."""
    hit = 0
    for number, ready in enumerate(points):
        process = start(*_arguments(many, checkpoint, out), *(["--resume"] if number else []))
        _wait(process, ready)
        hit += process.poll() is None
        process.send_signal(signal.SIGKILL)
        process.communicate()
    assert gen_defects(*_arguments(many, checkpoint, out), "--resume") == 0
    return hit


def _after_rows(out: Path, rows: int) -> Callable[[], bool]:
    return lambda: recorded(out) >= rows


def test_killed_three_times_and_resumed_gives_the_identical_tree(
    many: Path, checkpoint: Path, reference: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    hit = _kill_loop(many, checkpoint, out, [_after_rows(out, rows) for rows in (1, 60, 150)])
    assert hit >= 2
    assert tree_hash(out) == tree_hash(reference)


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_killed_thirty_times_at_random_moments_and_resumed_gives_the_identical_tree(
    many: Path, checkpoint: Path, reference: Path, tmp_path: Path
) -> None:
    rng = random.Random(1)
    out, hit, rounds = tmp_path / "out", 0, 0
    while hit < 30:
        rounds += 1
        here = out.with_name(f"out{rounds}")
        points: list[Callable[[], bool]] = []
        for share in (0.1, 0.5, 0.9):
            rows = int(share * TOTAL * rng.random())
            until = rng.random() * 0.2

            def ready(rows: int = rows, until: float = until, here: Path = here, known: list[float] = []) -> bool:  # noqa: B006
                if recorded(here) < rows:
                    return False
                known.append(time.monotonic())
                return known[-1] - known[0] > until

            points.append(ready)
        hit += _kill_loop(many, checkpoint, here, points)
        assert tree_hash(here) == tree_hash(reference), f"round {rounds}"
        assert rounds < 40, "kills come too late"


def test_control_c_exits_130_with_one_line_and_resume_goes_on(
    many: Path, checkpoint: Path, reference: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    process = start(*_arguments(many, checkpoint, out))
    _wait(process, _after_rows(out, 16))
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate()
    assert process.returncode == 130
    assert errors.splitlines()[-1] == "interrupted; run the same command with --resume to go on"
    assert "Traceback" not in errors
    assert 8 <= recorded(out) < TOTAL  # the append that was under way when the signal came is taken back
    assert not [path for path in files(out) if path.suffix == ".tmp" or path.name == ".lock"]
    assert gen_defects(*_arguments(many, checkpoint, out), "--resume") == 0
    assert tree_hash(out) == tree_hash(reference)


@pytest.mark.parametrize("call", [40, 400, 700])
def test_a_full_disk_is_one_line_and_resume_goes_on(
    many: Path, checkpoint: Path, reference: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
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
        assert gen_defects(*_arguments(many, checkpoint, out)) == 1
    errors = [line for line in capsys.readouterr().err.splitlines() if line.startswith("error")]
    assert len(errors) == 1
    assert "No space left on device; free some space, then run the same command with --resume" in errors[0]
    assert not [path for path in files(out) if path.suffix == ".tmp"]
    for line in (out / "metadata.jsonl").read_text(encoding="utf-8").splitlines():
        assert line.endswith("}")
    assert gen_defects(*_arguments(many, checkpoint, out), "--resume") == 0
    assert tree_hash(out) == tree_hash(reference)


def test_a_read_only_folder_is_one_line(
    many: Path, checkpoint: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    out, real = tmp_path / "out", os.open
    out.mkdir()

    def read_only(path: str | Path, flags: int, mode: int = 0o777) -> int:
        if flags & (os.O_WRONLY | os.O_RDWR) and Path(path).is_relative_to(out):
            raise OSError(errno.EROFS, os.strerror(errno.EROFS), str(path))
        return real(path, flags, mode)

    monkeypatch.setattr(os, "open", read_only)
    assert gen_defects(*_arguments(many, checkpoint, out)) == 1
    errors = [line for line in capsys.readouterr().err.splitlines() if line.startswith("error")]
    assert len(errors) == 1
    assert "Read-only file system; choose another output folder" in errors[0]


def test_a_second_writer_is_refused_and_the_first_is_not_disturbed(
    many: Path, checkpoint: Path, reference: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    first = start(*_arguments(many, checkpoint, out))
    _wait(first, _after_rows(out, 1))
    os.kill(first.pid, signal.SIGSTOP)
    try:
        assert gen_defects(*_arguments(many, checkpoint, out), "--resume") == 1
    finally:
        os.kill(first.pid, signal.SIGCONT)
    assert f"is being written by another process (pid {first.pid})" in capsys.readouterr().err
    first.communicate()
    assert first.returncode == 0
    assert tree_hash(out) == tree_hash(reference)


@pytest.mark.parametrize(
    ("issue", "code"), [(OutputError("no space; free some", code="E-test-full"), 1), (KeyboardInterrupt(), 130)]
)
@pytest.mark.parametrize("written", [False, True])
def test_an_append_that_fails_once_leaves_no_gap_and_resume_goes_on(
    many: Path, checkpoint: Path, reference: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
    issue: BaseException, code: int, written: bool,
) -> None:  # fmt: skip
    out, real, calls = tmp_path / "out", LineLog.append, 0

    def once(log: LineLog, rows: Sequence[Mapping[str, Any]]) -> None:
        nonlocal calls
        calls += 1
        if calls != 5 or written:
            real(log, rows)
        if calls == 5:
            raise issue

    with monkeypatch.context() as patched:
        patched.setattr(LineLog, "append", once)
        assert gen_defects(*_arguments(many, checkpoint, out)) == code
    assert calls == 5
    assert gen_defects(*_arguments(many, checkpoint, out), "--resume") == 0
    assert tree_hash(out) == tree_hash(reference)
