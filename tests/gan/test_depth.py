"""16-bit images: refused, or scaled on purpose from check-data to the checkpoint."""

from __future__ import annotations

import json
from pathlib import Path

import cv2
import numpy as np
import pytest

from defects.cli.check_data import app as check_app
from defects.formats.dataset import open_dataset
from defects.images.decode import at_depth, read_sample
from engine.commands import main
from gan.checkpoint import load_generator
from tests.builders.errors import error_codes
from tests.builders.gan import part, train_gan


@pytest.fixture
def deep(tmp_path: Path) -> Path:
    """Images of 16 bits whose upper byte is the image, with 8-bit masks."""
    root = tmp_path / "deep"
    for folder in ("images", "masks"):
        (root / folder).mkdir(parents=True)
    for number in range(8):
        image, mask = part(number, channels=1)
        cv2.imwrite(str(root / "images" / f"{number}.png"), image.astype(np.uint16) * 257)
        cv2.imwrite(str(root / "masks" / f"{number}.png"), mask.astype(np.uint8) * 255)
    return root


def test_a_scaled_sample_has_the_pixels_of_its_upper_byte(deep: Path) -> None:
    (first, *_) = at_depth(open_dataset(deep).samples, "scale")
    image, mask = read_sample(first)
    assert np.array_equal(image, part(0, channels=1)[0])
    assert np.array_equal(mask, part(0)[1])


def test_16_bit_images_are_refused_all_at_once_unless_scaling_is_requested(
    deep: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(check_app, [str(deep), "--json"], name="check-data") == 1
    issues = json.loads(capsys.readouterr().out)["faults"]
    assert sum("16-bit" in issue["what"] for issue in issues) == 8
    assert "--depth16 scale" in issues[0]["remedy"]
    sections = {"network": {"channels": 1}, "train": {"epochs": 1}}
    assert train_gan(deep, tmp_path / "run", **sections) == 1
    assert error_codes(capsys) == ["E-image-depth"] * 8


def test_scaled_images_are_checked_and_trained_on_and_the_checkpoint_says_so(
    deep: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(check_app, [str(deep), "--depth16", "scale", "--json"], name="check-data") == 0
    assert json.loads(capsys.readouterr().out)["next"] == f"train-gan {deep} --depth16 scale"
    sections = {"network": {"channels": 1}, "train": {"epochs": 1}}
    assert train_gan(deep, tmp_path / "run", "--depth16", "scale", **sections) == 0
    assert load_generator(tmp_path / "run").meta["data"]["depth16"] == "scale"


def test_another_word_is_wrong_usage(deep: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(check_app, [str(deep), "--depth16", "crop"], name="check-data") == 2
    assert error_codes(capsys) == ["E-image-depth"]
    assert train_gan(deep, tmp_path / "run", "--depth16", "crop") == 2
    assert error_codes(capsys) == ["E-image-depth"]
