"""The API: two lines from a folder to a prediction, and the same verdict as the command's."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import classify
from classify.utility.runners import features
from tests.builders.classifiers import TINY, defect_image, loaded, parts, small_network
from tests.builders.errors import raises
from tests.builders.utility import SpotFeatures, folder, real_folder

__all__ = ["small_network"]


@pytest.mark.usefixtures("small_network")
def test_two_lines_train_and_predict(tmp_path: Path) -> None:
    data, out = parts(tmp_path / "data"), tmp_path / "run"
    overrides = {f"{section}.{key}": value for section, values in TINY.items() for key, value in values.items()}
    image = defect_image(99, "crack")[0]

    m = classify.train(data, model="resnet18", out=out, overrides=overrides, weights="none", device="cpu")
    p = m.predict(image)

    assert m.loaded.config.network.name == "resnet18"
    assert p.label in m.classes == ("good", "defect")
    assert 0 <= p.probability <= 1
    assert p.map.shape == p.mask.shape == image.shape[:2]
    assert p.mask.dtype == bool
    assert all(len(box) == 4 for box in p.boxes)
    again = classify.load(out, device="cpu")
    assert again.predict(image).probability == p.probability
    assert [one.label for one in again.predict([image, image])] == [p.label, p.label]
    evaluation = m.evaluate(data)
    assert isinstance(evaluation, classify.Evaluation)
    assert evaluation.crops.classification.number == len(m.loaded.meta["data"]["test"])
    with raises("E-out-not-empty"):
        classify.train(data, out=out, overrides=overrides, weights="none", device="cpu")
    with raises("E-config-value"):
        classify.train(data, out=tmp_path / "other", overrides={"train.epoch": 1})


def test_export_writes_one_file(tmp_path: Path) -> None:
    model = classify.Classifier(loaded(tmp_path))
    assert model.export(tmp_path / "x.onnx").is_file()
    with raises("E-out-suffix"):
        model.export(tmp_path / "x.pt")
    with raises("E-checkpoint-missing"):
        classify.load(tmp_path / "nothing")


def test_compare_gives_the_summary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(features, "FrozenLite0", SpotFeatures)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    fakes = folder(tmp_path / "fakes", 40, 0, seed=7)
    summary = classify.compare(
        real_folder(tmp_path), {"gan": fakes}, out=tmp_path / "run", pasted=None, ratios=[2], shots=[4], seeds=2,
        size=64, steps=16, augmentations=1,
    )  # fmt: skip
    assert summary["first_line"].startswith("gan: ")
    assert json.loads((tmp_path / "run" / "summary.json").read_text())["first_line"] == summary["first_line"]
    with raises("E-utility-settings"):
        classify.compare(tmp_path, {}, eval_on="places")


def test_importing_the_package_loads_nothing_heavy() -> None:
    code = "import sys, classify; sys.exit(len({'torch', 'numpy', 'pydantic'} & set(sys.modules)))"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
    assert np.all([callable(getattr(classify, name)) for name in classify.__all__])
