"""Style weights: from a given file, from the environment, or by an announced, checked download; never random."""

from __future__ import annotations

import hashlib
import logging
import urllib.error
from pathlib import Path
from typing import Any

import pytest
import safetensors.torch
import torch
from torchvision.models import vgg16

from engine.weights.imagenet import STYLE_WEIGHTS_VARIABLE, style_vgg_weights
from tests.builders.errors import raises

SHAPES = {name: tuple(value.shape) for name, value in vgg16(weights=None).features.state_dict().items()}


@pytest.fixture(scope="module")
def vgg_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("weights") / "vgg.safetensors"
    tensors = {f"features.{name}": torch.zeros(shape, dtype=torch.float16) for name, shape in SHAPES.items()}
    safetensors.torch.save_file(tensors, path)
    return path


@pytest.fixture(autouse=True)
def _no_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv(STYLE_WEIGHTS_VARIABLE, raising=False)
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "torch"))


def test_a_given_file_is_read_as_float32_and_named_by_its_hash(vgg_file: Path) -> None:
    tensors, name = style_vgg_weights(vgg_file)
    assert {key.removeprefix("features."): tuple(value.shape) for key, value in tensors.items()} == SHAPES
    assert {value.dtype for value in tensors.values()} == {torch.float32}
    assert name == f"vgg.safetensors sha256:{hashlib.sha256(vgg_file.read_bytes()).hexdigest()}"


def test_the_environment_names_a_file_and_a_given_one_goes_before_it(
    vgg_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(STYLE_WEIGHTS_VARIABLE, str(vgg_file))
    assert style_vgg_weights()[1].startswith("vgg.safetensors")
    with raises("E-weights-unreadable", r"other\.safetensors: No such file or directory; .*--style-weights FILE"):
        style_vgg_weights("other.safetensors")


@pytest.mark.parametrize(
    ("change", "line"),
    [
        ({"features.5.bias": None}, r"lacks features\.5\.bias"),
        ({"features.0.weight": torch.zeros(64, 1, 3, 3)}, r"features\.0\.weight of shape \(64, 3, 3, 3\), got \(64, 1"),
    ],
)
def test_weights_of_another_network_are_refused(
    vgg_file: Path, tmp_path: Path, change: dict[str, torch.Tensor | None], line: str
) -> None:
    tensors = safetensors.torch.load_file(vgg_file) | change
    safetensors.torch.save_file(
        {name: value for name, value in tensors.items() if value is not None}, tmp_path / "x.safetensors"
    )
    with raises("E-weights-format", line):
        style_vgg_weights(tmp_path / "x.safetensors")


def test_a_file_that_is_no_safetensors_is_refused(tmp_path: Path) -> None:
    (tmp_path / "x.safetensors").write_bytes(b"rubbish, not tensors")
    with raises("E-weights-format"):
        style_vgg_weights(tmp_path / "x.safetensors")
    with raises("E-weights-format"):
        style_vgg_weights(tmp_path / "x.pth")


def test_without_a_network_the_line_says_how_to_give_a_file(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def fail(*_: Any, **__: Any) -> None:
        raise urllib.error.URLError("Name or service not known")

    monkeypatch.setattr(torch.hub, "download_url_to_file", fail)
    with (
        caplog.at_level(logging.WARNING),
        raises("E-weights-download"),
    ):
        style_vgg_weights()
    assert "downloading the ImageNet VGG-16" in caplog.text


def test_a_cached_download_with_the_wrong_hash_is_refused(tmp_path: Path) -> None:
    folder = tmp_path / "torch" / "hub" / "checkpoints"
    folder.mkdir(parents=True)
    torch.save({}, folder / "vgg16-397923af.pth")
    with raises("E-weights-hash"):
        style_vgg_weights()


def test_a_download_is_announced_and_checked_against_the_hash_in_its_name(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    requested: list[str | None] = []

    def download(url: str, file: str, hash_prefix: str | None, progress: bool = True) -> None:
        requested.append(hash_prefix)
        torch.save({f"features.{name}": torch.zeros(shape) for name, shape in SHAPES.items()}, file)

    monkeypatch.setattr(torch.hub, "download_url_to_file", download)
    monkeypatch.setattr("engine.weights.download.sha256_file", lambda file: "397923af" + "0" * 56)
    with caplog.at_level(logging.WARNING):
        tensors, name = style_vgg_weights()
    assert requested == ["397923af"]
    assert "https://download.pytorch.org" in caplog.text
    assert len(tensors) == 26
    assert "vgg16-397923af.pth sha256:397923af" in name
