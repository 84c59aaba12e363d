"""gen-defects --backgrounds draws on backgrounds, and with a contrast, as real defects have them."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from defects.attributes.appearance import BackgroundStats
from defects.images.decode import encode_image, read_image
from engine.checkpoint import load_checkpoint, save_checkpoint
from gan.blending.matching import MOST_LIGHT
from gan.blending.placement import Placement
from gan.blending.plan import make_blend_plan
from gan.generation.jobs import Request
from tests.builders.blend import rows, save_blender, save_masks_of, tree
from tests.builders.errors import error_codes
from tests.builders.generate import gen_defects

DARK = (BackgroundStats(0.2, 0.01),) * 7


def save_backgrounds(folder: Path) -> Path:
    """Four dark and four bright images."""
    folder.mkdir()
    for number in range(8):
        level = 50 if number % 2 else 200
        grain = np.random.default_rng(number).integers(-5, 6, (60, 80, 3))
        (folder / f"{'dark' if number % 2 else 'bright'}_{number}.png").write_bytes(
            encode_image((level + grain).astype(np.uint8))
        )
    return folder


def names(out: Path) -> list[str]:
    return [row["background"]["name"].split("_")[0] for row in rows(out)]


def test_defects_known_on_dark_backgrounds_only_go_to_dark_images(tmp_path: Path) -> None:
    backgrounds = save_backgrounds(tmp_path / "backgrounds")
    masks = save_masks_of(tmp_path / "masks", 60, 80)
    stem = save_blender(tmp_path / "net", background_stats=DARK)
    arguments = ("--masks", masks, "--backgrounds", backgrounds, "--checkpoint", stem, "--num", 6)
    sample_location, anywhere, again = tmp_path / "likely", tmp_path / "any", tmp_path / "again"
    assert not gen_defects(*arguments, "--out", sample_location)
    assert not gen_defects(*arguments, "--out", anywhere, "--background-sampling", "uniform")
    assert not gen_defects(*arguments, "--out", again, "--workers", 3, "--batch-size", 2)
    assert set(names(sample_location)) == {"dark"}
    assert set(names(anywhere)) == {"dark", "bright"}
    assert tree(sample_location) == tree(again)


@pytest.mark.parametrize("scale", [(1.0, 1.0), (0.7, 1.3)])
def test_inside_a_region_the_background_that_is_named_is_the_one_under_the_defect(
    tmp_path: Path, scale: tuple[float, float]
) -> None:
    backgrounds = save_backgrounds(tmp_path / "backgrounds")
    for path in backgrounds.iterdir():  # brighter to the right, so that every place has a background of its own
        image = read_image(path).astype(float) * np.linspace(0.5, 1, 80)[None, :, None]
        path.write_bytes(encode_image(image.astype(np.uint8)))
    inside = np.zeros((60, 80), bool)
    inside[10:50, 8:70] = True
    inside[25:35, 30:40] = False
    (tmp_path / "roi.png").write_bytes(encode_image(inside))
    plan = make_blend_plan(
        Request(num=8),
        save_masks_of(tmp_path / "masks", 60, 80),
        backgrounds,
        save_blender(tmp_path / "net", background_stats=DARK),
        placement=Placement(True, scale=scale),
        roi=tmp_path / "roi.png",
    )
    for index in range(len(plan.jobs)):
        location = plan._location(plan.jobs[index])
        assert not (location.placed.whole((60, 80)) & ~inside).any()
        assert location.stats is not None
        assert location.stats.level == pytest.approx(
            plan.locations._background_stats(location.number, location.placed).level, abs=0.01
        )


def test_a_random_brightness_follows_the_background_by_its_light(tmp_path: Path) -> None:
    backgrounds = save_backgrounds(tmp_path / "backgrounds")
    masks = save_masks_of(tmp_path / "masks", 60, 80)
    stem = save_blender(tmp_path / "net", background_stats=DARK)
    out = tmp_path / "out"
    arguments = (
        "--masks",
        masks,
        "--backgrounds",
        backgrounds,
        "--checkpoint",
        stem,
        "--num",
        6,
        "--background-sampling",
        "uniform",
    )
    assert not gen_defects(*arguments, "--guide", "kind=crack", "--out", out)
    known = (0.0, 0.1, 0.2, 0.3)  # of the cracks in the table, on a level of 0.2
    found: dict[str, set[float]] = {"dark": set(), "bright": set()}
    for row, name in zip(rows(out), names(out), strict=True):
        ratio = 50 / 255 / 0.2 if name == "dark" else MOST_LIGHT
        sample_location = [min(ratio * value, 0.5) for value in known]  # of a guide, no more than 0.5
        shown = row["guide"]["raw"]["brightness"]
        assert min(abs(shown - value) for value in sample_location) < 0.01
        found[name].add(round(shown, 1))
    assert all(len(values) > 1 for values in found.values())
    assert 0.5 in found["bright"]


def test_moved_masks_look_at_several_places_of_a_single_image(tmp_path: Path) -> None:
    """A dark strip in a bright image: real defects are on dark background, so moved ones go there."""
    image = np.full((120, 160, 3), 200, np.uint8)
    image[:, :70] = 50
    backgrounds = tmp_path / "backgrounds"
    backgrounds.mkdir()
    (backgrounds / "half.png").write_bytes(encode_image(image))
    masks = tmp_path / "masks"
    masks.mkdir()
    dot = np.zeros((60, 80), bool)
    dot[28:32, 38:42] = True
    (masks / "dot.png").write_bytes(encode_image(dot))
    stem = save_blender(tmp_path / "net", background_stats=DARK)
    arguments = ("--masks", masks, "--backgrounds", backgrounds, "--checkpoint", stem, "--num", 30, "--move")
    assert not gen_defects(*arguments, "--out", tmp_path / "likely")
    assert not gen_defects(*arguments, "--out", tmp_path / "any", "--background-sampling", "uniform")
    dark = {name: np.mean([row["placement"]["x"] < 66 for row in rows(tmp_path / name)]) for name in ("likely", "any")}
    assert dark["likely"] > 0.9
    assert dark["any"] < 0.7


@pytest.mark.parametrize("inpaint", [False, True])
def test_same_bytes_where_backgrounds_are_selected_for_any_workers_and_after_an_interruption(
    tmp_path: Path, inpaint: bool
) -> None:
    root = tmp_path / "data"
    for folder in ("images", "masks"):
        (root / folder).mkdir(parents=True)
    for number in range(5):
        image = np.random.default_rng(number).integers(40 + 20 * number, 90 + 20 * number, (60, 80, 3))
        (root / "images" / f"{number}.png").write_bytes(encode_image(image.astype(np.uint8)))
        if inpaint:
            defect = np.zeros((60, 80), bool)
            defect[5:9, 60:66] = True
            (root / "masks" / f"{number}.png").write_bytes(encode_image(defect))
    background_stats = [BackgroundStats(0.2 + i / 20, 0.05) for i in range(7)]
    stem = save_blender(tmp_path / "net", background_stats=background_stats)
    region = np.zeros((60, 80), bool)
    region[4:56, 4:76] = True
    (tmp_path / "roi.png").write_bytes(encode_image(region))
    masks = save_masks_of(tmp_path / "masks", 60, 80)
    arguments = (
        "--masks",
        masks,
        "--backgrounds",
        root,
        "--checkpoint",
        stem,
        "--num",
        4,
        "--roi",
        tmp_path / "roi.png",
    )
    arguments = (*arguments, "--scale", "0.4,0.6", "--guide", "brightness=random,thickness=random")
    arguments = (*arguments, *(("--inpaint",) if inpaint else ()))
    one, two = tmp_path / "one", tmp_path / "two"
    assert not gen_defects(*arguments, "--out", one, "--workers", 1)
    assert not gen_defects(*arguments, "--out", two, "--workers", 3, "--batch-size", 1)
    assert tree(one) == tree(two)
    lines = (two / "metadata.jsonl").read_text().splitlines(keepends=True)
    (two / "metadata.jsonl").write_text("".join(lines[:3]))
    assert not gen_defects(*arguments, "--out", two, "--resume")
    assert tree(one) == tree(two)


def test_a_generator_that_does_not_describe_backgrounds_blends_into_any(tmp_path: Path) -> None:
    backgrounds = save_backgrounds(tmp_path / "backgrounds")
    masks = save_masks_of(tmp_path / "masks", 60, 80)
    stem = save_blender(tmp_path / "net", background_stats=())
    out = tmp_path / "out"
    arguments = ("--masks", masks, "--backgrounds", backgrounds, "--checkpoint", stem, "--num", 6)
    assert not gen_defects(*arguments, "--out", out)
    assert set(names(out)) == {"dark", "bright"}
    assert json.loads((out / "request.json").read_text())["placement"]["any_ground"] is False


def test_backgrounds_that_do_not_fit_the_table_are_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    tensors, meta = load_checkpoint(save_blender(tmp_path / "net"))
    stem = save_checkpoint(tmp_path / "cut", tensors, meta | {"grounds": [[0.5, 0.1]]})
    arguments = ("--masks", save_masks_of(tmp_path / "masks", 60, 80), "--checkpoint", stem, "--out", tmp_path / "out")
    assert gen_defects(*arguments, "--backgrounds", save_backgrounds(tmp_path / "backgrounds")) == 1
    assert error_codes(capsys) == ["E-checkpoint-description"]


@pytest.mark.parametrize("odd", ["NaN", "1.5", "-1.0"])
@pytest.mark.parametrize("place", ["0.123456", "0.654321"])
def test_a_background_that_is_none_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], place: str, odd: str
) -> None:
    stem = save_blender(tmp_path / "net", background_stats=[*DARK[:6], BackgroundStats(0.123456, 0.654321)])
    described = stem.with_suffix(".json")
    described.write_text(described.read_text().replace(place, odd))
    arguments = ("--masks", save_masks_of(tmp_path / "masks", 60, 80), "--checkpoint", stem, "--out", tmp_path / "out")
    assert gen_defects(*arguments, "--backgrounds", save_backgrounds(tmp_path / "backgrounds")) == 1
    assert error_codes(capsys) == ["E-checkpoint-description"]


def test_a_run_is_not_resumed_by_the_same_weights_that_know_other_backgrounds(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    tensors, meta = load_checkpoint(save_blender(tmp_path / "net"))
    out = tmp_path / "out"
    arguments = ("--masks", save_masks_of(tmp_path / "masks", 60, 80), "--out", out)
    arguments = (*arguments, "--backgrounds", save_backgrounds(tmp_path / "backgrounds"))
    assert not gen_defects(*arguments, "--checkpoint", tmp_path / "net")
    other = save_checkpoint(tmp_path / "other", tensors, meta | {"grounds": [[0.2, 0.1]] * 7})
    assert gen_defects(*arguments, "--checkpoint", other, "--resume") == 2
    assert error_codes(capsys) == ["E-resume-settings"]


def test_uniform_sampling_without_backgrounds_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    masks = save_masks_of(tmp_path / "masks", 60, 80)
    assert gen_defects("--masks", masks, "--background-sampling", "uniform", "--out", tmp_path / "out") == 2
    assert error_codes(capsys) == ["E-generate-needs-backgrounds"]


def test_images_unlike_those_of_training_are_warned_of(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    masks = save_masks_of(tmp_path / "masks", 60, 80)
    stem = save_blender(tmp_path / "net", background_stats=DARK)
    backgrounds = save_backgrounds(tmp_path / "backgrounds")
    for bright in backgrounds.glob("bright*"):
        bright.unlink()
    arguments = ("--masks", masks, "--checkpoint", stem, "--num", 2)
    assert not gen_defects(*arguments, "--backgrounds", backgrounds, "--out", tmp_path / "like")
    assert "unlike" not in capsys.readouterr().err
    for number, dark in enumerate(backgrounds.glob("dark*")):
        dark.write_bytes(encode_image(np.full((60, 80, 3), 150 + number, np.uint8)))
    assert not gen_defects(*arguments, "--backgrounds", backgrounds, "--out", tmp_path / "unlike")
    assert "4 of 4 defects lie on backgrounds unlike those of the training images" in capsys.readouterr().err
