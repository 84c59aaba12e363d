"""The parts that the tests of training share, and one undisturbed run on them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

from tests.builders.gan import sample_folder, train_gan


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    """Tiny networks are faster on one thread."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture(scope="session")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Cracks, pits and good parts."""
    return sample_folder(tmp_path_factory.mktemp("parts") / "data")


@pytest.fixture(scope="session")
def whole(data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An undisturbed run of the tiny configuration."""
    torch.set_num_threads(1)
    out = tmp_path_factory.mktemp("whole") / "run"
    assert train_gan(data, out) == 0
    return out
