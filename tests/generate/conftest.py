"""The generator and the masks that most tests of `gen-defects` start from."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.builders.generate import save_masks, save_tiny_generator


@pytest.fixture(scope="session")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny generator with the guides thickness, brightness, background and class."""
    return save_tiny_generator(tmp_path_factory.mktemp("checkpoint") / "tiny")


@pytest.fixture(scope="session")
def masks(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Seven masks of several sizes in folders that name classes, with unicode and spaces in their names."""
    names = ("crack/a b.png", "crack/ü.png", "crack/c.bmp", "pit/1.png", "pit/2.png", "pit/x/3.png", "4.png")
    return save_masks(tmp_path_factory.mktemp("masks"), names)
