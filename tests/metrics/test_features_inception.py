"""Inception is torch-fidelity's, to the rounding, by either backend; its resize is the same bit for bit."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import safetensors.torch
import torch
from torch import Tensor
from torch_fidelity import feature_extractor_inceptionv3 as peer
from torch_fidelity.interpolate_compat_tensorflow import interpolate_bilinear_2d_like_tensorflow1x

from engine.seeding import torch_generator
from metrics.features import inception
from metrics.features.inception import Inception, tensorflow_resize
from metrics.features.inception_backends import TorchInception
from metrics.features.inception_network import CONVOLUTIONS
from metrics.features.inception_weights import folded, tensor_shapes


def random_weights() -> dict[str, Tensor]:
    """The names and shapes of the published file; He-normal kernels, batch norms away from their initial values."""
    draw = torch_generator(0, "inception")
    tensors = {}
    for name, shape in {**tensor_shapes(), "fc.bias": (1008,)}.items():
        values = torch.randn(shape, generator=draw)
        if name.endswith("conv.weight"):
            values *= (2 / values[0].numel()) ** 0.5
        elif name.endswith(("bn.weight", "running_var")):
            values = values.abs() * 0.5 + 0.75
        else:
            values *= 0.1
        tensors[name] = values
        if name.endswith("running_var"):
            tensors[name.replace("running_var", "num_batches_tracked")] = torch.tensor(1)
    return tensors


def images(count: int = 2, size: int = 64) -> Tensor:
    return torch.randint(0, 256, (count, 3, size, size), generator=torch_generator(1), dtype=torch.uint8)


@pytest.fixture(scope="module", autouse=True)
def _small_groups() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(inception._MICRO_BATCH, "cpu", 2)
        yield


@pytest.fixture(scope="module")
def weights() -> dict[str, Tensor]:
    return random_weights()


@pytest.fixture(scope="module")
def ours(weights: dict[str, Tensor], tmp_path_factory: pytest.TempPathFactory) -> Inception:
    file = tmp_path_factory.mktemp("inception") / "inception.safetensors"
    safetensors.torch.save_file(weights, file)
    return Inception(file, threads=1)


@pytest.fixture(scope="module")
def theirs(weights: dict[str, Tensor]) -> peer.FeatureExtractorInceptionV3:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(peer, "load_state_dict_from_url", lambda *_, **__: weights)
        return peer.FeatureExtractorInceptionV3("inception-v3-compat", ["2048", "logits_unbiased"])


def test_features_and_logits_are_those_of_torch_fidelity(
    ours: Inception, theirs: peer.FeatureExtractorInceptionV3
) -> None:
    features, logits = theirs(images())
    found = ours(images())
    assert features.shape == (2, ours.dim)
    np.testing.assert_allclose(found.features, features, rtol=1e-4, atol=1e-4 * float(features.abs().mean()))
    assert found.logits is not None
    np.testing.assert_allclose(found.logits, logits, rtol=1e-4, atol=1e-4 * float(logits.abs().mean()))
    assert float((features[0] - features[1]).abs().max()) > 0.01  # the images are distinguished


def test_pytorch_and_onnx_runtime_agree(weights: dict[str, Tensor], ours: Inception) -> None:
    by_torch = TorchInception(folded(weights), torch.device("cpu"))
    with torch.inference_mode():
        features = by_torch((tensorflow_resize(images(1), 299) - 128) / 128)
    np.testing.assert_allclose(ours(images(1)).features, features, rtol=1e-4, atol=1e-4)


def test_an_image_has_the_same_features_in_any_company(ours: Inception) -> None:
    batch = images(5)
    together = ours(batch).features
    assert torch.equal(together[4:], ours(batch[4:]).features)
    assert torch.equal(together[1:4], ours(batch[1:4]).features)


def test_the_convolutions_are_all_of_torch_fidelitys(theirs: peer.FeatureExtractorInceptionV3) -> None:
    shapes = {
        name.removesuffix(".conv.weight"): tuple(value.shape)
        for name, value in theirs.state_dict().items()
        if name.endswith(".conv.weight")
    }
    assert shapes == CONVOLUTIONS


@pytest.mark.parametrize("size", [(128, 128), (299, 299), (40, 299), (299, 40), (333, 512), (1, 1), (300, 298)])
def test_the_resize_is_torch_fidelitys_bit_for_bit(size: tuple[int, int]) -> None:
    batch = torch.randint(0, 256, (2, 3, *size), generator=torch_generator(2), dtype=torch.uint8)
    target = interpolate_bilinear_2d_like_tensorflow1x(batch.float(), (299, 299), align_corners=False)
    assert torch.equal(tensorflow_resize(batch, 299), target)


@pytest.mark.parametrize(
    "batch",
    [torch.zeros(1, 3, 8, 8), torch.zeros(1, 1, 8, 8, dtype=torch.uint8), torch.zeros(3, 8, 8, dtype=torch.uint8)],
)
def test_anything_but_uint8_rgb_is_refused(ours: Inception, batch: Tensor) -> None:
    with pytest.raises(ValueError, match=r"expected uint8 images \(N, 3, H, W\), got"):
        ours(batch)


@pytest.mark.gpu
def test_a_cuda_device_gives_the_same_features(weights: dict[str, Tensor], ours: Inception) -> None:
    by_torch = TorchInception(folded(weights), torch.device("cuda"))
    with torch.inference_mode():
        features = by_torch((tensorflow_resize(images(1), 299) - 128) / 128)
    np.testing.assert_allclose(ours(images(1)).features, features, rtol=1e-3, atol=1e-3)


def test_a_file_of_the_published_format_is_converted_and_serves(
    weights: dict[str, Tensor], ours: Inception, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr("metrics.features.inception_weights.SHA256_PREFIX", "")
    torch.save(weights, tmp_path / "weights.pth")
    given = Inception(tmp_path / "weights.pth", threads=1)
    (tmp_path / "weights.pth").unlink()
    later = Inception(threads=1)
    assert given.fingerprint == later.fingerprint != ours.fingerprint
    assert torch.equal(later(images(1)).features, ours(images(1)).features)
