"""Exported networks: named outputs, their own preprocessing, one line for what is no use."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from onnx import TensorProto, helper, numpy_helper

from engine.seeding import torch_generator
from metrics.features.lite0 import Lite0
from metrics.features.onnx_network import Network
from metrics.features.registry import open_extractor
from tests.builders.errors import raises

METADATA = {"mean": "[0.0, 0.5, 0.25]", "std": "[1.0, 0.5, 0.25]", "size": "8", "channels": "3"}


def export(
    path: Path,
    metadata: dict[str, str] | None = None,
    *,
    shape: Sequence[int | str] = ("n", 3, 8, 8),
    outputs: Sequence[str] = ("features", "logits"),
    pooled: bool = True,
) -> Path:
    """Features are the means of the channels, logits four times their sums."""
    channels = shape[1] if isinstance(shape[1], int) else 3
    weights = numpy_helper.from_array(np.full((channels, 2), 4, np.float32), "weights")
    nodes = [
        helper.make_node("GlobalAveragePool", ["images"], ["pooled"]),
        helper.make_node("Flatten", ["pooled"], ["means"], axis=1),
        helper.make_node("Identity", ["pooled" if pooled else "images"], [outputs[0]]),
        helper.make_node("MatMul", ["means", "weights"], [outputs[-1] if len(outputs) == 2 else "unused"]),
    ]
    graph = helper.make_graph(
        nodes,
        "tiny",
        [helper.make_tensor_value_info("images", TensorProto.FLOAT, shape)],
        [helper.make_tensor_value_info(name, TensorProto.FLOAT, None) for name in outputs],
        [weights],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=10)
    for key, value in (metadata or {}).items():
        model.metadata_props.add(key=key, value=value)
    onnx.save(model, path)
    return path


def images(count: int = 3, size: int = 8) -> torch.Tensor:
    return torch.randint(0, 256, (count, 3, size, size), generator=torch_generator(0), dtype=torch.uint8)


def test_the_networks_own_preprocessing_is_used(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        network = Network(export(tmp_path / "tiny.onnx", METADATA))
    assert not caplog.text
    assert (network.name, network.size, network.dim, network.has_logits) == ("onnx_tiny", 8, 3, True)
    features, logits = network(images())
    target = (images().double() / 255).mean((2, 3)) * torch.tensor([1, 2, 4]) - torch.tensor([0, 1, 1])
    np.testing.assert_allclose(features, target, atol=1e-5)
    assert logits is not None
    np.testing.assert_allclose(logits, 4 * target.sum(1, keepdim=True).expand(-1, 2), atol=1e-4)


def test_what_the_network_does_not_say_is_imagenets_and_logged(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    file = export(tmp_path / "tiny.onnx", shape=("n", 3, "h", "w"))
    with caplog.at_level(logging.WARNING):
        network = Network(file)
    assert network.size == 224
    assert "tiny.onnx: says nothing of mean, std, size; ImageNet's are taken" in caplog.text
    white = network(torch.full((1, 3, 224, 224), 255, dtype=torch.uint8)).features
    np.testing.assert_allclose(white[0], (1 - np.array([0.485, 0.456, 0.406])) / [0.229, 0.224, 0.225], rtol=1e-3)


def test_a_gray_network_gets_luminance(tmp_path: Path) -> None:
    said = {"mean": "0", "std": "1", "channels": "1"}
    network = Network(export(tmp_path / "grey.onnx", said, shape=("n", 1, 8, 8)))
    target = (images().double() * torch.tensor([0.299, 0.587, 0.114]).view(3, 1, 1)).sum(1).mean((1, 2)) / 255
    np.testing.assert_allclose(network(images()).features[:, 0], target, atol=1e-5)


def test_a_network_of_fixed_batches_is_served_in_them(tmp_path: Path) -> None:
    network = Network(export(tmp_path / "tiny.onnx", METADATA, shape=(2, 3, 8, 8)))
    free = Network(export(tmp_path / "free.onnx", METADATA))
    torch.testing.assert_close(network(images(5)).features, free(images(5)).features)


def test_outputs_may_have_other_names_and_logits_may_be_missing(tmp_path: Path) -> None:
    named = open_extractor(
        str(export(tmp_path / "a.onnx", METADATA, outputs=("embedding", "classes"))),
        features_output="embedding",
        logits_output="classes",
        device="cpu",
    )
    plain = Network(export(tmp_path / "b.onnx", METADATA, outputs=("features",)))
    assert named.has_logits
    assert not plain.has_logits
    assert plain(images()).logits is None
    torch.testing.assert_close(named(images()).features, plain(images()).features)


def test_a_changed_network_has_another_fingerprint(tmp_path: Path) -> None:
    prints = {
        Network(export(tmp_path / "a.onnx", METADATA)).fingerprint,
        Network(export(tmp_path / "a.onnx", {**METADATA, "mean": "0.1"})).fingerprint,
        Network(export(tmp_path / "a.onnx", METADATA, shape=("n", 3, "h", "w"))).fingerprint,
    }
    assert len(prints) == 3


@pytest.mark.parametrize(
    ("metadata", "line"),
    [
        ({"size": "16"}, "its metadata say size 16, its input 8"),
        ({"size": "wide"}, "its metadata 'size' is 'wide', expected JSON"),
        ({"size": "2.5"}, "its metadata 'size' is 2.5, expected a whole number"),
        ({"channels": "1"}, "its metadata say channels 1, its input 3"),
        ({"mean": "[1, 2]"}, r"its metadata 'mean' is \[1, 2\], expected 3 numbers"),
        ({"std": "[1, 1, 0]"}, "a std of .*expected above 0"),
    ],
)
def test_impossible_metadata_are_refused(tmp_path: Path, metadata: dict[str, str], line: str) -> None:
    with raises("E-network-metadata", rf"tiny\.onnx: .*{line}.*; export it again"):
        Network(export(tmp_path / "tiny.onnx", {**METADATA, **metadata}))


def test_a_network_without_the_output_is_answered_with_its_outputs(tmp_path: Path) -> None:
    file = export(tmp_path / "tiny.onnx", outputs=("embedding", "logits"))
    with raises("E-network-output", "has no output 'features', only embedding, logits; name the one"):
        Network(file)
    with raises("E-network-output"):
        Network(file, features="embedding", logits="classes")


def test_features_that_were_not_pooled_are_refused(tmp_path: Path) -> None:
    with raises("E-network-output"):
        Network(export(tmp_path / "tiny.onnx", METADATA, pooled=False))(images())


def test_rubbish_and_a_missing_file_are_one_line(tmp_path: Path) -> None:
    (tmp_path / "rubbish.onnx").write_bytes(b"no network")
    with raises("E-network-invalid") as caught:
        Network(tmp_path / "rubbish.onnx")
    assert "\n" not in str(caught.value)
    with raises("E-weights-unreadable"):
        Network(tmp_path / "gone.onnx")


def test_extractors_are_opened_by_name() -> None:
    assert isinstance(open_extractor("efficientnet_lite0", device="cpu"), Lite0)
    assert isinstance(open_extractor("efficientnet-lite0", device="cpu"), Lite0)
    with raises("E-extractor-unknown"):
        open_extractor("resnet")
    with raises("E-device"):
        open_extractor("inception", device="tpu")
    with raises("E-bench-flags"):
        open_extractor("efficientnet_lite0", inception_weights=Path("w.pth"))
