"""The settings of a repeatable run, and runs on a CUDA device with their twins on the CPU."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
import torch.nn.functional as F

from engine.runtime.device import repeatable
from gan.networks.layers import area
from tests.builders.gan import DEVICES, save_vgg, train_gan, tree


def settings() -> list[Any]:
    cudnn = torch.backends.cudnn
    return [
        cudnn.benchmark, cudnn.deterministic, cudnn.conv.fp32_precision, torch.backends.cuda.matmul.fp32_precision,
        torch.are_deterministic_algorithms_enabled(), torch.is_deterministic_algorithms_warn_only_enabled(),
        torch.utils.deterministic.fill_uninitialized_memory,
    ]  # fmt: skip


def test_on_a_cuda_device_kernels_are_deterministic_and_float32_is_float32_until_the_run_ends() -> None:
    before = settings()
    with repeatable(torch.device("cuda")):
        assert settings() == [False, True, "ieee", "ieee", True, True, False]
        assert torch.get_float32_matmul_precision() == "highest"
    assert settings() == before


def test_on_the_cpu_nothing_is_changed() -> None:
    before = settings()
    with repeatable(torch.device("cpu")):
        assert settings() == before


@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize(("given", "side"), [(1, 4), (2, 4), (4, 4), (8, 4), (64, 16), (12, 5)])
def test_area_is_adaptive_pooling_to_the_bit(
    given: int, side: int, dtype: torch.dtype, layout: torch.memory_format
) -> None:
    images = torch.randn(2, 3, given, given, generator=torch.Generator().manual_seed(given)).to(dtype)
    images = images.contiguous(memory_format=layout)
    assert torch.equal(area(images, side), F.adaptive_avg_pool2d(images, side))


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_a_training_twice_on_one_device_gives_the_same_files(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, device: str, precision: str
) -> None:
    monkeypatch.setenv("MAGNA_STYLE_WEIGHTS", str(save_vgg(tmp_path / "vgg.safetensors")))
    sections = {
        "network": {"spectral": True},
        "loss": {"style": 0.1, "style_size": 16, "swap": 1.0},
        "train": {"epochs": 2, "checkpoint_every": 1, "precision": precision},
    }
    for name in ("one", "two"):
        assert train_gan(data, tmp_path / name, "--device", device, **sections) == 0
    assert tree(tmp_path / "one") == tree(tmp_path / "two")
