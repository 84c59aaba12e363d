"""Inception-v3 in PyTorch for CUDA, and as a graph for ONNX Runtime, the fastest on a CPU."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import onnx
import onnxruntime
import torch
import torch.nn.functional as F
from onnx import TensorProto, helper, numpy_helper
from torch import Tensor

from metrics.features.inception_network import FEATURES, INPUT, inception

Folded = Mapping[str, tuple[Tensor, Tensor]]


class TorchInception:
    """Pooled features of scaled images, by PyTorch's kernels in float32.

    Args:
        folded: Weight and bias of every convolution.
        device: Where they are put.
    """

    def __init__(self, folded: Folded, device: torch.device) -> None:
        self._folded = {name: (weight.to(device), bias.to(device)) for name, (weight, bias) in folded.items()}
        self._device = device

    def __call__(self, pixels: Tensor) -> Tensor:
        """(N, 3, 299, 299) in [-1, 1] to (N, 2048)."""
        cudnn = torch.backends.cudnn
        with cudnn.flags(enabled=True, benchmark=False, deterministic=True, allow_tf32=False):
            return inception(self, pixels.to(self._device)).cpu()

    def convolution(self, images: Tensor, names: Sequence[str], *, stride: int, same: bool, rectified: bool) -> Tensor:
        weight = torch.cat([self._folded[name][0] for name in names])
        bias = torch.cat([self._folded[name][1] for name in names])
        padding = (weight.shape[2] // 2, weight.shape[3] // 2) if same else (0, 0)
        images = F.conv2d(images, weight, bias, stride, padding)
        return images.relu_() if rectified else images

    def largest(self, images: Tensor, *, stride: int) -> Tensor:
        return F.max_pool2d(images, 3, stride, padding=1 if stride == 1 else 0)

    def mean(self, images: Tensor) -> Tensor:
        return F.avg_pool2d(images, 3, stride=1, padding=1, count_include_pad=False)

    def rectified(self, images: Tensor) -> Tensor:
        return images.relu_()

    def divided(self, images: Tensor, sizes: Sequence[int]) -> Sequence[Tensor]:
        return torch.split(images, list(sizes), dim=1)

    def joined(self, parts: Sequence[Tensor]) -> Tensor:
        return torch.cat(list(parts), dim=1)

    def pooled(self, images: Tensor) -> Tensor:
        return images.mean((2, 3))


_OPSET = 17
_IR_VERSION = 10


class OnnxInception:
    """Pooled features of scaled images, by ONNX Runtime on the CPU.

    Args:
        folded: Weight and bias of every convolution.
        threads: How many threads it takes; None for one a core.
    """

    def __init__(self, folded: Folded, *, threads: int | None = None) -> None:
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads or 0
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")  # other programs want the cores too
        graph = _graph(folded).SerializeToString()
        self._session = onnxruntime.InferenceSession(graph, options, providers=["CPUExecutionProvider"])

    def __call__(self, pixels: Tensor) -> Tensor:
        """(N, 3, 299, 299) in [-1, 1] to (N, 2048)."""
        return torch.from_numpy(self._session.run(None, {"pixels": pixels.contiguous().numpy()})[0])


def _graph(folded: Folded) -> onnx.ModelProto:
    builder = _Builder(folded)
    features = inception(builder, "pixels")
    graph = helper.make_graph(
        builder.nodes,
        "inception-v3-compat",
        [helper.make_tensor_value_info("pixels", TensorProto.FLOAT, ["n", 3, INPUT, INPUT])],
        [helper.make_tensor_value_info(features, TensorProto.FLOAT, ["n", FEATURES])],
        builder.constants,
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", _OPSET)], ir_version=_IR_VERSION)


class _Builder:
    """A backend that writes down what is done instead of doing it."""

    def __init__(self, folded: Folded) -> None:
        self._folded = folded
        self.nodes: list[onnx.NodeProto] = []
        self.constants: list[onnx.TensorProto] = []
        self._count = 0

    def convolution(self, images: str, names: Sequence[str], *, stride: int, same: bool, rectified: bool) -> str:
        weight = torch.cat([self._folded[name][0] for name in names])
        bias = torch.cat([self._folded[name][1] for name in names])
        height, width = weight.shape[2:]
        pads = [height // 2, width // 2] * 2 if same else [0] * 4
        inputs = [images, self._constant(weight), self._constant(bias)]
        generated = self._add("Conv", inputs, kernel_shape=[height, width], strides=[stride] * 2, pads=pads)
        return self.rectified(generated) if rectified else generated

    def largest(self, images: str, *, stride: int) -> str:
        pads = [1 if stride == 1 else 0] * 4
        return self._add("MaxPool", [images], kernel_shape=[3, 3], strides=[stride] * 2, pads=pads)

    def mean(self, images: str) -> str:
        return self._add(
            "AveragePool", [images], kernel_shape=[3, 3], strides=[1, 1], pads=[1] * 4, count_include_pad=0
        )

    def rectified(self, images: str) -> str:
        return self._add("Relu", [images])

    def divided(self, images: str, sizes: Sequence[int]) -> Sequence[str]:
        generated = [self._new_name() for _ in sizes]
        inputs = [images, self._constant(torch.tensor(list(sizes)))]
        self.nodes.append(helper.make_node("Split", inputs, generated, axis=1))
        return generated

    def joined(self, parts: Sequence[str]) -> str:
        return self._add("Concat", list(parts), axis=1)

    def pooled(self, images: str) -> str:
        return self._add("Flatten", [self._add("GlobalAveragePool", [images])], axis=1)

    def _add(self, op_type: str, inputs: list[str], **attributes: Any) -> str:
        generated = self._new_name()
        self.nodes.append(helper.make_node(op_type, inputs, [generated], **attributes))
        return generated

    def _constant(self, values: Tensor) -> str:
        name = self._new_name()
        self.constants.append(numpy_helper.from_array(values.numpy(), name))
        return name

    def _new_name(self) -> str:
        self._count += 1
        return f"value_{self._count}"
