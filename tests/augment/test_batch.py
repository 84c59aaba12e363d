"""The two engines do the same thing for the same choices."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from augment.transforms.catalog import CATALOG, PipelineConfig
from augment.transforms.pipeline import Pipeline
from augment.transforms.plan import generator_for
from tests.builders.blobs import SHAPE, defect, smooth_image

# albumentations shifts hue on 8-bit values of 2 degrees each, kornia in floating point; all others agree to a rounding
LEVELS = {"hue_saturation": 12.0, "poisson_noise": 7.0, "gaussian_blur": 1.5}
MEAN = {"hue_saturation": 1.2}


def batch(count: int = 5, channels: int = 3) -> tuple[torch.Tensor, torch.Tensor]:
    """Images (N, C, H, W) and masks (N, 1, H, W); the last one is good."""
    images = np.stack([smooth_image(channels, seed) for seed in range(count)])
    masks = np.stack([np.roll(defect(), 3 * i, 1) & (i < count - 1) for i in range(count)])
    return torch.from_numpy(images).permute(0, 3, 1, 2).float() / 255, torch.from_numpy(masks)[:, None].float()


def compare(config: dict[str, Any], channels: int, mean: float, most: float) -> None:
    """Runs both engines on the same images and seeds."""
    pipeline = Pipeline(PipelineConfig.model_validate(config))
    images, masks = batch(channels=channels)
    partner = smooth_image(channels, 99), np.flip(defect()).copy()
    pool = (
        torch.from_numpy(partner[0]).permute(2, 0, 1)[None].float() / 255,
        torch.from_numpy(partner[1])[None, None].float(),
    )
    augmented, labels, applied = pipeline.batch(images, masks, seeds=range(10, 15), partners=pool)
    for i in range(len(images)):
        pixels = (images[i].permute(1, 2, 0) * 255).round().to(torch.uint8).numpy()
        image, label, names = pipeline(pixels, masks[i, 0].numpy() > 0, generator_for(10 + i), [partner])
        assert names == applied[i]
        difference = np.abs(image.astype(float) - augmented[i].permute(1, 2, 0).numpy() * 255)
        assert difference.mean() <= mean
        assert difference.max() <= most
        assert set(labels[i].unique().tolist()) <= {0.0, 1.0}
        assert (label ^ (labels[i, 0].numpy() > 0)).sum() <= 2


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("name", CATALOG)
def test_engines_agree_on_every_transform(name: str, channels: int) -> None:
    settings = {"fill": ["noise", "mean", "black"], "defect": ["spare", "follow"]} if name == "random_erasing" else {}
    compare({"steps": [{name: {"p": 0.8, **settings}}]}, channels, MEAN.get(name, 0.3), LEVELS.get(name, 1.0))


@pytest.mark.parametrize("border", ["reflect", "edge", "black"])
def test_engines_agree_at_the_border(border: str) -> None:
    steps = [{"translation": {"p": 1, "x": [-0.3, 0.3]}}, {"rotation": {"p": 1, "degrees": [-90, 90]}}]
    compare({"border": border, "steps": steps}, 1, 0.3, 1.0)


def test_engines_agree_without_the_bank_of_noise() -> None:
    steps = [{name: {"p": 1, "bank": False}} for name in ("gaussian_noise", "salt_and_pepper", "random_erasing")]
    compare({"steps": steps}, 3, 0.3, 1.0)


@pytest.mark.parametrize("name", ["oliena", "bsdata", "pcb", "flips", "gan_paper", "gan_paper_schemes"])
def test_engines_agree_on_the_papers_pipelines(name: str) -> None:
    compare(Pipeline.from_preset(name).config.model_dump(), 3, 0.7, 3.0)


def test_an_image_does_not_depend_on_the_rest_of_its_batch() -> None:
    steps = [{name: {"p": 0.6}} for name in CATALOG if name != "mixing"]
    pipeline = Pipeline(PipelineConfig.model_validate({"steps": steps}))
    images, masks = batch()
    together, labels, _ = pipeline.batch(images, masks)
    for i in range(5):
        alone, label, _ = pipeline.batch(images[i : i + 1], masks[i : i + 1], seeds=[i])
        assert torch.allclose(alone[0], together[i], atol=1e-5)
        assert torch.equal(label[0], labels[i])


def test_mixing_takes_another_of_the_batch_and_never_itself() -> None:
    pipeline = Pipeline(PipelineConfig.model_validate({"steps": [{"mixing": {"p": 1, "weight": 0.4}}]}))
    images, masks = batch()
    for first in range(0, 30, 5):
        augmented, labels, applied = pipeline.batch(images, masks, seeds=range(first, first + 5))
        assert applied == [["mixing"]] * 5
        assert ((augmented - images).abs().flatten(1).amax(1) > 0.05).all()
        assert (labels >= masks).all()
    assert pipeline.batch(images[:1], masks[:1])[2] == [["mixing:skipped"]]


def test_a_speck_is_not_lost_in_a_batch() -> None:
    pipeline = Pipeline(PipelineConfig.model_validate({"steps": [{"zoom": {"p": 1, "factor": 0.3}}]}))
    masks = torch.zeros(2, 1, *SHAPE)
    masks[0, 0, 40, 50] = 1
    _, labels, _ = pipeline.batch(torch.rand(2, 3, *SHAPE), masks)
    assert labels.flatten(1).sum(1).tolist() == [1, 0]


@pytest.mark.gpu
def test_the_gpu_does_what_the_cpu_does() -> None:
    steps = [{name: {"p": 0.6}} for name in CATALOG if name != "mixing"]
    pipeline = Pipeline(PipelineConfig.model_validate({"steps": steps}))
    images, masks = batch()
    here, there = (pipeline.batch(images, masks, device=device) for device in ("cpu", "cuda"))
    assert (here[0] - there[0].cpu()).abs().mean() < 0.002


def test_what_does_not_fit_together_is_an_error() -> None:
    pipeline = Pipeline(PipelineConfig())
    images, masks = batch()
    with pytest.raises(ValueError, match="float images"):
        pipeline.batch((images * 255).to(torch.uint8), masks)
    with pytest.raises(ValueError, match=r"masks \(N, 1, H, W\)"):
        pipeline.batch(images, masks[:, 0])
    with pytest.raises(ValueError, match="one seed for each of 5 images, got 4"):
        pipeline.batch(images, masks, seeds=range(4))
