"""The atomic writer: whole or not at all, and one line when the disk says no."""

from __future__ import annotations

import errno
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from engine.files import atomic
from engine.files.atomic import open_atomic, remove_temporaries, write_bytes, write_json, write_many, write_text
from tests.builders.errors import raises

WRITER = """
import sys
from engine.files.atomic import write_bytes, write_many
path = sys.argv[1]
print("ready", flush=True)
number = 0
while True:
    number += 1
    content = bytes([number % 251]) * 2_000_000
    write_bytes(path + "/one", content)
    write_many((f"{path}/many/{index}", content) for index in range(4))
"""


def _names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.rglob("*") if path.is_file())


def test_files_appear_under_their_name_with_their_folders_and_replace_older_ones(tmp_path: Path) -> None:
    write_text(tmp_path / "a" / "b" / "ü n.txt", "first")
    write_text(tmp_path / "a" / "b" / "ü n.txt", "second")
    write_json(tmp_path / "x.json", {"b": [1, 0.5], "a": "ä"})
    assert (tmp_path / "a" / "b" / "ü n.txt").read_text(encoding="utf-8") == "second"
    assert (tmp_path / "x.json").read_text(encoding="utf-8") == '{\n  "b": [\n    1,\n    0.5\n  ],\n  "a": "ä"\n}\n'
    assert _names(tmp_path) == ["x.json", "ü n.txt"]


def test_many_files_are_written_in_order_also_when_one_is_written_twice(tmp_path: Path) -> None:
    pairs = [(tmp_path / str(index % 150), str(index).encode()) for index in range(200)]
    write_many(iter(pairs))
    assert {int(name) for name in _names(tmp_path)} == set(range(150))
    assert (tmp_path / "3").read_bytes() == b"153"
    assert (tmp_path / "149").read_bytes() == b"149"


def test_the_longest_name_of_the_file_system_can_be_written(tmp_path: Path) -> None:
    name = "é" * 127
    write_bytes(tmp_path / name, b"x")
    assert _names(tmp_path) == [name]
    with raises("E-out-unwritable", "too long; choose a shorter name"):
        write_bytes(tmp_path / ("e" * 256), b"x")


def test_json_refuses_nan(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="JSON"):
        write_json(tmp_path / "x.json", {"loss": float("nan")})
    assert _names(tmp_path) == []


def test_killed_in_the_middle_of_a_write_every_file_is_whole(tmp_path: Path) -> None:
    random_source = random.Random(0)
    torn = 0
    for _ in range(8):
        with subprocess.Popen([sys.executable, "-c", WRITER, str(tmp_path)], stdout=subprocess.PIPE) as child:
            assert child.stdout is not None
            child.stdout.readline()
            time.sleep(0.02 + 0.1 * random_source.random())
            child.send_signal(signal.SIGKILL)
        torn += remove_temporaries(tmp_path)
        for path in tmp_path.rglob("*"):
            if path.is_file():
                content = path.read_bytes()
                assert len(content) == 2_000_000
                assert len(set(content)) == 1
    assert torn > 0, "no kill hit a write, so nothing was proved"
    assert not any(name.startswith(".") for name in _names(tmp_path))


@pytest.mark.parametrize("failing", ["write", "fsync", "replace"])
@pytest.mark.parametrize(
    ("number", "line"),
    [
        (errno.ENOSPC, "No space left on device; free some space, then run the same command with --resume"),
        (errno.EROFS, "Read-only file system; choose another output folder"),
        (errno.EACCES, "Permission denied; choose another output folder"),
    ],
)
def test_a_full_or_read_only_disk_is_one_line_and_leaves_no_temporary(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, failing: str, number: int, line: str
) -> None:
    write_bytes(tmp_path / "earlier", b"kept")
    real = getattr(os, failing)
    calls = 0

    def full(*arguments: object) -> object:
        nonlocal calls
        calls += 1
        if calls == 3:
            raise OSError(number, os.strerror(number))
        return real(*arguments)

    monkeypatch.setattr(atomic.os, failing, full)
    with raises("E-out-unwritable", line) as caught:
        write_many((tmp_path / name, b"new") for name in ("earlier", "b", "c", "d"))
    monkeypatch.undo()
    assert str(tmp_path / "c") in str(caught.value)
    assert "\n" not in str(caught.value)
    written = ["b", "earlier"] if failing == "replace" else ["earlier"]
    assert _names(tmp_path) == written
    assert (tmp_path / "earlier").read_bytes() == (b"new" if failing == "replace" else b"kept")


def test_a_read_only_folder_is_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "locked"
    folder.mkdir()
    folder.chmod(0o555)
    if os.access(folder, os.W_OK):  # root may write anywhere
        real = os.open

        def refuse(path: object, flags: int, *rest: int, **named: int) -> int:
            if flags & os.O_CREAT:
                raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))
            return real(path, flags, *rest, **named)  # type: ignore[arg-type]

        monkeypatch.setattr(atomic.os, "open", refuse)
    with raises("E-out-unwritable", "Permission denied; choose another output folder or change its permissions"):
        write_bytes(folder / "x", b"x")
    folder.chmod(0o755)
    assert _names(folder) == []


def test_a_path_through_a_file_or_onto_a_folder_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    (tmp_path / "folder").mkdir()
    for path in (tmp_path / "file" / "x", tmp_path / "file" / "y" / "x"):
        with raises("E-out-unwritable"):
            write_bytes(path, b"x")
    with raises("E-out-unwritable", "Is a directory; choose another output path"):
        write_bytes(tmp_path / "folder", b"x")
    assert _names(tmp_path) == ["file"]


def test_only_our_own_temporaries_are_removed(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    for name in (".a.png.123.tmp", "in/.b.1.tmp", ".mine.tmp", "c.1.tmp", ".d.1.tmp.png"):
        (tmp_path / name).write_text("x")
    assert remove_temporaries(tmp_path) == 2
    assert _names(tmp_path) == [".d.1.tmp.png", ".mine.tmp", "c.1.tmp"]


def test_a_file_written_piece_by_piece_appears_only_when_whole(tmp_path: Path) -> None:
    path = tmp_path / "new" / "x"
    with open_atomic(path) as file:
        file.write(b"one")
        assert not path.exists()
        file.write(b" two")
    assert path.read_bytes() == b"one two"

    def fill_the_disk() -> None:
        with open_atomic(path) as file:
            file.write(b"half")
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with raises("E-out-unwritable"):
        fill_the_disk()
    assert path.read_bytes() == b"one two"
    assert _names(tmp_path) == ["x"]
