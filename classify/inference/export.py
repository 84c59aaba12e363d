"""A trained classifier as one .onnx file with its metadata, checked against PyTorch before it is written.

Its outputs are `logits`, `map` (of every neuron, before scaling), and `features` (pooled), so that it serves as a
classifier, as a heat map, and as the feature extractor of `bench-fid`. It takes pixels in 0..1 and normalizes them
itself, repeating gray as well: so `mean` and `std` of its metadata, which describe its input, are 0 and 1.
"""

from __future__ import annotations

import io
import json
import math
import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import torch
from torch import Tensor, nn

from classify.models.cam import CamClassifier, ClassifierOutput
from classify.models.checkpoint import LoadedClassifier
from engine.errors import OutputError, UsageError
from engine.files.atomic import sha256_bytes, write_bytes
from engine.seeding import torch_generator

OUTPUTS = ("logits", "map", "features")
TOLERANCE = 1e-3
"""Largest difference from PyTorch that counts as rounding, as a share of an output's own range."""

_OPSET = 17
_CHECKED = 3


@dataclass(frozen=True)
class ExportResult:
    """The written file.

    Attributes:
        path: the file.
        sha256: of the file.
        bytes: its size.
        differences: of each output the largest difference from PyTorch, as a share of the output's own range.
    """

    path: Path
    sha256: str
    bytes: int
    differences: dict[str, float]


class _Graph(nn.Module):
    """The exported graph: pixels (N, C, S, S) in 0..1 to logits (N, K), maps (N, K, h, w) and features (N, D).

    The features are the input of the last neurons: pooled, and normalized where the network does so.
    """

    mean: Tensor
    std: Tensor

    def __init__(self, classifier: LoadedClassifier) -> None:
        super().__init__()
        self.network = classifier.network
        self.register_buffer("mean", torch.tensor(classifier.mean).reshape(1, 3, 1, 1))
        self.register_buffer("std", torch.tensor(classifier.std).reshape(1, 3, 1, 1))

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        network = self.network
        last = network.head if isinstance(network, CamClassifier) else network.network.head
        features: list[Tensor] = []
        handle = last.register_forward_pre_hook(lambda _, inputs: features.append(inputs[0]))
        try:
            pixels = (images - self.mean) / self.std
            if isinstance(network, CamClassifier):  # by way of the pooled features, which are an output here
                latent = network.features(pixels)
                output = ClassifierOutput(network.classify(latent), network.map_of(latent))
            else:
                output = network(pixels)
        finally:
            handle.remove()
        return output.logits, output.maps, features[0]


def export_classifier(classifier: LoadedClassifier, path: Path) -> ExportResult:
    """Writes `path`, for any number of images at once.

    Raises:
        UsageError: the file does not end in .onnx.
        OutputError: it cannot be written, or its outputs differ from PyTorch's.
    """
    if path.suffix != ".onnx":
        raise UsageError(f"--out: expected a file ending in .onnx, got {path}", code="E-out-suffix")
    graph = _Graph(classifier).eval()
    shape = (_CHECKED, classifier.channels, classifier.size, classifier.size)
    images = torch.rand(shape, generator=torch_generator(0, "export"))
    data = _described(_traced(graph, images[:2]), classifier)
    differences = _compare(graph, images, data)
    worst = max(differences, key=lambda name: math.inf if math.isnan(differences[name]) else differences[name])
    if not differences[worst] <= TOLERANCE:
        raise OutputError(
            f"{path}: its {worst} is off PyTorch's by {differences[worst]:.1e} of its range; not written; "
            "update onnxruntime, or use another network",
            code="E-classify-export-differs",
        )
    write_bytes(path, data)
    return ExportResult(path, sha256_bytes(data), len(data), differences)


def _traced(graph: nn.Module, images: Tensor) -> bytes:
    buffer = io.BytesIO()
    axes = {name: {0: "n"} for name in ("images", *OUTPUTS)}
    with warnings.catch_warnings(), torch.no_grad():
        # The exporter by tracing is the one that needs no further package; it announces its retirement at every call.
        warnings.simplefilter("ignore")
        torch.onnx.export(
            graph,
            (images,),
            buffer,  # type: ignore[arg-type]
            input_names=["images"],
            output_names=list(OUTPUTS),
            dynamic_axes=axes,
            opset_version=_OPSET,
            dynamo=False,
        )
    return buffer.getvalue()


def _described(data: bytes, classifier: LoadedClassifier) -> bytes:
    """The network with its metadata, each of them JSON."""
    model: Any = onnx.load_model_from_string(data)
    metadata: dict[str, Any] = {
        "mean": [0.0] * classifier.channels,
        "std": [1.0] * classifier.channels,
        "size": classifier.size,
        "channels": classifier.channels,
        "classes": classifier.classes,
        "network": classifier.config.network.name + ("_s" if classifier.config.network.short else ""),
        "checkpoint_sha256": classifier.sha256,
    }
    for key, value in metadata.items():
        model.metadata_props.add(key=key, value=json.dumps(value, ensure_ascii=False))
    model.producer_name = "magna-defect"
    onnx.checker.check_model(model)
    return bytes(model.SerializeToString())


def _compare(graph: nn.Module, images: Tensor, data: bytes) -> dict[str, float]:
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4
    session = onnxruntime.InferenceSession(data, options, providers=["CPUExecutionProvider"])
    exported = session.run(list(OUTPUTS), {"images": images.numpy()})
    with torch.no_grad():
        expected = [tensor.numpy() for tensor in graph(images)]
    result = {}
    for name, one, other in zip(OUTPUTS, exported, expected, strict=True):
        if one.shape != other.shape:
            raise OutputError(
                f"the exported {name} has the shape {one.shape}, expected {other.shape}; not written",
                code="E-classify-export-differs",
            )
        result[name] = float(np.abs(one - other).max() / max(float(np.ptp(other)), float(np.abs(other).max()), 1e-12))
    return result
