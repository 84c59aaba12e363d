"""Benchmarks keep pace with the packages: every script is imported, so that no import is stale, and answers --help."""

from __future__ import annotations

import sys
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent / "benchmarks"
SCRIPTS = sorted(path for path in ROOT.rglob("*.py") if "def main(" in path.read_text(encoding="utf-8"))


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_a_script_is_imported_and_answers_help(
    script: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    name = f"benchmark_{script.stem}"
    monkeypatch.syspath_prepend(str(script.parent))
    spec = spec_from_file_location(name, script)
    assert spec is not None
    assert spec.loader is not None
    module = module_from_spec(spec)
    monkeypatch.setitem(sys.modules, name, module)
    spec.loader.exec_module(module)
    with pytest.raises(SystemExit) as stopped:
        module.main(["--help"])
    assert stopped.value.code == 0
    text = capsys.readouterr().out
    assert f"python benchmarks/{script.relative_to(ROOT)}" in text, "the docstring starts with the command"


def test_every_script_lies_in_a_room() -> None:
    assert {script.parent.name for script in SCRIPTS} == {"timings", "studies", "figures"}


def test_no_script_reads_argv_by_position() -> None:
    assert [str(path) for path in ROOT.rglob("*.py") if "sys.argv[" in path.read_text(encoding="utf-8")] == []
