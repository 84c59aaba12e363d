"""Run folders: refused when in use or filled, cleaned when resumed."""

from __future__ import annotations

import json
from pathlib import Path

from pydantic import BaseModel

from engine.run.folder import RunFolder
from tests.builders.errors import raises


class Toy(BaseModel):
    size: int = 3


def test_a_run_folder_says_what_ran(tmp_path: Path) -> None:
    with RunFolder.create(tmp_path / "run") as run:
        run.write_config(Toy())
        run.write_environment(device="cpu")
        run.metrics.append([{"images": 1}])
        assert not run.resumed
    assert (tmp_path / "run" / "config.yaml").read_text() == "size: 3\n"
    environment = json.loads((tmp_path / "run" / "environment.json").read_text())
    assert {"python", "platform", "packages", "commit", "command", "device"} == set(environment)
    assert "torch" in environment["packages"]
    assert sorted(path.name for path in (tmp_path / "run").iterdir()) == [
        "config.yaml",
        "environment.json",
        "metrics.jsonl",
    ]


def test_a_filled_folder_is_refused_without_resume_and_left_as_it_is(tmp_path: Path) -> None:
    (tmp_path / "mine.txt").write_text("x")
    with raises("E-out-not-empty"):
        RunFolder.create(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["mine.txt"]


def test_resume_clears_temporaries_and_keeps_the_first_environment(tmp_path: Path) -> None:
    with RunFolder.create(tmp_path) as run:
        run.write_environment(try_number=1)
        run.metrics.append([{"images": 1}])
    (tmp_path / "samples").mkdir()
    (tmp_path / "samples" / ".a.png.99.tmp").write_text("half")
    with RunFolder.create(tmp_path, resume=True) as run:
        run.write_environment(try_number=2)
        assert run.resumed
        assert run.metrics.lines() == [{"images": 1}]
        assert list(run.samples.iterdir()) == []
    assert json.loads((tmp_path / "environment.json").read_text())["try_number"] == 1


def test_what_a_run_killed_at_once_leaves_does_not_need_resume(tmp_path: Path) -> None:
    (tmp_path / ".lock").write_text("1\n")
    (tmp_path / ".config.yaml.1.tmp").write_text("half")
    with RunFolder.create(tmp_path) as run:
        assert not run.resumed


def test_a_folder_in_use_is_refused(tmp_path: Path) -> None:
    with (
        RunFolder.create(tmp_path),
        raises("E-out-in-use"),
    ):
        RunFolder.create(tmp_path, resume=True)
