"""Random brightness goes with the background as in the training images, and backgrounds are as common as there."""

from __future__ import annotations

import numpy as np
import pytest

from defects.attributes.appearance import BackgroundStats, Setting
from gan.blending.matching import MOST_LIGHT, TrainingDefects

WEBER = -0.4


def known(count: int = 60) -> TrainingDefects:
    """Pits of one reflectance on backgrounds of every brightness, and scratches brighter than their backgrounds."""
    rng = np.random.default_rng(0)
    levels = rng.uniform(0.2, 0.8, count)
    rows = [
        {"thickness": 4.0, "brightness": float(level * (WEBER if i % 2 else 0.2)), "kind": ("scratch", "pit")[i % 2]}
        for i, level in enumerate(levels)
    ]
    return TrainingDefects(rows, [BackgroundStats(float(level), 0.05) for level in levels])


@pytest.mark.parametrize("level", [0.25, 0.5, 0.75])
def test_a_defect_of_one_reflectance_keeps_it_on_every_background(level: float) -> None:
    sample_row = known().row_sampler(BackgroundStats(level, 0.05))
    for share in np.linspace(0, 0.999, 9):
        row = sample_row({"kind": "pit"}, float(share), 4.0)
        assert row["kind"] == "pit"
        assert row["brightness"] == pytest.approx(WEBER * level, rel=0.02)


def test_without_a_look_at_the_background_it_would_not() -> None:
    rows = [row["brightness"] for row in known().rows if row["kind"] == "pit"]
    assert max(abs(float(b) - WEBER * 0.5) for b in rows if isinstance(b, float)) > 0.08


def test_a_background_far_from_all_takes_the_nearest_and_no_more_light_than_is_allowed() -> None:
    found = TrainingDefects([{"brightness": -0.1}], [BackgroundStats(0.2, 0.01)])
    assert found.row_sampler(BackgroundStats(0.9, 0.3))({}, 0.5, None)["brightness"] == pytest.approx(-0.1 * MOST_LIGHT)


def test_a_width_is_looked_at_where_it_is_known() -> None:
    rows = [{"thickness": 2.0, "brightness": -0.1}, {"thickness": 40.0, "brightness": -0.3}]
    found = TrainingDefects(rows, [BackgroundStats(0.5, 0.05)] * 2)
    assert {
        found.row_sampler(BackgroundStats(0.5, 0.05))({}, share, 40.0)["brightness"] for share in (0.0, 0.5, 0.99)
    } == {-0.3}
    assert {found.row_sampler(BackgroundStats(0.5, 0.05))({}, share, None)["brightness"] for share in (0.0, 0.99)} == {
        -0.1,
        -0.3,
    }


def test_backgrounds_are_selected_in_the_proportions_of_the_training_images() -> None:
    dark, bright = BackgroundStats(0.2, 0.05), BackgroundStats(0.7, 0.05)
    found = TrainingDefects([{"kind": "pit"}] * 4, [dark, dark, dark, bright])
    selected = [found.best_match([bright, BackgroundStats(0.25, 0.05)], "pit", share) for share in (0.1, 0.3, 0.6, 0.9)]
    assert selected == [1, 1, 1, 0]


def test_a_mask_at_an_edge_takes_a_image_in_which_the_part_ends_there() -> None:
    at_edge = BackgroundStats(0.5, 0.1, Setting(0.5, 0.0, -0.3, 0.0, 0.3, 0.0))
    inside = BackgroundStats(0.5, 0.1, Setting(0.5, 0.6, 0.0, 0.0, 0.0, 0.0))
    found = TrainingDefects([{"kind": "break"}] * 10, [at_edge, *[inside] * 9])
    above = [
        BackgroundStats(0.5, 0.1, Setting(0.5, 0.02, *sides))
        for sides in ((0, 0, 0, 0), (-0.25, 0, 0.2, 0), (0, 0.2, 0, 0))
    ]
    assert {found.best_match(above, "break", share) for share in np.linspace(0, 0.99, 20)} == {1}
    below = [BackgroundStats(0.5, 0.1, Setting(0.5, 0.7, *sides)) for sides in ((-0.25, 0, 0.2, 0), (0.01, 0, 0, 0))]
    assert {found.best_match(below, "break", share) for share in np.linspace(0, 0.99, 20)} == {1}
    assert found.best_match([BackgroundStats(0.9, 0.1), BackgroundStats(0.52, 0.1)], "break", 0.5) == 1


def test_nothing_known_is_false() -> None:
    assert not TrainingDefects([{"brightness": 0.1}], [])
    assert known()


def test_a_background_is_known_up_to_two_differences() -> None:
    found = TrainingDefects([{}], [BackgroundStats(0.5, 0.05)])
    assert found.knows(BackgroundStats(0.59, 0.05))
    assert not found.knows(BackgroundStats(0.61, 0.05))
    assert not found.knows(BackgroundStats(0.5, 0.05 * 3))


def test_a_local_contrast_is_that_of_a_like_defect_transferred_to_the_light() -> None:
    rows = [
        {"kind": "pit", "thickness": 4.0, "brightness": -0.05},
        {"kind": "pit", "thickness": 4.0, "brightness": -0.4},
        {"kind": "scratch", "thickness": 4.0, "brightness": -0.05},
    ]
    local_contrasts = [(0.01, 0.02, 0.03), (0.1, 0.2, 0.3), (0.4, 0.4, 0.4)]
    found = TrainingDefects(rows, [BackgroundStats(0.5, 0.05)] * 3, local_contrasts)

    def of(brightness: float, level: float = 0.5) -> set[tuple[float, ...] | None]:
        here = BackgroundStats(level, 0.05)
        return {
            found.local_contrast(here, {"kind": "pit"}, s, width=4.0, brightness=brightness) for s in (0.0, 0.5, 0.99)
        }

    assert of(-0.06) == {local_contrasts[0]}
    assert of(-0.38) == {local_contrasts[1]}
    assert of(-0.4 * 1.2, 0.6) == {tuple(1.2 * band for band in local_contrasts[1])}


def test_without_local_contrasts_none_is_requested() -> None:
    found = TrainingDefects([{"brightness": -0.1}], [BackgroundStats(0.2, 0.01)])
    assert found.local_contrast(BackgroundStats(0.2, 0.01), {}, 0.5, width=3.0, brightness=-0.1) is None
