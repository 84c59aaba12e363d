"""What the flags of gen-defects mean: sizes, formats, names of classes, grids and draws, dry runs, JSON."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from defects.images.decode import read_image, read_mask_image
from defects.masks.width import width
from engine.commands import main
from gan.cli.generate import RENAMED, app
from tests.builders.generate import SIDE, files, gen_defects, recorded, save_masks, save_tiny_generator


def _rows(out: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (out / "metadata.jsonl").read_text(encoding="utf-8").splitlines()]


@pytest.mark.parametrize("size", [24, 32, 80])
def test_image_and_label_have_the_size_and_lengths_are_in_its_pixels(
    masks: Path, checkpoint: Path, tmp_path: Path, size: int
) -> None:
    out = tmp_path / "out"
    assert gen_defects("--masks", masks, "--checkpoint", checkpoint, "--size", size, "--guide", "thickness=0.5",
                       "--out", out) == 0  # fmt: skip
    for row in _rows(out):
        assert read_image(out / row["file_name"]).shape == (size, size, 3)
        assert read_mask_image(out / row["mask"])[0].shape == (size, size)
        assert row["guide"]["raw"]["thickness"] == pytest.approx(3.75 * size / SIDE)


@pytest.mark.parametrize(("format", "channels"), [("jpg", 3), ("webp", 3), ("png", 1), ("jpg", 1)])
def test_formats_and_gray(masks: Path, tmp_path: Path, format: str, channels: int) -> None:
    checkpoint = save_tiny_generator(tmp_path / "generator", channels=channels)
    out = tmp_path / "out"
    assert gen_defects("--masks", masks, "--checkpoint", checkpoint, "--format", format, "--out", out) == 0
    for row in _rows(out):
        assert row["file_name"].endswith(f".{format}")
        assert row["mask"].endswith(".png")
        assert read_image(out / row["file_name"]).shape == (SIDE, SIDE, channels)


def test_grid_makes_every_grid_point_and_draw_one_for_each_image(masks: Path, checkpoint: Path, tmp_path: Path) -> None:
    arguments = ["--masks", masks, "--checkpoint", checkpoint, "--num", 2, "--guide",
                 "thickness=0.1|0.9,background=dark|light|rough,kind=pit"]  # fmt: skip
    assert gen_defects(*arguments, "--out", tmp_path / "grid") == 0
    assert gen_defects(*arguments, "--guide-mode", "draw", "--out", tmp_path / "draw") == 0
    grid, draw = _rows(tmp_path / "grid"), _rows(tmp_path / "draw")
    assert (len(grid), len(draw)) == (7 * 6 * 2, 7 * 2)
    points = {(row["guide"]["scaled"]["thickness"], row["guide"]["scaled"]["background"]) for row in grid}
    assert points == {(t, b) for t in (0.1, 0.9) for b in ("dark", "light", "rough")}
    sampled = {(row["guide"]["scaled"]["thickness"], row["guide"]["scaled"]["background"]) for row in draw}
    assert sampled <= points
    assert len(sampled) > 2
    assert {row["label"] for row in grid} == {"pit"}


def test_the_label_comes_from_the_flag_the_class_guide_the_folder_or_is_defect(masks: Path, tmp_path: Path) -> None:
    plain = save_tiny_generator(tmp_path / "plain", classes=())

    def labels(masks: Path, *arguments: object) -> set[str]:
        out = tmp_path / f"out{len(list(tmp_path.iterdir()))}"
        assert gen_defects("--masks", masks, "--checkpoint", plain, "--out", out, *arguments) == 0
        return {row["label"] for row in _rows(out)}

    assert labels(masks) == {"crack", "pit", "defect"}
    assert labels(masks / "4.png") == {"defect"}
    assert labels(masks, "--label", "scratch") == {"scratch"}


def test_thickness_is_measured_on_the_mask_when_it_is_not_given(tmp_path: Path, checkpoint: Path) -> None:
    folder = tmp_path / "masks"
    folder.mkdir()
    for number in (2, 4, 5):
        bar = np.zeros((SIDE, SIDE), np.uint8)
        bar[10 : 10 + number, 4:28] = 255
        (folder / f"{number}.png").write_bytes(cv2.imencode(".png", bar)[1].tobytes())
    assert gen_defects("--masks", folder, "--checkpoint", checkpoint, "--out", tmp_path / "out") == 0
    for row in _rows(tmp_path / "out"):
        assert row["guide"]["raw"]["thickness"] == pytest.approx(int(row["group"]), abs=0.35)
        assert (tmp_path / "out" / row["mask"]).is_file()
        source, _ = read_mask_image(folder / row["mask_source"])
        assert np.array_equal(read_mask_image(tmp_path / "out" / row["mask"])[0], source)


def test_a_sample_folder_gives_the_masks_and_classes_of_its_defective_images(
    masks: Path, checkpoint: Path, tmp_path: Path
) -> None:
    first, second = tmp_path / "first", tmp_path / "second"
    assert gen_defects("--masks", masks, "--checkpoint", checkpoint, "--out", first) == 0
    assert gen_defects("--masks", first, "--checkpoint", checkpoint, "--out", second) == 0
    assert [row["label"] for row in _rows(second)] == [row["label"] for row in _rows(first)]
    assert [row["mask_source"] for row in _rows(second)] == [row["mask"] for row in _rows(first)]


def test_dry_run_checks_everything_and_writes_nothing(
    masks: Path, checkpoint: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    arguments = ["--masks", masks, "--checkpoint", checkpoint, "--num", 4, "--out", out, "--dry-run"]
    assert gen_defects(*arguments) == 0
    assert "would write 28 images of 32 x 32 px from 7 masks" in capsys.readouterr().out
    assert gen_defects(*arguments, "--json") == 0
    result = json.loads(capsys.readouterr().out)
    assert (result["images"], result["dry_run"], result["masks"]["count"]) == (28, True, 7)
    assert not out.exists()


def test_the_result_names_the_folder_the_sheet_and_the_next_command(
    masks: Path, checkpoint: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    arguments = ["--masks", masks, "--checkpoint", checkpoint, "--out", out]
    assert gen_defects(*arguments, "--json") == 0
    captured = capsys.readouterr()
    result = json.loads(captured.out)
    assert (result["images"], result["written"], result["next"]) == (7, 7, f"check-data {out}")
    assert all(json.loads(line) for line in captured.err.splitlines())
    assert gen_defects(*arguments, "--resume") == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[-1] == f"next: check-data {out}"
    assert f"contact sheet: {out}/preview.png" in lines
    assert lines[1].startswith("0 written")


def test_the_contact_sheet_shows_some_masks_of_many(checkpoint: Path, tmp_path: Path) -> None:
    many = save_masks(tmp_path / "masks", [f"{number:02}.png" for number in range(11)])
    sizes = []
    for name, count in (("few", 3), ("many", 11)):
        out = tmp_path / name
        folder = tmp_path / f"masks-{name}"
        folder.mkdir()
        for path in sorted(many.iterdir())[:count]:
            (folder / path.name).write_bytes(path.read_bytes())
        assert gen_defects("--masks", folder, "--checkpoint", checkpoint, "--num", 7, "--out", out) == 0
        sizes.append(read_image(out / "preview.png").shape)
    assert sizes[0][1] == sizes[1][1]
    assert sizes[1][0] > sizes[0][0] * 1.9
    assert not [path for path in files(tmp_path / "many") if path.name.startswith(".")]
    assert recorded(tmp_path / "many") == 77


def test_masks_wider_than_the_trained_range_stay_as_sampled_and_are_counted(
    checkpoint: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "masks"
    folder.mkdir()
    for number in (1, 3, 10):
        bar = np.zeros((SIDE, SIDE), np.uint8)
        bar[10 : 10 + number, 2:30] = 255
        (folder / f"{number:02}.png").write_bytes(cv2.imencode(".png", bar)[1].tobytes())
    assert gen_defects("--masks", folder, "--checkpoint", checkpoint, "--num", 2, "--out", tmp_path / "out") == 0
    warnings = [line for line in capsys.readouterr().err.splitlines() if line.startswith("warning")]
    assert len(warnings) == 1
    assert "2 of 3 masks are thinner or thicker than the generator was trained on" in warnings[0]
    rows = _rows(tmp_path / "out")
    assert [row["guide"]["scaled"]["thickness"] for row in rows[::5]] == [0.0, 1.0]
    for row in rows:
        sampled = read_mask_image(folder / row["mask_source"])[0]
        assert row["guide"]["raw"]["thickness"] == width(sampled)
        assert np.array_equal(read_mask_image(tmp_path / "out" / row["mask"])[0], sampled)
    assert gen_defects("--masks", folder, "--checkpoint", checkpoint, "--guide", "thickness=0..1",
                       "--out", tmp_path / "set") == 0  # fmt: skip
    assert "warning" not in capsys.readouterr().err


def test_classes_that_the_folders_name_are_not_called_random(
    checkpoint: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    named = save_masks(tmp_path / "named", ["crack/1.png", "pit/2.png"])
    partly = save_masks(tmp_path / "partly", ["crack/1.png", "2.png"])
    for folder, said in ((named, "kind as its folder says"), (partly, "kind random")):
        arguments = ["--masks", folder, "--checkpoint", checkpoint, "--out", tmp_path / "out", "--dry-run"]
        assert gen_defects(*arguments) == 0
        assert said in capsys.readouterr().out


def test_a_folder_that_is_no_known_class_is_named(
    checkpoint: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = save_masks(tmp_path / "masks", ["Crack/1.png", "dent/2.png", "dent/3.png", "4.png"])
    arguments = ["--masks", folder, "--checkpoint", checkpoint, "--out", tmp_path / "out", "--dry-run"]
    assert gen_defects(*arguments) == 0
    assert capsys.readouterr().err.splitlines() == [
        f"warning: {folder}: 'dent' is no class of this generator, so its masks get random classes; "
        "name it crack or pit, or give --guide kind=crack"
    ]
    assert gen_defects(*arguments, "--guide", "kind=pit") == 0
    assert capsys.readouterr().err == ""


def test_former_flags_are_read_with_a_line_each(
    masks: Path, checkpoint: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = ["--masks", str(masks), "--checkpoint", str(checkpoint), "--out", str(tmp_path / "out")]
    former = {"--any-ground": [], "--keep-like": [str(masks)], "--tries": ["0"], "--keep-best": []}
    for flag, values in former.items():
        assert main(app, [*arguments, flag, *values], name="gen-defects", renamed=RENAMED) in (1, 2)
        assert f"warning: {flag} is now {RENAMED[flag]}; write that" in capsys.readouterr().err
