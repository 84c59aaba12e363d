"""Progress: on stderr only, in lines a machine can read on request."""

from __future__ import annotations

import json
import sys

import pytest

from engine import commands as progress
from engine.commands import Progress


def test_lines_end_with_the_count(capsys: pytest.CaptureFixture[str]) -> None:
    with Progress(3, "generate", unit="image") as bar:
        bar.update()
        bar.write("note")
        bar.update(2)
    output = capsys.readouterr()
    assert output.out == ""
    assert output.err.splitlines()[0] == "note"
    assert output.err.splitlines()[-1].startswith("generate: 3/3 after 0 s, ")


def test_json_lines_are_json(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(progress, "_SECONDS_BETWEEN_LINES", 0.0)
    with Progress(2, "generate", json=True) as bar:
        bar.update()
        bar.write("note")
        bar.update()
    rows = [json.loads(line) for line in capsys.readouterr().err.splitlines()]
    assert [row.get("done") for row in rows] == [1, None, 2, 2]
    assert rows[1] == {"progress": "generate", "message": "note"}


def test_quiet_is_silent(capsys: pytest.CaptureFixture[str]) -> None:
    with Progress(2, "generate", quiet=True) as bar:
        bar.update(2)
        bar.write("note")
    assert capsys.readouterr() == ("", "")


def test_on_a_terminal_it_is_a_bar(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    with Progress(2, "generate") as bar:
        bar.update(2)
        bar.write("note")
    output = capsys.readouterr()
    assert output.out == ""
    assert "2/2" in output.err
    assert "note" in output.err
