"""The Python API: three lines for each job, the same pixels as the commands, and helpful errors."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import gan
from defects.images.decode import encode_image, read_image, read_mask_image
from gan.generation.samples import masks_of
from tests.builders.errors import raises
from tests.builders.gan import TINY, sample_folder
from tests.builders.generate import ROOT, crack, gen_defects


@pytest.fixture(scope="module")
def mask() -> np.ndarray:
    return crack(128) > 0


def written(out: Path) -> tuple[list[np.ndarray], list[np.ndarray], list[dict[str, Any]]]:
    """Images, masks and rows of a sample folder."""
    rows = [json.loads(line) for line in (out / "metadata.jsonl").read_text().splitlines()]
    images = [read_image(out / row["file_name"]) for row in rows]
    return images, [read_mask_image(out / row["mask"])[0] for row in rows], rows


def test_generate_gives_the_pixels_of_gen_defects(mask: np.ndarray, tmp_path: Path) -> None:
    (tmp_path / "mask.png").write_bytes(encode_image(mask))
    g = gan.load("magna", device="cpu")
    s = g.generate(mask, num=3, seed=5, thickness=0.7, brightness=(0.2, 0.6), background=["dark", "zinc"])
    guide = "thickness=0.7,brightness=0.2..0.6,background=dark|zinc"
    arguments = ("--masks", tmp_path / "mask.png", "--num", 3, "--seed", 5, "--guide", guide, "--device", "cpu")
    assert gen_defects(*arguments, "--out", tmp_path / "out") == 0
    images, masks, rows = written(tmp_path / "out")
    assert (s.images.shape, s.images.dtype) == ((6, 128, 128, 3), np.uint8)  # type: ignore[union-attr]
    assert np.array_equal(s.images, np.stack(images))
    assert np.array_equal(s.masks, np.stack(masks))
    assert [one["scaled"]["background"] for one in s.attributes] == ["dark"] * 3 + ["zinc"] * 3
    assert [one["raw"] for one in s.attributes] == [row["guide"]["raw"] for row in rows]
    again = g.generate(tmp_path / "mask.png", num=3, seed=5, workers=1, thickness=0.7, brightness=(0.2, 0.6),
                       background=["dark", "zinc"])  # fmt: skip
    assert np.array_equal(s.images, again.images)


def test_blend_gives_the_pixels_of_gen_defects(tmp_path: Path) -> None:
    steel = np.random.default_rng(0).integers(90, 150, (140, 180, 3)).astype(np.uint8)
    pit = np.zeros((140, 180), bool)
    pit[60:72, 80:96] = True
    for name, pixels in (("steel.png", steel), ("mask.png", pit)):
        (tmp_path / name).write_bytes(encode_image(pixels))
    s = gan.load("blend", device="cpu").blend(steel, pit, num=2, seed=1, brightness=0.4, rotate=(-20, 20), move=True)
    arguments = ("--masks", tmp_path / "mask.png", "--backgrounds", tmp_path / "steel.png", "--num", 2, "--seed", 1,
                 "--guide", "brightness=0.4", "--rotate", "-20,20", "--move", "--device", "cpu")  # fmt: skip
    assert gen_defects(*arguments, "--out", tmp_path / "out") == 0
    images, masks, rows = written(tmp_path / "out")
    assert np.array_equal(s.images, np.stack(images))
    assert np.array_equal(s.masks, np.stack(masks))
    assert [one["placement"] for one in s.attributes] == [row["placement"] for row in rows]


def test_backgrounds_of_several_sizes_give_a_list() -> None:
    backgrounds = [np.full((140, side, 1), 110, np.uint8) for side in (150, 170)]
    pit = np.zeros((140, 150), bool)
    pit[60:66, 70:80] = True
    s = gan.load("blend", device="cpu").blend(backgrounds, [pit] * 4, seed=0, brightness="matched")
    assert {image.shape for image in s.images} <= {(140, 150, 1), (140, 170, 1)}
    assert len(s) == 4


def test_train_gives_a_generator(tmp_path: Path) -> None:
    overrides = {f"{section}.{key}": value for section, values in TINY.items() for key, value in values.items()}
    data = sample_folder(tmp_path / "data")
    g = gan.train(data, config="magna", out=tmp_path / "run", overrides=overrides | {"train.epochs": 1}, device="cpu")
    assert (g.size, g.channels, g.blends) == (32, 3, False)
    assert g.guides == ("thickness", "brightness", "background", "kind")
    assert g.generate(crack(40), kind="crack").attributes[0]["label"] == "crack"


@pytest.mark.parametrize(
    ("call", "code"),
    [
        (lambda mask: gan.load("magna").generate(mask, thicknes=0.7), "E-guide"),
        (lambda mask: gan.load("magna").generate(mask, num=0), "E-generate-range"),
        (lambda mask: gan.load("magna").generate(np.zeros_like(mask)), "E-masks-array"),
        (lambda mask: gan.load("magna").generate(mask[..., None]), "E-masks-array"),
        (lambda mask: gan.load("magna").blend(mask[..., None].astype(np.uint8), mask), "E-blend-whole-images"),
        (lambda mask: gan.load("blend").generate(mask), "E-generate-needs-backgrounds"),
        (lambda mask: gan.load("blend").blend(mask, mask), "E-blend-array"),
        (lambda mask: gan.load("magna", device="abacus"), "E-device"),
    ],
)
def test_wrong_arguments_are_named(call: Any, code: str, mask: np.ndarray) -> None:
    with pytest.raises(gan.MagnaError) as caught:
        call(mask)
    assert caught.value.code.startswith(code), caught.value


def test_an_unknown_configuration_is_refused(tmp_path: Path) -> None:
    with raises("E-config-unknown"):
        gan.train(tmp_path, config="magma", out=tmp_path / "run")


def test_the_package_imports_nothing_heavy_and_lists_its_names() -> None:
    code = "import sys, gan; dir(gan); print([m for m in ('torch', 'numpy', 'cv2', 'pydantic') if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
    assert all(hasattr(gan, name) for name in gan.__all__)


BAD_MASKS = {
    "text": np.array([["a", "b"]]),
    "none": None,
    "NaN": np.full((64, 64), np.nan),
    "negative": -np.eye(64),
    "complex": np.eye(64) * 1j,
    "faint": np.eye(64, dtype=np.uint8) * 100,
    "black": np.zeros((64, 64), bool),
    "no pixel": np.zeros((0, 0), np.uint8),
    "layers": np.ones((2, 64, 64), bool),
}


@pytest.mark.parametrize("mask", BAD_MASKS.values(), ids=BAD_MASKS.keys())
def test_a_mask_without_a_defect_or_of_no_numbers_is_refused(mask: Any) -> None:
    with raises("E-masks-array"):
        masks_of(mask)


def test_an_unknown_name_names_the_bundled_generators() -> None:
    with raises("E-checkpoint-missing", "magna, blend"):
        gan.load("nope")
