"""The line log: torn last lines, damaged files, full disks."""

from __future__ import annotations

import errno
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from engine.files import atomic
from engine.files.json_lines import LineLog
from tests.builders.errors import raises

APPENDER = """
import sys
from engine.files.json_lines import LineLog
log = LineLog(sys.argv[1])
number = len(log.lines())
print("ready", flush=True)
while True:
    log.append([{"number": number + index, "text": "x" * 5000} for index in range(20)])
    number += 20
"""


def test_what_is_appended_comes_back_in_order(tmp_path: Path) -> None:
    with LineLog(tmp_path / "new" / "log.jsonl") as log:
        log.append([{"a": 1}, {"b": "ü\n"}])
        log.append([])
        log.append([{"c": [1.5, None]}])
        assert log.lines() == [{"a": 1}, {"b": "ü\n"}, {"c": [1.5, None]}]
    assert (tmp_path / "new" / "log.jsonl").read_text(encoding="utf-8").count("\n") == 3


@pytest.mark.parametrize("tail", [b'{"c": 3', b'{"c": 3}', b"\0\0\0\0", b"\0\0\0\n", b'"text"\n', b"\xff\n"])
def test_a_torn_last_line_is_dropped_on_opening(tmp_path: Path, tail: bytes) -> None:
    path = tmp_path / "log.jsonl"
    path.write_bytes(b'{"a": 1}\n{"b": 2}\n' + tail)
    with LineLog(path) as log:
        assert path.read_bytes() == b'{"a": 1}\n{"b": 2}\n'
        log.append([{"d": 4}])
        assert log.lines() == [{"a": 1}, {"b": 2}, {"d": 4}]


def test_a_damaged_line_in_the_middle_is_named_and_nothing_is_dropped(tmp_path: Path) -> None:
    path = tmp_path / "log.jsonl"
    path.write_bytes(b'{"a": 1}\nrubbish\n{"b": 2}\n')
    with raises("E-log-damaged", r"log\.jsonl: line 2 is no JSON object; fix or remove that line"):
        LineLog(path)
    assert path.read_bytes().endswith(b'{"b": 2}\n')


def test_killed_while_appending_no_line_is_lost_or_doubled(tmp_path: Path) -> None:
    path = tmp_path / "log.jsonl"
    for _ in range(5):
        with subprocess.Popen([sys.executable, "-c", APPENDER, str(path)], stdout=subprocess.PIPE) as child:
            assert child.stdout is not None
            child.stdout.readline()
            time.sleep(0.1)
            child.send_signal(signal.SIGKILL)
        with LineLog(path) as log:
            numbers = [row["number"] for row in log.stream()]
        assert numbers == list(range(len(numbers)))
    assert numbers, "no kill came after a write, so nothing was proved"


def test_after_a_full_disk_the_log_ends_where_it_did_before(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with LineLog(tmp_path / "log.jsonl") as log:
        log.append([{"a": 1}])
        real = os.write
        calls = 0

        def half(descriptor: int, data: memoryview) -> int:
            nonlocal calls
            calls += 1
            if calls > 1:
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            return real(descriptor, data[: len(data) // 2])

        monkeypatch.setattr(atomic.os, "write", half)
        with raises("E-out-unwritable", "No space left on device; free some space"):
            log.append([{"b": 2}, {"c": 3}])
        monkeypatch.undo()
        log.append([{"d": 4}])
        assert [json.loads(line) for line in log.path.read_text().splitlines()] == [{"a": 1}, {"d": 4}]


def test_nan_is_refused_before_anything_is_written(tmp_path: Path) -> None:
    with LineLog(tmp_path / "log.jsonl") as log:
        with pytest.raises(ValueError, match="JSON"):
            log.append([{"a": 1}, {"a": float("inf")}])
        assert log.lines() == []


@pytest.mark.parametrize("keep", [0, 2, 3, 5])
def test_a_run_that_goes_back_forgets_what_came_after(tmp_path: Path, keep: int) -> None:
    with LineLog(tmp_path / "log.jsonl") as log:
        log.append([{"epoch": number} for number in range(3)])
        log.truncate(keep)
        log.append([{"epoch": "again"}])
        assert [row["epoch"] for row in log.stream()] == [*range(min(keep, 3)), "again"]


def test_an_interrupt_while_syncing_takes_the_lines_back(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with LineLog(tmp_path / "log.jsonl") as log:
        log.append([{"a": 1}])

        def interrupted(_: int) -> None:
            raise KeyboardInterrupt

        with monkeypatch.context() as patched:
            patched.setattr(os, "fsync", interrupted)
            with pytest.raises(KeyboardInterrupt):
                log.append([{"b": 2}])
        log.append([{"c": 3}])
        assert log.lines() == [{"a": 1}, {"c": 3}]
