"""Bad input ends in one line that names the file and the remedy, before anything is written."""

from __future__ import annotations

import json
import re
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from PIL import Image

from engine.runtime.device import select_device
from tests.builders.errors import error_codes, raises
from tests.builders.generate import crack, gen_defects, recorded, save_masks, save_tiny_generator, tree_hash


def _png(array: np.ndarray) -> bytes:
    return bytes(cv2.imencode(".png", array)[1])


def _fails(capsys: pytest.CaptureFixture[str], out: Path, *arguments: object, match: str, code: int = 1) -> list[str]:
    assert gen_defects(*arguments, "--out", out) == code
    lines = capsys.readouterr().err.splitlines()
    assert any(re.search(match, line) for line in lines), lines
    assert all(line.startswith("error: ") for line in lines), lines
    assert not out.exists()
    return lines


def test_all_bad_masks_are_listed_at_once(
    tmp_path: Path, checkpoint: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MAGNA_MAX_PIXELS", "20000")
    folder = save_masks(tmp_path / "masks", ["good.png"])
    good = (folder / "good.png").read_bytes()
    (folder / "truncated.png").write_bytes(good[:-30])
    (folder / "corrupt.png").write_bytes(good[:60] + bytes(20) + good[80:])
    (folder / "nothing.png").write_bytes(b"")
    (folder / "text.png").write_bytes(b"not an image")
    (folder / "black.png").write_bytes(_png(np.zeros((40, 40), np.uint8)))
    (folder / "huge.png").write_bytes(_png(crack(160)))
    (folder / "deep.png").write_bytes(_png(crack().astype(np.uint16) * 257))
    (folder / "alpha.png").write_bytes(_png(np.dstack([crack()] * 4)))
    Image.fromarray(np.dstack([crack()] * 4), "CMYK").save(folder / "inks.jpg")
    expected = {
        "truncated.png": "truncated .*; copy it again",
        "corrupt.png": "corrupt .*; copy it again",
        "nothing.png": "empty .0 bytes.; copy it again",
        "text.png": "not a readable image .*; copy it again",
        "black.png": "the mask is empty; draw the defect in white, or remove it",
        "huge.png": "160 x 160 pixels is over the cap of 20000; .*MAGNA_MAX_PIXELS",
        "deep.png": "16-bit pixels, expected 8-bit; scale it",
        "alpha.png": "alpha channel .*; save it without",
        "inks.jpg": "CMYK .*; convert it",
    }
    lines = _fails(capsys, tmp_path / "out", "--masks", folder, "--checkpoint", checkpoint, match="truncated")
    assert len(lines) == len(expected)
    for name, text in expected.items():
        assert any(re.search(f"{name}: .*{text}", line) for line in lines), (name, lines)


def test_names_that_collide_and_links_that_leave_are_listed_at_once(
    tmp_path: Path, checkpoint: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = save_masks(tmp_path / "masks", ["a.png", "A.png", "b.png", "b.bmp", "long/" + "x" * 230 + ".png"])
    elsewhere = save_masks(tmp_path / "elsewhere", ["secret.png"])
    (folder / "link.png").symlink_to(elsewhere / "secret.png")
    lines = _fails(capsys, tmp_path / "out", "--masks", folder, "--checkpoint", checkpoint,
                   match="upper and lower case")  # fmt: skip
    assert len(lines) == 4
    assert any(re.search(r"b\.\w+: has the same name as b\.\w+; rename", line) for line in lines)
    assert any("link.png: a symlink that leaves the folder; copy the file itself" in line for line in lines)
    assert any("the name is too long" in line for line in lines)


def test_gray_masks_are_thresholded_at_half_and_reported(
    tmp_path: Path, checkpoint: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = save_masks(tmp_path / "masks", ["sharp.png"])
    gray = cv2.GaussianBlur(crack(48, thickness=7), (5, 5), 0)
    (folder / "gray.png").write_bytes(_png(gray))
    arguments = ("--masks", folder, "--checkpoint", checkpoint, "--out", tmp_path / "out")
    assert gen_defects(*arguments) == 0
    warnings = [line for line in capsys.readouterr().err.splitlines() if line.startswith("warning")]
    assert len(warnings) == 1
    assert re.search(r"gray\.png: holds gray levels, taken as defect from half of white up; save it as", warnings[0])
    (folder / "gray.png").write_bytes(_png((gray >= 128).astype(np.uint8) * 255))
    assert gen_defects(*arguments[:-1], tmp_path / "sharp") == 0
    assert (tmp_path / "out/masks/gray-000.png").read_bytes() == (tmp_path / "sharp/masks/gray-000.png").read_bytes()


@pytest.mark.parametrize(
    ("arguments", "error", "code"),
    [
        (["--guide", "thicknes=0.7"], "E-guide-unknown-entry", 2),
        (["--guide", "thickness=nan"], "E-guide-number", 2),
        (["--guide", "thickness=1.2"], "E-guide-range", 2),
        (["--guide", "brightness=measured"], "E-guide-not-measurable", 2),
        (["--guide", "kind=crak"], "E-guide-unknown-class", 2),
        (["--labels", "mask,kokos"], "E-generate-unknown-value", 2),
        (["--format", "tiff"], "E-generate-unknown-value", 2),
        (["--guide-mode", "all"], "E-generate-unknown-value", 2),
        (["--size", "7"], "E-generate-range", 2),
        (["--device", "tpu7"], "E-device", 2),
        (["--precision", "int4"], "E-precision", 2),
        (["--num", "0"], "", 2),
        (["--label", "good"], "E-generate-label", 2),
        (["--masks", "/no/such"], "E-masks-missing", 1),
        (["--checkpoint", "x.pth"], "E-checkpoint-missing", 1),
        (["--checkpoint", "/no/such"], "E-checkpoint-missing", 1),
    ],
)
def test_wrong_arguments(
    arguments: list[str], error: str, code: int,
    masks: Path, checkpoint: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    given = ["--masks", masks, "--checkpoint", checkpoint, *arguments]
    (line,) = _fails(capsys, tmp_path / "out", *given, match="", code=code)
    assert line.endswith(f" [{error}]" if error else "see `gen-defects --help`")


def test_a_folder_without_masks_and_a_file_that_is_no_image(
    tmp_path: Path, checkpoint: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "none").mkdir()
    (tmp_path / "notes.txt").write_text("x")
    cases = (("none", "E-masks-missing"), ("notes.txt", "E-masks-not-an-image"))
    for name, match in cases:
        _fails(capsys, tmp_path / "out", "--masks", tmp_path / name, "--checkpoint", checkpoint, match=match)


def test_a_folder_in_use_and_a_resume_with_other_settings_are_refused(
    masks: Path, checkpoint: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    arguments = ["--masks", masks / "4.png", "--checkpoint", checkpoint, "--out", out]
    assert gen_defects(*arguments) == 0
    assert gen_defects(*arguments) == 1
    assert error_codes(capsys) == ["E-out-not-empty"]
    other = save_tiny_generator(tmp_path / "other", classes=())
    for changed in (
        ["--seed", 1],
        ["--format", "jpg"],
        ["--guide", "thickness=0.5"],
        ["--masks", masks / "crack"],
        ["--checkpoint", other],
    ):
        assert gen_defects(*arguments, *changed, "--resume") == 2
        assert error_codes(capsys) == ["E-resume-settings"]
    assert recorded(out) == 1
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine/thesis.txt").write_text("x")
    assert gen_defects(*arguments[:-1], tmp_path / "mine", "--resume") == 1
    assert error_codes(capsys) == ["E-resume-no-run"]


@pytest.mark.parametrize("name", ["good", "Good"])
def test_a_folder_of_good_parts_that_holds_defects_is_refused_in_one_line(
    tmp_path: Path, checkpoint: Path, capsys: pytest.CaptureFixture[str], name: str
) -> None:
    folder = save_masks(tmp_path / "masks", [f"{name}/1.png", f"{name}/2.png", "crack/3.png"])
    lines = _fails(capsys, tmp_path / "out", "--masks", folder, "--checkpoint", checkpoint,
                   match="E-masks-good-label")  # fmt: skip
    assert len(lines) == 1


@pytest.mark.parametrize(
    ("given", "out"), [("masks", "masks/out"), ("masks", "masks"), ("masks", "."), ("masks/1.png", "masks")]
)
def test_out_and_masks_inside_one_another_are_refused(
    tmp_path: Path, checkpoint: Path, capsys: pytest.CaptureFixture[str], given: str, out: str
) -> None:
    masks = save_masks(tmp_path / "masks", ["1.png"])
    before = tree_hash(tmp_path)
    assert gen_defects("--masks", tmp_path / given, "--checkpoint", checkpoint, "--out", tmp_path / out) == 2
    assert error_codes(capsys) == ["E-out-overlaps-input"]
    assert tree_hash(tmp_path) == before
    assert masks.is_dir()


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("table", None),
        ("table", 3),
        ("table", [1]),
        ("guides", None),
        ("guides", {"entries": [{"name": "a", "low": "x", "high": 1}]}),
    ],
)
def test_a_checkpoint_with_a_damaged_description_is_one_line(
    masks: Path, checkpoint: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], key: str, value: object
) -> None:
    copy = tmp_path / "copy.safetensors"
    copy.write_bytes(checkpoint.read_bytes())
    description = json.loads(checkpoint.with_suffix(".json").read_text(encoding="utf-8"))
    description["meta"][key] = value
    copy.with_suffix(".json").write_text(json.dumps(description), encoding="utf-8")
    lines = _fails(capsys, tmp_path / "out", "--masks", masks, "--checkpoint", copy,
                   match="E-checkpoint-description")  # fmt: skip
    assert len(lines) == 1


def test_a_cuda_device_that_is_not_there_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    assert select_device("cuda:1").index == 1
    with raises("E-device", "the last CUDA device is cuda:1"):
        select_device("cuda:2")
