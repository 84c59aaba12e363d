"""The configuration: what is refused, and the schedule of the learning rate."""

from __future__ import annotations

import pytest

from engine.config import config_names, load_config
from engine.errors import UsageError
from gan.config import GanConfig
from gan.data.loader import learning_rate
from tests.gan.building import tiny


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("network.sise=128", "unknown key network.sise; did you mean size"),
        ("network.size=100", "network.size"),
        ("network.channels=4", "network.channels"),
        ("train.epochs=0", "train.epochs"),
        ("train.learning_rate=-1", "train.learning_rate"),
        ("data.test_fraction=1", "data.test_fraction"),
        ("data.width_jitter=0.5", "data.width_jitter"),
        ("train.precision=fp16", "train.precision"),
        ("loss.style=-0.1", "loss.style: Input should be greater than or equal to 0, got -0.1"),
        ("loss.swap=.nan", "loss.swap"),
        ("loss.reconstruction=.inf", "loss.reconstruction"),
        ("loss.style_size=0", "loss.style_size"),
        ("data.width_jitter=3", "data.width_jitter"),
        ("data.jitter_share=1.5", "data.jitter_share"),
    ],
)
def test_a_wrong_key_or_value_is_named(override: str, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        load_config("magna", GanConfig, [override])


def test_the_literal_recipe_holds_what_the_source_says() -> None:
    config = load_config("magna_paper", GanConfig, [])
    assert (config.loss.reconstruction, config.loss.adversarial, config.loss.style) == (10.0, 0.1, 0.1)
    assert (config.loss.kl, config.loss.guide, config.loss.defect_weight) == (0.0, 0.0, 1.0)
    assert (config.network.latent, config.network.embedding, config.network.init_std) == (132, 32, 0.01)
    assert (config.network.posterior, config.network.texture, config.network.critic_scales) == (False, False, 1)
    assert config.train.epochs == 200


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (
            ["network.normalisation=batch", "train.batch_size=1"],
            "train.batch_size 1 leaves batch normalisation nothing",
        ),
        (["train.jolts=false"], "train.jolts would do nothing with network.architecture magna"),
        (
            ["network.architecture=blend", "loss.style=0", "loss.swap=0", "network.channels=1", "data.color=0.5"],
            "data.color would do nothing with network.channels 1",
        ),
        (["loss.texture=1"], "loss.texture would do nothing with network.architecture magna"),
        (["network.lay=true"], "network.lay would do nothing with network.architecture magna"),
        (["network.lay=true", "network.texture=false"], "network.lay is a part of the spatial noise"),
        (["data.light=0.3"], "data.light would do nothing with network.architecture magna"),
        (
            ["network.posterior=false"],
            "loss.kl and loss.swap and loss.guide without network.posterior would do nothing",
        ),
        (["network.posterior=false", "loss.kl=0", "loss.guide=0"], "loss.swap without network.posterior"),
    ],
)
def test_what_does_not_fit_together_is_one_line(overrides: list[str], message: str) -> None:
    with pytest.raises(UsageError, match=f"magna: {message}.+; correct it in the file or by --set") as caught:
        load_config("magna", GanConfig, overrides)
    assert "\n" not in str(caught.value)


def test_every_configuration_of_the_project_fits_together() -> None:
    assert {load_config(name, GanConfig).name for name in config_names("gan")} == set(config_names("gan"))


@pytest.mark.parametrize("epochs", [2, 10, 50, 200])
def test_the_rate_is_constant_for_half_the_epochs_and_then_falls_by_a_constant_factor(epochs: int) -> None:
    config = tiny(train={"epochs": epochs, "learning_rate": 1e-3, "final_rate": 0.02})
    rates = [learning_rate(config, epoch) for epoch in range(epochs + 1)]
    half = epochs // 2
    assert rates[: half + 1] == [1e-3] * (half + 1)
    factors = [b / a for a, b in zip(rates[half:], rates[half + 1 :], strict=False)]
    assert factors == pytest.approx([0.02 ** (1 / half)] * half)
    assert rates[epochs] == pytest.approx(2e-5)


def test_a_single_epoch_has_a_rate() -> None:
    assert learning_rate(tiny(train={"epochs": 1, "learning_rate": 1e-3}), 0) == 1e-3
