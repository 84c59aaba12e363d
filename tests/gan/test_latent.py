"""Noise is moved to where the codes of real images lie."""

from __future__ import annotations

import torch

from gan.networks.magna_generator import PRIOR_IMAGES, LatentPlacement


def guides(classes: list[int | None], background: tuple[int, int] = (1, 3), size: int = 4) -> torch.Tensor:
    vectors = torch.randn(len(classes), size, generator=torch.Generator().manual_seed(1))
    vectors[:, background[0] : background[1]] = 0
    for row, known in enumerate(classes):
        if known is not None:
            vectors[row, background[0] + known] = 1
    return vectors


def fitted(means: torch.Tensor, variances: torch.Tensor, known: list[int | None]) -> LatentPlacement:
    placement = LatentPlacement(means.shape[1], (1, 3))
    placement.load_state_dict(placement.fit(means, variances, guides(known)))
    return placement


def test_before_it_is_fitted_noise_passes_through() -> None:
    noise = torch.randn(3, 5)
    for background in ((0, 0), (1, 3)):
        assert torch.allclose(LatentPlacement(5, background)(noise, guides([0, 1, None])), noise)


def test_noise_of_every_class_has_the_mean_and_the_spread_of_its_codes() -> None:
    torch.manual_seed(0)
    count = 40 * PRIOR_IMAGES
    known = [i % 2 for i in range(count)]
    mix = torch.tensor([[1.0, 0.0, 0.0], [0.8, 0.5, 0.0], [0.0, 0.0, 2.0]])
    means = torch.randn(count, 3) @ mix.T + torch.tensor([[5.0, 0, 0] if k else [-5.0, 0, 0] for k in known])
    variances = torch.full((count, 3), 0.25)
    placement = fitted(means, variances, list(known))
    for number in (0, 1):
        sampled = placement(torch.randn(8000, 3), guides([number] * 8000))
        own = means[[k == number for k in known]]
        assert torch.allclose(sampled.mean(0), own.mean(0), atol=0.1)
        expected = own.T.cov() + torch.diag(torch.full((3,), 0.25))
        # A class shares 1 / 21 of the spread of all images, whose means are 10 apart.
        assert torch.allclose(sampled.T.cov()[1:, 1:], expected[1:, 1:], atol=0.3)
        assert float(sampled.T.cov()[0, 0]) < float(expected[0, 0]) + 3


def test_a_class_without_images_and_an_unknown_background_take_those_of_all() -> None:
    torch.manual_seed(0)
    means, variances = torch.randn(64, 3) + 2, torch.full((64, 3), 0.1)
    placement = fitted(means, variances, [0] * 64)
    noise = torch.randn(2, 3)
    absent, unknown = placement(noise, guides([1, 1])), placement(noise, guides([None, None]))
    assert torch.allclose(absent, unknown, atol=1e-5)
    assert torch.allclose(placement.mean[2], means.mean(0), atol=1e-6)


def test_an_image_is_placed_alike_in_any_batch() -> None:
    torch.manual_seed(0)
    placement = fitted(torch.randn(64, 3), torch.rand(64, 3), [i % 2 for i in range(64)])
    noise, vectors = torch.randn(3, 3), guides([0, 1, None])
    together = placement(noise, vectors)
    assert all(torch.allclose(placement(noise[i : i + 1], vectors[i : i + 1])[0], together[i]) for i in range(3))


def test_two_images_are_enough_to_fit() -> None:
    placement = fitted(torch.randn(2, 6), torch.rand(2, 6), [0, 1])
    assert bool(torch.isfinite(placement.factor).all())
