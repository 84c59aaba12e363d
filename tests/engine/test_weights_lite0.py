"""Lite0's ImageNet weights: all of timm's names, the published file only, and a network that sees what is there."""

from __future__ import annotations

import shutil
from pathlib import Path
from types import SimpleNamespace

import pytest
import timm
import torch

from engine.weights.imagenet import lite0_weights
from tests.builders.errors import raises


def test_timm_takes_every_tensor_by_name_and_shape() -> None:
    tensors, name = lite0_weights()
    network = timm.create_model("tf_efficientnet_lite0", pretrained=False)
    assert name.startswith("efficientnet-lite0-57934424.pth sha256:579344248a93e230")
    assert {key: value.shape for key, value in tensors.items()} == {
        key: value.shape for key, value in network.state_dict().items()
    }
    assert network.load_state_dict(tensors, strict=True)


def test_norms_are_matched_to_their_own_convolutions() -> None:
    tensors, _ = lite0_weights()
    blocks = {key.rsplit(".", 2)[0] for key in tensors if key.startswith("blocks.") and "running_var" in key}
    assert len(blocks) == 16
    for block in blocks - {"blocks.0.0"}:
        expand, shrink = tensors[f"{block}.conv_pw.weight"], tensors[f"{block}.conv_pwl.weight"]
        assert tensors[f"{block}.bn1.running_var"].shape == (expand.shape[0],)
        assert tensors[f"{block}.bn3.running_var"].shape == (shrink.shape[0],)


@pytest.mark.parametrize("issue", ["changed", "gone"])
def test_another_file_than_the_published_one_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, issue: str
) -> None:
    file = tmp_path / "models" / "efficientnet-lite0-57934424.pth"
    file.parent.mkdir()
    if issue == "changed":
        torch.save({"_fc.bias": torch.zeros(1000)}, file)
    monkeypatch.setattr(
        "engine.weights.imagenet.find_spec", lambda name: SimpleNamespace(origin=str(tmp_path / "__init__.py"))
    )
    code = "E-weights-hash" if issue == "changed" else "E-weights-unreadable"
    with raises(code, "; install"):
        lite0_weights()
    shutil.rmtree(tmp_path / "models")


def test_a_missing_package_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("engine.weights.imagenet.find_spec", lambda name: None)
    with raises("E-weights-missing"):
        lite0_weights()
