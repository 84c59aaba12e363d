"""What gen-defects --backgrounds refuses: one line, no traceback, nothing written."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from defects.images.decode import encode_image
from tests.builders.blend import save_blender, save_images, save_masks_of, surface
from tests.builders.errors import error_codes
from tests.builders.generate import crack, gen_defects, save_tiny_generator


@pytest.fixture(scope="module")
def blender(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_blender(tmp_path_factory.mktemp("blender") / "tiny")


@pytest.fixture
def given(tmp_path: Path, blender: Path) -> dict[str, object]:
    return {
        "--masks": save_masks_of(tmp_path / "masks", 60, 80),
        "--backgrounds": save_images(tmp_path / "backgrounds"),
        "--checkpoint": blender,
        "--out": tmp_path / "out",
    }


def refused(given: dict[str, object], capsys: pytest.CaptureFixture[str], *more: str, code: int = 1) -> set[str]:
    """The codes of the errors of a run that writes nothing."""
    arguments = [text for pair in given.items() for text in pair]
    assert gen_defects(*arguments, *more) == code
    assert not any(Path(str(given["--out"])).glob("images/*"))
    return set(error_codes(capsys))


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
    ("make", "error"),
    [
        (lambda root: root / "none", "E-blend-no-backgrounds"),
        (empty_folder, "E-blend-no-backgrounds"),
        (only_defective, "E-blend-no-good"),
        (with_alpha, "E-image-alpha"),
        (truncated, "E-image-damaged"),
        (held, "E-blend-all-held-out"),
    ],
)
def test_backgrounds_that_cannot_be_used(
    given: dict[str, object],
    tmp_path: Path,
    make: Callable[[Path], Path],
    error: str,
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert refused(given | {"--backgrounds": make(tmp_path)}, capsys) == {error}


def test_a_mask_larger_than_every_background(
    given: dict[str, object], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    small = given | {"--backgrounds": tiny(tmp_path)}
    assert refused(small, capsys, "--scale", "5,6") == {"E-blend-no-room"}


def test_a_region_of_interest_that_is_empty_missing_or_too_small(
    given: dict[str, object], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    roi = tmp_path / "roi.png"
    assert refused(given | {"--roi": roi}, capsys) == {"E-blend-roi-missing"}
    roi.write_bytes(encode_image(np.zeros((60, 80), bool)))
    assert refused(given | {"--roi": roi}, capsys) == {"E-blend-roi-empty"}
    speck = np.zeros((60, 80), bool)
    speck[3, 3] = True
    roi.write_bytes(encode_image(speck))
    assert refused(given | {"--roi": roi}, capsys) == {"E-blend-no-room"}
    roi.write_bytes(encode_image(np.ones((61, 80), bool)))
    assert refused(given | {"--roi": roi}, capsys) == {"E-mask-size"}
    (tmp_path / "rois").mkdir()
    assert refused(given | {"--roi": tmp_path / "rois"}, capsys) == {"E-blend-roi-missing"}


def test_generator_and_flags_must_fit_together(
    given: dict[str, object], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    whole = save_tiny_generator(tmp_path / "whole")
    assert refused(given | {"--checkpoint": whole}, capsys, code=2) == {"E-blend-whole-images"}
    alone = {flag: value for flag, value in given.items() if flag != "--backgrounds"}
    assert refused(alone, capsys, code=2) == {"E-generate-needs-backgrounds"}
    assert refused(alone, capsys, "--rotate", "0,5", code=2) == {"E-generate-needs-backgrounds"}
    assert refused(given, capsys, "--scale", "0.5", code=2) == {"E-blend-range"}
    inside = given | {"--out": Path(str(given["--backgrounds"])) / "out"}
    assert refused(inside, capsys, code=2) == {"E-out-overlaps-input"}


def test_a_run_goes_on_with_the_same_backgrounds_and_placement_only(
    given: dict[str, object], capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = [text for pair in given.items() for text in pair]
    assert gen_defects(*arguments) == 0
    assert gen_defects(*arguments, "--resume", "--move") == 2
    assert error_codes(capsys) == ["E-resume-settings"]
    (Path(str(given["--backgrounds"])) / "part_1.png").write_bytes(encode_image(surface(9)))
    assert gen_defects(*arguments, "--resume") == 2
    assert error_codes(capsys) == ["E-resume-settings"]
