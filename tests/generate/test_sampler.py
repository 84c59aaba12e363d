"""The sampler: a padded micro-batch of constant size, exact rounding, and a fast form close to float32."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from engine.runtime.device import inference_dtype, native_bf16
from gan.checkpoint import load_generator
from gan.generation.plan import Sampler
from tests.builders.generate import ROOT, SIDE, crack

CPU = torch.device("cpu")


def _sampler(checkpoint: Path, dtype: torch.dtype | None = None) -> Sampler:
    return Sampler(load_generator(checkpoint).network, CPU, 3, dtype)


def _arguments(sampler: Sampler, count: int) -> tuple[list[np.ndarray], list[np.ndarray], list[tuple[str | int, ...]]]:
    masks = [crack(SIDE, number) > 0 for number in range(count)]
    vectors = [np.full(sampler.network.guide_size, number / 10, np.float32) for number in range(count)]
    return masks, vectors, [("noise", "é", number) for number in range(count)]


def test_an_image_does_not_depend_on_how_many_are_generated_with_it(checkpoint: Path) -> None:
    sampler = _sampler(checkpoint)
    whole = sampler.sample(*_arguments(sampler, sampler.count))
    assert (whole.dtype, whole.shape) == (np.uint8, (sampler.count, SIDE, SIDE, 3))
    for count in (1, 3, sampler.count - 1):
        assert np.array_equal(sampler.sample(*_arguments(sampler, count)), whole[:count])


def test_pixels_are_the_network_s_rounded_to_the_nearest(checkpoint: Path) -> None:
    sampler = _sampler(checkpoint, torch.float32)
    masks, vectors, keys = _arguments(sampler, sampler.count)
    known: list[torch.Tensor] = []
    hook = sampler.network.register_forward_hook(lambda module, given, images: known.append(images))
    pixels = sampler.sample(masks, vectors, keys)
    hook.remove()
    exact = (known[0].double().permute(0, 2, 3, 1).numpy() + 1) * 127.5
    assert np.abs(pixels - exact).max() <= 0.5 + 1e-4


def test_bf16_stays_close_to_float32(checkpoint: Path) -> None:
    fast, exact = _sampler(checkpoint, torch.bfloat16), _sampler(checkpoint, torch.float32)
    steps = np.abs(fast.sample(*_arguments(fast, 8)).astype(int) - exact.sample(*_arguments(exact, 8)))
    assert (steps <= 1).mean() > 0.98
    assert steps.max() <= 6


def test_too_many_masks_are_refused(checkpoint: Path) -> None:
    sampler = _sampler(checkpoint)
    with pytest.raises(ValueError, match="expected 1 to 8 masks, got 9; cut the jobs into micro-batches"):
        sampler.sample(*_arguments(sampler, 9))


def test_the_format_is_bf16_only_where_the_hardware_has_it(monkeypatch: pytest.MonkeyPatch) -> None:
    for capabilities, dtype in (({"avx512_bf16": True}, torch.bfloat16), ({"avx2": True}, torch.float32)):
        monkeypatch.setattr(torch.cpu, "get_capabilities", lambda known=capabilities: known)
        assert inference_dtype(CPU) is dtype
        assert native_bf16(CPU) is (dtype is torch.bfloat16)


def test_the_help_imports_neither_torch_nor_opencv_nor_numpy() -> None:
    heavy = ("torch", "cv2", "numpy", "pydantic")
    code = f"import sys\nimport gan.cli.generate\nprint([name for name in {heavy} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
