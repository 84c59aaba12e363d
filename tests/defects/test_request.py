"""What a user asks for by --guide: every form, every error, and what comes of it for an image."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from defects.attributes.guide import CategoricalEntry, GuideSchema, NumericEntry
from defects.attributes.request import GuideRequest, Interval, Keyword, parse_guide
from engine.errors import UsageError
from tests.builders.errors import raises

SCHEMA = GuideSchema(
    (
        NumericEntry("thickness", 2.0, 12.0, "px"),
        NumericEntry("brightness", -0.4, 0.6),
        CategoricalEntry("background", ("dark", "light")),
        CategoricalEntry("kind", ("crack", "pit", "scratch")),
    )
)
TABLE = [
    {"thickness": 3.0, "brightness": 0.1, "background": "dark", "kind": "crack"},
    {"thickness": 5.0, "brightness": 0.2, "background": "dark", "kind": "pit"},
    {"thickness": 9.0, "brightness": -0.3, "background": "light", "kind": "crack"},
    {"thickness": 11.0, "brightness": 0.5, "background": "light", "kind": "scratch"},
]


def one(text: str, name: str) -> object:
    """The only choice for an entry."""
    (value,) = parse_guide(text, SCHEMA).requested[name]
    return value


def resolved(text: str, seed: int = 0, measured: dict[str, float] | None = None) -> dict[str, object]:
    request = parse_guide(text, SCHEMA)
    (point,) = request.grid_points()
    return dict(request.resolve(point, np.random.default_rng(seed), {"thickness": 7.0} | (measured or {}), TABLE))


@pytest.mark.parametrize(
    ("text", "name", "value"),
    [
        ("thickness=0.7", "thickness", 0.7),
        (" thickness = 0.7 , ", "thickness", 0.7),
        ("thickness=1e-1", "thickness", 0.1),
        ("thickness=7px", "thickness", 0.5),
        ("thickness=2px", "thickness", 0.0),
        ("thickness=0.2..0.8", "thickness", Interval(0.2, 0.8)),
        ("thickness=0.5..0.5", "thickness", Interval(0.5, 0.5)),
        ("thickness=3px..7px", "thickness", Interval(0.1, 0.5)),
        ("thickness=random", "thickness", Keyword("random")),
        ("thickness=measured", "thickness", Keyword("measured")),
        ("background=dark", "background", "dark"),
        ("kind=random", "kind", Keyword("random")),
        ("", "thickness", Keyword("measured")),
        ("", "brightness", Keyword("random")),
        ("thickness=0.7", "kind", Keyword("random")),
    ],
)
def test_every_form_is_read(text: str, name: str, value: object) -> None:
    assert one(text, name) == pytest.approx(value) if isinstance(value, float) else one(text, name) == value


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("thicknes=0.7", "E-guide-unknown-entry"),
        ("colour=0.7", "E-guide-unknown-entry"),
        ("thickness", "E-guide-syntax"),
        ("thickness=", "E-guide-syntax"),
        ("=0.5", "E-guide-unknown-entry"),
        ("thickness=thick", "E-guide-number"),
        ("thickness=0.2|", "E-guide-number"),
        ("thickness=0.2..", "E-guide-number"),
        ("thickness=px", "E-guide-number"),
        ("brightness=3px", "E-guide-number"),
        ("thickness=nan", "E-guide-number"),
        ("thickness=inf", "E-guide-number"),
        ("thickness=-infpx", "E-guide-number"),
        ("thickness=0.1..nan", "E-guide-number"),
        ("thickness=1.2", "E-guide-range"),
        ("thickness=-0.1", "E-guide-range"),
        ("thickness=20px", "E-guide-range"),
        ("thickness=1px", "E-guide-range"),
        ("brightness=0.5..1.5", "E-guide-range"),
        ("thickness=0.8..0.2", "E-guide-range"),
        ("thickness=7px..0.2", "E-guide-range"),
        ("thickness=0.1,thickness=0.2", "E-guide-syntax"),
        ("background=drk", "E-guide-unknown-class"),
        ("kind=wheel", "E-guide-unknown-class"),
        ("kind=0.5", "E-guide-unknown-class"),
        ("brightness=measured", "E-guide-not-measurable"),
        ("kind=measured", "E-guide-not-measurable"),
    ],
)
def test_every_mistake_is_one_line_that_names_its_flag(text: str, code: str) -> None:
    with raises(code) as caught:
        parse_guide(text, SCHEMA)
    assert "\n" not in str(caught.value)
    assert str(caught.value).startswith("--guide: ")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("thicknes=0.7", "'thicknes' is not an entry of this generator; did you mean thickness?"),
        ("thickness=1.2", r"out of range; the generator was trained on 0..1 \(that is 2..12px\)"),
        ("background=drk", "background=drk is unknown; did you mean dark"),
    ],
)
def test_a_mistake_is_answered_with_what_was_meant(text: str, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        parse_guide(text, SCHEMA)


def test_lists_span_a_grid_with_the_first_entry_varying_slowest() -> None:
    grid_points = parse_guide("background=dark|light,thickness=0.2|0.4..0.6|random", SCHEMA).grid_points()
    expected = [(t, b) for t in (0.2, Interval(0.4, 0.6), Keyword("random")) for b in ("dark", "light")]
    assert [(c["thickness"], c["background"]) for c in grid_points] == expected
    assert all(set(c) == set(SCHEMA.names) for c in grid_points)


def test_fixed_values_ranges_and_measurements_are_those_of_the_image() -> None:
    values = resolved("thickness=measured,brightness=0.25..0.35,background=light,kind=pit")
    assert values["thickness"] == pytest.approx(0.5)
    assert 0.25 <= float(str(values["brightness"])) <= 0.35
    assert (values["background"], values["kind"]) == ("light", "pit")


@given(st.integers(0, 2**32 - 1))
def test_resolving_is_decided_by_the_generator_alone(seed: int) -> None:
    text = "thickness=0.1..0.9,brightness=random"
    assert resolved(text, seed) == resolved(text, seed)
    SCHEMA.encode(resolved(text, seed))


@given(st.integers(0, 2**32 - 1))
def test_random_entries_come_from_one_training_row_with_the_fixed_categories(seed: int) -> None:
    values = resolved("thickness=random,background=light", seed)
    assert values in [SCHEMA.scale(row) for row in TABLE if row["background"] == "light"]


def test_another_value_of_one_entry_changes_no_sample_of_the_others() -> None:
    fixed = resolved("brightness=0.1..0.9,thickness=0.3,background=dark", 5)
    ranged = resolved("brightness=0.1..0.9,thickness=0.2..0.4,background=dark", 5)
    assert {n: v for n, v in fixed.items() if n != "thickness"} == {n: v for n, v in ranged.items() if n != "thickness"}


def test_random_needs_no_table_and_fills_gaps_of_its_rows() -> None:
    request = parse_guide("thickness=random", SCHEMA)
    for table in ([], [{"thickness": 3.0, "kind": None}]):
        values = request.resolve(request.grid_points()[0], np.random.default_rng(3), {}, table)
        vector = SCHEMA.encode(values)
        assert None not in values.values()
        assert vector[2:4].sum() == vector[4:].sum() == 1.0


def test_measured_falls_back_to_a_sampled_value_where_the_mask_says_nothing() -> None:
    request: GuideRequest = parse_guide("thickness=measured", SCHEMA)
    values = request.resolve(request.grid_points()[0], np.random.default_rng(0), {}, TABLE)
    assert 0.0 <= float(str(values["thickness"])) <= 1.0


def test_a_mask_thicker_than_any_trained_on_is_measured_as_the_thickest() -> None:
    assert resolved("", measured={"thickness": 40.0})["thickness"] == 1.0


def test_a_request_says_which_entries_were_given() -> None:
    schema = GuideSchema((NumericEntry("thickness", 2.0, 12.0, "px"), CategoricalEntry("kind", ("a", "b"))))
    assert parse_guide(" kind = random", schema).given == {"kind"}
    assert parse_guide("", schema).given == frozenset()
