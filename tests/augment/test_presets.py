"""The pipelines have the numbers of their papers, and an error in a pipeline is one line."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from augment.transforms.catalog import PipelineConfig
from augment.transforms.pipeline import Pipeline, load_preset
from augment.transforms.plan import generator_for
from engine.config import config_names, dump_config, load_config
from engine.errors import UsageError
from tests.builders.errors import raises

TENTH, TWENTIETH = (-0.1, 0.1), (-0.05, 0.05)
LIGHT = [("brightness", 0.2, {"by": TENTH}), ("gamma", 0.2, {"gamma": (0.9, 1.1)})]
FLIP = ("flip", 0.5, {"axis": ("horizontal", "vertical", "both")})
NUMBERS = {
    "oliena": [("rotation", 0.5, {"degrees": (-5, 5)}), ("translation", 0.5, {"x": TENTH, "y": TENTH}), FLIP, *LIGHT],
    "bsdata": [("translation", 0.5, {"x": TWENTIETH, "y": TWENTIETH}), FLIP, *LIGHT],
    "pcb": [("translation", 0.5, {"x": TENTH, "y": TENTH}), FLIP, *LIGHT],
    "flips": [("horizontal_flip", 0.5, {}), ("vertical_flip", 0.5, {})],
}


@pytest.mark.parametrize("name", NUMBERS)
def test_a_preset_has_the_numbers_of_its_paper(name: str) -> None:
    assert [(step.transform, step.p, step.settings) for step in load_preset(name).config.steps] == NUMBERS[name]


def test_the_gan_papers_presets_have_its_transforms() -> None:
    paper = {"horizontal_flip", "vertical_flip", "rotation", "zoom", "shear"}
    assert {step.transform for step in load_preset("gan_paper").config.steps} == paper
    assert {step.transform for step in load_preset("gan_paper_schemes").config.steps} == {*paper, "channel_shift"}
    assert {step.transform for step in load_preset("gan_paper_noise").config.steps} == {*paper, "gaussian_noise"}


@pytest.mark.parametrize("name", config_names("augment"))
def test_every_preset_is_built_described_and_comes_back_from_its_own_yaml(name: str, tmp_path: Path) -> None:
    pipeline = load_preset(name, of_features=True)
    assert pipeline.config.description
    image = np.random.default_rng(0).integers(0, 256, (32, 40, 3), dtype=np.uint8)
    mask = np.zeros((32, 40), bool)
    mask[10:20, 15:25] = True
    for seed in range(5):
        result, label, _ = pipeline(image, mask, generator_for(seed))
        assert result.shape == image.shape
        assert label.any()
    (tmp_path / "again.yaml").write_text(dump_config(pipeline.config), encoding="utf-8")
    assert Pipeline.from_preset(tmp_path / "again.yaml", of_features=True).config == pipeline.config


def test_points_in_feature_space_are_refused_where_images_are_trained_on() -> None:
    with raises("E-augment-feature-space") as caught:
        load_preset("feature_space")
    assert "bench-utility --mode frozen" in str(caught.value)
    space = load_preset("feature_space", of_features=True).config.feature_space
    assert space is not None
    assert (space.method, space.factor) == ("interpolate", 1.0)


def test_a_setting_can_be_changed_from_outside() -> None:
    assert Pipeline.from_preset("oliena", ["min_defect_share=0.9"]).config.min_defect_share == 0.9


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("steps: [rotaton]", "steps.0: unknown transform rotaton; did you mean rotation?"),
        ("steps: [flips, {blurr: {}}]", "steps.0: unknown transform flips; did you mean flip?"),
        ("steps: [{rotation: {degree: 4}}]", "unknown setting degree of rotation; did you mean degrees?"),
        ("steps: [{rotation: {p: 1.5}}]", "steps.0.p: Input should be less than or equal to 1, got 1.5"),
        ("steps: [{rotation: {p: -0.1}}]", "steps.0.p: Input should be greater than or equal to 0, got -0.1"),
        ("steps: [{rotation: {degrees: [5, -5]}}]", r"expected [low, high], got [5, -5]; write [-5, 5]"),
        ("steps: [{zoom: {factor: 0}}]", "zoom.factor: expected a factor within 0.25 to 8, got [0, 0]"),
        ("steps: [{gamma: {gamma: bright}}]", "gamma.gamma: expected a number or [low, high], got 'bright'"),
        ("steps: [{gamma: {gamma: .nan}}]", "gamma.gamma: expected an exponent within 0.05 to 20"),
        ("steps: [{gaussian_noise: {bank: 1}}]", "gaussian_noise.bank: expected true or false, got 1"),
        ("steps: [{flip: {axis: left}}]", "flip.axis: unknown value 'left'"),
        ("steps: [{random_erasing: {defect: []}}]", "expected one or more of spare, follow"),
        ("steps: [{rotation: 4}]", "expected settings of rotation"),
        ("steps: [{rotation: {}, zoom: {}}]", "expected one transform with its settings"),
        ("stepps: []", "unknown key stepps; did you mean steps?"),
        ("feature_space: {method: mix}", "Input should be 'interpolate', 'extrapolate' or 'perturb'"),
        ("feature_space: {factor: -1}", "feature_space.factor: Input should be greater than or equal to 0, got -1"),
        ("border: mirror", "border: Input should be 'reflect', 'edge' or 'black'"),
        ("min_defect_share: 2", "min_defect_share: Input should be less than or equal to 1"),
    ],
)
def test_an_error_in_a_pipeline_is_one_line(text: str, message: str, tmp_path: Path) -> None:
    (tmp_path / "mine.yaml").write_text(text, encoding="utf-8")
    with pytest.raises(UsageError) as caught:
        load_config(str(tmp_path / "mine.yaml"), PipelineConfig, [], folder="augment")
    assert message in str(caught.value).splitlines()[0]
    assert "mine.yaml" in str(caught.value)


def test_a_former_key_is_read_with_one_line(caplog: pytest.LogCaptureFixture) -> None:
    assert Pipeline.from_preset("oliena", ["min_defect_kept=0.9"]).config.min_defect_share == 0.9
    assert "min_defect_kept is now called min_defect_share" in caplog.text


def test_an_unknown_preset_names_the_nearest() -> None:
    with pytest.raises(UsageError, match="did you mean oliena"):
        load_preset("olina")
