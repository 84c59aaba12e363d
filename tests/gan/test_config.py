"""The configuration: what is refused, and the schedule of the learning rate."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from engine.config import config_names, load_config
from gan.config import BlendNetwork, GanConfig
from gan.data.loader import learning_rate
from tests.builders.errors import raises
from tests.builders.gan import tiny


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
    with raises("E-config-value", message):
        load_config("magna", GanConfig, [override])


def test_the_literal_recipe_holds_what_the_source_says() -> None:
    config = load_config("magna_paper", GanConfig, [])
    assert (config.loss.reconstruction, config.loss.adversarial, config.loss.style) == (10.0, 0.1, 0.1)
    assert (config.loss.kl, config.loss.guide, config.loss.defect_weight) == (0.0, 0.0, 1.0)
    assert (config.network.latent, config.network.embedding, config.network.init_std) == (132, 32, 0.01)
    assert (config.network.encoder, config.network.noise_injection, config.network.discriminator_scales) == (
        False,
        False,
        1,
    )
    assert config.train.epochs == 200


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (
            ["network.normalization=batch", "train.batch_size=1"],
            "train.batch_size 1 leaves batch normalization nothing",
        ),
        (["train.diff_augment=false"], "train: train.diff_augment would do nothing with network.architecture magna"),
        (
            ["network.normalization=batch", "network.encoder=false", "loss.kl=0", "loss.guide=0"],
            "loss.swap without network.encoder would do nothing",
        ),
        (["loss.gradient_energy=1"], "loss: loss.gradient_energy would do nothing with network.architecture magna"),
        (
            ["network.directional_noise=true"],
            "network: network.directional_noise would do nothing with network.architecture magna",
        ),
        (
            ["data.brightness_jitter=0.3"],
            "data: data.brightness_jitter would do nothing with network.architecture magna",
        ),
        (
            ["network.encoder=false"],
            "loss.kl and loss.swap and loss.guide without network.encoder would do nothing",
        ),
    ],
)
def test_what_does_not_fit_together_is_one_line(overrides: list[str], message: str) -> None:
    with raises("E-config-value", f"magna: {message}.+; correct it in the file or by --set") as caught:
        load_config("magna", GanConfig, overrides)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (["network.channels=1"], "data.color_jitter would do nothing with network.channels 1"),
        (["network.directional_noise=true", "network.noise_injection=false"], "network.directional_noise is a part"),
        (["network.size=64"], "network.crop 96 exceeds network.size 64"),
        (["loss.style=0.1"], "loss.style would do nothing with network.architecture blend"),
        (["network.encoder=true"], "network.encoder would do nothing with network.architecture blend"),
    ],
)
def test_what_does_not_fit_blend_is_one_line(overrides: list[str], message: str) -> None:
    with raises("E-config-value", message) as caught:
        load_config("blend_bsdata", GanConfig, overrides)
    assert "\n" not in str(caught.value)


def test_former_keys_are_read_with_a_line_each(caplog: pytest.LogCaptureFixture) -> None:
    former = ["network.lay=true", "network.reach=4", "network.critic_width=16", "loss.texture=1", "data.light=0.1",
              "data.window=64", "train.jolts=false"]  # fmt: skip
    config = load_config("blend_bsdata", GanConfig, former)
    assert isinstance(config.network, BlendNetwork)
    assert (config.network.directional_noise, config.network.blend_radius) == (True, 4)
    assert config.network.discriminator_width == 16
    assert (config.data.crop, config.train.model_dump()["diff_augment"]) == (64, False)
    assert "network.lay is now called network.directional_noise" in caplog.text
    assert len([record for record in caplog.records if "is now called" in record.message]) == len(former)


@pytest.mark.parametrize("architecture", ["magna", "blend", "pix2pix", "cyclegan"])
def test_a_former_run_folder_with_the_keys_of_all_architectures_is_read(architecture: str, tmp_path: Path) -> None:
    former = {
        "network": {"architecture": architecture, "size": 64, "crop": None, "reach": 6, "channels": 3, "width": 8,
                    "max_width": 16, "latent": 12, "embedding": 32, "normalisation": "pixel", "modulation": True,
                    "texture": True, "lay": False, "posterior": True, "padding": "zeros", "start": 8,
                    "critic_width": 8, "critic_scales": 2, "spectral": True, "init_std": None},
        "loss": {"reconstruction": 5.0, "adversarial": 1.0, "style": 0.0, "kl": 0.0, "features": 0.0, "texture": 0.0},
        "data": {"window": 64, "light": 0.0, "color": 0.0},
        "train": {"epochs": 3, "jolts": True},
    }  # fmt: skip
    (tmp_path / "config.yaml").write_text(yaml.safe_dump(former))
    config = load_config(str(tmp_path / "config.yaml"), GanConfig)
    assert (config.network.architecture, config.network.discriminator_width) == (architecture, 8)
    assert (config.data.crop, config.train.epochs, config.loss.reconstruction) == (64, 3, 5.0)


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
