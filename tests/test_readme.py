"""The Python of the README runs as it stands there, on tiny folders and with short trainings."""

from __future__ import annotations

import ast
import re
import shutil
from pathlib import Path

import numpy as np
import pytest

from defects.synthetic.mpi_dataset import MpiPlan, dataset
from engine.commands import main
from gan.cli.generate import app

README = (Path(__file__).parent.parent / "README.md").read_text(encoding="utf-8")
(BLOCK,) = re.findall(r"```python\n(.*?)```", README, re.DOTALL)
SHORT = {
    '{"train.epochs": 10}': '{"train.epochs": 1, "train.batch_size": 4, "loss.style": 0.0, "network.size": 32, '
    '"network.width": 4, "network.max_width": 8, "network.discriminator_width": 4}',
    'model="efficientnet_lite0")': 'model="efficientnet_lite0", overrides={"train.epochs": 1, "data.size": 32})',
}
"""What is shortened: both trainings."""


def snippets() -> list[str]:
    """The parts of the block between blank lines, the imports first."""
    return [part.strip() for part in BLOCK.split("\n\n")]


def test_a_snippet_has_at_most_three_lines_after_the_imports() -> None:
    imports, *rest = snippets()
    assert isinstance(ast.parse(imports).body[0], ast.Import)
    assert len(rest) >= 5
    assert [part for part in rest if len(ast.parse(part).body) > 3] == []


def test_the_snippets_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("data", "real", "folder"):
        dataset(tmp_path / name, 24, plan=MpiPlan(size=64, good_fraction=0.5, per_part=1))
    mask = np.zeros((128, 128), bool)
    mask[60:66, 30:90] = True
    background = np.random.default_rng(0).integers(90, 160, (160, 160, 3), dtype=np.uint8)
    examples = str(Path(__file__).parent.parent / "examples" / "masks")
    assert main(app, ["--masks", examples, "--label", "crack", "--num", "2", "--device", "cpu", "--out", "syn"]) == 0
    shutil.copytree("syn/images", "fake")
    names: dict[str, object] = {"mask": mask, "background": background, "image": background}
    found: dict[str, object] = {}
    for part in snippets():
        text = part
        for long, short in SHORT.items():
            text = text.replace(long, short)
        exec(text, names)
        found |= {name: names[name] for name in ("s", "p", "plan", "data") if name in names}
        if "generate" in part:
            assert names["s"].images.shape == (10, 128, 128, 3)  # type: ignore[attr-defined]
            assert names["s"].masks.dtype == np.bool_  # type: ignore[attr-defined]
    assert set(found) == {"s", "p", "plan", "data"}
    assert (tmp_path / "runs" / "x" / "checkpoints").is_dir()
    assert any((tmp_path / "out").rglob("*.json"))
