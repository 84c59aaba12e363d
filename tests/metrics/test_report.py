"""The report: one file, nothing from outside, readable without a mouse, small."""

from __future__ import annotations

import base64
import html.parser
import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from markupsafe import Markup

from metrics.bench import evaluation as closeness
from metrics.bench.output import lines
from metrics.bench.results import Missing, Results, SourceResults, formatted, plain
from metrics.report import galleries
from metrics.report.build import render
from metrics.report.charts import Interval, bounds, curve, scatter, strip, swatch
from metrics.report.page import (
    Answer,
    Block,
    Closest,
    Control,
    Curve,
    Grid,
    LabelRow,
    Labels,
    Matrix,
    Memory,
    Page,
    Place,
    PlaceGroup,
    Places,
    Row,
    Shelf,
    data_address,
    outline,
    thumbnail,
)
from metrics.report.text import meaning
from metrics.scores.score import Score
from metrics.scores.table import score_name

EVIL = "<script>alert(1)</script>"


def score(name: str = "fid_efficientnet_lite0", **changes: object) -> Score:
    base = Score(name, 61.5, 50.0, 70.25, 30.0, 51, 153, "efficientnet_lite0", "how", "lower", "few images")
    return replace(base, **changes)  # type: ignore[arg-type]


def image(seed: int = 0, side: int = 32) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (side, side, 1), dtype=np.uint8)


def full_page(name: str = "magna") -> Page:
    mask = np.zeros((32, 32), dtype=bool)
    mask[4:12, 6:20] = True
    shot = thumbnail(image(), alt=f"Synthetic image of {name}", caption="pit", mask=mask, predicted=~mask)
    rng = np.random.default_rng(0)
    groups = [("sreal", rng.normal(size=(3, 2))), ("s0", rng.normal(size=(2, 2)))]
    dots = [PlaceGroup("real", 3, 0, swatch("sreal", 0)), PlaceGroup(name, 2, 1, swatch("s0", 1))]
    svg = curve(rng.random(20), rng.random(20), name="thickness", unit="px", series=0, words="thickness")
    rows = [Row(name, 0, score(), strip(Interval(61.5, 50, 70), 30.0, (0, 80), series=0, words="fid 61.5"))]
    missing = Row(name, 0, score(value=None, low=None, high=None, baseline=None, why="too few"), Markup(""))
    return Page(
        title="Synthetic defects next to real ones",
        first_line=f"{name} against 51 real images",
        alarm=False,
        warnings=["a warning"],
        sources=[(name, 0, "153 images", [Answer("Do they look real?", "fair", "Somewhat.")])],
        themes=[
            (
                "Look",
                [
                    Block("fid", "Fréchet distance", "What it sees.", "", "lower", rows),
                    Block("kid", "Kernel distance", "What it sees.", "zero", "lower", [missing]),
                ],
            )
        ],
        grids=[Grid("pit", [Shelf("real", None, [shot]), Shelf(name, 0, [shot])])],
        labels=[
            Labels(name, 0, "Sentence.", [("kind", [LabelRow("pit", 0.5, 10, None, 0)])], [shot]),
        ],
        controls=[
            Control(
                name,
                0,
                [Curve("Thickness", svg, "Sentence.")],
                [("kind", "0.9 recognized")],
                Matrix(["thickness", "kind"], [("thickness", [0.9, None]), ("kind", [-0.1, 0.8])]),
                [("background", "nothing sees it")],
                "Varied.",
            )
        ],
        memories=[Memory(name, 0, "No copying found.", [Closest(shot, shot, None, "0.9 of the usual")])],
        places=Places(
            scatter(groups, words="map"),
            dots,
            [Place(shot.src, f"{name} {i}") for i in range(5)],
            "Alike lie together.",
        ),
        missing=[("memorization", name, "not known")],
        sets=[(name, "synthetic", 153, "pit 153", f"/data/{name}")],
        settings=[("command", f"bench-fid --fake {name}=x")],
    )


VOID = {"meta", "img", "input", "br"}


class Checker(html.parser.HTMLParser):
    """Collects what a page would load, its ids, its images without words, and tags left open."""

    def __init__(self) -> None:
        super().__init__()
        self.loads: list[str] = []
        self.ids: list[str] = []
        self.links: list[str] = []
        self.wordless = 0
        self.open: list[str] = []
        self.scripts = 0
        self.refers: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        values = dict(attrs)
        self.loads += [str(values[key]) for key in ("src", "srcset", "data", "action") if values.get(key)]
        self.links += [str(values["href"])] if "href" in values else []
        self.ids += [str(values["id"])] if "id" in values else []
        self.refers += str(values.get("aria-labelledby", "")).split()
        self.wordless += tag == "img" and "alt" not in values
        self.wordless += tag == "svg" and "aria-label" not in values and values.get("aria-hidden") != "true"
        self.scripts += tag == "script"
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag, f"</{tag}> closes another element"


def checked(page: bytes) -> Checker:
    checker = Checker()
    checker.feed(page.decode("utf-8"))
    return checker


def test_a_page_needs_nothing_from_outside() -> None:
    page = render(full_page())
    checker = checked(page)
    assert all(address.startswith("data:image/jpeg;base64,") for address in checker.loads)
    assert all(link.startswith("#") for link in checker.links)
    assert not re.search(rb"https?:|//[a-z]|@import|url\(", page)
    assert b"default-src 'none'" in page


def test_a_page_is_well_formed_and_speaks() -> None:
    checker = checked(render(full_page()))
    assert checker.open == []
    assert checker.wordless == 0
    assert len(set(checker.ids)) == len(checker.ids)
    assert {link.removeprefix("#") for link in checker.links} <= set(checker.ids)
    assert set(checker.refers) <= set(checker.ids)


def test_names_from_data_are_never_markup() -> None:
    page = render(full_page(EVIL)).decode("utf-8")
    assert EVIL not in page
    assert checked(page.encode()).scripts == 3
    assert "</script>alert" not in page


def test_a_page_without_anything_optional_is_whole() -> None:
    page = replace(full_page(), labels=[], controls=[], memories=[], places=None, missing=[], warnings=[], grids=[])
    checker = checked(render(page))
    assert checker.open == []
    assert {link.removeprefix("#") for link in checker.links} <= set(checker.ids)
    assert b"Everything was computed." in render(page)


def test_the_alarm_stands_before_everything_else() -> None:
    page = render(replace(full_page(), alarm=True, first_line="Not a fair comparison")).decode("utf-8")
    body = page[page.index("<body>") :]
    assert re.sub(r"<a class=.skip.*?</a>|<[^>]+>|\s+", " ", body).strip().startswith("Not a fair comparison")
    assert '<p class="first alarm">' in body


def test_thumbnails_are_small_whatever_the_image() -> None:
    noise = np.random.default_rng(0).integers(0, 256, (256, 256, 3), dtype=np.uint8)
    data = base64.b64decode(data_address(noise, 128).partition(",")[2])
    assert data.startswith(b"\xff\xd8")
    assert len(data) <= 6000
    assert len(base64.b64decode(data_address(noise, 80, 1800).partition(",")[2])) <= 1800


def test_a_page_of_four_sources_stays_below_its_size() -> None:
    """Classes x shelves x 8, 12 worst and 8 x 3 closest of each source, six groups of dots."""
    shelf, dot = 6000 * 4 / 3, galleries._PLACE_BYTES * 4 / 3
    thumbnails = galleries._CLASSES * 5 * galleries._IN_SHELF + 4 * (galleries._WORST + 3 * galleries._PAIRS)
    assert thumbnails * shelf + 6 * closeness._MAPPED * dot < 7.5e6


def test_an_outline_goes_around_the_mask() -> None:
    mask = np.zeros((20, 20), dtype=bool)
    mask[5:10, 3:9] = True
    assert outline(mask) == "M3.5 5.5L3.5 9.5L8.5 9.5L8.5 5.5Z"
    assert outline(np.zeros((20, 20), dtype=bool)) == ""
    assert outline(np.eye(3, dtype=bool) & (np.arange(3) == 1)) == "M1.5 1.5Z"


@pytest.mark.parametrize("count", [0, 1, 2, 5, 40])
def test_a_curve_of_any_number_of_points(count: int) -> None:
    rng = np.random.default_rng(0)
    svg = curve(rng.random(count), rng.random(count), name="width <b>", unit="", series=1, words='a "word"')
    assert svg.count("<circle") == count
    assert "<b>" not in svg
    assert "nan" not in svg
    assert "a &#34;word&#34;" in svg


def test_a_curve_leaves_out_what_was_not_measured() -> None:
    values = np.array([0.0, np.nan, 1.0])
    assert curve(values, values, name="x", unit="px", series=0, words="x").count("<circle") == 2


def test_a_strip_shows_value_interval_and_baseline_within_its_line() -> None:
    svg = strip(Interval(5.0, 4.0, 600.0), 1.0, (0.0, 10.0), series=0, words="x")
    assert svg.count('class="dot') == svg.count('class="whisker') == svg.count('class="baseline') == 1
    assert max(float(x) for x in re.findall(r'x2="([\d.]+)"', svg)) <= 150
    assert "floor" not in strip(Interval(5.0), None, (0.0, 10.0), series=0, words="x")


def test_bounds_hold_everything() -> None:
    low, high = bounds([Interval(5.0, 4.0, 6.0), Interval(None)], [1.0])
    assert low <= 0
    assert high > 6
    low, high = bounds([Interval(-9.0)], [0.0])
    assert low < -9
    assert bounds([], []) == (0.0, 1.0)
    low, high = bounds([Interval(3.0)], [])
    assert low < 3 < high


SHORT = ("fid", "fid_infinity", "kid", "is", "precision", "recall", "density", "coverage")
NAMES = [score_name(short, extractor) for short in SHORT for extractor in ("inception", "efficientnet_lite0", "onnx_n")]


@pytest.mark.parametrize("name", [*NAMES, "label_iou", "control_kind", "diversity", "c_t", "copies"])
def test_every_score_has_a_plain_sentence(name: str) -> None:
    found = meaning(score(name, estimator="no words"))
    assert found.sees != "no words"
    assert len(found.sees) > 30
    assert found.title.startswith("Fréchet distance, extrapolated") == name.startswith("fid_infinity")


def test_numbers_have_the_digits_that_help() -> None:
    assert formatted(float("nan")) == "–"
    assert formatted(-12.34) == "\u221212.3"


def results() -> Results:
    sources = [
        SourceResults("magna", [score(), score("kid", value=None, low=None, high=None, baseline=None, why="too few")]),
        SourceResults("other", [score(value=99.0)], {"labels": {"per": np.array([1.0, np.nan])}}),
    ]
    return Results("first", ["careful"], [], {}, sources, [Missing("labels", "skipped")], {"path": Path("x").name})


def test_the_table_names_warnings_and_estimators_once() -> None:
    text = lines(results())
    assert text[:2] == ["first", "warning: careful"]
    assert sum("few images" in line for line in text) == 1
    assert any(
        re.match(r"fid_efficientnet_lite0 +magna +61\.5 +50\.0 \.\. 70\.2 +30\.0 +lower +51/153 +! 1 2$", line)
        for line in text
    )
    assert "3  not computed: too few" in text


def test_results_become_json_without_nan() -> None:
    content = results().to_dict()
    assert content["sources"][1]["labels"] == {"per": [1.0, None]}
    assert results().values()["magna"] == {"fid_efficientnet_lite0": 61.5, "kid": None}
    assert results().reasons()["magna.kid"] == "too few"
    assert plain({"a": (np.float32(1), {2})}) == {"a": [1.0, [2]]}
