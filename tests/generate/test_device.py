"""Same seed, same bytes on a CUDA device, with the twin on the CPU."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.builders.gan import DEVICES
from tests.builders.generate import gen_defects, recorded, tree_hash


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("precision", ["fp32", "auto"])
def test_the_same_bytes_twice_whatever_the_batch_size_and_the_workers(
    masks: Path, checkpoint: Path, tmp_path: Path, device: str, precision: str
) -> None:
    arguments = ["--masks", masks, "--checkpoint", checkpoint, "--num", 6, "--seed", 3, "--device", device,
                 "--precision", precision]  # fmt: skip
    assert gen_defects(*arguments, "--out", tmp_path / "one", "--workers", 1) == 0
    assert gen_defects(*arguments, "--out", tmp_path / "two", "--workers", 3, "--batch-size", 5) == 0
    assert recorded(tmp_path / "one") == 7 * 6
    assert tree_hash(tmp_path / "one") == tree_hash(tmp_path / "two")
