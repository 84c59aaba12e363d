"""`check-data` lists every issue of a folder at once, says what is in it, and what to do next."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from defects.cli.check_data import app
from defects.formats.dataset import open_dataset
from defects.formats.validation import check_images
from defects.images.decode import encode_image
from engine.commands import main
from tests import builders
from tests.builders import SIZE, bar, huge_png, noise_image, pillow_bytes, save, with_orientation


def _run(capsys: pytest.CaptureFixture[str], *arguments: str | Path) -> tuple[int, str, str]:
    code = main(app, [str(argument) for argument in arguments], name="check-data")
    shown = capsys.readouterr()
    return code, shown.out, shown.err


@pytest.mark.parametrize("layout", builders.LAYOUTS)
def test_a_sound_folder_of_any_layout_exits_0_and_names_the_next_command(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], layout: str
) -> None:
    root = builders.LAYOUTS[layout](tmp_path / "my data")
    code, out, _ = _run(capsys, root)
    assert code == 0
    assert f"layout {layout}" in out
    assert "no issues, no warnings" in out
    assert out.rstrip().endswith(f"next: train-gan '{root}'")


def test_the_table_says_classes_sizes_channels_groups_and_thickness(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    _, out, _ = _run(capsys, builders.sample_folder(tmp_path))
    lines = [line.split() for line in out.splitlines()]
    assert ["good", "1", "1", "0", "-", "-"] in lines
    crack = next(line for line in lines if line[0] == "crack")
    assert crack[:5] == ["crack", "3", "2", "3", "9.38"]
    assert 4.0 <= float(crack[-1]) <= 7.0
    assert "size: 32 x 24 px in 4 of 4" in out
    assert "channels: 4 RGB" in out


def test_json_holds_the_same(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    root = builders.sample_folder(tmp_path)
    code, out, _ = _run(capsys, root, "--json")
    result: dict[str, Any] = json.loads(out)
    assert code == 0
    assert result["layout"] == "sample_folder"
    assert (result["images"], result["groups"]) == (4, 2)
    assert result["kinds"]["crack"]["coverage"][1] == pytest.approx(72 / 768, abs=1e-4)
    assert result["sizes"] == [{"width": 32, "height": 24, "images": 4}]
    assert result["faults"] == result["warnings"] == []
    assert result["next"] == f"train-gan {root}"


PLANTED: dict[str, tuple[bytes, str]] = {
    "zero.png": (b"", "the file is empty (0 bytes); copy it again"),
    "corrupt.png": (b"\x89PNG\r\n\x1a\n1234", "not a readable image"),
    "truncated.png": (encode_image(noise_image())[:-50], "truncated"),
    "truncated.jpg": (encode_image(noise_image(), "jpg")[:-50], "truncated"),
    "huge.png": (huge_png(), "over the cap of 178000000; cut it into tiles"),
    "deep.png": (bytes(cv2.imencode(".png", np.full(SIZE, 9, np.uint16))[1]), "16-bit pixels, expected 8-bit"),
    "print.jpg": (pillow_bytes(noise_image(), "CMYK", "JPEG"), "CMYK"),
    "glass.png": (pillow_bytes(noise_image(), "RGBA", "PNG"), "alpha channel"),
}


def test_every_issue_of_a_folder_is_listed_at_once_with_its_remedy(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    root = builders.folders(tmp_path / "data", count=6)
    for name, (data, _) in PLANTED.items():
        stem, ending = name.rsplit(".", 1)
        (root / "images" / f"{stem}_{ending}.{ending}").write_bytes(data)
        save(root / "masks" / f"{stem}_{ending}.png", bar())
    save(root / "masks" / "part_1.png", bar((24, 40)))
    (root / "masks" / "part_2.png").write_bytes(b"")
    save(root / "images" / "crack" / "bare.png", noise_image())
    code, out, _ = _run(capsys, root)
    issues = [line for line in out.splitlines() if line.startswith("issue: ")]
    assert code == 1
    for name, (_, says) in PLANTED.items():
        stem, ending = name.rsplit(".", 1)
        assert sum(f"{stem}_{ending}.{ending}: " in line and says in line for line in issues) == 1
    assert any("part_1.png" in line and "40 x 24 but its image is 32 x 24" in line for line in issues)
    assert any("masks/part_2.png" in line and "0 bytes" in line for line in issues)
    assert any("bare.png: its mask is missing" in line for line in issues)
    assert len(issues) == len(PLANTED) + 3
    assert all("; " in line for line in issues)
    assert f"{len(issues)} issues; fix them and run check-data again" in out
    assert "next:" not in out


def test_issues_in_json_are_listed_and_exit_1(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    root = builders.folders(tmp_path)
    (root / "images" / "part_0.png").write_bytes(b"")
    code, out, _ = _run(capsys, root, "--json")
    result = json.loads(out)
    assert code == 1
    assert result["next"] is None
    assert result["faults"] == [
        {
            "path": str(root / "images" / "part_0.png"),
            "what": "the file is empty (0 bytes)",
            "remedy": "copy it again from its source or remove it",
        }
    ]


def test_gray_and_empty_masks_are_warnings(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    root = builders.folders(tmp_path)
    gray = bar().astype(np.uint8) * 255
    gray[0, :] = 90
    save(root / "masks" / "part_0.png", gray)
    save(root / "masks" / "part_1.png", np.zeros(SIZE, bool))
    code, out, _ = _run(capsys, root)
    warnings = [line for line in out.splitlines() if line.startswith("warning: ")]
    assert code == 0
    assert "part_0.png: the mask has gray values, read as defect from half of white" in warnings[0]
    assert "part_1.png: the mask of an image of class 'defect' is empty; mark the defect" in warnings[1]
    assert "no issues, 2 warnings" in out


def test_many_warnings_alike_are_one_line_unless_all_are_requested(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    root = builders.folders(tmp_path, count=7)
    for index in range(6):
        save(root / "masks" / f"part_{index}.png", np.zeros(SIZE, bool))
    _, out, _ = _run(capsys, root)
    assert out.count("warning: ") == 1
    assert "6 files, such as" in out
    assert "nothing to train a generator on" in out
    assert _run(capsys, root, "--all")[1].count("warning: ") == 6


def test_a_good_image_with_marks_is_an_issue(tmp_path: Path) -> None:
    root = builders.magnetic_tile(tmp_path)
    save(root / "MT_Free" / "Imgs" / "exp1_num_5020.png", bar())
    assert "called good but 72 pixels are marked; name its class" in str(check_images(open_dataset(root))[0])


def test_a_turned_image_with_an_untagged_mask_is_a_warning(tmp_path: Path) -> None:
    root = builders.folders(tmp_path)
    (root / "images" / "part_0.png").write_bytes(with_orientation(noise_image(), 6))
    issues = check_images(open_dataset(root))
    assert [issue.warning for issue in issues] == [True]
    assert "rotated by its EXIF tag" in issues[0].what


def test_a_changed_image_is_found_with_verify(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    root = builders.sample_folder(tmp_path)
    save(root / "images" / "part_0.png", noise_image(77))
    assert _run(capsys, root)[0] == 0
    code, out, _ = _run(capsys, root, "--verify")
    assert code == 1
    assert "sha256 differs" in out


def test_wrong_usage_is_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for arguments, code, says in (
        ([tmp_path / "none"], 1, "[E-dataset-no-folder]"),
        ([tmp_path], 1, "[E-dataset-empty]"),
        ([tmp_path, "--layout", "voc"], 2, "[E-dataset-unknown-layout]"),
        ([], 2, "DIR"),
        ([tmp_path, "--deep"], 2, "--deep"),
    ):
        got, out, err = _run(capsys, *arguments)
        assert (got, out) == (code, "")
        assert says in err
        assert len(err.strip().splitlines()) == 1


def test_a_name_that_is_no_utf8_is_escaped(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    root = builders.folders(tmp_path)
    (root / "images" / "caf\udce9.png").write_bytes(b"")
    for arguments in ([root], [root, "--json"]):
        code, out, _ = _run(capsys, *arguments)
        assert code == 1
        assert "caf\\udce9.png" in out


def test_help_imports_nothing_heavy() -> None:
    program = (
        "import sys\nfrom defects.cli.check_data import app\nfrom engine.commands import main\n"
        "main(app, ['--help'], name='check-data')\n"
        "print([name for name in ('numpy', 'cv2', 'torch', 'pydantic', 'PIL') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.rstrip().endswith("[]")
    assert "--layout" in done.stdout
