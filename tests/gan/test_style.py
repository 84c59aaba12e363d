"""The style loss on random weights of VGG's shape, which only a test may use."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from gan.losses.style import LAYERS, StyleLoss, gram, style_distance

WIDTHS = {0: (3, 6), 2: (6, 6), 5: (6, 8), 7: (8, 8), 10: (8, 12), 12: (12, 12), 14: (12, 12), 17: (12, 16), 19: (16, 16), 21: (16, 16)}  # fmt: skip  # noqa: E501


def narrow_vgg(seed: int = 0) -> dict[str, Tensor]:
    """Random convolutions as in VGG-16 up to relu4_3, with fewer maps."""
    generator = torch.Generator().manual_seed(seed)
    weights = {}
    for index, (a, b) in WIDTHS.items():
        weights[f"features.{index}.weight"] = torch.randn(b, a, 3, 3, generator=generator) * (2 / (9 * a)) ** 0.5
        weights[f"features.{index}.bias"] = torch.randn(b, generator=generator) * 0.1
    return weights


def photos(count: int = 4, seed: int = 0, channels: int = 3, size: int = 32) -> Tensor:
    return torch.rand(count, channels, size, size, generator=torch.Generator().manual_seed(seed)) * 2 - 1


def test_the_four_levels_are_relu_1_2_2_2_3_3_and_4_3() -> None:
    assert [level[-1] for level in LAYERS] == [2, 7, 14, 21]
    maps = StyleLoss(narrow_vgg()).features(photos())
    assert [m.shape[1:] for m in maps] == [(6, 32, 32), (8, 16, 16), (12, 8, 8), (16, 4, 4)]
    assert all(float(m.min()) >= 0.0 for m in maps)


def test_the_gram_term_is_the_formula_of_the_source_element_by_element() -> None:
    fake, real = torch.rand(1, 3, 2, 4), torch.rand(1, 3, 2, 4)
    maps, places = 3, 8
    total = 0.0
    for i in range(maps):
        for j in range(maps):
            g = sum(float(fake[0, i].flatten()[k] * fake[0, j].flatten()[k]) for k in range(places))
            h = sum(float(real[0, i].flatten()[k] * real[0, j].flatten()[k]) for k in range(places))
            total += (g - h) ** 2
    expected = total / (4 * maps**2 * places**2)
    assert float(style_distance(gram(fake), gram(real))) == pytest.approx(expected, rel=1e-5)


def test_the_levels_have_equal_weight() -> None:
    style = StyleLoss(narrow_vgg())
    fake, real = photos(2, 1), photos(2, 2)
    levels = [style_distance(f, r) for f, r in zip(style.grams(fake), style.grams(real), strict=True)]
    assert float(style(fake, style.grams(real))) == pytest.approx(sum(map(float, levels)) / 4, rel=1e-5)


def test_identical_images_are_at_distance_zero_and_the_distance_is_symmetric() -> None:
    style = StyleLoss(narrow_vgg())
    a, b = photos(3, 1), photos(3, 2) * 0.5
    assert float(style(a, style.grams(a))) == 0.0
    forth, back = float(style(a, style.grams(b))), float(style(b, style.grams(a)))
    assert forth == pytest.approx(back, rel=1e-5)
    assert forth > 0


def test_a_gram_matrix_forgets_where_things_are() -> None:
    maps = torch.rand(2, 5, 6, 6)
    order = torch.randperm(36)
    moved = maps.flatten(2)[:, :, order].reshape(2, 5, 6, 6)
    assert torch.allclose(gram(maps), gram(moved), atol=1e-6)


def test_moved_grain_is_nearer_than_another_grain() -> None:
    style = StyleLoss(narrow_vgg())
    grain = photos(1, 1, size=64)
    smooth = torch.nn.functional.avg_pool2d(grain, 5, stride=1, padding=2)
    target = style.grams(grain)
    assert float(style(grain.roll((16, 24), (2, 3)), target)) < 0.1 * float(style(smooth, target))


@pytest.mark.parametrize("scale", [0.01, 1.0, 30.0])
def test_calibration_brings_every_level_to_mean_activation_one_whatever_the_weights(scale: float) -> None:
    weights = narrow_vgg()
    weights["features.0.weight"] = weights["features.0.weight"] * scale
    style = StyleLoss(weights)
    factors = style.calibrate(photos(8))
    assert len(factors) == 4
    assert [float(m.mean()) for m in style.features(photos(8))] == pytest.approx([1.0] * 4, rel=1e-4)
    assert style.calibrate(photos(8)) == pytest.approx(factors)


def test_a_calibrated_loss_does_not_depend_on_the_scale_of_the_weights() -> None:
    losses = []
    for scale in (1.0, 20.0):
        weights = narrow_vgg()
        weights["features.21.weight"] = weights["features.21.weight"] * scale
        weights["features.21.bias"] = weights["features.21.bias"] * scale
        style = StyleLoss(weights)
        style.calibrate(photos(4))
        losses.append(float(style(photos(4, 1), style.grams(photos(4, 2) * 0.5))))
    assert losses[0] == pytest.approx(losses[1], rel=1e-4)


def test_a_smaller_copy_is_looked_at_where_requested() -> None:
    style = StyleLoss(narrow_vgg(), size=16)
    assert style.features(photos())[0].shape[-1] == 16
    assert StyleLoss(narrow_vgg(), size=64).features(photos())[0].shape[-1] == 32


def test_gray_images_count_as_three_equal_channels() -> None:
    style = StyleLoss(narrow_vgg())
    gray = photos(2, channels=1)
    assert all(torch.equal(a, b) for a, b in zip(style.grams(gray), style.grams(gray.repeat(1, 3, 1, 1)), strict=True))


def test_the_network_is_frozen_and_the_gradient_reaches_the_images() -> None:
    style = StyleLoss(narrow_vgg())
    fake = photos(2, 1).requires_grad_()
    style(fake, style.grams(photos(2, 2))).backward()
    assert fake.grad is not None
    assert bool(torch.isfinite(fake.grad).all())
    assert bool(fake.grad.any())
    assert not any(p.requires_grad for p in style.parameters())


def test_bf16_stays_near_float32() -> None:
    values = []
    for dtype in (torch.float32, torch.bfloat16):
        style = StyleLoss(narrow_vgg(), dtype=dtype)
        style.calibrate(photos(4))
        values.append(float(style(photos(4, 1) * 0.3, style.grams(photos(4, 2)))))
    assert values[1] == pytest.approx(values[0], rel=0.05)


def test_weights_without_a_layer_are_an_error_not_random_numbers() -> None:
    weights = narrow_vgg()
    del weights["features.12.bias"]
    with pytest.raises(KeyError, match=r"features\.12\.bias"):
        StyleLoss(weights)
