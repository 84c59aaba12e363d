"""What each package shows to its users: few names, types, a light import; and commands in short functions."""

from __future__ import annotations

import ast
import importlib
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
PACKAGES = ("gan", "classify", "metrics", "augment", "defects")
MOST_NAMES = 14
"""In an `__all__`; what one can learn at a glance."""
MOST_LINES = 80
"""Of a function of a command: its options, and a call."""


def long_functions(root: Path) -> list[str]:
    """Functions of more than `MOST_LINES` lines in the modules of commands, as `file:line: name lines`."""
    found = []
    for path in sorted(path for package in PACKAGES for path in (root / package).rglob("*.py")):
        if "cli" not in path.relative_to(root).with_suffix("").parts:
            continue
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                first = min([node.lineno, *(decorator.lineno for decorator in node.decorator_list)])
                lines = (node.end_lineno or first) - first + 1
                if lines > MOST_LINES:
                    found.append(f"{path.relative_to(root)}:{first}: {node.name} {lines}")
    return found


def test_functions_of_commands_are_short() -> None:
    assert long_functions(ROOT) == []


def test_the_check_of_lengths_fires_on_planted_functions(tmp_path: Path) -> None:
    body = "    pass\n" * (MOST_LINES - 1)
    for name, code in {
        "gan/cli/train.py": f"def fits():\n{body}\n@print\ndef decorated():\n{body}",
        "metrics/cli.py": f"class A:\n  def long(self):\n{body}    pass\n",
        "metrics/bench.py": f"def elsewhere():\n{body}    pass\n",
    }.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(code, encoding="utf-8")
    assert long_functions(tmp_path) == [
        f"gan/cli/train.py:{MOST_LINES + 2}: decorated {MOST_LINES + 1}",
        f"metrics/cli.py:2: long {MOST_LINES + 1}",
    ]


@pytest.mark.parametrize("package", PACKAGES)
def test_a_package_is_typed_and_its_public_names_are_few_and_there(package: str) -> None:
    assert (ROOT / package / "py.typed").is_file()
    module = importlib.import_module(package)
    names = list(module.__all__)
    assert 0 < len(names) <= MOST_NAMES
    assert len(set(names)) == len(names)
    assert [name for name in names if not hasattr(module, name)] == []


@pytest.mark.parametrize("package", PACKAGES)
def test_a_package_imports_without_torch_numpy_and_opencv(package: str) -> None:
    code = f"import sys, {package}; print(*sorted({{'torch', 'numpy', 'cv2'}} & set(sys.modules)))"
    process = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert process.stdout.split() == []
