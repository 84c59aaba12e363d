"""Training by several processes: equal weights in all of them, resuming, and stopping together."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from gan.checkpoint import load_generator
from tests.builders.gan import LITERAL, arguments, metrics, sample_folder, tree
from tests.builders.ranks import RANKS, train_on_two_ranks

ROOT = Path(__file__).parents[2]
ONE_EPOCH = {"epochs": 1, "batch_size": 2}

pytestmark = pytest.mark.slow


def assert_equal_weights(folder: Path) -> None:
    first, second = (json.loads((folder / f"rank-{rank}.json").read_text()) for rank in range(RANKS))
    assert first
    assert first == second


@pytest.mark.parametrize(
    "sections", [{}, LITERAL, {"network": {"spectral": True}}, {"train": {"precision": "bf16"}}],
    ids=["default", "literal", "spectral", "bf16"],
)  # fmt: skip
def test_under_torchrun_all_processes_hold_the_same_weights(
    data: Path, tmp_path: Path, sections: dict[str, dict[str, Any]]
) -> None:
    out = tmp_path / "run"
    sections = sections | {"train": ONE_EPOCH | sections.get("train", {})}
    assert train_on_two_ranks(arguments(data, out, **sections), tmp_path) == [0, 0]
    assert_equal_weights(tmp_path)
    assert [row["epoch"] for row in metrics(out)] == [1]
    load_generator(out)


def test_a_resumed_run_of_two_processes_ends_in_the_same_files(data: Path, tmp_path: Path) -> None:
    out = tmp_path / "run"
    command_line = arguments(data, out, train={"epochs": 2, "batch_size": 2, "checkpoint_every": 1})
    assert train_on_two_ranks(command_line, tmp_path) == [0, 0]
    whole = tree(out)
    for folder in ("checkpoints", "state"):
        (out / folder / "epoch-0002.json").unlink()
    assert train_on_two_ranks([*command_line, "--resume"], tmp_path) == [0, 0]
    assert tree(out) == whole
    assert_equal_weights(tmp_path)


def said(folder: Path) -> list[list[str]]:
    """The error lines of each process."""
    texts = ((folder / f"rank-{rank}.err").read_text() for rank in range(RANKS))
    return [[line for line in text.splitlines() if line.startswith("error") or "Traceback" in line] for text in texts]


def test_when_the_first_process_refuses_to_resume_the_others_leave_without_a_word(tmp_path: Path) -> None:
    out = tmp_path / "run"
    few, more = sample_folder(tmp_path / "few"), sample_folder(tmp_path / "more", ("crack", "pit") * 6 + ("good",) * 4)
    assert train_on_two_ranks(arguments(few, out, train=ONE_EPOCH), tmp_path) == [0, 0]
    assert train_on_two_ranks([*arguments(more, out, train=ONE_EPOCH), "--resume"], tmp_path) == [2, 2]
    first, other = said(tmp_path)
    assert len(first) == 1
    assert "was begun with another train_sha256" in first[0]
    assert other == []


def test_when_the_first_process_cannot_write_the_others_leave_too(data: Path, tmp_path: Path) -> None:
    assert train_on_two_ranks(arguments(data, tmp_path / "run", train=ONE_EPOCH), tmp_path, full_disk=True) == [1, 1]
    first, other = said(tmp_path)
    assert ["No space left on device" in line for line in first] == [True]
    assert other == []


@pytest.mark.parametrize("rank", range(RANKS))
def test_a_loss_that_is_no_number_in_one_process_stops_all(data: Path, tmp_path: Path, rank: int) -> None:
    command_line = arguments(data, tmp_path / "run", train=ONE_EPOCH)
    assert train_on_two_ranks(command_line, tmp_path, broken_rank=rank) == [1, 1]


def test_the_command_starts_its_processes_itself(data: Path, tmp_path: Path) -> None:
    out, script = tmp_path / "run", tmp_path / "script.py"
    script.write_text(
        "from pathlib import Path\n"
        "from gan.cli.train import train_gan\n"
        "from tests.builders.ranks import record\n"
        f"record(Path({str(tmp_path)!r}))\n"
        "train_gan()\n"
    )
    command = [sys.executable, str(script), *arguments(data, out, train=ONE_EPOCH), "--devices", str(RANKS), "--json"]
    environment = dict(os.environ, PYTHONPATH=str(ROOT), OMP_NUM_THREADS="1")
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["run"] == str(out)
    assert_equal_weights(tmp_path)
