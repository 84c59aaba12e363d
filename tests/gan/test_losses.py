"""The loss terms against closed forms and against the numpy measurement."""

from __future__ import annotations

import math

import cv2
import numpy as np
import pytest
import torch

from defects.attributes.appearance import brightness, ring_radius
from gan.losses.adversarial import (
    BrightnessGuide,
    MagnaLoss,
    background_loss,
    discriminator_loss,
    generator_loss,
    reconstruction_loss,
)


def test_undecided_logits_cost_two_and_one_log_two() -> None:
    logits = [torch.zeros(2, 1, 6, 6), torch.zeros(2, 1, 2, 2)]
    assert float(discriminator_loss(real=logits, fake=logits)) == pytest.approx(2 * math.log(2))
    assert float(generator_loss(logits)) == pytest.approx(math.log(2))


def test_the_adversarial_terms_are_the_logarithms_of_the_probabilities() -> None:
    real, fake = torch.randn(3, 1, 4, 4), torch.randn(3, 1, 4, 4)
    expected = -(real.sigmoid().log().mean() + (1 - fake.sigmoid()).log().mean())
    assert float(discriminator_loss(real=[real], fake=[fake])) == pytest.approx(float(expected), rel=1e-5)
    assert float(generator_loss([fake])) == pytest.approx(float(-fake.sigmoid().log().mean()), rel=1e-5)


def test_real_and_fake_are_not_exchanged() -> None:
    high, low = [torch.full((1, 1, 2, 2), 5.0)], [torch.full((1, 1, 2, 2), -5.0)]
    assert float(discriminator_loss(real=high, fake=low)) < 0.02
    assert float(discriminator_loss(real=low, fake=high)) > 9.0
    assert float(generator_loss(high)) < 0.01 < 4.0 < float(generator_loss(low))


def test_every_scale_counts_the_same_however_many_patches_it_has() -> None:
    large, small = torch.full((1, 1, 30, 30), 2.0), torch.full((1, 1, 3, 3), -1.0)
    mean = (float(generator_loss([large])) + float(generator_loss([small]))) / 2
    assert float(generator_loss([large, small])) == pytest.approx(mean)


def test_losses_stay_finite_for_logits_of_any_size() -> None:
    huge = [torch.tensor([[1e4, -1e4]])]
    assert math.isfinite(float(discriminator_loss(real=huge, fake=huge)))
    assert math.isfinite(float(generator_loss(huge)))


@pytest.mark.parametrize("weight", [1.0, 5.0])
def test_reconstruction_is_zero_for_the_same_image_and_the_squared_error_otherwise(weight: float) -> None:
    images, masks = torch.rand(2, 3, 8, 8), torch.zeros(2, 1, 8, 8)
    assert float(reconstruction_loss(images, images, masks, weight)) == 0.0
    assert float(reconstruction_loss(images + 0.5, images, masks, weight)) == pytest.approx(0.25, rel=1e-5)


def test_an_error_in_the_defect_weighs_more_and_one_away_from_it_does_not() -> None:
    real, masks = torch.zeros(1, 1, 16, 16), torch.zeros(1, 1, 16, 16)
    masks[..., 3, 3] = 1
    near, far = real.clone(), real.clone()
    near[..., 5, 5], far[..., 6, 6] = 1.0, 1.0
    assert float(reconstruction_loss(near, real, masks, 5.0)) == pytest.approx(5 / 256)
    assert float(reconstruction_loss(far, real, masks, 5.0)) == pytest.approx(1 / 256)


def test_the_background_is_compared_outside_the_defects_and_their_margin_alone() -> None:
    real, masks = torch.rand(2, 3, 24, 24), torch.zeros(2, 1, 24, 24)
    masks[..., 10:12, 10:12] = 1
    near = real.clone()
    near[..., 6:16, 6:16] = 9.0
    assert float(background_loss(near, real, masks)) == 0.0
    assert float(background_loss(real + 0.5, real, masks)) == pytest.approx(0.25, rel=1e-5)
    far = real.clone()
    far[:, :, 0, 0] += 1.0
    assert float(background_loss(far, real, masks)) == pytest.approx(1 / (24 * 24 - 10 * 10), rel=1e-4)
    assert float(background_loss(near, real, torch.ones_like(masks))) == 0.0


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("seed", range(4))
def test_the_guide_term_is_the_error_of_the_brightness_that_is_measured(channels: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    canvas = np.zeros((64, 64), np.uint8)
    cv2.polylines(canvas, [rng.integers(8, 56, (4, 2)).astype(np.int32)], False, 1, int(rng.integers(1, 6)))
    mask = canvas.astype(bool)
    image = cv2.GaussianBlur(rng.integers(0, 160, (64, 64, 3)).astype(np.uint8), (0, 0), 3)[..., :channels]
    image = image.reshape(64, 64, channels).copy()
    image[mask] = rng.integers(0, 256)
    tensor = torch.from_numpy(image).permute(2, 0, 1)[None].float() / 127.5 - 1
    masks = torch.from_numpy(mask)[None, None].float().repeat(2, 1, 1, 1)
    guide = BrightnessGuide(column=0, low=-0.5, high=0.5)
    loss = MagnaLoss(reconstruction=1, adversarial=1, guide=1, brightness=guide, radius=ring_radius(64))
    guides, logits = torch.tensor([[0.0], [0.4]]), [torch.zeros(2, 1, 4, 4)]
    terms = loss(tensor.repeat(2, 1, 1, 1), tensor, masks, guides, torch.tensor([0]), logits, 0)
    assert float(terms["guide"]) == pytest.approx((brightness(image, mask) - 0.2) ** 2, abs=2e-3)
