"""One writer to a folder."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

from engine.files.json_lines import LOCK_NAME, lock_folder
from tests.builders.errors import raises

HOLDER = """
import sys, time
from engine.files.json_lines import lock_folder
with lock_folder(sys.argv[1]):
    print("held", flush=True)
    time.sleep(60)
"""

FORKING_HOLDER = """
import os, sys, time
from engine.files.json_lines import lock_folder
with lock_folder(sys.argv[1]):
    if os.fork() == 0:
        os.write(1, b"%d\\n" % os.getpid())
    time.sleep(60)
    os._exit(0)
"""


def test_a_second_process_is_refused_and_learns_who_writes(tmp_path: Path) -> None:
    with subprocess.Popen([sys.executable, "-c", HOLDER, str(tmp_path)], stdout=subprocess.PIPE) as child:
        assert child.stdout is not None
        child.stdout.readline()
        with (
            raises("E-out-in-use", rf"is being written by another process \(pid {child.pid}\); wait for it"),
            lock_folder(tmp_path),
        ):
            pass
        child.send_signal(signal.SIGKILL)
    with lock_folder(tmp_path):
        assert (tmp_path / LOCK_NAME).read_text() == f"{os.getpid()}\n"


def test_the_same_process_cannot_hold_a_folder_twice(tmp_path: Path) -> None:
    with (
        lock_folder(tmp_path),
        raises("E-out-in-use"),
        lock_folder(tmp_path),
    ):
        pass


def test_the_lock_leaves_nothing_behind_and_makes_the_folder(tmp_path: Path) -> None:
    for _ in range(2):
        with lock_folder(tmp_path / "a" / "b"):
            assert [path.name for path in (tmp_path / "a" / "b").iterdir()] == [LOCK_NAME]
        assert list((tmp_path / "a" / "b").iterdir()) == []


def test_a_forked_worker_does_not_keep_the_lock_of_a_killed_parent(tmp_path: Path) -> None:
    with subprocess.Popen([sys.executable, "-c", FORKING_HOLDER, str(tmp_path)], stdout=subprocess.PIPE) as parent:
        assert parent.stdout is not None
        worker = int(parent.stdout.readline())
        try:
            parent.send_signal(signal.SIGKILL)
            parent.wait()
            with lock_folder(tmp_path):
                os.kill(worker, 0)
        finally:
            os.kill(worker, signal.SIGKILL)


def test_a_lock_removed_by_its_last_holder_while_we_waited_is_taken_anew(tmp_path: Path) -> None:
    script = (
        "import sys\nfrom engine.files.json_lines import lock_folder\nfrom engine.errors import OutputError\nheld = 0\n"
        + (
            "while held < 200:\n"
            "    try:\n"
            "        with lock_folder(sys.argv[1]):\n"
            "            with open(sys.argv[1] + '/shared', 'x'): pass\n"
            "            import os; os.unlink(sys.argv[1] + '/shared')\n"
            "            held += 1\n"
            "    except OutputError: pass\n"
        )
    )
    children = [subprocess.Popen([sys.executable, "-c", script, str(tmp_path)]) for _ in range(2)]
    deadline = time.monotonic() + 60
    assert [child.wait(timeout=deadline - time.monotonic()) for child in children] == [0, 0]


def test_a_folder_that_is_a_file_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    with raises("E-out-is-a-file"), lock_folder(tmp_path / "file"):
        pass
