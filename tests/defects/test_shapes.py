"""Procedural masks: reproducible, of the requested width, and refused in one line when they cannot be generated."""

from __future__ import annotations

import json
import math
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from defects.cli.gen_masks import app
from defects.formats.dataset import open_dataset
from defects.images.decode import read_mask_image
from defects.masks.width import width
from defects.synthetic.masks import DEFECT_CLASSES, POSITIONS, ShapeSpec, draw
from engine.checkpoint import save_checkpoint
from engine.commands import main
from tests import builders
from tests.builders.components import components


def rng(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


def tree(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


@pytest.mark.parametrize("class_name", DEFECT_CLASSES)
def test_same_seed_gives_the_same_mask_and_another_seed_another(class_name: str) -> None:
    spec = ShapeSpec.typical(class_name, 128)
    first, again, other = (spec.sample(rng(seed)).draw(128, rng(seed)) for seed in (3, 3, 4))
    assert np.array_equal(first, again)
    assert not np.array_equal(first, other)


@settings(max_examples=40, deadline=None)
@given(
    class_name=st.sampled_from(DEFECT_CLASSES),
    height=st.integers(32, 200),
    breadth=st.integers(32, 200),
    count=st.integers(1, 4),
    length=st.floats(1, 300),
    target=st.floats(1, 12),
    orientation=st.floats(-360, 360),
    position=st.sampled_from(list(POSITIONS.values())),
    seed=st.integers(0, 10_000),
)
def test_any_values_in_range_give_a_mask_that_is_not_empty(
    class_name: str,
    height: int,
    breadth: int,
    count: int,
    length: float,
    target: float,
    orientation: float,
    position: tuple[float, float, float, float],
    seed: int,
) -> None:
    mask = draw(
        class_name,
        (height, breadth),
        rng(seed),
        count=count,
        length=length,
        width=target,
        orientation=orientation,
        position=position,
    )
    assert mask.shape == (height, breadth)
    assert mask.dtype == np.bool_
    assert mask.any()


@pytest.mark.parametrize("size", [128, 256])
@pytest.mark.parametrize("class_name", DEFECT_CLASSES)
def test_mean_local_width_is_the_requested_one(class_name: str, size: int) -> None:
    spec = ShapeSpec.typical(class_name, size)
    for seed in range(6):
        shape = spec.sample(rng(seed))
        assert width(shape.draw(size, rng(seed))) == pytest.approx(shape.width, rel=0.12, abs=0.3)


@pytest.mark.parametrize("class_name", ["crack", "scratch"])
@pytest.mark.parametrize("orientation", [0, 45, 90, 135])
def test_lines_lie_in_the_requested_orientation(class_name: str, orientation: float) -> None:
    mask = draw(class_name, 128, rng(5), length=80, width=3, orientation=orientation)
    y, x = np.nonzero(mask)
    _, axes = np.linalg.eigh(np.cov(np.stack([x, y])))
    found = math.degrees(math.atan2(-axes[1, 1], axes[0, 1]))
    assert abs((found - orientation + 90) % 180 - 90) < 15


def test_centers_lie_in_the_requested_position() -> None:
    for seed in range(5):
        mask = draw("spot", 128, rng(seed), length=6, width=5, position=POSITIONS["left"])
        assert np.nonzero(mask)[1].mean() < 0.45 * 128


def test_count_is_the_number_of_spots() -> None:
    mask = draw("spot", 512, rng(1), count=4, length=8, width=6, position=POSITIONS["any"])
    assert len(components(mask)) == 4


def test_some_cracks_branch() -> None:
    masks = [draw("crack", 128, rng(seed), length=90, width=2) for seed in range(12)]
    straight = [draw("scratch", 128, rng(seed), length=90, width=2) for seed in range(12)]
    # The area of a line is its length times its width: branches add to it.
    assert max(mask.sum() for mask in masks) > 1.3 * max(mask.sum() for mask in straight)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"class_name": "dent"}, "expected a class of crack, scratch, pit, spot, got 'dent'"),
        ({"count": 0}, "expected a count of 1 to 1000, got 0"),
        ({"width": 0.5}, "expected a width of at least 1 px, got 0.5"),
        ({"width": math.nan}, "expected a width of at least 1 px, got nan"),
        ({"length": -3.0}, "expected a length of at least 1 px, got -3"),
        ({"orientation": math.inf}, "expected an orientation in degrees"),
        ({"position": (0.5, 0.0, 0.2, 1.0)}, "expected a position left, top, right, bottom"),
        ({"size": 4}, "expected a mask of at least 8 x 8 px"),
    ],
)
def test_a_value_out_of_range_is_named(values: dict[str, object], message: str) -> None:
    crack: dict[str, object] = {"class_name": "crack", "size": 64, "rng": rng(), "length": 30.0, "width": 3.0}
    with pytest.raises(ValueError, match=message):
        draw(**crack | values)  # type: ignore[arg-type]


def test_command_writes_black_and_white_masks(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "masks"
    arguments = ["--out", str(out), "--class", "pit", "--count", "3", "--size", "96", "--width", "3..5", "--json"]
    assert main(app, arguments) == 0
    assert json.loads(capsys.readouterr().out)["written"] == 3
    files = sorted(out.iterdir())
    assert [file.name for file in files] == ["pit-0000.png", "pit-0001.png", "pit-0002.png"]
    for file in files:
        pixels = cv2.imread(str(file), cv2.IMREAD_UNCHANGED)
        assert pixels is not None
        assert pixels.shape == (96, 96)
        assert set(np.unique(pixels).tolist()) == {0, 255}


def test_resume_gives_the_same_tree_and_refuses_other_settings(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    whole, resumed = tmp_path / "whole", tmp_path / "resumed"
    assert main(app, ["--out", str(whole), "--count", "6"]) == 0
    assert main(app, ["--out", str(resumed), "--count", "2"]) == 0
    assert main(app, ["--out", str(resumed), "--count", "6"]) == 1
    assert main(app, ["--out", str(resumed), "--count", "6", "--resume"]) == 0
    assert tree(resumed) == tree(whole)
    capsys.readouterr()
    assert main(app, ["--out", str(resumed), "--count", "6", "--seed", "1", "--resume"]) == 1
    assert "[E-resume-settings]" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "end"),
    [
        (["--width", "8..2"], "; write 2..8 [E-range]"),
        (["--width", "wide"], "[E-range]"),
        (["--length", "nan"], "[E-range]"),
        (["--per-mask", "1.5"], "[E-range]"),
        (["--class", "dent"], "[E-gen-masks-setting]"),
        (["--position", "middle"], "[E-gen-masks-position]"),
        (["--size", "4"], "[E-gen-masks-setting]"),
        (["--count", "0"], "--help`"),
    ],
)
def test_wrong_usage_is_one_line_and_exit_2(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], arguments: list[str], end: str
) -> None:
    assert main(app, ["--out", str(tmp_path / "out"), *arguments]) == 2
    error = capsys.readouterr().err
    assert error.endswith(f"{end}\n")
    assert error.count("\n") == 1
    assert not (tmp_path / "out").exists()


def test_dry_run_writes_nothing(tmp_path: Path) -> None:
    assert main(app, ["--out", str(tmp_path / "out"), "--dry-run"]) == 0
    assert not (tmp_path / "out").exists()


def test_masks_of_a_training_run_are_those_of_its_training_images(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    data = builders.folders(tmp_path / "data", 4)
    names = [sample.name for sample in open_dataset(data).samples]
    meta = {
        "architecture": "magna",
        "network": {"size": 16, "channels": 3},
        "config": {"data": {"window": 24}},
        "data": {"test": [names[0]], "kinds": ["defect"]},
    }
    save_checkpoint(tmp_path / "run" / "checkpoints" / "epoch-0001", {"weight": torch.zeros(1)}, meta)
    arguments = ["--from-run", str(tmp_path / "run"), "--data", str(data)]
    assert main(app, [*arguments, "--out", str(tmp_path / "masks")]) == 0
    assert "1 held out" in capsys.readouterr().out
    found = sorted(path.stem for path in (tmp_path / "masks" / "defect").iterdir())
    assert found == sorted(names[1:3])  # the last is good
    assert read_mask_image(tmp_path / "masks" / "defect" / f"{names[1]}.png")[0].shape == (16, 16)
    assert main(app, [*arguments, "--whole", "--out", str(tmp_path / "whole")]) == 0
    assert read_mask_image(tmp_path / "whole" / "defect" / f"{names[1]}.png")[0].shape == builders.SIZE
    assert main(app, [*arguments, "--out", str(tmp_path / "masks")]) == 1
    assert "[E-out-not-empty]" in capsys.readouterr().err
    assert main(app, ["--data", str(data), "--out", str(tmp_path / "other")]) == 2


def test_the_former_word_for_the_class_and_the_center_are_read(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    renamed = {"--kind": "--class"}
    arguments = ["--count", "1", "--size", "32", "--position", "centre", "--out", str(tmp_path / "pits")]
    assert main(app, ["--kind", "pit", *arguments], renamed=renamed) == 0
    assert "warning: --kind is now --class; write that" in capsys.readouterr().err
    assert [path.name for path in (tmp_path / "pits").glob("*.png")] == ["pit-0000.png"]
