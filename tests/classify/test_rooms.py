"""The rooms of `classify.utility`: a room imports those of lower floors only."""

from __future__ import annotations

import ast
from pathlib import Path

import classify

FLOORS = {"design": 0, "analysis": 1, "runners": 2, "report": 2, "launch": 3}


def test_imports_between_the_rooms_of_utility_go_down_only() -> None:
    root = Path(classify.__file__).parent / "utility"
    wrong = []
    for path in sorted(root.rglob("*.py")):
        room = path.relative_to(root).with_suffix("").parts[0]
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("classify.utility."):
                other = str(node.module).split(".")[2]
                if other != room and FLOORS[other] >= FLOORS[room]:
                    wrong.append(f"{path.name}:{node.lineno}: {node.module}")
    assert wrong == []
