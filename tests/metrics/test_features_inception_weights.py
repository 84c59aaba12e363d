"""Where Inception's weights come from: announced, checked, converted once; no pickle is run."""

from __future__ import annotations

import logging
import pickle
import urllib.error
from pathlib import Path
from typing import Any

import pytest
import safetensors.torch
import torch
from torch import Tensor

from engine.errors import WeightsError
from engine.files.atomic import sha256_file
from metrics.features import inception_weights
from metrics.features.cache import user_cache
from metrics.features.inception_weights import find_inception_weights
from tests.builders.errors import raises

SHAPES = {"fc.weight": (4, 3), "a.conv.weight": (2, 3, 1, 1)}


@pytest.fixture(autouse=True)
def _small_network_in_an_empty_home(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(inception_weights, "tensor_shapes", lambda: SHAPES)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "torch"))


def published(path: Path, monkeypatch: pytest.MonkeyPatch, changes: dict[str, Tensor] | None = None) -> Path:
    """A file that passes for the published one."""
    path.parent.mkdir(parents=True, exist_ok=True)
    tensors = {name: torch.ones(shape) for name, shape in SHAPES.items()}
    torch.save({**tensors, "more": torch.zeros(1), **(changes or {})}, path)
    monkeypatch.setattr(inception_weights, "SHA256_PREFIX", sha256_file(path)[:8])
    return path


def no_network(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: Any, **__: Any) -> None:
        raise urllib.error.URLError("Name or service not known")

    monkeypatch.setattr(torch.hub, "download_url_to_file", fail)


def test_without_a_network_one_line_says_how_to_give_a_file(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    no_network(monkeypatch)
    with caplog.at_level(logging.WARNING), pytest.raises(WeightsError) as caught:
        find_inception_weights()
    line = str(caught.value)
    assert "\n" not in line
    assert "Name or service not known" in line
    assert line.endswith("give the weights by --inception-weights FILE")
    assert "downloading the weights of Inception for FID (91 MB) from https://github.com" in caplog.text
    assert not user_cache().exists()


def test_a_download_is_announced_checked_and_converted_once(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    requested_all: list[str | None] = []

    def download(url: str, file: str, hash_prefix: str | None, progress: bool = True) -> None:
        requested_all.append(hash_prefix)
        torch.save({name: torch.ones(shape) for name, shape in SHAPES.items()}, file)

    monkeypatch.setattr(torch.hub, "download_url_to_file", download)
    monkeypatch.setattr("engine.weights.download.sha256_file", lambda file: "6726825d" + "0" * 56)
    with caplog.at_level(logging.WARNING):
        first = find_inception_weights()
        second = find_inception_weights()
    assert requested_all == ["6726825d"]
    assert caplog.text.count("downloading") == 1
    assert first.sha256 == second.sha256 == "6726825d" + "0" * 56
    assert {name: tuple(value.shape) for name, value in second.read().items()} == SHAPES


def test_a_given_pth_is_converted_and_then_no_longer_needed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    no_network(monkeypatch)
    file = published(tmp_path / "w.pth", monkeypatch)
    first = find_inception_weights(file)
    monkeypatch.setattr(torch, "load", None)  # a second conversion would fail
    assert find_inception_weights(file).sha256 == first.sha256 == sha256_file(file)
    file.unlink()
    assert find_inception_weights().sha256 == first.sha256
    assert torch.equal(find_inception_weights().read()["fc.weight"], torch.ones(4, 3))
    assert [path.name for path in sorted(user_cache("weights").iterdir())] == [
        "inception-v3-compat.json",
        "inception-v3-compat.safetensors",
    ]


@pytest.mark.parametrize("victim", ["inception-v3-compat.safetensors", "inception-v3-compat.json"])
def test_a_damaged_conversion_is_repeated(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, victim: str) -> None:
    file = published(tmp_path / "w.pth", monkeypatch)
    find_inception_weights(file)
    path = user_cache("weights", victim)
    path.write_bytes(path.read_bytes()[:-3])
    assert torch.equal(find_inception_weights(file).read()["fc.weight"], torch.ones(4, 3))
    file.unlink()
    assert torch.equal(find_inception_weights().read()["fc.weight"], torch.ones(4, 3))


def test_a_cache_that_cannot_be_written_gives_a_warning_and_the_weights_serve(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "cache").write_text("in the way", encoding="utf-8")
    weights = find_inception_weights(published(tmp_path / "w.pth", monkeypatch))
    assert torch.equal(weights.read()["fc.weight"], torch.ones(4, 3))
    assert "the converted weights are not cached" in caplog.text


def test_another_pth_is_refused_before_it_is_opened(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch, "load", None)
    (tmp_path / "w.pth").write_bytes(b"something else")
    with raises("E-weights-hash"):
        find_inception_weights(tmp_path / "w.pth")


def test_a_pickle_that_runs_code_is_not_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Trap:
        def __reduce__(self) -> tuple[Any, ...]:
            return Path.touch, (tmp_path / "ran",)

    (tmp_path / "w.pth").write_bytes(pickle.dumps({"fc.weight": Trap()}))
    monkeypatch.setattr(inception_weights, "SHA256_PREFIX", sha256_file(tmp_path / "w.pth")[:8])
    with raises("E-weights-format"):
        find_inception_weights(tmp_path / "w.pth")
    assert not (tmp_path / "ran").exists()


def test_weights_of_another_network_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = published(tmp_path / "w.pth", monkeypatch, {"fc.weight": torch.ones(5, 3)})
    with raises("E-weights-format", r"w\.pth: expected fc\.weight of shape \(4, 3\), got \(5, 3\); give"):
        find_inception_weights(file)
    safetensors.torch.save_file({"fc.weight": torch.ones(4, 3)}, tmp_path / "w.safetensors")
    with raises("E-weights-format"):
        find_inception_weights(tmp_path / "w.safetensors").read()


def test_a_missing_file_is_refused(tmp_path: Path) -> None:
    for name in ("w.pth", "w.safetensors"):
        with raises("E-weights-unreadable", rf"{name}: No such file or directory; give torch-fidelity's"):
            find_inception_weights(tmp_path / name)


def test_rubbish_called_safetensors_is_refused(tmp_path: Path) -> None:
    (tmp_path / "w.safetensors").write_bytes(b"rubbish, not tensors")
    with raises("E-weights-format"):
        find_inception_weights(tmp_path / "w.safetensors").read()
