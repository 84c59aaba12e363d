"""The map in the graph is Grad-CAM where theory says so; the other explanations are the package's."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from classify.inference.explain import METHODS, _package, explain, guided_backpropagation, in_graph
from classify.models.cam import CamClassifier, build_classifier
from classify.models.checkpoint import to_pixels
from classify.models.weights import Classifier
from tests.builders.classifiers import loaded


def images(size: int = 48) -> torch.Tensor:
    return torch.rand(1, 3, size, size, generator=torch.Generator().manual_seed(0)) * 2 - 1


def built(name: str, classes: int = 1, *, short: bool = False) -> CamClassifier:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(3)
        return build_classifier(name, classes=classes, short=short).eval()


@pytest.mark.parametrize(
    ("name", "short"),
    [("resnet18", False), ("resnet18", True), ("efficientnet_lite0", False), ("mobilenetv3_large", True)],
)
def test_the_map_in_the_graph_is_grad_cam_where_only_pooling_stands_before_the_neuron(name: str, short: bool) -> None:
    network = built(name, 3, short=short)
    for neuron in range(3):
        expected = _package(network, images(), neuron)("GradCAM")
        np.testing.assert_allclose(in_graph(network, images(), neuron), expected, atol=1e-5)


def test_with_a_layer_norm_before_the_neuron_it_is_not() -> None:
    network = built("convnext_tiny", 2)
    with torch.no_grad():
        assert network.norm is not None
        network.norm.weight.uniform_(0.2, 3.0, generator=torch.Generator().manual_seed(0))
    pairs = [(in_graph(network, images(), n), _package(network, images(), n)("GradCAM")) for n in range(2)]
    assert max(float(np.abs(one - other).max()) for one, other in pairs) > 0.01


def test_guided_backpropagation_is_the_packages_on_a_network_of_relus() -> None:
    from pytorch_grad_cam import GuidedBackpropReLUModel

    class Logits(torch.nn.Module):
        def __init__(self, network: Classifier) -> None:
            super().__init__()
            self.network = network

        def forward(self, images: torch.Tensor) -> torch.Tensor:
            return self.network(images).logits

    network = built("resnet18")
    found = guided_backpropagation(network, images(), 0)
    expected = GuidedBackpropReLUModel(Logits(network))(images()).transpose(2, 0, 1)
    np.testing.assert_allclose(found, expected, rtol=1e-3, atol=1e-6)


def test_all_five_are_given_and_the_classifier_is_left_as_it_was(tmp_path: Path) -> None:
    classifier = loaded(tmp_path, network={"name": "efficientnet_lite0", "short": True})
    image = np.random.default_rng(0).integers(0, 256, (32, 32, 1), dtype=np.uint8)
    before = classifier.predict(image[None])
    found = explain(classifier, image)
    assert tuple(one.name for one in found) == METHODS
    for one in found:
        assert one.map.shape == (32, 32)
        assert 0 <= one.map.min() <= one.map.max() <= 1 + 1e-6
    after = classifier.predict(image[None])
    np.testing.assert_array_equal(before.maps, after.maps)
    assert not any(parameter.requires_grad for parameter in classifier.network.parameters())
    pixels = to_pixels(image[None], classifier.mean, classifier.std)
    np.testing.assert_array_equal(found[0].map, in_graph(classifier.network, pixels, 0))


def test_an_unknown_neuron_is_rejected(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="expected a neuron from 0 to 0, got 3"):
        explain(loaded(tmp_path), np.zeros((32, 32, 1), np.uint8), 3)
