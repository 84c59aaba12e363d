"""Training in memory: it learns, the same seed gives the same bytes, and it says so when it cannot go on."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import classify.training.learner
from classify.config import ClassifierConfig
from classify.data.dataset import Prepared
from classify.data.examples import Examples
from classify.models.checkpoint import neurons
from classify.models.weights import Classifier, build_network
from classify.training.fit import Fitted, Fitting, fit
from classify.training.schedule import Order, best_epoch, class_weights, rate_at, stalled
from engine.errors import TrainingError
from tests.builders.classifiers import prepared, same, small_network, tiny

__all__ = ["small_network"]

HALF = (0.5, 0.5, 0.5)


def network_of(config: ClassifierConfig, found: Prepared) -> Classifier:
    return build_network(config.network, neurons(config.task, found.classes), config.train.seed)


def fitted(found: Prepared, config: ClassifierConfig, **options: Any) -> Fitted:
    network, preset = network_of(config, found), config.data.preset
    return fit(Fitting(network, found.train, found.val, config.train, mean=HALF, std=HALF, preset=preset), **options)


@pytest.mark.usefixtures("small_network")
class TestSmall:
    """With a network of two layers."""

    def test_it_learns_a_visible_defect(self, tmp_path: Path) -> None:
        config = tiny(train={"epochs": 40, "learning_rate": 0.02, "batch_size": 8})
        result = fitted(prepared(tmp_path, config, labels=("crack", "good") * 20), config)
        assert result.best_score is not None
        assert result.best_score >= 0.9
        assert result.history[-1]["loss"] < result.history[0]["loss"] / 2

    @pytest.mark.parametrize(
        "train",
        [
            {},
            {"ema": 0.9, "balance": "sampler"},
            {"balance": "weights", "optimiser": "adam"},
            {"precision": "bf16"},
            {"freeze": True},
        ],
        ids=str,
    )
    def test_the_same_seed_gives_the_same_bytes_and_another_others(self, tmp_path: Path, train: dict[str, Any]) -> None:
        config = tiny(train=train, network={"dropout": 0.2})
        found = prepared(tmp_path, config)
        before = torch.random.get_rng_state()
        first, second = fitted(found, config), fitted(found, config)
        assert same(first.state_dict, second.state_dict)
        assert first.history == second.history
        assert torch.equal(before, torch.random.get_rng_state())
        other = fitted(found, tiny(train=train | {"seed": 1}, network={"dropout": 0.2}))
        assert not same(first.state_dict, other.state_dict)

    def test_images_augmented_as_a_batch_train_as_those_augmented_one_by_one(self, tmp_path: Path) -> None:
        configs = [tiny(train={"augment_on": on}, data={"preset": "flips"}) for on in ("cpu", "device")]
        found = prepared(tmp_path, configs[0])
        one_by_one, batch = (fitted(found, config) for config in configs)
        assert same(one_by_one.state_dict, batch.state_dict)
        assert not same(batch.state_dict, fitted(found, tiny(data={"preset": None})).state_dict)

    def test_a_frozen_backbone_stays_as_it_was_statistics_included(self, tmp_path: Path) -> None:
        config = tiny(train={"freeze": True})
        found = prepared(tmp_path, config)
        before = network_of(config, found).state_dict()
        after = fitted(found, config).state_dict
        changed = {name for name in before if not torch.equal(before[name], after[name])}
        assert changed == {"head.weight", "head.bias"}

    def test_the_network_is_left_with_the_weights_of_the_best_epoch(self, tmp_path: Path) -> None:
        config = tiny()
        found = prepared(tmp_path, config)
        network = network_of(config, found)
        rows: list[dict[str, Any]] = []
        fitting = Fitting(network, found.train, found.val, config.train, mean=HALF, std=HALF)
        result = fit(fitting, on_epoch=rows.append)
        assert same(result.state_dict, network.state_dict())
        assert rows == result.history
        assert result.best_epoch == best_epoch(rows)
        assert result.best_score == max(row["val_accuracy"] for row in rows)

    def test_without_validation_images_the_last_epoch_is_taken(self, tmp_path: Path) -> None:
        config = tiny(data={"val_fraction": 0})
        result = fitted(prepared(tmp_path, config), config)
        assert (result.best_epoch, result.best_score) == (3, None)

    @pytest.mark.parametrize("steps", [1, 7, 25])
    def test_a_number_of_steps_holds_for_any_number_of_images(self, tmp_path: Path, steps: int) -> None:
        config = tiny()
        found = prepared(tmp_path, config)
        few = found.train.part([0, 1, 2])
        for train in (few, found.train):
            fitting = Fitting(
                network_of(config, found), train, found.val, config.train, mean=HALF, std=HALF, steps=steps
            )
            while not fitting.finished:
                fitting.epoch()
            assert fitting.learner.steps == steps
            assert len(fitting.history) <= 10

    def test_a_loss_that_is_no_number_stops_with_one_line(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        original = classify.training.learner.losses
        monkeypatch.setattr(classify.training.learner, "losses", lambda *given: original(*given) * float("nan"))
        with pytest.raises(TrainingError, match="epoch 1, step 1: the loss is not a number"):
            fitted(prepared(tmp_path), tiny())

    def test_classes_are_learned_with_one_neuron_each(self, tmp_path: Path) -> None:
        config = tiny("classes", train={"balance": "weights"})
        found = prepared(tmp_path, config, labels=("crack", "pit", "good") * 10)
        result = fitted(found, config)
        assert result.state_dict["head.weight"].shape[0] == 3
        assert math.isfinite(result.history[-1]["val_loss"])

    def test_the_running_average_is_validated_and_saved(self, tmp_path: Path) -> None:
        config = tiny(train={"ema": 0.9})
        found = prepared(tmp_path, config)
        fitting = Fitting(network_of(config, found), found.train, found.val, config.train, mean=HALF, std=HALF)
        row = fitting.epoch()
        retained, now = fitting.learner.result(), fitting.learner.network.state_dict()
        assert not torch.equal(retained["head.weight"], now["head.weight"])
        fitting.learner.network.load_state_dict(retained)
        fitting.learner.average = None
        assert fitting.validate(found.val) == {key: row[key] for key in ("val_loss", "val_accuracy", "val_recall")}

    def test_an_augmentation_never_moves_the_defect_out_of_an_image_labeled_defective(self, tmp_path: Path) -> None:
        config = tiny()
        found = prepared(tmp_path, config)

        def emptied(image: Any, mask: Any, rng: Any) -> Any:
            return np.zeros_like(image), np.zeros_like(mask), []

        fitting = Fitting(
            network_of(config, found),
            found.train,
            found.val,
            config.train,
            mean=HALF,
            std=HALF,
            preset=emptied,  # type: ignore[arg-type]
        )
        everything = list(range(len(found.train)))
        shown = fitting._images(everything, 0).reshape(len(everything), -1).any(axis=1)
        assert shown.tolist() == [label == 1 for label in found.train.labels]


def test_every_example_is_sampled_once_a_pass_and_batches_run_on_into_the_next(tmp_path: Path) -> None:
    found = prepared(tmp_path)
    order = Order(found.train, tiny().train)
    count = len(found.train)
    assert sorted(order.at(0, count)) == list(range(count))
    assert order.at(0, count) != order.at(count, count)
    assert order.at(count - 2, 4) == order.at(0, count)[-2:] + order.at(count, count)[:2]


def test_the_sampler_evens_out_rare_classes(tmp_path: Path) -> None:
    config = tiny(train={"balance": "sampler"})
    found = prepared(tmp_path, config, labels=["crack"] * 4 + ["good"] * 36)
    order = Order(found.train, config.train)
    labels = found.train.labels[order.at(0, 1000)]
    assert 0.4 < labels.mean() < 0.6


def test_class_weights_make_every_class_count_the_same() -> None:
    labels = np.array([0] * 30 + [1] * 10)
    weights = class_weights(labels, 2)
    assert weights[labels].mean() == pytest.approx(1)
    assert weights[0] * 30 == pytest.approx(weights[1] * 10)


def test_the_rate_falls_where_the_validation_loss_stalls() -> None:
    settings = tiny(train={"schedule": "plateau", "plateau_patience": 2, "learning_rate": 1.0}).train
    falling = [{"val_loss": 1.0 / n} for n in range(1, 6)]
    flat = [{"val_loss": 1.0}] * 4
    assert rate_at(9, 100, 1, settings, falling) == 1.0
    assert rate_at(9, 100, 1, settings, falling + flat) == pytest.approx(0.01)


def test_a_stop_waits_for_so_many_epochs_without_a_better_one() -> None:
    rows = [{"epoch": n + 1, "val_accuracy": a, "val_loss": 1.0} for n, a in enumerate([0.5, 0.7, 0.6, 0.7])]
    assert best_epoch(rows) == 2
    assert stalled(rows, 2)
    assert not stalled(rows, 3)
    assert not stalled(rows, None)


def test_sets_of_other_classes_are_rejected(tmp_path: Path, small_network: None) -> None:
    config = tiny()
    found = prepared(tmp_path)
    other = Examples("val", [], ("good", "pit"), config.data)
    with pytest.raises(ValueError, match="of the same classes"):
        Fitting(network_of(config, found), found.train, other, config.train, mean=HALF, std=HALF)
