"""Pasted defects: exact masks, unchanged backgrounds, the same bytes in any order, only the given samples."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
import pytest

from augment.pasting.folder import write_pasted
from augment.pasting.images import ImageReader, clusters, crop_around, cut_out, edges_reached, part_box, part_region
from augment.pasting.paster import METHODS, PastedImage, Paster
from defects.formats.dataset import open_dataset
from defects.images.crops import CropSpec
from defects.images.decode import read_image, read_sample
from defects.sample import Sample
from engine.files.atomic import sha256_file
from tests.builders.errors import raises
from tests.builders.surfaces import SHAPE, blob, defective, good, surface, with_defect


def pasted_samples(
    defective: list[Sample], good: list[Sample], *, count: int, method: str = "alpha", seed: int = 0,
    crop_spec: CropSpec | None = None,
) -> Iterator[PastedImage]:  # fmt: skip
    """The first `count` images of a paster."""
    paster = Paster(defective, good, method=method, seed=seed, crop_spec=crop_spec)
    return (paster.make(index) for index in range(count))


@pytest.fixture(scope="module")
def real(tmp_path_factory: pytest.TempPathFactory) -> tuple[list[Sample], list[Sample]]:
    root = tmp_path_factory.mktemp("real")
    return defective(root) + defective(root, "chip", edge=True), good(root)


def _background(pasted: PastedImage, samples: list[Sample]) -> np.ndarray:
    name = pasted.metadata["ground"]["name"]
    return read_image(next(s.image for s in samples if s.name == name))


@pytest.mark.parametrize("method", METHODS)
def test_beyond_the_stated_band_the_background_is_unchanged_bit_for_bit(
    method: str, real: tuple[list[Sample], list[Sample]]
) -> None:
    for pasted in pasted_samples(*real, count=8, method=method, seed=3):
        away = cv2.distanceTransform((~pasted.mask).astype(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_PRECISE)
        changed = (pasted.image != _background(pasted, real[1])).any(axis=2)
        assert pasted.mask.any()
        assert not changed[away > pasted.metadata["band"]].any()
        assert changed[pasted.mask].mean() > 0.9


def test_the_label_of_a_texture_defect_is_exactly_what_changed(real: tuple[list[Sample], list[Sample]]) -> None:
    for pasted in pasted_samples(*real, count=6, method="perlin"):
        assert np.array_equal((pasted.image != _background(pasted, real[1])).any(axis=2), pasted.mask)


@pytest.mark.parametrize("method", ["alpha", "poisson"])
def test_a_dark_defect_stays_as_dark_against_a_background_in_another_light(tmp_path: Path, method: str) -> None:
    sources, backgrounds = defective(tmp_path), good(tmp_path, level=60)
    for pasted in pasted_samples(sources, backgrounds, count=4, method=method):
        inside = pasted.image[pasted.mask].mean() / _background(pasted, backgrounds)[pasted.mask].mean()
        assert 0.3 < inside < 0.75  # 50 of 120 gray levels in the source


@pytest.mark.parametrize("method", METHODS)
def test_an_item_is_the_same_in_any_order_and_for_any_order_of_the_samples(
    method: str, real: tuple[list[Sample], list[Sample]]
) -> None:
    forward = list(pasted_samples(*real, count=5, method=method, seed=1))
    other = Paster(real[0][::-1], real[1][::-1], method=method, seed=1)
    for index in (4, 0, 3, 1, 2):
        pasted = other.make(index)
        assert pasted.image.tobytes() == forward[index].image.tobytes()
        assert pasted.mask.tobytes() == forward[index].mask.tobytes()
        assert (pasted.name, pasted.metadata) == (forward[index].name, forward[index].metadata)


def test_another_seed_gives_other_images(real: tuple[list[Sample], list[Sample]]) -> None:
    first, second = (Paster(*real, seed=seed).make(0) for seed in (0, 1))
    assert first.image.tobytes() != second.image.tobytes()


def test_classes_take_turns_and_every_source_comes_before_any_comes_twice(
    real: tuple[list[Sample], list[Sample]],
) -> None:
    pasted = list(pasted_samples(*real, count=8))
    assert [m.label for m in pasted] == ["chip", "pit"] * 4
    assert len({m.metadata["defect"]["name"] for m in pasted}) == 8


def test_the_metadata_says_which_real_samples_it_comes_from(real: tuple[list[Sample], list[Sample]]) -> None:
    pasted = Paster(*real).make(1)
    for role, samples in (("defect", real[0]), ("ground", real[1])):
        origin = pasted.metadata[role]
        sample = next(s for s in samples if s.name == origin["name"])
        assert origin["sha256"] == sha256_file(sample.image)
        assert origin["group"] == sample.group
    assert pasted.group == pasted.metadata["ground"]["group"]
    assert pasted.label == next(s.label for s in real[0] if s.name == pasted.metadata["defect"]["name"])
    assert json.loads(json.dumps(dict(pasted.metadata))) == dict(pasted.metadata)


def test_only_the_given_samples_are_read(tmp_path: Path) -> None:
    sources, backgrounds = defective(tmp_path, count=6), good(tmp_path, 6)
    for pasted in pasted_samples(sources[:2], backgrounds[:2], count=6, seed=5):
        assert pasted.metadata["defect"]["name"] in {"pit_0", "pit_1"}
        assert pasted.metadata["ground"]["name"] in {"good_0", "good_1"}


def test_a_defect_at_the_edge_of_its_part_is_pasted_at_an_edge(tmp_path: Path) -> None:
    sources, backgrounds = defective(tmp_path, "chip", edge=True), good(tmp_path)
    for pasted in pasted_samples(sources, backgrounds, count=6):
        assert pasted.mask[:, :2].any() or pasted.mask[:, -2:].any()


def test_a_defect_inside_its_part_stays_inside(tmp_path: Path) -> None:
    for pasted in pasted_samples(defective(tmp_path), good(tmp_path), count=8):
        border = np.ones(SHAPE, bool)
        border[1:-1, 1:-1] = False
        assert not (pasted.mask & border).any()


def test_a_dark_strip_next_to_the_part_takes_no_defect(tmp_path: Path) -> None:
    backgrounds = []
    for sample in good(tmp_path):
        image = read_image(sample.image)
        image[:, -40:] = 5
        sample.image.write_bytes(b"")
        from tests.builders import save

        save(sample.image, image)
        backgrounds.append(sample)
    region = part_region(image[..., 0])
    assert region[:, :80].all()
    assert not region[:, 95:].any()
    for method in METHODS:
        for pasted in pasted_samples(defective(tmp_path), backgrounds, count=6, method=method):
            assert not pasted.mask[:, 92:].any()


def test_where_no_good_image_is_given_the_mask_has_the_backgrounds_own_defect(tmp_path: Path) -> None:
    sources = defective(tmp_path)
    for pasted in pasted_samples(sources, [], count=4):
        background = next(s for s in sources if s.name == pasted.metadata["ground"]["name"])
        own = read_sample(background)[1]
        assert pasted.mask[own].all()
        assert pasted.mask.sum() > own.sum()


@pytest.mark.parametrize("method", METHODS)
def test_a_crop_spec_gives_crops_with_the_defect_in_them(method: str, real: tuple[list[Sample], list[Sample]]) -> None:
    for pasted in pasted_samples(*real, count=4, method=method, crop_spec=CropSpec(64, None, 3)):
        assert pasted.image.shape == (64, 64, 3)
        assert pasted.mask.shape == (64, 64)
        assert pasted.mask.any()


def test_the_crop_contains_a_smaller_defect() -> None:
    mask = blob((100, 60), (9, 7))
    for seed in range(20):
        cut = crop_around(mask, np.zeros_like(mask), 48, np.random.default_rng(seed))
        assert mask[cut].sum() == mask.sum()
        assert mask[cut].shape == (48, 48)


def test_the_crop_contains_the_edge_of_a_larger_defect() -> None:
    mask = np.zeros((64, 300), bool)
    mask[:, 40:] = True
    weights = [mask[crop_around(mask, np.zeros_like(mask), 64, np.random.default_rng(s))].mean() for s in range(20)]
    assert max(weights) <= 0.95


def test_parts_that_lie_together_are_cut_out_together() -> None:
    near, far = blob((30, 30), (8, 6)) | blob((41, 30), (3, 3)), blob((110, 80), (6, 5))
    found = clusters(near | far)
    assert len(found) == 2
    assert {int(m.sum()) for m in found} == {int(near.sum()), int(far.sum())}
    assert clusters(np.zeros((8, 8), bool)) == []


def test_the_background_under_a_defect_is_interpolated(tmp_path: Path) -> None:
    sample = defective(tmp_path, count=1)[0]
    loaded = ImageReader(None).read(sample)
    cutout = cut_out(loaded, loaded.mask)
    assert abs(float(cutout.level[cutout.mask].mean()) - float(surface(0)[loaded.mask].mean())) < 6


def test_edges_are_those_of_the_parts_box() -> None:
    region = np.ones(SHAPE, bool)
    region[:, :20] = False
    assert part_box(region) == (20, 0, 128, 96)
    assert edges_reached(blob((22, 50), (5, 5)), part_box(region)) == (True, False, False, False)
    assert edges_reached(blob((124, 3), (5, 5)), part_box(region)) == (False, True, True, False)


def test_a_folder_of_them_opens_as_a_sample_folder(tmp_path: Path, real: tuple[list[Sample], list[Sample]]) -> None:
    out = tmp_path / "pasted"
    assert write_pasted(out, Paster(*real), 5) == 5
    dataset = open_dataset(out)
    assert [s.source for s in dataset.samples] == ["pasted"] * 5
    for index, sample in enumerate(dataset.samples):
        image, mask = read_sample(sample)
        pasted = Paster(*real).make(index)
        assert np.array_equal(image, pasted.image)
        assert np.array_equal(mask, pasted.mask)
        assert sample.metadata["defect"] == pasted.metadata["defect"]


def test_a_resumed_folder_is_the_same_as_an_undisturbed_one(
    tmp_path: Path, real: tuple[list[Sample], list[Sample]]
) -> None:
    whole, parts = tmp_path / "whole", tmp_path / "parts"
    write_pasted(whole, Paster(*real), 6)
    write_pasted(parts, Paster(*real), 2)
    assert write_pasted(parts, Paster(*real), 6, resume=True) == 4
    files = sorted(p.relative_to(whole) for p in whole.rglob("*") if p.is_file() and p.name != ".lock")
    assert files == sorted(p.relative_to(parts) for p in parts.rglob("*") if p.is_file() and p.name != ".lock")
    assert all((whole / f).read_bytes() == (parts / f).read_bytes() for f in files)
    with raises("E-out-not-empty"):
        write_pasted(parts, Paster(*real), 6)
    with raises("E-resume-foreign"):
        write_pasted(parts, Paster(*real, seed=9), 6, resume=True)


def test_bad_requests_are_errors(tmp_path: Path, real: tuple[list[Sample], list[Sample]]) -> None:
    with pytest.raises(ValueError, match="expected a method of alpha"):
        Paster(*real, method="glue")
    with raises("E-paste-no-defect"):
        Paster([], real[1])
    with raises("E-paste-no-background"):
        Paster([], [], method="perlin")
    with pytest.raises(ValueError, match="from 0"):
        Paster(*real).make(-1)


def test_a_defect_that_fits_nowhere_is_one_line(tmp_path: Path) -> None:
    from tests.builders import save

    mask = blob((64, 48), (50, 40))
    image = save(tmp_path / "big.png", with_defect(surface(0), mask))
    mask_file = save(tmp_path / "big_mask.png", mask)
    tiny = Sample("tiny", save(tmp_path / "tiny.png", surface(1, shape=(16, 16))))
    with raises("E-paste-no-fit", "no 'pit' defect fits"):
        Paster([Sample("big", image, mask_file, label="pit")], [tiny]).make(0)
