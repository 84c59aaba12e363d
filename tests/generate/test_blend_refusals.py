"""What gen-defects --backgrounds refuses: one line, no traceback, nothing written."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from defects.images.decode import encode_image
from tests.builders.blend import save_blender, save_images, save_masks_of, surface
from tests.builders.generate import crack, gen_defects, save_tiny_generator


@pytest.fixture(scope="module")
def blender(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_blender(tmp_path_factory.mktemp("blender") / "tiny")


@pytest.fixture
def given(tmp_path: Path, blender: Path) -> dict[str, object]:
    return {
        "--masks": save_masks_of(tmp_path / "masks", 60, 80),
        "--backgrounds": save_images(tmp_path / "grounds"),
        "--checkpoint": blender,
        "--out": tmp_path / "out",
    }


def refused(given: dict[str, object], capsys: pytest.CaptureFixture[str], *more: str, code: int = 1) -> str:
    """The errors of a run that writes nothing."""
    arguments = [text for pair in given.items() for text in pair]
    assert gen_defects(*arguments, *more) == code
    text = capsys.readouterr().err
    assert "Traceback" not in text
    assert text.startswith("error: ") or "\nerror: " in text
    assert not any(Path(str(given["--out"])).glob("images/*"))
    return text


def empty_folder(root: Path) -> Path:
    (root / "empty").mkdir()
    return root / "empty"


def only_defective(root: Path) -> Path:
    for folder, pixels in (("images", surface(0)), ("masks", crack(60) > 0)):
        (root / "bad" / folder).mkdir(parents=True)
        (root / "bad" / folder / "a.png").write_bytes(encode_image(pixels))
    return root / "bad"


def with_alpha(root: Path) -> Path:
    import cv2

    (root / "alpha").mkdir()
    cv2.imwrite(str(root / "alpha" / "a.png"), np.zeros((40, 40, 4), np.uint8))
    return root / "alpha"


def truncated(root: Path) -> Path:
    save_images(root / "cut", 2)
    data = (root / "cut" / "part_1.png").read_bytes()
    (root / "cut" / "part_1.png").write_bytes(data[:200])
    return root / "cut"


def held(root: Path) -> Path:
    (root / "heldout").mkdir()
    (root / "heldout" / "held.png").write_bytes(encode_image(surface(0)))
    return root / "heldout"


def tiny(root: Path) -> Path:
    return save_images(root / "small", 2, height=60, width=12)


@pytest.mark.parametrize(
    ("make", "text"),
    [
        (lambda root: root / "none", "no such file or folder; give --backgrounds"),
        (empty_folder, "holds no images"),
        (only_defective, "none of its 1 images is good"),
        (with_alpha, "alpha"),
        (truncated, "part_1.png"),
        (held, "held for testing"),
    ],
)
def test_backgrounds_that_cannot_be_used(
    given: dict[str, object],
    tmp_path: Path,
    make: Callable[[Path], Path],
    text: str,
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert text in refused(given | {"--backgrounds": make(tmp_path)}, capsys)


def test_a_mask_larger_than_every_background(
    given: dict[str, object], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    text = refused(given | {"--backgrounds": tiny(tmp_path)}, capsys, "--scale", "5,6")
    assert "fits into none of the 2 backgrounds, of 12 x 60 px at most" in text


def test_a_region_of_interest_that_is_empty_missing_or_too_small(
    given: dict[str, object], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    roi = tmp_path / "roi.png"
    assert "give --roi" in refused(given | {"--roi": roi}, capsys)
    roi.write_bytes(encode_image(np.zeros((60, 80), bool)))
    assert "the region of interest is empty" in refused(given | {"--roi": roi}, capsys)
    speck = np.zeros((60, 80), bool)
    speck[3, 3] = True
    roi.write_bytes(encode_image(speck))
    assert "regions of interest" in refused(given | {"--roi": roi}, capsys)
    roi.write_bytes(encode_image(np.ones((61, 80), bool)))
    assert "61" in refused(given | {"--roi": roi}, capsys)
    (tmp_path / "rois").mkdir()
    assert "no region of interest part_0.png" in refused(given | {"--roi": tmp_path / "rois"}, capsys)


def test_generator_and_flags_must_fit_together(
    given: dict[str, object], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    whole = save_tiny_generator(tmp_path / "whole")
    assert "generates whole images" in refused(given | {"--checkpoint": whole}, capsys, code=2)
    alone = {flag: value for flag, value in given.items() if flag != "--backgrounds"}
    assert "give --backgrounds" in refused(alone, capsys, code=2)
    assert "--rotate" in refused(alone, capsys, "--rotate", "0,5", code=2)
    assert "--scale" in refused(given, capsys, "--scale", "0.5", code=2)
    assert "lie inside one another" in refused(
        given | {"--out": Path(str(given["--backgrounds"])) / "out"}, capsys, code=2
    )


def test_a_run_goes_on_with_the_same_backgrounds_and_placement_only(
    given: dict[str, object], capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = [text for pair in given.items() for text in pair]
    assert gen_defects(*arguments) == 0
    assert gen_defects(*arguments, "--resume", "--move") == 2
    assert "was started with placement" in capsys.readouterr().err
    (Path(str(given["--backgrounds"])) / "part_1.png").write_bytes(encode_image(surface(9)))
    assert gen_defects(*arguments, "--resume") == 2
    assert "was started with backgrounds" in capsys.readouterr().err
