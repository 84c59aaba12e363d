"""The house: imports go down only, and a command answers --help without loading a network."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent

# Two packages of one level never import each other.
LEVELS = [{"gan", "classify"}, {"metrics", "augment"}, {"defects"}, {"engine"}, {"configs"}]
LEVEL_OF = {package: level for level, packages in enumerate(LEVELS) for package in packages}
PACKAGES = sorted(package for package in LEVEL_OF if (ROOT / package).is_dir())

# The rooms of each package, levels from the lowest; a room imports rooms of lower levels only. The package itself, its
# `__init__`, stands on top of all of them.
ROOMS: dict[str, list[set[str]]] = {
    "engine": [
        {"errors", "seeding"},
        {"config", "commands", "files", "runtime"},
        {"checkpoint", "weights", "run", "training", "serving"},
    ],
    "defects": [
        {"sample"},
        {"manifest", "masks"},
        {"attributes"},
        {"images"},
        {"provenance", "splits", "formats"},
        {"synthetic", "summary"},
        {"cli"},
    ],
    "metrics": [
        {"data", "features", "scores", "localization", "detection", "memorization", "embedding"},
        {"labels"},
        {"conditioning"},
        {"bench"},
        {"report"},
        {"paper"},
        {"cli"},
    ],
    "augment": [{"transforms", "pasting", "balancing", "leakage"}, {"mixing"}, {"cli"}],
    "gan": [
        {"config"},
        {"networks"},
        {"losses", "data"},
        {"checkpoint"},
        {"training", "generation"},
        {"blending"},
        {"filtering"},
        {"cli"},
    ],
    "classify": [
        {"config"},
        {"models"},
        {"data"},
        {"training", "inference"},
        {"utility"},
        {"cli"},
    ],
}
MOST_MODULES = 12
"""In a folder; one that holds more has two ideas."""

# The modules below the networks that need torch as soon as they are imported.
TORCH_ALLOWED = {"engine.checkpoint", "engine.runtime.device", "engine.training.launch", "engine.training.optimizer"}


def _imports(tree: ast.AST) -> Iterator[tuple[int, str]]:
    """(line, module) of every import, inside functions and `if TYPE_CHECKING` too."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield node.lineno, "." * node.level + (node.module or "")


def upward_imports(root: Path) -> list[str]:
    """Every import of a package on the same level or above, or relative, as `file:line: module`."""
    found = []
    for package, level in LEVEL_OF.items():
        for path in sorted((root / package).rglob("*.py")):
            for line, module in _imports(ast.parse(path.read_text(encoding="utf-8"))):
                target = module.split(".")[0]
                wrong = target in LEVEL_OF and target != package and LEVEL_OF[target] <= level
                if wrong or module.startswith(".") or target == "tests":
                    found.append(f"{path.relative_to(root)}:{line}: {module}")
    return found


def upward_rooms(root: Path) -> list[str]:
    """Every import within a package that does not go to a lower room, as `file:line: module`; unknown rooms too."""
    found = []
    for package, levels in ROOMS.items():
        level_of = {room: level for level, rooms in enumerate(levels) for room in rooms}
        for path in sorted((root / package).rglob("*.py")):
            here = path.relative_to(root / package).with_suffix("").parts[0]
            if here == "__init__":
                continue
            if here not in level_of:
                found.append(f"{path.relative_to(root)}: {here} is no room of {package}")
                continue
            for line, module in _imports(ast.parse(path.read_text(encoding="utf-8"))):
                owner, _, rest = module.partition(".")
                there = rest.split(".")[0]
                if owner == package and there != here and level_of.get(there, len(levels)) >= level_of[here]:
                    found.append(f"{path.relative_to(root)}:{line}: {module}")
    return found


def module_cycles(root: Path) -> list[set[str]]:
    """Modules that import each other in a ring, imports inside functions included."""
    graph: dict[str, set[str]] = {}
    for package in PACKAGES:
        for path in (root / package).rglob("*.py"):
            name = ".".join(path.relative_to(root).with_suffix("").parts).removesuffix(".__init__")
            tree = ast.parse(path.read_text(encoding="utf-8"))
            froms = [node for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)]
            named = {f"{node.module}.{alias.name}" for node in froms for alias in node.names}
            graph[name] = {module for _, module in _imports(tree)} | named
    rings: list[set[str]] = []
    reached = {name: _reached(graph, name) for name in graph}
    for name, there in reached.items():
        if name in there and not any(name in ring for ring in rings):
            rings.append({other for other in there if name in reached[other]})
    return rings


def _reached(graph: dict[str, set[str]], start: str) -> set[str]:
    reached: set[str] = set()
    waiting = [start]
    while waiting:
        for module in graph[waiting.pop()]:
            if module in graph and module not in reached:
                reached.add(module)
                waiting.append(module)
    return reached


def test_imports_go_down_only() -> None:
    assert upward_imports(ROOT) == []


def test_imports_between_rooms_go_down_only() -> None:
    assert upward_rooms(ROOT) == []


def test_no_modules_import_each_other_in_a_ring() -> None:
    assert module_cycles(ROOT) == []


def test_no_folder_holds_more_than_a_dozen_modules() -> None:
    folders = {path for package in PACKAGES for path in (ROOT / package).rglob("*") if path.is_dir()}
    folders |= {ROOT / package for package in PACKAGES}
    counts = {folder: sum(path.name != "__init__.py" for path in folder.glob("*.py")) for folder in folders}
    assert {str(folder.relative_to(ROOT)): n for folder, n in counts.items() if n > MOST_MODULES} == {}


def test_the_room_checks_fire_on_planted_imports(tmp_path: Path) -> None:
    for name, code in {
        "gan/networks/layers.py": "from gan.training.loop import train",
        "gan/losses/style.py": "def f():\n    import gan.data.dataset",
        "gan/odd/thing.py": "",
        "engine/files/atomic.py": "from engine.files import locks",
        "engine/files/locks.py": "from engine.files.atomic import write_text",
    }.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(code, encoding="utf-8")
    assert upward_rooms(tmp_path) == [
        "gan/losses/style.py:2: gan.data.dataset",
        "gan/networks/layers.py:1: gan.training.loop",
        "gan/odd/thing.py: odd is no room of gan",
    ]
    assert module_cycles(tmp_path) == [{"engine.files.atomic", "engine.files.locks"}]


@pytest.mark.parametrize(
    ("package", "code", "module"),
    [
        ("engine", "from defects.sample import Sample", "defects.sample"),
        ("defects", "def f():\n    import gan.networks.magna_generator", "gan.networks.magna_generator"),
        ("defects", "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    from metrics import scores", "metrics"),
        ("gan", "from classify import cam", "classify"),
        ("augment", "import metrics", "metrics"),
        ("gan", "from .blocks import Down", ".blocks"),
        ("engine", "from tests.builder import build", "tests.builder"),
    ],
)
def test_the_check_fires_on_a_planted_import(tmp_path: Path, package: str, code: str, module: str) -> None:
    (tmp_path / package / "deep").mkdir(parents=True)
    (tmp_path / package / "deep" / "planted.py").write_text(code, encoding="utf-8")
    line = code.count("\n") + 1
    assert upward_imports(tmp_path) == [f"{package}/deep/planted.py:{line}: {module}"]


def test_the_check_lets_downward_imports_pass(tmp_path: Path) -> None:
    (tmp_path / "gan").mkdir()
    (tmp_path / "gan" / "fine.py").write_text(
        "import gan.networks.layers, defects.masks.width, engine.files.atomic, torch", encoding="utf-8"
    )
    assert upward_imports(tmp_path) == []


def _modules(*packages: str) -> list[str]:
    paths = (path for package in packages for path in (ROOT / package).rglob("*.py"))
    return sorted(".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__") for path in paths)


def _loaded_by(modules: list[str], heavy: list[str]) -> list[str]:
    """Which of the heavy modules each import, in a fresh process, brings along, as `module: heavy`."""
    code = (
        "import importlib, sys\n"
        f"for module in {modules!r}:\n"
        "    importlib.import_module(module)\n"
        f"    for heavy in {heavy!r}:\n"
        "        if heavy in sys.modules:\n"
        "            sys.exit(f'{module}: {heavy}')\n"
    )
    process = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False)
    return [process.stderr.strip()] if process.returncode else []


def test_the_domain_and_the_machinery_import_without_torch() -> None:
    modules = [module for module in _modules("defects", "engine") if module not in TORCH_ALLOWED]
    assert modules
    assert _loaded_by(modules, ["torch"]) == []


def test_the_torch_check_fires() -> None:
    assert _loaded_by(["engine.files.atomic", "engine.checkpoint"], ["torch"]) == ["engine.checkpoint: torch"]


def test_commands_import_nothing_heavy() -> None:
    commands = [module for module in _modules(*PACKAGES) if "cli" in module.split(".")[-1].split("_")]
    assert commands
    assert _loaded_by(commands, ["torch", "torchvision", "cv2", "numpy", "sklearn", "skimage", "matplotlib"]) == []
