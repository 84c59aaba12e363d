"""gen-defects --backgrounds: every pixel away from the mask is the image's own, and the label is the mask."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import numpy as np
import pytest

from defects.attributes.appearance import brightness, local_contrast, reliable_brightness
from defects.images.decode import encode_image, read_image, read_mask_image, read_sample
from defects.manifest import read_manifest
from defects.masks.width import signed_distance
from gan.blending.plan import make_blend_plan
from gan.generation.jobs import Request
from gan.generation.masks import list_masks
from tests.builders.blend import BLEND_RADIUS, SIDE, rows, save_blender, save_images, save_masks_of, surface, tree
from tests.builders.errors import error_codes
from tests.builders.generate import crack, gen_defects, save_masks


@pytest.fixture(scope="module")
def blender(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_blender(tmp_path_factory.mktemp("blender") / "tiny")


def check(out: Path, backgrounds: Path, blend_radius: float) -> None:
    """Outside `blend_radius` px of the label every pixel is the background's; inside it something is generated."""
    for row in rows(out):
        image = read_image(out / row["file_name"])
        background = read_image(backgrounds / f"{row['background']['name']}.png")
        label = read_mask_image(out / row["mask"])[0]
        assert image.shape == background.shape
        assert label.shape == background.shape[:2]
        far = signed_distance(label) <= -blend_radius
        assert far.any()
        assert np.array_equal(image[far], background[far])
        assert (image[label] != background[label]).any(axis=1).mean() > 0.5


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("network", [1, 3])
def test_pixels_away_from_the_mask_are_the_images_own_bit_for_bit(tmp_path: Path, channels: int, network: int) -> None:
    backgrounds = save_images(tmp_path / "backgrounds", channels=channels)
    masks = save_masks_of(tmp_path / "masks", 60, 80)
    stem = save_blender(tmp_path / "net", channels=network)
    out = tmp_path / "out"
    assert not gen_defects(
        "--masks", masks, "--backgrounds", backgrounds, "--checkpoint", stem, "--out", out, "--num", 2
    )
    # the shorter side of 60 px is the network's 32, so its reach is 60 / 32 as long
    check(out, backgrounds, BLEND_RADIUS * 60 / SIDE)
    assert len(rows(out)) == 4


def test_a_image_of_2000_px_stays_one_and_the_label_is_the_very_mask(tmp_path: Path) -> None:
    backgrounds = save_images(tmp_path / "backgrounds", 1, height=1500, width=2000)
    masks = save_masks_of(tmp_path / "masks", 1500, 2000, ("crack/a.png",))
    stem = save_blender(tmp_path / "net", crop=32)
    out = tmp_path / "out"
    assert not gen_defects("--masks", masks, "--backgrounds", backgrounds, "--checkpoint", stem, "--out", out)
    check(out, backgrounds, BLEND_RADIUS)
    (row,) = rows(out)
    assert np.array_equal(read_mask_image(out / row["mask"])[0], list_masks(masks).read(0))


def test_the_row_names_the_background_and_the_folder_its_generator(tmp_path: Path, blender: Path) -> None:
    backgrounds = save_images(tmp_path / "backgrounds", 2)
    masks = save_masks_of(tmp_path / "masks", 60, 80)
    out = tmp_path / "out"
    arguments = ("--masks", masks, "--backgrounds", backgrounds, "--checkpoint", blender, "--out", out)
    assert not gen_defects(*arguments, "--labels", "coco,yolo,labelme")
    for row in rows(out):
        file = backgrounds / f"{row['background']['name']}.png"
        assert row["background"]["sha256"] == hashlib.sha256(file.read_bytes()).hexdigest()
        assert row["label"] == row["guide"]["raw"]["kind"] == row["mask_source"].split("/")[0]
    assert json.loads((out / "generator.json").read_text())["architecture"] == "blend"
    request = json.loads((out / "request.json").read_text())
    assert request["backgrounds"]["count"] == 2
    assert request["size"] == "background"
    coco = json.loads((out / "annotations.coco.json").read_text())
    assert {(image["width"], image["height"]) for image in coco["images"]} == {(80, 60)}


def test_the_requested_thickness_is_the_labels(tmp_path: Path, blender: Path) -> None:
    from defects.masks.width import width

    backgrounds = save_images(tmp_path / "backgrounds", 1, height=64, width=64)
    masks = save_masks_of(tmp_path / "masks", 64, 64, ("crack/a.png",))
    found = []
    for requested in (2, 5):
        out = tmp_path / f"out{requested}"
        arguments = ("--masks", masks, "--backgrounds", backgrounds, "--checkpoint", blender, "--out", out)
        assert not gen_defects(*arguments, "--guide", f"thickness={requested}px")
        (row,) = rows(out)
        found.append(width(read_mask_image(out / row["mask"])[0]))
        assert row["guide"]["raw"]["thickness"] == pytest.approx(2 * requested)  # 64 px are the network's 32
    assert found == pytest.approx([4, 10], abs=1.0)


def test_same_seed_same_bytes_for_any_workers_and_after_an_interruption(tmp_path: Path, blender: Path) -> None:
    backgrounds = save_images(tmp_path / "backgrounds")
    masks = save_masks(tmp_path / "masks", ("crack/a.png", "pit/b.png"))
    arguments = ("--masks", masks, "--backgrounds", backgrounds, "--checkpoint", blender, "--num", 3, "--move")
    arguments = (*arguments, "--rotate", "-40,40", "--scale", "0.4,0.6")
    one, two = tmp_path / "one", tmp_path / "two"
    assert not gen_defects(*arguments, "--out", one, "--workers", 1)
    assert not gen_defects(*arguments, "--out", two, "--workers", 3, "--batch-size", 1)
    assert tree(one) == tree(two)
    lines = (two / "metadata.jsonl").read_text().splitlines(keepends=True)
    (two / "metadata.jsonl").write_text("".join(lines[:2]))
    (two / json.loads(lines[4])["file_name"]).unlink()
    (two / json.loads(lines[0])["file_name"]).unlink()
    assert not gen_defects(*arguments, "--out", two, "--resume")
    assert tree(one) == tree(two)
    other = tmp_path / "other"
    assert not gen_defects(*arguments, "--out", other, "--seed", 1)
    assert tree(other) != tree(one)


def test_moved_defects_lie_inside_the_region_of_interest(tmp_path: Path, blender: Path) -> None:
    backgrounds = save_images(tmp_path / "backgrounds")
    masks = save_masks(tmp_path / "masks", ("crack/a.png", "pit/b.png"))
    regions = tmp_path / "roi"
    regions.mkdir()
    for number in range(3):
        region = np.zeros((60, 80), bool)
        region[20:58, 10 * number : 10 * number + 55] = True
        (regions / f"part_{number}.png").write_bytes(encode_image(region))
    out = tmp_path / "out"
    arguments = ("--masks", masks, "--backgrounds", backgrounds, "--checkpoint", blender, "--out", out, "--num", 4)
    assert not gen_defects(*arguments, "--roi", regions, "--scale", "0.5,0.7")
    for row in rows(out):
        region = read_mask_image(regions / f"{row['background']['name']}.png")[0]
        label = read_mask_image(out / row["mask"])[0]
        assert label.any()
        assert not (label & ~region).any()


def test_a_size_cuts_the_crop_around_the_defect(tmp_path: Path, blender: Path) -> None:
    backgrounds = save_images(tmp_path / "backgrounds")
    masks = save_masks_of(tmp_path / "masks", 60, 80)
    out = tmp_path / "out"
    arguments = ("--masks", masks, "--backgrounds", backgrounds, "--checkpoint", blender, "--out", out)
    assert not gen_defects(*arguments, "--size", 48)
    for row in rows(out):
        assert read_image(out / row["file_name"]).shape == (48, 48, 3)
        assert read_mask_image(out / row["mask"])[0].any()


def test_defective_and_held_out_backgrounds_are_left_out_with_a_line(
    tmp_path: Path, blender: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    root = tmp_path / "data"
    (root / "images").mkdir(parents=True)
    for name in ("good_0", "held", "bad"):
        (root / "images" / f"{name}.png").write_bytes(encode_image(surface(1)))
    (root / "masks").mkdir()
    (root / "masks" / "bad.png").write_bytes(encode_image(crack(60) > 0))
    masks = save_masks_of(tmp_path / "masks", 60, 80)
    out = tmp_path / "out"
    assert not gen_defects("--masks", masks, "--backgrounds", root, "--checkpoint", blender, "--out", out)
    text = capsys.readouterr().err
    assert "1 of 3 backgrounds, which have a defect" in text
    assert "1 backgrounds that the generator's training holds for testing" in text
    assert {row["background"]["name"] for row in rows(out)} == {"good_0"}


def test_inpaint_takes_defective_backgrounds_without_their_defects(tmp_path: Path, blender: Path) -> None:
    root = tmp_path / "data"
    for folder in ("images", "masks"):
        (root / folder).mkdir(parents=True)
    image, defect = surface(0), np.zeros((60, 80), bool)
    defect[40:46, 60:70] = True
    image[defect] = 255
    (root / "images" / "bad.png").write_bytes(encode_image(image))
    (root / "masks" / "bad.png").write_bytes(encode_image(defect))
    masks = save_masks_of(tmp_path / "masks", 60, 80, ("crack/a.png",))
    out = tmp_path / "out"
    arguments = ("--masks", masks, "--backgrounds", root, "--checkpoint", blender, "--out", out)
    assert not gen_defects(*arguments, "--inpaint")
    (row,) = rows(out)
    assert row["background"]["painted_out"] is True
    sampled, label = read_image(out / row["file_name"]), read_mask_image(out / row["mask"])[0]
    assert not (label & defect).any()
    assert sampled[defect].max() < 230
    blend_radius = BLEND_RADIUS * 60 / SIDE
    far = (signed_distance(label) <= -blend_radius) & (signed_distance(defect) <= -blend_radius)
    assert np.array_equal(sampled[far], image[far])


def test_a_requested_brightness_is_the_images(tmp_path: Path) -> None:
    blender = save_blender(tmp_path / "net", strength=0.1)
    backgrounds = save_images(tmp_path / "backgrounds", 2)
    masks = save_masks_of(tmp_path / "masks", 60, 80)
    out = tmp_path / "out"
    arguments = ("--masks", masks, "--backgrounds", backgrounds, "--checkpoint", blender, "--out", out)
    assert not gen_defects(*arguments, "--guide", "brightness=0.3|0.5|0.6")
    check(out, backgrounds, BLEND_RADIUS * 60 / SIDE)
    for row in rows(out):
        image, label = read_image(out / row["file_name"]), read_mask_image(out / row["mask"])[0]
        shown, _ = reliable_brightness(image, label, round(3 * 60 / SIDE))
        assert shown == pytest.approx(row["guide"]["raw"]["brightness"], abs=0.02)


def test_a_requested_brightness_is_that_of_the_image_as_it_is_written(tmp_path: Path) -> None:
    blender = save_blender(tmp_path / "net", strength=0.1)
    backgrounds = save_images(tmp_path / "backgrounds", 2, height=120, width=160)
    masks = save_masks_of(tmp_path / "masks", 120, 160)
    out = tmp_path / "out"
    arguments = (
        "--masks",
        masks,
        "--backgrounds",
        backgrounds,
        "--checkpoint",
        blender,
        "--out",
        out,
        "--size",
        32,
    )
    assert not gen_defects(*arguments, "--guide", "brightness=0.4|0.5|0.6")
    for row in rows(out):
        image, label = read_image(out / row["file_name"]), read_mask_image(out / row["mask"])[0]
        assert brightness(image, label) == pytest.approx(row["guide"]["raw"]["brightness"], abs=0.02)


@pytest.mark.parametrize("size", [None, 32])
@pytest.mark.parametrize(("streak", "around", "requested"), [(60, 150, 0.3), (200, 80, 0.5)])
def test_a_defect_on_a_streak_of_its_own_sign_is_no_spot_of_the_other(
    tmp_path: Path, streak: int, around: int, requested: float, size: int | None
) -> None:
    """The background under the mask differs more from its ring than requested; the row says what the image shows."""
    blender = save_blender(tmp_path / "net", strength=0.1)
    masks = save_masks_of(tmp_path / "masks", 60, 80)
    backgrounds = save_images(tmp_path / "backgrounds", 1)
    for name in ("crack/a.png", "pit/b.png"):
        image = np.full((60, 80, 3), around, np.uint8)
        image[read_mask_image(masks / name)[0]] = streak
        (backgrounds / "part_0.png").write_bytes(encode_image(image))
        out = tmp_path / name.replace("/", "_")
        arguments = ("--masks", masks / name, "--backgrounds", backgrounds, "--checkpoint", blender, "--out", out)
        assert not gen_defects(*arguments, "--guide", f"brightness={requested}", *(("--size", size) if size else ()))
        (row,) = rows(out)
        image, label = read_image(out / row["file_name"]), read_mask_image(out / row["mask"])[0]
        shown = float(image[label].mean())
        assert shown < 110 if streak < around else shown > 150
        assert row["guide"]["scaled"]["brightness"] == pytest.approx(requested)
        assert abs(row["guide"]["raw"]["brightness"]) > 0.15


def test_the_class_that_a_sampled_grid_point_says_is_the_one_its_background_is_selected_for(
    tmp_path: Path, blender: Path
) -> None:
    masks = save_masks(tmp_path / "masks", ("1.png", "2.png"))
    request = Request(guide="kind=crack|pit,brightness=0.2|0.8", num=6, guide_mode="draw")
    plan = make_blend_plan(request, masks, save_images(tmp_path / "backgrounds"), blender)
    classes = [plan.jobs.class_of(job) for job in plan.jobs]
    assert classes == [plan.jobs.sample_guide(job, lambda: 3.0).label for job in plan.jobs]
    assert set(classes) == {"crack", "pit"}


def test_a_thickness_that_is_sampled_or_given_is_not_the_masks(tmp_path: Path, blender: Path) -> None:
    masks = save_masks(tmp_path / "masks", ("crack/1.png",))
    backgrounds = save_images(tmp_path / "backgrounds")
    known: list[float | None] = []

    def sample_row(fixed: object, share: float, width: float | None) -> dict[str, float | str | None]:
        known.append(width)
        return {"thickness": 5.0, "brightness": 0.1, "kind": "crack"}

    for guide in ("thickness=random", "thickness=1", "thickness=4px..5px", ""):
        plan = make_blend_plan(Request(guide=guide), masks, backgrounds, blender)
        plan.jobs.sample_guide(plan.jobs[0], lambda: 3.0, sample_row)
    assert known[0] is None
    assert known[1] == pytest.approx(6.0)
    assert known[2] is not None
    assert 4 <= known[2] <= 5
    assert known[3] == 3.0


def test_local_contrasts_of_the_training_defects_are_sampled_and_leave_the_rest_alone(tmp_path: Path) -> None:
    backgrounds = save_images(tmp_path / "backgrounds", 2, height=SIDE, width=SIDE)
    masks = save_masks(tmp_path / "masks", ["crack/a.png", "crack/b.png"])
    shown = []
    for number, band in enumerate((0.02, 0.12)):
        stem = save_blender(tmp_path / f"tiny-{number}", strength=3, local_contrasts=[(band, band, band)] * 7)
        out = tmp_path / f"out-{number}"
        guide = ("--guide", "brightness=0.2", "--num", 4)
        assert not gen_defects(
            "--masks", masks, "--backgrounds", backgrounds, "--checkpoint", stem, "--out", out, *guide
        )
        check(out, backgrounds, BLEND_RADIUS)
        rows, _ = read_manifest(out)
        shown.append(np.mean([local_contrast(*read_sample(row)) for row in rows], axis=0))
    assert np.all(shown[1] > 1.3 * shown[0])


@pytest.mark.parametrize("local_contrasts", [[(0.1, 0.1, 0.1)], [(0.1,)] * 7, [(0.1, 0.1, 2.0)] * 7])
def test_local_contrasts_that_do_not_fit_are_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], local_contrasts: list[tuple[float, ...]]
) -> None:
    backgrounds, masks = save_images(tmp_path / "backgrounds"), save_masks(tmp_path / "masks", ["crack/a.png"])
    stem = save_blender(tmp_path / "tiny", local_contrasts=local_contrasts)
    out = tmp_path / "out"
    assert gen_defects("--masks", masks, "--backgrounds", backgrounds, "--checkpoint", stem, "--out", out) == 1
    assert error_codes(capsys) == ["E-checkpoint-description"]
    assert not out.exists()


@pytest.mark.parametrize(("channels", "network"), [(1, 3), (3, 1), (3, 3)])
@pytest.mark.parametrize("size", [(), ("--size", 48)])
def test_a_local_contrast_fits_images_of_any_channels_and_images_of_any_size(
    tmp_path: Path, channels: int, network: int, size: tuple[object, ...]
) -> None:
    backgrounds = save_images(tmp_path / "backgrounds", channels=channels)
    masks = save_masks(tmp_path / "masks", ["crack/a.png"])
    stem = save_blender(tmp_path / "tiny", channels=network, strength=3, local_contrasts=[(0.05, 0.05, 0.02)] * 7)
    out = tmp_path / "out"
    words = (
        "--masks",
        masks,
        "--backgrounds",
        backgrounds,
        "--checkpoint",
        stem,
        "--out",
        out,
        "--guide",
        "brightness=0.3",
    )
    assert not gen_defects(*words, "--move", "--num", 3, *size)
    rows, issues = read_manifest(out, verify=True)
    assert len(rows) == 3
    assert not issues
