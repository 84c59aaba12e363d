"""Five answers to "where": the map in the graph next to those that the grad-cam package computes afterwards.

Grad-CAM (Selvaraju et al. 2017, equation 1) weights the features by the mean gradient of the logit. Where nothing but
average pooling stands between them and the last neuron that gradient is the neuron's weight divided by the number of
pixels, and so Grad-CAM is the map in the graph, its negative part cut off. ConvNeXt has a layer norm there and a
transformer has attention: there the two differ.
"""

from __future__ import annotations

import contextlib
import copy
import io
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from classify.inference.prediction import enlarged
from classify.models.checkpoint import LoadedClassifier, to_pixels
from classify.models.rollout import RolloutClassifier
from classify.models.weights import Classifier
from defects.sample import GOOD

Map = NDArray[np.float32]

METHODS = ("in the graph", "Grad-CAM", "Grad-CAM++", "Score-CAM", "guided Grad-CAM")


@dataclass(frozen=True)
class Explanation:
    """One method's answer.

    Attributes:
        name: one of `METHODS`.
        map: (S, S) in 0..1.
        seconds: of computation, the forward pass included.
    """

    name: str
    map: Map
    seconds: float


def explain(classifier: LoadedClassifier, image: NDArray[np.uint8], neuron: int | None = None) -> list[Explanation]:
    """All of `METHODS` for one crop.

    Args:
        classifier: trained.
        image: (S, S, C) uint8.
        neuron: whose map; by default that of the defect, or of its most probable class.

    Raises:
        ValueError: there is no such neuron.
    """
    # The package sets hooks and gradients, and replaces activations: it gets a copy of the network.
    network = copy.deepcopy(classifier.network).eval().requires_grad_(True)
    images = to_pixels(image[None], classifier.mean, classifier.std)
    with torch.no_grad():
        logits = network(images).logits[0]
    if neuron is None:
        first = 1 if len(logits) > 1 and classifier.classes[0] == GOOD else 0
        neuron = int(logits[first:].argmax()) + first
    if not 0 <= neuron < len(logits):
        raise ValueError(f"expected a neuron from 0 to {len(logits) - 1}, got {neuron}")
    coarse = _package(network, images, neuron)
    ways: dict[str, Callable[[], Map]] = {
        "in the graph": lambda: in_graph(network, images, neuron),
        "Grad-CAM": lambda: coarse("GradCAM"),
        "Grad-CAM++": lambda: coarse("GradCAMPlusPlus"),
        "Score-CAM": lambda: coarse("ScoreCAM"),
        "guided Grad-CAM": lambda: _guided(network, images, neuron, coarse),
    }
    return [_timed(name, way) for name, way in ways.items()]


def in_graph(network: Classifier, images: Tensor, neuron: int) -> Map:
    """The map (S, S) of the forward pass, scaled to 0..1, its negative part cut off as the others'."""
    with torch.no_grad():
        one = network(images).maps[0, neuron].clamp_min(0).numpy()
    return enlarged(one, (images.shape[2], images.shape[3]))


def guided_backpropagation(network: nn.Module, images: Tensor, neuron: int) -> NDArray[np.float32]:
    """Gradient (3, S, S) of a logit by the pixels, letting positive parts only back through every activation.

    Springenberg et al. 2015, section 3. They state it for ReLU; for other activations the gradient that leaves one
    towards the image is cut off at zero, which for ReLU is the same. Hooks of the network stay off.
    """
    own = copy.deepcopy(network)
    handles = []
    for module in own.modules():
        if type(module).__name__ in _ACTIVATIONS:
            if hasattr(module, "inplace"):
                setattr(module, "inplace", False)  # noqa: B010
            handles.append(module.register_full_backward_hook(_positive))
    pixels = images.detach().clone().requires_grad_(True)
    own(pixels).logits[0, neuron].backward()
    for handle in handles:
        handle.remove()
    gradient = pixels.grad
    if gradient is None:
        raise ValueError("expected a network through which gradients flow to the pixels, got one that stops them")
    result: NDArray[np.float32] = gradient[0].numpy()
    return result


_ACTIVATIONS = {"ReLU", "ReLU6", "SiLU", "GELU", "Hardswish"}  # PyTorch's and timm's own of the same names


def _positive(
    module: nn.Module, towards_image: tuple[Tensor, ...] | Tensor, from_logit: tuple[Tensor, ...] | Tensor
) -> tuple[Tensor, ...]:
    del module
    back = zip(towards_image, from_logit, strict=True)
    return tuple(torch.where(later > 0, earlier.clamp_min(0), 0.0) for earlier, later in back)


class _Logits(nn.Module):
    """A classifier as the package takes it: logits only."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, images: Tensor) -> Tensor:
        logits: Tensor = self.network(images).logits
        return logits


def _package(network: Classifier, images: Tensor, neuron: int) -> Callable[[str], Map]:
    """One of the package's coarse maps (S, S) by the name of its class."""

    import pytorch_grad_cam  # half a second, and not to be timed
    from pytorch_grad_cam.utils.model_targets import ClassifierOutputTarget

    def run(method: str) -> Map:
        build = getattr(pytorch_grad_cam, method)
        quiet = contextlib.redirect_stderr(io.StringIO())  # Score-CAM prints a progress bar
        with quiet, build(_Logits(network), [_last_layer(network)], reshape_transform=_grid(network)) as cam:
            result: Map = cam(images, [ClassifierOutputTarget(neuron)])[0].astype(np.float32)
        network.zero_grad(set_to_none=True)
        return result

    return run


def _last_layer(network: Classifier) -> nn.Module:
    if isinstance(network, RolloutClassifier):
        layer: nn.Module = network.network.blocks[-1].norm1  # after it only the class token counts
        return layer
    return network.features


def _grid(network: Classifier) -> Callable[[Tensor], Tensor] | None:
    """Turns a transformer's tokens (N, 1 + h * w, C) into features (N, C, h, w)."""
    if not isinstance(network, RolloutClassifier):
        return None

    def crop(tokens: Tensor) -> Tensor:
        side = round((tokens.shape[1] - 1) ** 0.5)
        return tokens[:, 1:].reshape(len(tokens), side, side, -1).permute(0, 3, 1, 2)

    return crop


def _guided(network: Classifier, images: Tensor, neuron: int, coarse: Callable[[str], Map]) -> Map:
    """Grad-CAM times the size of the guided gradient, scaled to 0..1."""
    product = np.abs(guided_backpropagation(network, images, neuron)).max(axis=0) * coarse("GradCAM")
    high = float(np.quantile(product, 0.999)) or float(product.max())  # one pixel of noise must not hide the rest
    return np.asarray(np.clip(product / max(high, 1e-12), 0, 1), np.float32)


def _timed(name: str, way: Callable[[], Any]) -> Explanation:
    start = time.perf_counter()
    result = way()
    return Explanation(name, result, time.perf_counter() - start)
