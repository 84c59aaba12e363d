"""A training that mixes on the fly and one that reads the written folder see the same images."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from torch.utils.data import DataLoader

from augment.mixing.dataset import EpochSampler, MixedDataset, MixedFolder
from augment.mixing.folder import write_mixture
from augment.mixing.plan import Plan
from augment.mixing.planning import make_plan
from augment.mixing.request import Request
from engine.errors import DataError
from tests.builders.mixing import provenance, real_images, synthetic_images


@pytest.fixture(scope="module")
def mixed(tmp_path_factory: pytest.TempPathFactory) -> tuple[Plan, Path]:
    root = tmp_path_factory.mktemp("mixed")
    real = real_images(root / "real", each=1)
    synthetic = provenance(synthetic_images(root / "gan"), size=32)
    request = Request(
        real, {"gan": synthetic}, augment="oliena", augmentations=2, sampling_weights={"real": 0.25, "synthetic": 0.75},
        check="files", seed=3,
    )  # fmt: skip
    plan = make_plan(request)
    write_mixture(plan, root / "out")
    return plan, root / "out"


@pytest.mark.parametrize("split", ["train", "val", "test"])
def test_every_index_gives_the_same_pixels_on_the_fly_and_from_the_folder(mixed: tuple[Plan, Path], split: str) -> None:
    plan, out = mixed
    live, written = MixedDataset(plan, split), MixedFolder(out, split)
    assert len(live) == len(written) > 0
    for index in range(len(live)):
        one, other = live.read(index), written.read(index)
        assert np.array_equal(one.image, other.image)
        assert np.array_equal(one.mask, other.mask)
        assert one.applied == other.applied
        assert live[index]["name"] == written[index]["name"]
        assert live[index]["label"] == written[index]["label"]


def test_epochs_are_the_same_on_the_fly_and_from_the_folder(mixed: tuple[Plan, Path]) -> None:
    plan, out = mixed
    live, written = EpochSampler(MixedDataset(plan)), EpochSampler(MixedFolder(out))
    for epoch in (0, 7):
        live.set_epoch(epoch)
        written.set_epoch(epoch)
        assert list(live) == list(written)
        assert len(live) == len(list(live))


def test_a_loader_with_workers_gives_batches_of_floats(mixed: tuple[Plan, Path]) -> None:
    data = MixedDataset(mixed[0])
    sampler = EpochSampler(data)
    batches = list(DataLoader(data, batch_size=5, sampler=sampler, num_workers=2))
    first = batches[0]
    assert first["image"].shape == (5, 1, 32, 32)
    assert first["mask"].shape == (5, 1, 32, 32)
    assert first["image"].dtype == torch.float32
    assert 0 <= float(first["image"].min()) < float(first["image"].max()) <= 1
    trained = [source for batch in batches for source in batch["source"]]
    assert abs(trained.count("synthetic") / len(trained) - 0.75) < 0.05
    alone = list(DataLoader(data, batch_size=5, sampler=sampler))
    assert all(torch.equal(a["image"], b["image"]) for a, b in zip(batches, alone, strict=True))


def test_augmentations_differ_and_originals_do_not(mixed: tuple[Plan, Path]) -> None:
    plan, _ = mixed
    data = MixedDataset(plan)
    assert data.variants == 3
    assert all(data.read(index).applied == [] for index in range(0, len(data), 3))
    assert any(not np.array_equal(data.read(i).image, data.read(i + 1).image) for i in range(0, len(data), 3))
    assert all(data.read(i).mask.any() for i in range(len(data)) if data.items[i // 3].sample.label != "good")


def test_indices_out_of_range_are_refused(mixed: tuple[Plan, Path]) -> None:
    data = MixedDataset(mixed[0], "test")
    with pytest.raises(IndexError, match="expected an index from 0"):
        data.read(len(data))


def test_a_folder_that_is_no_mixture_is_one_line(tmp_path: Path) -> None:
    real_images(tmp_path / "x" / "train")
    with pytest.raises(DataError, match="give a folder of mix-defects"):
        MixedFolder(tmp_path / "x")
