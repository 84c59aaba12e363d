"""Lite0 really knows ImageNet, and an image has the same features in any company."""

from __future__ import annotations

import pytest
import skimage.data
import timm
import torch
from torch import Tensor

from engine.seeding import torch_generator
from engine.weights.imagenet import lite0_weights
from metrics.features.lite0 import Lite0, resize_to_lite0

ESPRESSO, TABBY, TIGER_CAT, EGYPTIAN_CAT, TRIPOD = 967, 281, 282, 285, 872


@pytest.fixture(scope="module")
def lite0() -> Lite0:
    return Lite0()


def thumbnail(name: str) -> Tensor:
    pixels = torch.from_numpy(getattr(skimage.data, name)())
    if pixels.dim() == 2:
        pixels = pixels[..., None].expand(-1, -1, 3)
    return pixels.permute(2, 0, 1)[None]


@pytest.mark.parametrize(
    ("name", "classes"), [("coffee", [ESPRESSO]), ("cat", [TABBY, TIGER_CAT, EGYPTIAN_CAT]), ("camera", [TRIPOD])]
)
def test_a_natural_image_is_recognized(lite0: Lite0, name: str, classes: list[int]) -> None:
    logits = lite0(thumbnail(name)).logits
    assert logits is not None
    shares = logits.softmax(1)[0]
    assert int(shares.argmax()) in classes
    assert float(shares[classes].sum()) > 0.8  # a network of random weights gives 0.001 a class


def test_features_lead_to_the_logits_of_timms_network(lite0: Lite0) -> None:
    network = timm.create_model("tf_efficientnet_lite0", pretrained=False).eval()
    network.load_state_dict(lite0_weights()[0])
    batch = torch.randint(0, 256, (2, 3, 50, 70), generator=torch_generator(0), dtype=torch.uint8)
    features, logits = lite0(batch)
    assert features.shape == (2, lite0.dim)
    with torch.inference_mode():
        target = network(resize_to_lite0(batch))
        torch.testing.assert_close(network.classifier(features), target, rtol=1e-3, atol=1e-3)
    torch.testing.assert_close(logits, target, rtol=1e-3, atol=1e-3)


def test_an_image_has_the_same_features_in_any_company(lite0: Lite0) -> None:
    batch = torch.randint(0, 256, (18, 3, 32, 32), generator=torch_generator(1), dtype=torch.uint8)
    together = lite0(batch).features
    assert torch.equal(together[17:], lite0(batch[17:]).features)


def test_pixels_are_scaled_as_the_network_was_trained() -> None:
    pixels = resize_to_lite0(torch.tensor([0, 255], dtype=torch.uint8).view(2, 1, 1, 1).expand(2, 3, 9, 9))
    assert pixels.shape == (2, 3, 224, 224)
    assert float((pixels[0] + 1).abs().max()) < 1e-5
    assert float((pixels[1] - 1).abs().max()) < 1e-5


def test_gray_or_float_images_are_refused(lite0: Lite0) -> None:
    for batch in (torch.zeros(1, 1, 8, 8, dtype=torch.uint8), torch.zeros(1, 3, 8, 8)):
        with pytest.raises(ValueError, match=r"expected uint8 images \(N, 3, H, W\)"):
            lite0(batch)
