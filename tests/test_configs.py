"""Every configuration that ships loads into its model and comes back as it was."""

from __future__ import annotations

from pathlib import Path

import pytest

from augment.transforms.catalog import PipelineConfig
from classify.config import ClassifierConfig
from classify.utility.runners.schemes import Scheme
from engine.config import config_names, dump_config, load_config
from gan.config import GanConfig

ROOT = Path(__file__).resolve().parent.parent
MODELS = {"augment": PipelineConfig, "classify": ClassifierConfig, "gan": GanConfig, "schemes": Scheme}
SHIPPED = [(folder, name) for folder in MODELS for name in config_names(folder)]


def test_there_are_configurations_and_each_stands_in_a_folder_with_a_model() -> None:
    found = {path.relative_to(ROOT / "configs").parts[0] for path in (ROOT / "configs").rglob("*.y*ml")}
    assert found == set(MODELS)


@pytest.mark.parametrize(("folder", "name"), SHIPPED)
def test_a_shipped_configuration_loads_and_comes_back(folder: str, name: str, tmp_path: Path) -> None:
    loaded = load_config(name, MODELS[folder], [], folder=folder)
    (tmp_path / "again.yaml").write_text(dump_config(loaded), encoding="utf-8")
    assert load_config(str(tmp_path / "again.yaml"), MODELS[folder], [], folder=folder) == loaded
