"""Every error has a code, by which programs and tests know it; its message may be written better at any time."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterable, Iterator
from functools import cache
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PACKAGES = ("gan", "classify", "metrics", "augment", "defects", "engine")
CODE = re.compile(r"E-[a-z0-9]+(-[a-z0-9]+){0,4}")
WITHOUT = {"IssuesError"}
"""Takes the codes of its issues."""


@cache
def trees(root: Path) -> dict[str, ast.Module]:
    """The syntax tree of every module by its file, relative to the root."""
    paths = sorted(path for package in PACKAGES for path in (root / package).rglob("*.py"))
    return {str(path.relative_to(root)): ast.parse(path.read_text(encoding="utf-8")) for path in paths}


def error_types(modules: Iterable[ast.Module]) -> set[str]:
    """`Issue`, `MagnaError` and the classes derived from it, in whatever module."""
    classes = [node for tree in modules for node in ast.walk(tree) if isinstance(node, ast.ClassDef)]
    types = {"MagnaError", "Issue"}
    while True:
        more = {one.name for one in classes if {name for base in one.bases for name in _name(base)} & types} - types
        if not more:
            return types - WITHOUT
        types |= more


def _name(node: ast.expr) -> list[str]:
    """The last part of a name or of an attribute."""
    return [node.id] if isinstance(node, ast.Name) else [node.attr] if isinstance(node, ast.Attribute) else []


def without_code(root: Path) -> list[str]:
    """Every error raised or listed without a valid code, as `file:line: type code`."""
    modules = trees(root)
    types = error_types(modules.values())
    found = []
    for file, tree in modules.items():
        constants = _constants(tree)
        passing = {
            call
            for function in ast.walk(tree)
            if isinstance(function, ast.FunctionDef)
            and "code" in {argument.arg for argument in [*function.args.args, *function.args.kwonlyargs]}
            for call in ast.walk(function)
        }
        for call in ast.walk(tree):
            if not (isinstance(call, ast.Call) and set(_name(call.func)) & types):
                continue
            given = [keyword.value for keyword in call.keywords if keyword.arg == "code"]
            codes = [code for node in given for code in _codes(node, constants)]
            if call in passing:
                codes = [code for code in codes if code != "code"]
            wrong = [code for code in codes if not CODE.fullmatch(code)]
            if wrong or not given:
                found.append(f"{file}:{call.lineno}: {' '.join([*_name(call.func), *wrong])}")
    return sorted(found)


def _constants(tree: ast.Module) -> dict[str, list[ast.expr]]:
    """What is assigned to each name, in the module and in its functions."""
    values: dict[str, list[ast.expr]] = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name):
            values.setdefault(node.targets[0].id, []).append(node.value)
    return values


def _codes(node: ast.expr, constants: dict[str, list[ast.expr]]) -> Iterator[str]:
    """The codes an argument may have; its text where it is neither a literal nor the code of another error."""
    if isinstance(node, ast.IfExp):
        yield from _codes(node.body, constants)
        yield from _codes(node.orelse, constants)
    elif isinstance(node, ast.Name) and node.id in constants:
        for value in constants[node.id]:
            yield from _codes(value, {})
    elif isinstance(node, ast.Constant):
        yield str(node.value)
    elif not (isinstance(node, ast.Attribute) and node.attr == "code"):
        yield ast.unparse(node)


def test_every_error_has_a_code() -> None:
    assert len(error_types(trees(ROOT).values())) >= 8
    assert without_code(ROOT) == []


def test_the_check_fires_on_planted_errors(tmp_path: Path) -> None:
    (tmp_path / "gan").mkdir()
    (tmp_path / "gan" / "planted.py").write_text(
        """from engine import errors
class OddError(errors.MagnaError): ...
class VeryOddError(OddError): ...
def fails(what, sure):
    raise VeryOddError("a: is odd; fix it")
def reports(what):
    return errors.Issue("a", "is odd", "fix it", code="E-Odd")
def chooses(sure):
    raise OddError("b", code="E-odd-b" if sure else "odd")
def is_fine(sure, code):
    raise OddError("b", code="E-odd-b" if sure else "E-odd") from errors.IssuesError([])
def passes_on(code):
    raise OddError("c", code=code)
def makes_up(what):
    raise OddError("c", code=f"E-{what}")
def has_it(error):
    local = "E-odd-c"
    return errors.Issue("a", "b", "c", code=local), errors.Issue("a", "b", "c", code=error.code)
WRONG = "odd-d"
def has_a_wrong_one(what):
    raise OddError("d", code=WRONG)
""",
        encoding="utf-8",
    )
    assert without_code(tmp_path) == [
        "gan/planted.py:15: OddError f'E-{what}'",
        "gan/planted.py:21: OddError odd-d",
        "gan/planted.py:5: VeryOddError",
        "gan/planted.py:7: Issue E-Odd",
        "gan/planted.py:9: OddError odd",
    ]
