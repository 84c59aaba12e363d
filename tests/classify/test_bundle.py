"""A classifier on disk comes back as it was, and answers the same for any batch."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from classify.config import ClassifierConfig
from classify.models.checkpoint import load_classifier, neurons, save_classifier
from classify.models.weights import build_network
from engine.checkpoint import load_checkpoint, save_checkpoint
from engine.errors import CheckpointError
from tests.builders.classifiers import small_network, tiny

__all__ = ["small_network"]

CLASSES = {"binary": ("good", "defect"), "classes": ("good", "crack", "pit")}


def saved(folder: Path, config: ClassifierConfig) -> Path:
    classes = CLASSES[config.task]
    network = build_network(config.network, neurons(config.task, classes), 3)
    return save_classifier(folder / "model", network, config, classes, {"weights": "none"})


def images(count: int, channels: int = 3) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 255, (count, 32, 32, channels)).astype(np.uint8)


@pytest.mark.parametrize("task", ["binary", "classes"])
@pytest.mark.usefixtures("small_network")
def test_it_comes_back_with_all_that_is_needed_to_use_it(tmp_path: Path, task: str) -> None:
    config = tiny(task)
    loaded = load_classifier(saved(tmp_path, config))
    assert (loaded.config, loaded.classes, loaded.size, loaded.channels) == (config, CLASSES[task], 32, 3)
    assert loaded.meta["weights"] == "none"
    assert not loaded.network.training
    found = loaded.predict(images(5))
    assert found.probabilities.shape == (5, len(loaded.classes))
    np.testing.assert_allclose(found.probabilities.sum(axis=1), 1, rtol=1e-5)
    assert found.maps.shape == (5, 8, 8)
    assert found.maps.dtype == np.float32


@pytest.mark.usefixtures("small_network")
def test_the_map_is_that_of_the_most_probable_defect_class(tmp_path: Path) -> None:
    loaded = load_classifier(saved(tmp_path, tiny("classes")))
    given = images(4)
    found = loaded.predict(given)
    with torch.inference_mode():
        from classify.models.checkpoint import to_pixels

        maps = loaded.network(to_pixels(given, loaded.mean, loaded.std)).maps.numpy()
    best = found.probabilities[:, 1:].argmax(axis=1) + 1
    np.testing.assert_allclose(found.maps, maps[np.arange(4), best], rtol=1e-4, atol=1e-5)


@pytest.mark.usefixtures("small_network")
def test_the_answer_does_not_depend_on_the_batch(tmp_path: Path) -> None:
    loaded = load_classifier(saved(tmp_path, tiny()))
    together = loaded.predict(images(11))
    for index in range(11):
        alone = loaded.predict(images(11)[index : index + 1])
        assert np.array_equal(alone.probabilities[0], together.probabilities[index])
        assert np.array_equal(alone.maps[0], together.maps[index])


@pytest.mark.usefixtures("small_network")
def test_gray_is_repeated_and_no_images_give_no_predictions(tmp_path: Path) -> None:
    loaded = load_classifier(saved(tmp_path, tiny(data={"channels": 1})))
    assert loaded.predict(images(2, 1)).probabilities.shape == (2, 2)
    assert len(loaded.predict(images(0, 1)).probabilities) == 0
    with pytest.raises(ValueError, match="expected uint8 images"):
        loaded.predict(images(2))


def test_a_checkpoint_of_another_network_is_rejected(tmp_path: Path, small_network: None) -> None:
    file = saved(tmp_path, tiny())
    tensors, meta = load_checkpoint(file)
    save_checkpoint(tmp_path / "other", {"features.9.weight": torch.zeros(1)}, meta)
    with pytest.raises(CheckpointError, match="not those of efficientnet_lite0"):
        load_classifier(tmp_path / "other")
    save_checkpoint(tmp_path / "gan", tensors, {"kind": "generator"})
    with pytest.raises(CheckpointError, match="is no classifier"):
        load_classifier(tmp_path / "gan")
    save_checkpoint(tmp_path / "old", tensors, meta | {"config": {"name": 3}})
    with pytest.raises(CheckpointError, match="damaged or of another version"):
        load_classifier(tmp_path / "old")
