"""Cells of kind x size x brightness."""

from __future__ import annotations

from pathlib import Path

import pytest

from augment.balancing.measures import measure_samples
from augment.balancing.strata import BRIGHTNESSES, SIZES, Terciles, cell_of, cells, cells_of
from defects.images.crops import CropSpec
from tests.augment.surfaces import defective, good


def test_every_image_with_a_defect_is_in_exactly_one_cell(tmp_path: Path) -> None:
    samples = good(tmp_path) + defective(tmp_path, count=6) + defective(tmp_path, "glint", change=60)
    found = cells(samples)
    assert len(found) == 2 * 9
    assert sorted(name for cell in found for name in cell.names) == sorted(s.name for s in samples if s.label != "good")
    assert [(c.kind, c.size, c.brightness) for c in found] == [
        (kind, size, light) for kind in ("glint", "pit") for size in SIZES for light in BRIGHTNESSES
    ]
    assert all(cell.brightness != "dark" for cell in found if cell.kind == "glint" and cell.count)


def test_thirds_hold_a_third_each(tmp_path: Path) -> None:
    samples = defective(tmp_path, count=9)
    measures = measure_samples(samples)
    terciles = Terciles.fit(measures)
    found = [cell_of(m, terciles) for m in measures]
    assert [sum(key is not None and key[1] == size for key in found) for size in SIZES] == [3, 3, 3]
    assert [key[1] for key in found if key] == ["small"] * 3 + ["medium"] * 3 + ["large"] * 3


def test_a_set_can_be_counted_in_the_cells_of_another(tmp_path: Path) -> None:
    first = measure_samples(defective(tmp_path, count=6))
    terciles = Terciles.from_dict(Terciles.fit(first).to_dict())
    found = cells_of(first[:1], terciles)
    assert [(c.size, c.count) for c in found if c.count] == [("small", 1)]


def test_a_good_image_is_in_no_cell_and_a_set_of_them_has_none(tmp_path: Path) -> None:
    samples = good(tmp_path)
    assert cells(samples) == []
    with pytest.raises(ValueError, match="marked defect"):
        Terciles.fit(measure_samples(samples))


def test_cells_depend_on_the_framing_only_through_what_is_seen(tmp_path: Path) -> None:
    samples = defective(tmp_path)
    assert sum(c.count for c in cells(samples, CropSpec(48, None, 3))) == len(samples)
    groups = {c.name: c.groups for c in cells(samples) if c.count}
    assert max(groups.values()) <= 2
