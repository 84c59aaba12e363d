"""No group is in two splits, every split has its share of every class, and the same seed gives the same split."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from defects.sample import Sample
from defects.splits import check_no_leak, near_duplicate_groups, split, thumbnail
from tests.builders import bar, noise_image, save
from tests.builders.errors import raises


def _samples(parts: int = 30, shots: int = 4) -> list[Sample]:
    classes = ("good", "good", "crack", "pit", "good", "crack")
    return [
        Sample(
            f"{part:03}_{shot}", Path(f"{part:03}_{shot}.png"), label=classes[part % len(classes)], group=f"part_{part}"
        )
        for part in range(parts)
        for shot in range(shots)
    ]


sets = st.lists(
    st.tuples(st.sampled_from(["good", "crack", "pit"]), st.sampled_from(["", "a", "b", "c", "d", "e"])), max_size=40
)


@given(sets, st.integers(0, 5))
def test_every_sample_is_in_one_part_and_every_group_whole(rows: list[tuple[str, str]], seed: int) -> None:
    samples = [Sample(f"{i}", Path(f"{i}.png"), label=label, group=group) for i, (label, group) in enumerate(rows)]
    parts = split(samples, {"train": 0.7, "val": 0.1, "test": 0.2}, seed)
    assert sorted(s.name for part in parts.values() for s in part) == sorted(s.name for s in samples)
    for a in parts:
        for b in parts:
            if a != b:
                check_no_leak(parts[a], parts[b])


def test_every_class_has_its_share() -> None:
    samples = _samples(60)
    counts = Counter(sample.label for sample in split(samples, {"train": 0.75, "test": 0.25}, 3)["test"])
    for label, total in Counter(sample.label for sample in samples).items():
        assert counts[label] == pytest.approx(total / 4, abs=4)  # one group of four


def test_a_rare_class_reaches_every_split() -> None:
    samples = [*_samples(20), *(Sample(f"rare_{i}", Path("x"), label="rare", group=f"rare_{i}") for i in range(2))]
    for part in split(samples, {"train": 0.9, "test": 0.1}, 0).values():
        assert any(sample.label == "rare" for sample in part)


def test_the_seed_alone_decides() -> None:
    samples = _samples()
    fractions = {"train": 0.8, "test": 0.2}
    first = split(samples, fractions, 1)
    assert split(samples[::-1], fractions, 1) == first
    assert any(split(samples, fractions, seed) != first for seed in range(2, 6))


@pytest.mark.parametrize("fractions", [{}, {"train": 0.5, "test": 0.6}, {"train": 1.2, "test": -0.2}])
def test_fractions_that_do_not_add_up_are_refused(fractions: dict[str, float]) -> None:
    with pytest.raises(ValueError, match="expected positive fractions that sum to 1"):
        split(_samples(2), fractions, 0)


def test_a_leak_by_group_file_or_hash_is_named() -> None:
    a = Sample("a", Path("a.png"), group="g", metadata={"sha256": "1"})
    check_no_leak([a], [Sample("b", Path("b.png"), group="h", metadata={"sha256": "2"}), Sample("g", Path("c.png"))])
    leaks = [
        Sample("x", Path("x.png"), group="g"), Sample("x", Path("a.png")),
        Sample("x", Path("x.png"), metadata={"sha256": "1"}),
    ]  # fmt: skip
    for leak in leaks:
        with raises("E-split-leak"):
            check_no_leak([a], [leak])


def _tile(folder: Path, name: str, seed: int, *, gain: float = 1.0, shift: int = 0, defect: bool = True) -> Sample:
    """A smooth random texture under a light."""
    rng = np.random.default_rng(seed)
    coarse = rng.normal(0, 1, (16, 20)).repeat(8, axis=0).repeat(8, axis=1)
    pixels = np.clip(128 * gain + 30 * gain * np.roll(coarse, shift, axis=1), 0, 255).astype(np.uint8)
    image = save(folder / f"{name}.png", pixels)
    mask = save(folder / f"{name}_mask.png", np.roll(bar(pixels.shape), shift, axis=1)) if defect else None
    return Sample(name, image, mask, label="crack" if defect else "good")


def test_images_of_one_part_are_found_and_other_parts_are_not(tmp_path: Path) -> None:
    shots = [
        _tile(tmp_path, "a1", 1), _tile(tmp_path, "b1", 2), _tile(tmp_path, "a2", 1, gain=0.6),
        _tile(tmp_path, "a3", 1, gain=1.2, defect=False), _tile(tmp_path, "c1", 3), _tile(tmp_path, "b2", 2, shift=1),
    ]  # fmt: skip
    assert near_duplicate_groups(shots, threshold=0.8) == ["a1", "b1", "a1", "a1", "c1", "b1"]


def test_images_alike_with_other_defects_are_not_joined(tmp_path: Path) -> None:
    a, b = _tile(tmp_path, "a", 1), _tile(tmp_path, "b", 1)
    assert b.mask is not None
    save(b.mask, np.flipud(bar((128, 160))))
    assert near_duplicate_groups([a, b]) == ["a", "b"]


def test_known_groups_stay_together(tmp_path: Path) -> None:
    shots = [_tile(tmp_path, f"s{i}", i) for i in range(3)]
    known = [Sample(s.name, s.image, s.mask, label=s.label, group="one") for s in shots[:2]]
    assert near_duplicate_groups([*known, shots[2]]) == ["s0", "s0", "s2"]
    assert near_duplicate_groups([]) == []


def test_a_thumbnail_correlates_with_itself_and_not_with_a_blank() -> None:
    pixels = noise_image(channels=1)[..., 0].astype(np.float32)
    assert thumbnail(pixels) @ thumbnail(pixels * 2 + 5) == pytest.approx(1, abs=1e-4)
    assert not thumbnail(np.full((40, 40), 7.0)).any()
