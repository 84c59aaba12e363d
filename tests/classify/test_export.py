"""The exported network gives PyTorch's answers, for any number of images, and serves bench-fid as an extractor."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import pytest
import torch

from classify.inference.export import OUTPUTS, TOLERANCE, export_classifier
from classify.models.checkpoint import to_pixels
from engine.errors import OutputError
from metrics.features.onnx_network import Network
from tests.builders.classifiers import loaded

CASES: dict[str, dict[str, Any]] = {
    "grey": {"network": {"name": "efficientnet_lite0", "short": True}},
    "kinds": {"data": {"channels": 3, "size": 64}, "classes": ("good", "crack", "pit")},
    "transformer": {"network": {"name": "vit_tiny", "discard": 0.5}, "data": {"size": 224}},
}


@pytest.mark.parametrize("case", CASES)
def test_the_exported_network_answers_as_pytorch_does(tmp_path: Path, case: str) -> None:
    classifier = loaded(tmp_path, **CASES[case])
    done = export_classifier(classifier, tmp_path / "model.onnx")
    assert set(done.differences) == set(OUTPUTS)
    assert max(done.differences.values()) < TOLERANCE / 10
    session = onnxruntime.InferenceSession(done.path.read_bytes(), providers=["CPUExecutionProvider"])
    side, channels = classifier.size, classifier.channels
    images = np.random.default_rng(0).integers(0, 256, (5, side, side, channels), dtype=np.uint8)
    logits, maps = session.run(["logits", "map"], {"images": images.transpose(0, 3, 1, 2).astype(np.float32) / 255})
    with torch.no_grad():
        output = classifier.network(to_pixels(images, classifier.mean, classifier.std))
    np.testing.assert_allclose(logits, output.logits.numpy(), rtol=1e-3, atol=1e-4)
    np.testing.assert_allclose(maps, output.maps.numpy(), rtol=1e-3, atol=1e-3)


def test_it_serves_as_an_extractor_without_a_word_of_warning(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    classifier = loaded(tmp_path)
    network = Network(export_classifier(classifier, tmp_path / "mine.onnx").path)
    found = network(torch.zeros(2, 3, 50, 50, dtype=torch.uint8))
    assert not caplog.text
    assert (network.name, network.size, network.dim) == ("onnx_mine", 32, 672)
    assert found.logits is not None
    predicted = classifier.predict(np.zeros((1, 32, 32, 1), np.uint8)).probabilities[0, 1]
    assert torch.sigmoid(found.logits[0, 0]).item() == pytest.approx(float(predicted), abs=1e-5)


def test_it_says_what_it_is(tmp_path: Path) -> None:
    classifier = loaded(tmp_path)
    session = onnxruntime.InferenceSession(export_classifier(classifier, tmp_path / "m.onnx").path)
    said = {key: json.loads(text) for key, text in session.get_modelmeta().custom_metadata_map.items()}
    assert said == {
        "mean": [0.0],
        "std": [1.0],
        "size": 32,
        "channels": 1,
        "classes": ["good", "defect"],
        "network": "mobilenetv3_large_s",
        "checkpoint_sha256": classifier.sha256,
    }


def test_answers_that_are_not_pytorchs_are_not_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        "classify.inference.export._compare", lambda *_: {"logits": 0.5, "map": float("nan"), "features": 0.0}
    )
    with pytest.raises(OutputError, match=r"model\.onnx: its .* of its range; not written; update onnxruntime"):
        export_classifier(loaded(tmp_path), tmp_path / "model.onnx")
    assert not (tmp_path / "model.onnx").exists()
