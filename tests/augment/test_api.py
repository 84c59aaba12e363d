"""The Python API: the same mixtures and pasted images as the commands, in two lines."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

import augment
from defects.images.decode import read_image, read_mask_image
from tests.builders.errors import raises
from tests.builders.mixing import mix, provenance, real_images, rows_of, synthetic_images, tree_hash


@pytest.fixture(scope="module")
def real(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return real_images(tmp_path_factory.mktemp("real") / "real")


@pytest.fixture(scope="module")
def synthetic(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return provenance(synthetic_images(tmp_path_factory.mktemp("synthetic") / "gan", 16))


def test_two_lines_give_the_mixture_of_the_command(real: Path, synthetic: Path, tmp_path: Path) -> None:
    plan = augment.mix(str(real), {"synthetic": synthetic}, ratio=(1, 0.5), preset="flips")
    result = plan.write(tmp_path / "api")
    sources = ["--real", real, "--synthetic", synthetic]
    assert mix(*sources, "--ratio", "1:0.5", "--augment", "flips", "--out", tmp_path / "command") == 0
    assert tree_hash(tmp_path / "api") == tree_hash(tmp_path / "command")
    assert result.written == result.images == len(plan) == len(rows_of(tmp_path / "api"))
    assert plan.classes == ["good", "crack", "pit"]


def test_a_dataloader_gives_batches_without_writing_anything(real: Path, synthetic: Path) -> None:
    plan = augment.mix(real, {"synthetic": synthetic}, preset="flips", check="files")
    batch = next(iter(plan.dataloader("train", batch_size=8)))
    assert batch["image"].shape == (8, 1, 32, 32)
    assert batch["mask"].shape == (8, 1, 32, 32)
    assert batch["label"].dtype == torch.int64
    names = [name for batch in plan.dataloader("test", batch_size=3) for name in batch["name"]]
    assert names == [item.name for item in plan.plan.items["test"]]


def test_pasted_images_are_recognized_by_their_manifest_or_their_name(real: Path, tmp_path: Path) -> None:
    pasted = synthetic_images(tmp_path / "pasted", 4, source="pasted", seed=2)
    for name in ("pasted", "anything"):
        plan = augment.mix(real, {name: pasted}, check="files")
        assert plan.plan.request.pasted == pasted
        assert plan.summary()["splits"]["train"]["pasted"] == {"crack": 2, "pit": 2}
    with raises("E-mix-two-pasted"):
        augment.mix(real, {"a": pasted, "b": pasted}, check="files")
    with raises("E-dataset-no-folder"):
        augment.mix(real, {"a": tmp_path / "none"}, check="files")


def test_paste_is_that_of_the_command(real: Path, tmp_path: Path) -> None:
    result = augment.paste(real, tmp_path / "api", num=5, method="perlin", label="pit", seed=3)
    assert mix("paste", "--real", real, "--num", 5, "--method", "perlin", "--label", "pit", "--seed", 3, "--out",
               tmp_path / "command") == 0  # fmt: skip
    assert tree_hash(tmp_path / "api") == tree_hash(tmp_path / "command")
    assert (result.images, result.written, result.classes) == (5, 5, ("pit",))
    assert result.held_out > 0


def test_a_mixture_is_not_written_into_its_inputs(real: Path) -> None:
    with raises("E-out-overlaps-input"):
        augment.mix(real, check="files").write(real / "out")


def test_a_batch_on_a_device_is_that_of_single_images(real: Path, synthetic: Path, tmp_path: Path) -> None:
    sources = ["--real", real, "--synthetic", synthetic, "--augment", "gan_paper_noise", "--check", "files"]
    assert mix(*sources, "--out", tmp_path / "single") == 0
    assert mix(*sources, "--device", "cpu", "--out", tmp_path / "batch") == 0
    single, batch = rows_of(tmp_path / "single"), rows_of(tmp_path / "batch")
    assert [row["applied"] for row in single] == [row["applied"] for row in batch]
    for row in batch:
        images = [read_image(tmp_path / run / row["file_name"]).astype(int) for run in ("single", "batch")]
        masks = [read_mask_image(tmp_path / run / row["mask"])[0] for run in ("single", "batch")]
        assert np.abs(images[0] - images[1]).mean() < 1
        assert (masks[0] ^ masks[1]).sum() <= 2
    before = tree_hash(tmp_path / "batch")
    (tmp_path / "batch" / batch[5]["file_name"]).unlink()
    assert mix(*sources, "--device", "cpu", "--resume", "--out", tmp_path / "batch") == 0
    assert tree_hash(tmp_path / "batch") == before
    assert mix(*sources, "--resume", "--out", tmp_path / "batch") == 2
    assert mix(*sources, "--device", "cpu", "--workers", 3, "--out", tmp_path / "workers") == 0
    assert tree_hash(tmp_path / "workers") == before


def test_a_device_without_augmentation_is_an_error(real: Path) -> None:
    with raises("E-mix-conflicting-options"):
        augment.mix(real, device="cpu")
    with raises("E-mix-unknown-value"):
        augment.mix(real, preset="flips", device="tpu")


def test_a_preset_augments_a_batch_of_tensors() -> None:
    images, masks = torch.rand(4, 3, 16, 16), torch.zeros(4, 1, 16, 16)
    batch = augment.load_preset("flips").batch(images, masks, device="auto")
    assert batch.images.shape == images.shape
    assert len(batch.applied) == 4


def test_every_public_name_is_there_and_importing_the_package_is_cheap() -> None:
    assert sorted(augment.__all__) == augment.__all__
    assert all(getattr(augment, name) is not None for name in augment.__all__)
    assert (Path(augment.__file__).parent / "py.typed").is_file()
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        _ = augment.nothing
    code = "import augment, sys; sys.exit(str({'torch', 'cv2', 'numpy', 'defects'} & set(sys.modules)))"
    process = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert process.stderr.strip() == "set()"


@pytest.mark.parametrize("ratio", [(1, -0.5), (-1, 1), (1,), (0, 0), (1, float("nan")), "a:b", "1:-1"])
def test_a_ratio_that_is_none_is_refused(ratio: str | tuple[float, ...]) -> None:
    with raises("E-mix-bad-ratio"):
        augment.mix("real", {"synthetic": "syn"}, ratio=ratio)
