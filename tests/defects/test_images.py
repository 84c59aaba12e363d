"""Pixels are read as they are, turned once, and never guessed where a file is damaged."""

from __future__ import annotations

import warnings
from contextlib import suppress
from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from PIL import Image, ImageOps

from defects.images.decode import encode_image, image_info, read_image, read_mask_image, read_sample
from defects.masks.outlines import decode_rle, fill_polygons
from defects.sample import Sample
from engine.errors import DataError
from tests.builders import SIZE, bar, huge_png, noise_image, outline, pillow_bytes, runs, save, with_orientation
from tests.builders.errors import raises


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("format", ["png", "jpg", "webp"])
def test_an_encoded_image_reads_back_with_its_channels(tmp_path: Path, channels: int, format: str) -> None:
    smooth = np.linspace(40, 200, 24 * 32 * channels).reshape(24, 32, channels).astype(np.uint8)
    path = tmp_path / f"a.{format}"
    path.write_bytes(encode_image(smooth, format))  # type: ignore[arg-type]
    back = read_image(path)
    if format == "webp":  # knows no gray
        assert back.shape == (24, 32, 3)
    else:
        assert back.shape == smooth.shape
    assert np.abs(back.astype(int) - smooth).max() <= (0 if format == "png" else 12)


@given(arrays.arrays(np.uint8, st.tuples(st.integers(1, 20), st.integers(1, 20), st.sampled_from([1, 3]))))
def test_png_is_lossless(tmp_path_factory: pytest.TempPathFactory, pixels: np.ndarray) -> None:
    path = tmp_path_factory.mktemp("png") / "a.png"
    path.write_bytes(encode_image(pixels))
    assert np.array_equal(read_image(path), pixels)


def test_a_mask_is_written_as_black_and_white(tmp_path: Path) -> None:
    mask, binary = read_mask_image(save(tmp_path / "m.png", bar()))
    assert binary
    assert np.array_equal(mask, bar())


@pytest.mark.parametrize(
    "wrong",
    [np.zeros((4, 4), np.uint16), np.zeros((4, 4, 4), np.uint8), np.zeros(4, np.uint8), np.zeros((4, 4), np.float32)],
)
def test_encoding_refuses_what_is_no_image(wrong: np.ndarray) -> None:
    with pytest.raises(ValueError, match="expected uint8"):
        encode_image(wrong)


def test_encoding_refuses_an_unknown_format() -> None:
    with pytest.raises(ValueError, match="png, jpg or webp"):
        encode_image(noise_image(), "gif")  # type: ignore[arg-type]


@pytest.mark.parametrize("format", ["PNG", "JPEG"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_exif_rotation_is_applied_once_and_as_pillow_does(tmp_path: Path, orientation: int, format: str) -> None:
    path = tmp_path / "a.img"
    path.write_bytes(with_orientation(noise_image(), orientation, format))
    with Image.open(path) as stored:
        upright = np.asarray(ImageOps.exif_transpose(stored))
    back = read_image(path)
    assert back.shape == upright.shape
    assert np.abs(back.astype(int) - upright).max() <= (0 if format == "PNG" else 3)
    info = image_info(path)
    assert info.orientation == orientation
    assert info.upright == back.shape[:2]


@pytest.mark.parametrize("tagged", [True, False], ids=["mask with tag", "mask as stored"])
def test_a_mask_turns_with_its_image(tmp_path: Path, tagged: bool) -> None:
    (tmp_path / "a.png").write_bytes(with_orientation(noise_image(), 6))
    stored = bar().astype(np.uint8) * 255
    (tmp_path / "m.png").write_bytes(with_orientation(stored[..., None], 6) if tagged else encode_image(bar()))
    image, mask = read_sample(Sample("a", tmp_path / "a.png", tmp_path / "m.png", label="crack"))
    assert image.shape[:2] == mask.shape == SIZE[::-1]
    assert np.array_equal(mask, np.rot90(bar(), -1))
    assert (image[mask] == 20).all()


def test_a_mask_of_the_upright_image_is_not_turned_again(tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(with_orientation(noise_image(), 6))
    save(tmp_path / "m.png", np.ascontiguousarray(np.rot90(bar(), -1)))
    image, mask = read_sample(Sample("a", tmp_path / "a.png", tmp_path / "m.png", label="crack"))
    assert (image[mask] == 20).all()


def _sixteen_bit() -> bytes:
    return bytes(cv2.imencode(".png", np.full(SIZE, 30_000, np.uint16))[1])


FAULTY = {
    "0 bytes": b"",
    "corrupt": b"\x89PNG\r\n\x1a\nnot an image at all",
    "not a readable image": b"just some text",
    "truncated png": encode_image(noise_image())[:-40],
    "truncated jpeg": encode_image(noise_image(), "jpg")[:-60],
    "huge": huge_png(),
    "16-bit": _sixteen_bit(),
    "16-bit rgb": bytes(cv2.imencode(".png", np.full((*SIZE, 3), 30_000, np.uint16))[1]),
    "CMYK": pillow_bytes(noise_image(), "CMYK", "JPEG"),
    "alpha": pillow_bytes(noise_image(), "RGBA", "PNG"),
    "gray alpha": pillow_bytes(noise_image(channels=1)[..., 0], "LA", "PNG"),
}
CODES = {
    "0 bytes": "E-image-empty-file",
    "corrupt": "E-image-damaged",
    "not a readable image": "E-image-damaged",
    "truncated png": "E-image-damaged",
    "truncated jpeg": "E-image-damaged",
    "huge": "E-image-too-large",
    "16-bit": "E-image-depth",
    "16-bit rgb": "E-image-depth",
    "CMYK": "E-image-cmyk",
    "alpha": "E-image-alpha",
    "gray alpha": "E-image-alpha",
}


@pytest.mark.parametrize("issue", FAULTY)
def test_a_faulty_image_is_one_line_with_file_and_remedy(tmp_path: Path, issue: str) -> None:
    path = tmp_path / "bad ünï.png"
    path.write_bytes(FAULTY[issue])
    with raises(CODES[issue]) as caught:
        read_image(path)
    assert str(caught.value).startswith(f"{path}: ")
    assert "; " in str(caught.value)  # what to do
    assert "\n" not in str(caught.value)


def test_a_flipped_bit_in_a_png_is_found(tmp_path: Path) -> None:
    data = bytearray(encode_image(noise_image()))
    data[len(data) // 2] ^= 1
    (tmp_path / "a.png").write_bytes(data)
    with raises("E-image-damaged"):
        read_image(tmp_path / "a.png")


@given(st.integers(1, 400))
def test_no_cut_of_a_file_passes_as_an_image(tmp_path_factory: pytest.TempPathFactory, cut: int) -> None:
    for format in ("png", "jpg"):
        data = encode_image(noise_image(), format)
        path = tmp_path_factory.mktemp("cut") / f"a.{format}"
        path.write_bytes(data[: -min(cut, len(data) - 1)])
        with pytest.raises(DataError):
            read_image(path)


def test_a_jpeg_whose_end_is_only_zeros_is_truncated(tmp_path: Path) -> None:
    data = encode_image(noise_image(size=(200, 300)), "jpg")
    (tmp_path / "a.jpg").write_bytes(data[: len(data) // 2] + bytes(len(data) // 2))
    with raises("E-image-damaged"):
        read_image(tmp_path / "a.jpg")
    (tmp_path / "b.jpg").write_bytes(data + b"\0 some maker's note")
    assert read_image(tmp_path / "b.jpg").shape == (200, 300, 3)


def test_a_missing_file_is_refused(tmp_path: Path) -> None:
    with raises("E-image-missing"):
        read_image(tmp_path / "none.png")


def test_the_pixel_cap_can_be_set(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = save(tmp_path / "a.png", noise_image())
    monkeypatch.setenv("MAGNA_MAX_PIXELS", "100")
    with raises("E-image-too-large"):
        read_image(path)
    monkeypatch.setenv("MAGNA_MAX_PIXELS", "many")
    with raises("E-image-too-large"):
        read_image(path)


def test_16_bit_is_scaled_only_on_purpose(tmp_path: Path) -> None:
    values = np.array([[0, 257, 128 * 257, 65535]], np.uint16)
    (tmp_path / "a.png").write_bytes(bytes(cv2.imencode(".png", values)[1]))
    assert read_image(tmp_path / "a.png", depth16="scale")[..., 0].tolist() == [[0, 1, 128, 255]]
    assert image_info(tmp_path / "a.png").depth == 16


def test_a_gray_mask_is_thresholded_at_half_and_says_so(tmp_path: Path) -> None:
    path = save(tmp_path / "m.png", np.array([[0, 127, 128, 255]], np.uint8))
    mask, binary = read_mask_image(path)
    assert mask.tolist() == [[False, False, True, True]]
    assert not binary


def test_class_numbers_are_a_mask_too(tmp_path: Path) -> None:
    mask, binary = read_mask_image(save(tmp_path / "m.png", bar().astype(np.uint8)))
    assert binary
    assert np.array_equal(mask, bar())


def test_a_palette_mask_is_read_by_its_color(tmp_path: Path) -> None:
    indexed = Image.fromarray(bar().astype(np.uint8)).convert("P")
    indexed.putpalette([0, 0, 0, 128, 0, 0] + [0] * 762)
    indexed.save(tmp_path / "m.png")
    assert np.array_equal(read_mask_image(tmp_path / "m.png")[0], bar())


def test_a_mask_of_another_size_is_refused(tmp_path: Path) -> None:
    path = save(tmp_path / "m.png", bar((24, 40)))
    with raises("E-mask-size", "40 x 24 but its image is 32 x 24; export the mask again"):
        read_mask_image(path, SIZE)


def test_a_defect_without_mask_is_refused_and_a_good_part_has_an_empty_one(tmp_path: Path) -> None:
    path = save(tmp_path / "a.png", noise_image())
    with raises("E-mask-missing"):
        read_sample(Sample("a", path, label="crack"))
    assert not read_sample(Sample("a", path))[1].any()


def test_an_outline_fills_exactly_its_pixels() -> None:
    mask = np.zeros(SIZE, dtype=bool)
    fill_polygons(mask, [tuple((x, y) for x, y in outline())])
    assert np.array_equal(mask, bar())


def test_an_outline_thinner_than_a_pixel_or_beyond_the_edge_is_not_lost() -> None:
    mask = np.zeros(SIZE, dtype=bool)
    fill_polygons(mask, [((5.1, 5.1), (5.3, 5.1), (5.3, 5.2))])
    assert mask.sum() == 1
    fill_polygons(mask, [((28.0, 20.0), (90.0, 20.0), (90.0, 90.0), (28.0, 90.0))])
    assert mask[20:, 28:].all()


@given(arrays.arrays(np.bool_, st.tuples(st.integers(1, 12), st.integers(1, 12))))
def test_run_lengths_decode_as_pycocotools_encodes_them(mask: np.ndarray) -> None:
    from pycocotools import mask as reference

    compressed = reference.encode(np.asfortranarray(mask.astype(np.uint8)))
    text = {"size": compressed["size"], "counts": compressed["counts"].decode()}
    assert np.array_equal(decode_rle(text), mask)
    assert np.array_equal(decode_rle({"size": mask.shape, "counts": runs(mask)}), mask)


@pytest.mark.parametrize("rle", [{}, {"size": [2, 2], "counts": [1, 2]}, {"size": [2, 2], "counts": "\x01"}])
def test_damaged_run_lengths_are_refused(rle: dict[str, object]) -> None:
    with pytest.raises(ValueError, match=r"expected|unexpected"):
        decode_rle(rle)


@given(st.sampled_from(["PNG", "JPEG", "BMP", "TIFF", "WEBP", "GIF"]), st.data())
def test_no_damage_raises_anything_but_a_data_error(
    tmp_path_factory: pytest.TempPathFactory, format: str, data: st.DataObject
) -> None:
    damaged = bytearray(pillow_bytes(noise_image(), "RGB", format))
    for _ in range(data.draw(st.integers(1, 4))):
        damaged[data.draw(st.integers(0, len(damaged) - 1))] = data.draw(st.integers(0, 255))
    path = tmp_path_factory.mktemp("fuzz") / "a"
    path.write_bytes(damaged)
    with warnings.catch_warnings(), suppress(DataError):
        warnings.simplefilter("ignore")  # Pillow's warnings of damaged tags
        assert read_image(path).ndim == 3
