"""The configuration of a classifier: the papers' figures as they ship, former keys, and what is rejected."""

from __future__ import annotations

import pytest

from classify.config import ClassifierConfig
from engine.config import config_names, dump_config, load_config
from engine.errors import UsageError


def shipped(name: str, *sets: str) -> ClassifierConfig:
    return load_config(name, ClassifierConfig, list(sets), folder="classify")


@pytest.mark.parametrize("name", config_names("classify"))
def test_a_shipped_configuration_loads_and_comes_back(name: str, tmp_path: object) -> None:
    import yaml

    loaded = shipped(name)
    assert loaded.name == name
    assert ClassifierConfig.model_validate(yaml.safe_load(dump_config(loaded))) == loaded


def test_bsdata_is_trained_as_in_the_paper() -> None:
    config = shipped("bsdata_p1")
    tile, train = config.data.tile, config.train
    assert tile is not None
    assert (tile.side, tile.overlap, tile.pixels, config.data.size) == (384, 128, 10, 384)
    assert (train.optimizer, train.learning_rate, train.warm_up_epochs, train.schedule) == ("adamw", 1e-3, 2, "cosine")
    assert (train.epochs, train.batch_size, config.data.preset) == (15, 16, "bsdata")


@pytest.mark.parametrize(
    ("setting", "said"),
    [
        ("network.name=alexnet", "unknown network; use one of convnext_tiny"),
        ("network.nam=resnet18", "did you mean name"),
        ("network.discard=0.5", "of a transformer's attention"),
        ("network={name: vit_tiny, short: true}", "no shortened form"),
        ("network.name=vit_tiny", "takes 224 px only"),
        ("data.tile={side: 64, overlap: 64}", "must be below the side"),
        ("data={test_fraction: 0.6, val_fraction: 0.5}", "leave nothing to train on"),
        ("data={val_fraction: 0, tile: null}", None),
        ("train={patience: 3}", None),
    ],
)
def test_what_does_not_fit_is_rejected_in_one_line(setting: str, said: str | None) -> None:
    if said is None:
        shipped("quick", setting)
        return
    with pytest.raises(UsageError) as raised:
        shipped("quick", setting)
    assert said in str(raised.value)
    assert "\n" not in str(raised.value)


def test_early_stopping_needs_validation_images() -> None:
    with pytest.raises(UsageError, match="need validation images"):
        shipped("quick", "data.val_fraction=0", "train.patience=2")


def test_former_keys_and_values_are_read_with_a_line(caplog: pytest.LogCaptureFixture) -> None:
    sets = ("data={fit: window, window: 40}", "train={optimiser: adam}", "task=kinds")
    config = shipped("quick", *sets)
    assert (config.data.fit, config.data.crop, config.train.optimizer, config.task) == ("crop", 40, "adam", "classes")
    assert [record.message.split(": ", 2)[2] for record in caplog.records] == [
        "data.window is now called data.crop; write that",
        "train.optimiser is now called train.optimizer; write that",
    ]
