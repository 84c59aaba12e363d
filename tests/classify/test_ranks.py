"""Training by several processes: equal weights in all of them, and the bytes of a resumed run."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from classify.models.checkpoint import load_classifier
from tests.builders.classifiers import arguments, parts, small_network, tree

__all__ = ["small_network"]

ROOT = Path(__file__).parents[2]
SCRIPT = """
import hashlib, json
from pathlib import Path
import classify.models.cam, classify.training.launch
from classify.cli.train import train_classifier
from tests.builders.classifiers import Small

classify.models.cam.build_features = lambda name, *, short=False: (Small(), 8, False)
original = classify.training.launch.train

def recorded(fitting, *given, **options):
    history = original(fitting, *given, **options)
    hashes = {k: hashlib.sha256(v.numpy().tobytes()).hexdigest() for k, v in fitting.learner.state().items()}
    Path(%r, f"rank-{fitting.rank}.json").write_text(json.dumps([hashes, history]))
    return history

classify.training.launch.train = recorded
train_classifier()
"""

pytestmark = pytest.mark.slow


def on_two(folder: Path, command: list[str]) -> subprocess.CompletedProcess[str]:
    script = folder / "script.py"
    script.write_text(SCRIPT % str(folder))
    environment = dict(os.environ, PYTHONPATH=str(ROOT), OMP_NUM_THREADS="1")
    line = [sys.executable, str(script), *command, "--devices", "2"]
    return subprocess.run(line, env=environment, capture_output=True, text=True, check=False)


def test_both_processes_hold_the_same_weights_and_a_resumed_run_the_same_bytes(
    tmp_path: Path, small_network: None
) -> None:
    data, run = parts(tmp_path / "data"), tmp_path / "run"
    command = arguments(data, run, train={"batch_size": 2, "ema": 0.9})
    done = on_two(tmp_path, command)
    assert done.returncode == 0, done.stderr
    first, second = (json.loads((tmp_path / f"rank-{rank}.json").read_text()) for rank in range(2))
    assert first == second
    assert load_classifier(run).meta["identity"]["processes"] == 2
    whole = tree(run)
    (run / "state" / "epoch-0003.json").unlink()
    done = on_two(tmp_path, [*command, "--resume"])
    assert done.returncode == 0, done.stderr
    assert tree(run) == whole


def test_an_error_is_reported_once(tmp_path: Path) -> None:
    data = parts(tmp_path / "data", ["good"] * 20)
    done = on_two(tmp_path, arguments(data, tmp_path / "run"))
    assert done.returncode == 1
    said = [line for line in done.stderr.splitlines() if line.startswith("error:") or "Traceback" in line]
    assert len(said) == 1
    assert "one class only" in said[0]
