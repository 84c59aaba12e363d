"""Where weights come from, and that those of another network are refused."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import timm
import torch
from safetensors.torch import save_file

from classify.config import NetworkConfig
from classify.models.weights import build_network, normalization, pretrained
from engine.errors import UsageError, WeightsError
from engine.weights.imagenet import lite0_weights


def stored(path: Path, tensors: dict[str, torch.Tensor]) -> Path:
    save_file({name: value.contiguous() for name, value in tensors.items()}, path)
    return path


@pytest.mark.parametrize("short", [False, True])
def test_imagenet_weights_of_the_package_are_loaded_but_for_the_last_neurons(short: bool) -> None:
    config = NetworkConfig(short=short)
    network = build_network(config, 1)
    head = network.head.weight.clone()
    name = pretrained(network, config)
    tensors, expected = lite0_weights()
    assert name == expected
    assert torch.equal(network.features[0].weight, tensors["conv_stem.weight"])
    assert torch.equal(network.head.weight, head)


def test_the_features_of_loaded_weights_are_timms(tmp_path: Path) -> None:
    full = timm.create_model("tf_efficientnet_lite0", pretrained=False).eval()
    config = NetworkConfig()
    network = build_network(config, 2).eval()
    pretrained(network, config, stored(tmp_path / "own.safetensors", full.state_dict()))
    images = torch.from_numpy(np.random.default_rng(0).normal(size=(1, 3, 64, 64)).astype(np.float32))
    with torch.inference_mode():
        torch.testing.assert_close(network.features(images), full.forward_features(images))


@pytest.mark.parametrize("name", ["convnext_tiny", "vit_tiny"])
def test_a_file_with_timms_names_fits_every_family(tmp_path: Path, name: str) -> None:
    config = NetworkConfig(name=name)
    whole = {"convnext_tiny": "convnext_tiny", "vit_tiny": "vit_tiny_patch16_224"}[name]
    full = timm.create_model(whole, pretrained=False)
    network = build_network(config, 1)
    assert pretrained(network, config, stored(tmp_path / "w.safetensors", full.state_dict())).startswith(
        "w.safetensors"
    )
    own = set(map(float, network.state_dict()[next(iter(network.state_dict()))].flatten()[:5]))
    first = "stem.0.weight" if name == "convnext_tiny" else "cls_token"
    assert own == set(map(float, full.state_dict()[first].flatten()[:5]))


@pytest.mark.parametrize("neurons", [1, 3])
def test_a_classifier_goes_on_from_another_one(tmp_path: Path, neurons: int) -> None:
    config = NetworkConfig()
    before = build_network(config, 3, seed=1)
    file = stored(tmp_path / "before.safetensors", before.state_dict())
    network = build_network(config, neurons, seed=2)
    pretrained(network, config, file)
    assert torch.equal(network.features[0].weight, before.features[0].weight)
    assert torch.equal(network.head.weight, before.head.weight) == (neurons == 3)


def test_weights_of_another_network_are_rejected_in_one_line(tmp_path: Path) -> None:
    file = stored(tmp_path / "resnet.safetensors", timm.create_model("resnet18", pretrained=False).state_dict())
    config = NetworkConfig()
    with pytest.raises(WeightsError, match="of another network; give the weights of this one") as raised:
        pretrained(build_network(config, 1), config, file)
    assert "\n" not in str(raised.value)
    own = stored(tmp_path / "own.safetensors", build_network(config, 1).state_dict())
    other = NetworkConfig(name="resnet18")
    with pytest.raises(WeightsError, match="network"):
        pretrained(build_network(other, 1), other, own)


def test_weights_are_random_only_where_that_is_requested(tmp_path: Path) -> None:
    config = NetworkConfig()
    network = build_network(config, 1)
    before = {name: value.clone() for name, value in network.state_dict().items()}
    assert pretrained(network, config, "none") == "none"
    assert all(torch.equal(before[name], value) for name, value in network.state_dict().items())
    with pytest.raises(WeightsError, match="No such file"):
        pretrained(network, config, tmp_path / "missing.safetensors")


def test_without_a_network_connection_it_says_how_to_go_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    import huggingface_hub
    from huggingface_hub.errors import LocalEntryNotFoundError

    def nothing(*_: object, **given: object) -> str:
        raise LocalEntryNotFoundError("not there") if given.get("local_files_only") else ConnectionError("no route")

    monkeypatch.setattr(huggingface_hub, "hf_hub_download", nothing)
    config = NetworkConfig(name="resnet18")
    with pytest.raises(WeightsError, match=r"cannot be downloaded .* --weights FILE, or --weights none"):
        pretrained(build_network(config, 1), config)
    assert "downloading ImageNet weights of resnet18" in caplog.text


def test_the_seed_decides_all_weights() -> None:
    first, again, other = (build_network(NetworkConfig(), 1, seed) for seed in (0, 0, 1))
    assert torch.equal(first.features[0].weight, again.features[0].weight)
    assert not torch.equal(first.features[0].weight, other.features[0].weight)


def test_normalization_is_that_of_the_weights() -> None:
    assert normalization("efficientnet_lite0") == ((0.5, 0.5, 0.5), (0.5, 0.5, 0.5))
    assert normalization("resnet18")[0] == (0.485, 0.456, 0.406)
    with pytest.raises(UsageError, match="unknown network 'alexnet'"):
        normalization("alexnet")
