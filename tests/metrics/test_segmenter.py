"""The segmenter: trained on real images, cached by their content, the same for the same seed."""

from __future__ import annotations

import logging
from pathlib import Path

import numpy as np
import pytest
import torch

from engine.runtime.threads import threads_set
from engine.weights.imagenet import lite0_weights
from metrics.data.image_set import ImageSet
from metrics.labels.network import SegmenterSettings, build_network
from metrics.labels.segmenter import Segmenter, fingerprint, load_or_train, train_segmenter
from metrics.labels.training import Variation, draw, overlap_loss, vary
from tests.builders.scratches import SIDE, surfaces

BRIEF = SegmenterSettings(steps=2, batch=2, pretrained=False)


@pytest.fixture(scope="module")
def few(tmp_path_factory: pytest.TempPathFactory) -> ImageSet:
    return surfaces(tmp_path_factory.mktemp("few"), 3, good=1)


@pytest.fixture(scope="module")
def brief(few: ImageSet) -> Segmenter:
    return train_segmenter(few, settings=BRIEF, seed=3)


def _weights(segmenter: Segmenter) -> torch.Tensor:
    return torch.cat([tensor.float().flatten() for tensor in segmenter.network.state_dict().values()])


def test_same_seed_gives_the_same_weights_and_leaves_the_global_generator_alone(
    few: ImageSet, brief: Segmenter
) -> None:
    before = torch.random.get_rng_state()
    again = train_segmenter(few, settings=BRIEF, seed=3)
    assert torch.equal(torch.random.get_rng_state(), before)
    assert torch.equal(_weights(again), _weights(brief))


def test_another_seed_gives_other_weights(few: ImageSet, brief: Segmenter) -> None:
    other = train_segmenter(few, settings=BRIEF, seed=4)
    assert not torch.equal(_weights(other), _weights(brief))
    assert other.fingerprint != brief.fingerprint


def test_an_image_is_predicted_alike_alone_and_among_others(few: ImageSet, brief: Segmenter) -> None:
    crops = np.stack([few.read(index)[0] for index in range(len(few))])
    together = brief.probabilities(crops)
    alone = np.concatenate([brief.probabilities(crops[index : index + 1]) for index in range(len(crops))])
    assert together.shape == (4, SIDE, SIDE)
    np.testing.assert_array_equal(together, alone)


def test_an_empty_set_has_no_predictions(few: ImageSet, brief: Segmenter) -> None:
    assert brief.predict(few.part([])).shape == (0, SIDE, SIDE)


def test_sides_that_32_does_not_divide_are_taken(brief: Segmenter) -> None:
    assert brief.probabilities(np.full((1, 40, 40, 3), 90, np.uint8)).shape == (1, 40, 40)


def test_a_cached_segmenter_is_loaded_and_not_trained_again(few: ImageSet, brief: Segmenter, tmp_path: Path) -> None:
    first = load_or_train(few, tmp_path, settings=BRIEF, seed=3)
    steps: list[int] = []
    second = load_or_train(few, tmp_path, settings=BRIEF, seed=3, on_progress=steps.append)
    assert not steps
    assert sorted(path.suffix for path in tmp_path.iterdir()) == [".json", ".safetensors"]
    assert torch.equal(_weights(first), _weights(second))
    assert torch.equal(_weights(first), _weights(brief))
    np.testing.assert_array_equal(first.predict(few), second.predict(few))


@pytest.mark.parametrize("ending", ["json", "safetensors"])
def test_a_damaged_file_is_trained_again_with_a_warning(
    few: ImageSet, brief: Segmenter, tmp_path: Path, caplog: pytest.LogCaptureFixture, ending: str
) -> None:
    load_or_train(few, tmp_path, settings=BRIEF, seed=3)
    (damaged,) = tmp_path.glob(f"*.{ending}")
    damaged.write_bytes(damaged.read_bytes()[:50])
    with caplog.at_level(logging.WARNING):
        again = load_or_train(few, tmp_path, settings=BRIEF, seed=3)
    assert "trained again" in caplog.text
    assert torch.equal(_weights(again), _weights(brief))
    steps: list[int] = []
    load_or_train(few, tmp_path, settings=BRIEF, seed=3, on_progress=steps.append)
    assert not steps


def test_a_folder_that_cannot_be_written_costs_a_warning_only(
    few: ImageSet, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "file").write_text("in the way")
    with caplog.at_level(logging.WARNING):
        segmenter = load_or_train(few, tmp_path / "file", settings=BRIEF, seed=3)
    assert "not cached" in caplog.text
    assert segmenter.predict(few).shape == (4, SIDE, SIDE)


def test_the_name_depends_on_pixels_order_and_settings(few: ImageSet) -> None:
    name = fingerprint(few, BRIEF)
    assert name == fingerprint(few.part([0, 1, 2, 3], name="other"), BRIEF)
    assert name != fingerprint(few.part([1, 0, 2, 3]), BRIEF)
    assert name != fingerprint(few, SegmenterSettings(steps=3, batch=2, pretrained=False))


def test_images_without_any_defect_are_refused(few: ImageSet) -> None:
    with pytest.raises(ValueError, match=r"expected images with a defect in few.*, got none"):
        train_segmenter(few.part([3]), settings=BRIEF)


def test_settings_out_of_range_are_refused() -> None:
    with pytest.raises(ValueError, match="at least 1 step"):
        SegmenterSettings(steps=0)
    with pytest.raises(ValueError, match="share of good images"):
        SegmenterSettings(good_share=1.0)


def test_the_encoder_starts_from_imagenet() -> None:
    weights, _ = lite0_weights()
    network = build_network(0, weights)
    assert torch.equal(network.unet.encoder.model.state_dict()["conv_stem.weight"], weights["conv_stem.weight"])


def test_every_parameter_gets_a_finite_gradient() -> None:
    network = build_network(0, None)
    masks = torch.zeros(2, 1, 32, 32)
    masks[..., 8:20, 8:20] = 1
    overlap_loss(network(torch.rand(2, 3, 32, 32)), masks).backward()  # type: ignore[no-untyped-call]
    for name, parameter in network.named_parameters():
        assert parameter.grad is not None, name
        assert torch.isfinite(parameter.grad).all(), name


def test_the_loss_is_least_for_the_mask_itself() -> None:
    masks = torch.zeros(1, 1, 16, 16)
    masks[..., 4:9, 4:9] = 1
    right, nothing, inverse = 20 * (2 * masks - 1), torch.full_like(masks, -20.0), -20 * (2 * masks - 1)
    losses = [float(overlap_loss(logits, masks)) for logits in (right, nothing, inverse)]
    assert losses[0] < 1e-3
    assert losses == sorted(losses)


def test_image_and_mask_are_varied_alike() -> None:
    mask = np.zeros((SIDE, SIDE), bool)
    mask[10:30, 20:26] = True
    image = np.where(mask, 250, 10).astype(np.uint8)[..., None]
    rng = np.random.default_rng(0)
    for _ in range(20):
        varied, moved = vary(image, mask, draw(rng))
        assert varied.min() >= 0
        assert varied.max() <= 1
        assert ((varied[..., 0] > (varied.max() + varied.min()) / 2) ^ moved).mean() < 0.01


def test_the_variation_that_changes_nothing_changes_nothing() -> None:
    image = np.random.default_rng(0).integers(0, 256, (SIDE, SIDE, 3)).astype(np.uint8)
    mask = image[..., 0] > 200
    varied, moved = vary(image, mask, Variation(False, False, 1.0, (0.0, 0.0), 1.0, 0.0))
    np.testing.assert_allclose(varied, image / 255, atol=1e-5)
    np.testing.assert_array_equal(moved, mask)


def test_threads_are_put_back() -> None:
    before = torch.get_num_threads()
    with threads_set(before + 1):
        assert torch.get_num_threads() == before + 1
    assert torch.get_num_threads() == before
