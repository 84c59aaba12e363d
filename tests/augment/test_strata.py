"""Strata of class x size x brightness."""

from __future__ import annotations

from pathlib import Path

import pytest

from augment.balancing.report import strata_of
from augment.balancing.strata import BRIGHTNESSES, SIZES, Terciles, measure_samples, stratum_of
from defects.images.crops import CropSpec
from tests.builders.surfaces import defective, good


def test_every_image_with_a_defect_is_in_exactly_one_stratum(tmp_path: Path) -> None:
    samples = good(tmp_path) + defective(tmp_path, count=6) + defective(tmp_path, "glint", change=60)
    found = strata_of(measure_samples(samples))
    assert len(found) == 2 * 9
    assert sorted(name for stratum in found for name in stratum.names) == sorted(
        s.name for s in samples if s.label != "good"
    )
    assert [(c.class_name, c.size, c.brightness) for c in found] == [
        (class_name, size, light) for class_name in ("glint", "pit") for size in SIZES for light in BRIGHTNESSES
    ]
    assert all(stratum.brightness != "dark" for stratum in found if stratum.class_name == "glint" and stratum.count)


def test_thirds_hold_a_third_each(tmp_path: Path) -> None:
    samples = defective(tmp_path, count=9)
    measures = measure_samples(samples)
    terciles = Terciles.fit(measures)
    found = [stratum_of(m, terciles) for m in measures]
    assert [sum(key is not None and key[1] == size for key in found) for size in SIZES] == [3, 3, 3]
    assert [key[1] for key in found if key] == ["small"] * 3 + ["medium"] * 3 + ["large"] * 3


def test_a_set_can_be_counted_in_the_strata_of_another(tmp_path: Path) -> None:
    first = measure_samples(defective(tmp_path, count=6))
    terciles = Terciles.fit(first)
    found = strata_of(first[:1], terciles)
    assert [(c.size, c.count) for c in found if c.count] == [("small", 1)]


def test_a_good_image_is_in_no_stratum_and_a_set_of_them_has_none(tmp_path: Path) -> None:
    samples = good(tmp_path)
    assert strata_of(measure_samples(samples)) == []
    with pytest.raises(ValueError, match="marked defect"):
        Terciles.fit(measure_samples(samples))


def test_strata_depend_on_the_crop_only_through_its_pixels(tmp_path: Path) -> None:
    samples = defective(tmp_path)
    assert sum(c.count for c in strata_of(measure_samples(samples, CropSpec(48, None, 3)))) == len(samples)
    groups = {c.name: c.groups for c in strata_of(measure_samples(samples)) if c.count}
    assert max(groups.values()) <= 2
