"""Procedural magnetic-particle images: reproducible, and true to every guide value."""

from __future__ import annotations

import json
import math
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from defects.attributes import guide as guides
from defects.cli.gen_mpi import app
from defects.images.decode import read_sample
from defects.manifest import read_manifest
from defects.masks.width import Mask, width
from defects.synthetic.masks import draw
from defects.synthetic.mpi_dataset import MpiPlan, dataset
from defects.synthetic.mpi_image import render
from defects.synthetic.mpi_surface import BACKGROUNDS, BAND_START
from engine.commands import main
from tests.builders.errors import raises

EMPTY = np.zeros((128, 128), bool)


def crack(seed: int, *, size: int = 128, thickness: float = 4.0) -> Mask:
    return draw(
        "crack",
        size,
        np.random.default_rng(seed),
        length=0.6 * size,
        width=thickness,
        orientation=37.0 * seed,
        position=(0.3, 0.3, 0.6, 0.7),
    )


def tree(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


@pytest.mark.parametrize("size", [128, 256, 512])
def test_same_seed_gives_the_same_pixels_and_another_seed_others(size: int) -> None:
    mask = crack(1, size=size)
    first, again, other = (render(mask, seed=seed).image for seed in (7, 7, 8))
    assert first.shape == (size, size, 3)
    assert first.dtype == np.uint8
    assert np.array_equal(first, again)
    assert np.abs(first.astype(int) - other).mean() > 2


@pytest.mark.parametrize("target", [2.0, 3.5, 5.0, 8.0])
def test_returned_mask_has_the_requested_thickness_whatever_its_shape(target: float) -> None:
    for seed in range(3):
        shown = render(crack(seed, thickness=4.0), thickness=target, seed=seed)
        assert width(shown.mask) == pytest.approx(target, rel=0.12)
        assert shown.guide["thickness"] == width(shown.mask)


@pytest.mark.parametrize("background", BACKGROUNDS)
def test_luminance_of_the_glow_rises_with_brightness(background: str) -> None:
    for seed in range(3):
        mask = crack(seed, thickness=2.0 + 2 * seed)
        found = []
        for brightness in (0.0, 0.2, 0.4, 0.6, 0.8, 1.0):
            shown = render(mask, brightness=brightness, background=background, seed=seed)
            assert shown.guide == {**guides.measure(shown.image, shown.mask), "background": background}
            found.append(float(shown.guide["brightness"]))
        assert np.all(np.diff(found) > 0.05)


def test_glow_is_yellow_green() -> None:
    shown = render(crack(1), brightness=0.6, seed=1)
    red, green, blue = shown.image[shown.mask].mean(axis=0)
    assert green > red > blue


def test_four_backgrounds_are_distinguished_by_their_nearest_mean() -> None:
    def color(background: str, seed: int) -> np.ndarray[tuple[int, ...], np.dtype[np.float64]]:
        image = render(EMPTY, background=background, seed=seed).image[:, :110]
        return np.asarray(np.median(image, axis=(0, 1)), np.float64)

    means = {name: np.mean([color(name, seed) for seed in range(12)], axis=0) for name in BACKGROUNDS}
    for name in BACKGROUNDS:
        for seed in range(100, 112):
            visible = color(name, seed)
            assert min(BACKGROUNDS, key=lambda other: float(np.linalg.norm(visible - means[other]))) == name


def test_a_good_part_has_an_empty_mask_and_only_its_background_as_guide() -> None:
    shown = render(EMPTY, background="zinc", seed=3)
    assert not shown.mask.any()
    assert shown.guide == {"background": "zinc"}


def test_band_at_the_right_edge_is_dark_green_and_hides_the_defect() -> None:
    mask = EMPTY.copy()
    mask[60:64, 60:128] = True
    shown = render(mask, brightness=1.0, background="cadmium", seed=2)
    start = math.ceil(BAND_START * 128)
    red, green, blue = shown.image[:, start + 1 :].reshape(-1, 3).mean(axis=0)
    assert green > 1.5 * red
    assert green > 1.5 * blue
    assert not shown.mask[:, start:].any()


def test_scans_of_one_part_are_more_alike_than_two_parts() -> None:
    first, same, other = (
        render(EMPTY, background="dark", seed=seed, part=part, indications=0).image[:, :110].mean(axis=0)
        for seed, part in ((1, 5), (2, 5), (3, 6))
    )
    assert np.abs(first - same).mean() < np.abs(first - other).mean()


@settings(max_examples=25, deadline=None)
@given(
    height=st.integers(64, 160),
    breadth=st.integers(64, 160),
    thickness=st.floats(1, 10),
    brightness=st.floats(0, 1),
    background=st.sampled_from(BACKGROUNDS),
    seed=st.integers(0, 2**63 - 1),
)
def test_any_values_in_range_render(
    height: int, breadth: int, thickness: float, brightness: float, background: str, seed: int
) -> None:
    mask = draw("crack", (height, breadth), np.random.default_rng(seed), length=50, width=3)
    shown = render(mask, thickness=thickness, brightness=brightness, background=background, seed=seed)
    assert shown.image.shape == (height, breadth, 3)
    assert shown.mask.any()
    assert all(not isinstance(value, float) or math.isfinite(value) for value in shown.guide.values())


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"thickness": math.nan}, "expected a thickness of 1 px to half the image, got nan"),
        ({"thickness": 0.2}, "expected a thickness of 1 px to half the image, got 0.2"),
        ({"brightness": 1.5}, "expected a brightness in 0 to 1, got 1.5"),
        ({"background": "wood"}, "expected a background of dark, phosphate, zinc, cadmium, got 'wood'"),
        ({"mask": np.zeros((8, 8), bool)}, "expected a bool mask, 32 x 32 or larger"),
        ({"mask": np.zeros((64, 64), np.uint8)}, "expected a bool mask"),
    ],
)
def test_a_value_out_of_range_is_named(values: dict[str, object], message: str) -> None:
    arguments: dict[str, object] = {"mask": crack(0), **values}
    with pytest.raises(ValueError, match=message):
        render(**arguments)  # type: ignore[arg-type]


def test_dataset_is_a_sample_folder_with_true_guides(tmp_path: Path) -> None:
    dataset(tmp_path, 24, size=64, seed=1, good_fraction=0.25)
    samples, issues = read_manifest(tmp_path, verify=True)
    assert not issues
    assert len(samples) == 24
    assert sum(sample.label == "good" for sample in samples) == 6
    assert {sample.metadata["guide"]["background"] for sample in samples} == set(BACKGROUNDS)
    for sample in samples:
        image, mask = read_sample(sample)
        assert mask.any() == (sample.label != "good")
        if sample.label != "good":
            raw = sample.metadata["guide"]
            assert raw["thickness"] == pytest.approx(width(mask), abs=1e-5)
            assert raw["brightness"] == pytest.approx(guides.brightness(image, mask), abs=1e-5)
    by_group: dict[str, set[str]] = {}
    for sample in samples:
        by_group.setdefault(sample.group, set()).add(sample.metadata["guide"]["background"])
    assert len(by_group) == 8
    assert all(len(backgrounds) == 1 for backgrounds in by_group.values())


def test_killed_at_any_point_resume_gives_the_same_tree(tmp_path: Path) -> None:
    plan = MpiPlan(size=64, seed=2, classes=("crack", "pit"))
    whole, broken = tmp_path / "whole", tmp_path / "broken"
    dataset(whole, 40, plan=plan)

    class Killed(BaseException):
        pass

    def kill_after(calls: int) -> None:
        left = calls

        def progress(_: int) -> None:
            nonlocal left
            left -= 1
            if left < 0:
                raise Killed

        with pytest.raises(Killed):
            dataset(broken, 40, plan=plan, resume=True, on_progress=progress)

    kill_after(0)
    kill_after(2)
    # What a kill between the writing of a file, its naming and its manifest line leaves behind.
    (broken / "images" / ".000033.png.123.tmp").write_bytes(b"half a pict")
    with (broken / "metadata.jsonl").open("a") as manifest:
        manifest.write('{"file_name": "images/0000')
    (broken / "images" / "000001.png").unlink()
    dataset(broken, 40, plan=plan, resume=True)
    assert tree(broken) == tree(whole)


def test_a_larger_count_adds_to_a_smaller_one(tmp_path: Path) -> None:
    dataset(tmp_path / "a", 5, size=64)
    dataset(tmp_path / "a", 9, size=64, resume=True)
    dataset(tmp_path / "b", 9, size=64)
    assert tree(tmp_path / "a") == tree(tmp_path / "b")


def test_a_folder_of_other_settings_or_other_things_is_refused(tmp_path: Path) -> None:
    dataset(tmp_path / "a", 3, size=64)
    with raises("E-out-not-empty", "is not empty; add --resume"):
        dataset(tmp_path / "a", 3, size=64)
    with raises("E-resume-settings", "was started with seed 0, now it is 9"):
        dataset(tmp_path / "a", 3, size=64, seed=9, resume=True)
    with raises("E-resume-count", "already holds 3 images"):
        dataset(tmp_path / "a", 2, size=64, resume=True)
    (tmp_path / "b").mkdir()
    (tmp_path / "b" / "thesis.txt").write_text("mine")
    with raises("E-resume-no-run"):
        dataset(tmp_path / "b", 3, size=64, resume=True)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"size": 8}, "size: expected 64 to 2048 px, got 8"),
        ({"good_fraction": 1.5}, "good fraction: expected 0 to 1, got 1.5"),
        ({"classes": ("dent",)}, "classes: expected some of crack, scratch, pit, spot, got dent"),
        ({"classes": ()}, "got none"),
        ({"brightness": (0.5, 2.0)}, "brightness: expected low..high within 0 to 1"),
        ({"thickness": (0.1, 4.0)}, "thickness: expected low..high within 1 to 16 px"),
        ({"per_part": 0}, "images a part"),
    ],
)
def test_a_plan_that_cannot_be_rendered_is_refused(values: dict[str, object], message: str) -> None:
    with raises("E-gen-mpi-setting", message):
        MpiPlan(**values)  # type: ignore[arg-type]


def test_command_reports_and_names_the_next(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "data"
    arguments = ["--out", str(out), "--count", "4", "--size", "64"]
    assert main(app, [*arguments, "--dry-run"]) == 0
    assert not out.exists()
    assert main(app, arguments) == 0
    assert f"next: train-gan {out}" in capsys.readouterr().out
    assert main(app, [*arguments, "--resume", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["written"] == 0
    assert main(app, arguments) == 1
    assert main(app, ["--out", str(tmp_path / "no"), "--brightness", "0..2"]) == 2
    assert capsys.readouterr().err.endswith(" [E-gen-mpi-setting]\n")
