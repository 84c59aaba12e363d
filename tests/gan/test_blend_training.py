"""train-gan with a blend configuration: it runs, it learns a tone, and a resumed run is the undisturbed one."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

import gan.training.loop
from defects.images.decode import read_image
from gan.checkpoint import load_generator
from gan.networks.blend_generator import BlendGenerator
from tests.builders.errors import error_codes
from tests.builders.gan import metrics, sample_folder, train_gan, tree

BLEND: dict[str, dict[str, Any]] = {
    "network": {"architecture": "blend", "blend_radius": 3, "latent": 6, "spectral": True},
    "loss": {"features": 1.0, "adversarial": 0.3},
    "data": {"backgrounds": 1, "width_jitter": 1.0, "jitter_share": 0.0},
}


@pytest.fixture(scope="module")
def parts(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return sample_folder(tmp_path_factory.mktemp("blend") / "data")


@pytest.fixture(scope="module")
def run(parts: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    torch.set_num_threads(1)  # as the tests do: rounding depends on it
    out = tmp_path_factory.mktemp("blend_run") / "run"
    assert train_gan(parts, out, **BLEND) == 0
    return out


def test_a_run_leaves_metrics_samples_and_a_checkpoint_that_loads(run: Path) -> None:
    rows = metrics(run)
    assert len(rows) == 4
    assert {"reconstruction", "adversarial", "features", "kl", "guide", "d_real", "d_fake"} <= set(rows[0])
    loaded = load_generator(run)
    assert isinstance(loaded.network, BlendGenerator)
    assert loaded.provenance.architecture == "blend"
    assert loaded.schema.names == ("thickness", "brightness", "kind")
    assert len(loaded.local_contrasts) == len(loaded.background_stats) == len(loaded.table) > 0
    sheet = read_image(run / "samples" / "epoch-0004.png")
    assert sheet.shape[0] == 8 * 32
    assert sheet.shape[1] % 32 == 0


def test_a_run_that_was_interrupted_ends_in_the_same_files(
    parts: Path, run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    original = gan.training.loop.Trainer.epoch

    def interrupted(self: Any, number: int, progress: Any) -> dict[str, float]:
        if number == 3:
            raise KeyboardInterrupt
        return original(self, number, progress)

    out = tmp_path / "run"
    with monkeypatch.context() as patch:
        patch.setattr(gan.training.loop.Trainer, "epoch", interrupted)
        assert train_gan(parts, out, **BLEND) != 0
    assert train_gan(parts, out, "--resume", "--workers", "1", **BLEND) == 0
    assert tree(out) == tree(run)


@pytest.mark.slow
def test_it_learns_the_tone_of_the_defects(parts: Path, tmp_path: Path) -> None:
    out = tmp_path / "run"
    longer = {**BLEND, "train": {"epochs": 60, "sample_every": 60, "checkpoint_every": 60, "learning_rate": 2e-3}}
    assert train_gan(parts, out, **longer) == 0
    rows = metrics(out)
    assert rows[-1]["reconstruction"] < 0.4 * rows[0]["reconstruction"]
    sheet = read_image(out / "samples" / "epoch-0060.png").astype(int)
    mask, sampled, background = (sheet[32 * row : 32 * (row + 1)] for row in (1, 6, 5))
    inside = mask[..., 0] > 0
    assert (sampled - background)[inside].mean() > 40  # the defects have 250, the backgrounds 60 to 170


@pytest.mark.parametrize(
    "sections",
    [
        {"loss": {"style": 0.1}},
        {"loss": {"swap": 1.0}},
        {"network": {"encoder": False}},
        {"network": {"crop": 64}},
    ],
)
def test_what_would_be_ignored_is_refused(
    parts: Path, tmp_path: Path, sections: dict[str, Any], capsys: pytest.CaptureFixture[str]
) -> None:
    merged = {name: {**BLEND.get(name, {}), **sections.get(name, {})} for name in {*BLEND, *sections}}
    assert train_gan(parts, tmp_path / "run", **merged) == 2
    assert error_codes(capsys) == ["E-config-value"]
    assert not (tmp_path / "run").exists()
