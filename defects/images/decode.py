"""Decoding and encoding: the only place that turns files into pixels and back.

A file is read once; its header (size, depth, orientation) and its pixels come from the same bytes.
"""

from __future__ import annotations

import io
import os
import struct
import threading
import zlib
from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, get_args

import cv2
import numpy as np
import numpy.typing as npt

from defects.attributes.appearance import luminance
from defects.masks.outlines import decode_rle, fill_polygons
from defects.sample import GOOD, Sample
from engine.errors import DataError, UsageError

if TYPE_CHECKING:
    from PIL import Image

MAX_PIXELS = 178_000_000
_PNG = b"\x89PNG\r\n\x1a\n"
_ORIENTATION = 0x0112
_CHANNELS = {"1": 1, "L": 1, "I;16": 1, "I;16B": 1, "I": 1, "F": 1, "LA": 2, "PA": 4, "RGBA": 4, "CMYK": 4}
# What Pillow raises on damaged headers; found by damaging every format at random.
_DAMAGE = (
    OSError, EOFError, SyntaxError, ArithmeticError, LookupError, TypeError, ValueError, AttributeError, MemoryError,
    struct.error,
)  # fmt: skip
_pillow_cap = threading.Lock()


@dataclass(frozen=True)
class ImageInfo:
    """The header of an image file.

    Attributes:
        width: Columns as stored, before the EXIF rotation.
        height: Rows as stored.
        channels: Channels as stored, alpha included; a palette counts as its colors.
        depth: Bits a channel.
        orientation: EXIF orientation, 1 (upright) to 8.
        alpha: Whether there is transparency.
        cmyk: Whether the colors are inks.
        format: Such as `PNG`.
    """

    width: int
    height: int
    channels: int
    depth: int = 8
    orientation: int = 1
    alpha: bool = False
    cmyk: bool = False
    format: str = ""

    @property
    def upright(self) -> tuple[int, int]:
        """(height, width) after the EXIF rotation."""
        return (self.width, self.height) if self.orientation >= 5 else (self.height, self.width)


def max_pixels() -> int:
    """The largest number of pixels that is opened: `MAGNA_MAX_PIXELS`, or 178 million.

    Raises:
        DataError: The variable is not a positive whole number.
    """
    text = os.environ.get("MAGNA_MAX_PIXELS", "")
    if not text:
        return MAX_PIXELS
    try:
        value = int(text)
    except ValueError:
        value = 0
    if value <= 0:
        raise DataError(
            f"MAGNA_MAX_PIXELS={text!r}: expected a positive whole number; set it to such as {MAX_PIXELS}",
            code="E-image-too-large",
        )
    return value


def read_bytes(path: Path) -> bytes:
    """The bytes of an image file.

    Raises:
        DataError: It is missing, empty or not readable.
    """
    try:
        data = path.read_bytes()
    except FileNotFoundError:
        raise DataError(
            f"{path}: no such file; restore it or take its row or annotation out", code="E-image-missing"
        ) from None
    except OSError as error:
        raise DataError(
            f"{path}: cannot be read ({error.strerror}); check its permissions", code="E-image-unreadable"
        ) from None
    if not data:
        raise DataError(
            f"{path}: the file is empty (0 bytes); copy it again from its source or remove it",
            code="E-image-empty-file",
        )
    return data


def image_info(path: Path) -> ImageInfo:
    """What the header of the file says; no pixel is decoded and nothing but an unreadable or huge file is refused.

    Raises:
        DataError: Missing, empty, not an image, or larger than the pixel cap.
    """
    return parse_info(read_bytes(path), path)


def parse_info(data: bytes, path: Path) -> ImageInfo:
    """`image_info` for bytes already read; `path` is only named in messages.

    Raises:
        DataError: Not an image, or larger than the pixel cap.
    """
    try:
        image = _open(data)
    except _DAMAGE:
        raise DataError(
            f"{path}: not a readable image (corrupt or of an unknown format); "
            "copy it again from its source or save it as PNG or JPEG",
            code="E-image-damaged",
        ) from None
    width, height = image.size
    if width * height > max_pixels():
        raise DataError(
            f"{path}: {width} x {height} pixels is over the cap of {max_pixels()}; "
            "cut it into tiles, or set MAGNA_MAX_PIXELS higher",
            code="E-image-too-large",
        )
    mode = image.mode
    alpha = mode in {"LA", "PA", "RGBA", "La", "RGBa"} or "transparency" in image.info
    depth = 16 if mode.startswith("I") else 32 if mode == "F" else 8
    if data.startswith(_PNG) and len(data) > 24:  # Pillow shows a 16-bit RGB PNG as 8-bit
        depth = max(8, data[24])
    orientation = 1
    if image.format != "PNG" or b"eXIf" in data or "exif" in image.info:  # else getexif() decodes the PNG
        try:
            orientation = int(image.getexif().get(_ORIENTATION, 1))
        except _DAMAGE:
            orientation = 1  # a damaged EXIF block says nothing of the orientation
    return ImageInfo(
        width,
        height,
        _CHANNELS.get(mode, 3) if mode != "P" else 3 + alpha,
        depth,
        orientation if 1 <= orientation <= 8 else 1,
        alpha,
        mode == "CMYK",
        image.format or "",
    )


def refuse_damaged(data: bytes, path: Path, info: ImageInfo) -> None:
    """Refuse a file whose end is missing or whose checksums fail; OpenCV would fill the rest with gray.

    Raises:
        DataError: Truncated or corrupt.
    """
    if info.format == "PNG":
        _walk_png(data, path)
    elif info.format in ("JPEG", "MPO"):
        # Within a scan 0xFF is always escaped, so the end marker after the last scan's start is a real one.
        if data.rfind(b"\xff\xd9") < data.rfind(b"\xff\xda"):
            raise DataError(_truncated(path), code="E-image-damaged")
    else:
        try:
            _open(data).load()
        except _DAMAGE as error:
            raise DataError(
                _truncated(path) if "truncated" in str(error) else _corrupt(path), code="E-image-damaged"
            ) from None


def _open(data: bytes) -> Image.Image:
    """Pillow's view of the header, without its own cap, which warns or raises by a global."""
    from PIL import Image

    with _pillow_cap:
        cap, Image.MAX_IMAGE_PIXELS = Image.MAX_IMAGE_PIXELS, None
        try:
            return Image.open(io.BytesIO(data))
        finally:
            Image.MAX_IMAGE_PIXELS = cap


def _walk_png(data: bytes, path: Path) -> None:
    """Every chunk whole, its checksum right, and the end chunk there."""
    at = len(_PNG)
    while at + 12 <= len(data):
        length = int.from_bytes(data[at : at + 4], "big")
        end = at + 12 + length
        if end > len(data):
            break
        chunk_type = data[at + 4 : at + 8]
        if zlib.crc32(data[at + 4 : end - 4]) != int.from_bytes(data[end - 4 : end], "big"):
            raise DataError(_corrupt(path), code="E-image-damaged")
        if chunk_type == b"IEND":
            return
        at = end
    raise DataError(_truncated(path), code="E-image-damaged")


def _truncated(path: Path) -> str:
    return f"{path}: the file is truncated (its end is missing); copy it again from its source or remove it"


def _corrupt(path: Path) -> str:
    return f"{path}: the file is corrupt (its contents do not decode); copy it again from its source or remove it"


Depth16 = Literal["refuse", "scale"]
Format = Literal["png", "jpg", "webp"]

cv2.utils.logging.setLogLevel(cv2.utils.logging.LOG_LEVEL_SILENT)  # a DataError says it with the file's name

# Level 1, run lengths, filter Up: 128 px tiles of real images in 0.15 (gray) and 0.10 (RGB) of Pillow's default time,
# files 4 % and 25 % larger; masks want no filter: a quarter of the time and smaller. Sub and Huffman were no better.
_PNG_SETTINGS = [cv2.IMWRITE_PNG_COMPRESSION, 1, cv2.IMWRITE_PNG_STRATEGY, cv2.IMWRITE_PNG_STRATEGY_RLE]
_SETTINGS: dict[str, list[int]] = {
    "png": [*_PNG_SETTINGS, cv2.IMWRITE_PNG_FILTER, cv2.IMWRITE_PNG_FILTER_UP],
    "jpg": [cv2.IMWRITE_JPEG_QUALITY, 95],
    "webp": [cv2.IMWRITE_WEBP_QUALITY, 95],
}
_MASK_PNG = [*_PNG_SETTINGS, cv2.IMWRITE_PNG_FILTER, cv2.IMWRITE_PNG_FILTER_NONE]


def read_image(path: Path, *, depth16: Depth16 = "refuse") -> npt.NDArray[np.uint8]:
    """Decode an image, upright, with the channels the file has.

    Args:
        path: PNG, JPEG, BMP, TIFF or WebP.
        depth16: `refuse` a 16-bit file, or `scale` its range 0..65535 to 0..255 on purpose.

    Returns:
        (H, W, 3) RGB or (H, W, 1) gray.

    Raises:
        DataError: Missing, empty, truncated, corrupt, over the pixel cap, 16-bit, CMYK or with alpha.
    """
    data = read_bytes(path)
    info = parse_info(data, path)
    return _upright(_decode(data, path, info, depth16), info.orientation)


def read_mask_image(
    path: Path, size: tuple[int, int] | None = None, *, orientation: int = 1
) -> tuple[npt.NDArray[np.bool_], bool]:
    """Decode a mask: True from half of white upwards; of a file of only 0 and one other value, that value.

    Args:
        path: A gray, palette or color image; of colors the brightest channel counts.
        size: (height, width) of the upright image it belongs to, checked when given.
        orientation: EXIF orientation of that image. A mask without a tag of its own that only fits the image
            as stored is turned with it; one that fits the upright image is taken as annotated on that.

    Returns:
        (H, W) mask, and whether the file held two values or one only (no gray had to be thresholded).

    Raises:
        DataError: As for `read_image`, or of another size than the image.
    """
    data = read_bytes(path)
    info = parse_info(data, path)
    pixels = _upright(_decode(data, path, info, "refuse"), info.orientation).max(axis=2)
    if size is not None and pixels.shape != size:
        if info.orientation == 1 and orientation >= 5 and pixels.shape == size[::-1]:
            pixels = _upright(pixels[..., None], orientation)[..., 0]
        else:
            raise DataError(
                f"{path}: the mask is {pixels.shape[1]} x {pixels.shape[0]} but its image is "
                f"{size[1]} x {size[0]}; export the mask again at the size of the image",
                code="E-mask-size",
            )
    low, high = int(pixels.min()), int(pixels.max())
    between = bool(((pixels != low) & (pixels != high)).any())
    if not between and low == 0 < high and info.format != "JPEG":  # class indices 0 and 1, or a palette entry
        return pixels > 0, True
    return pixels >= 128, not between


def read_sample(sample: Sample) -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.bool_]]:
    """The image and the mask of a sample, both upright and of one size.

    Returns:
        (H, W, C) image, (H, W) mask: empty for a good part, outlines filled.

    Raises:
        DataError: A file is unusable (a 16-bit image unless the sample says `scale`), or a defect has neither mask
            nor outlines.
    """
    data = read_bytes(sample.image)
    info = parse_info(data, sample.image)
    image = _upright(_decode(data, sample.image, info, sample.depth16), info.orientation)
    return image, read_mask(sample, info)


def read_mask(sample: Sample, info: ImageInfo) -> npt.NDArray[np.bool_]:
    """The mask of a sample alone, for an image whose header is known.

    Raises:
        DataError: As for `read_sample`.
    """
    size = info.upright
    if not sample.has_pixels:
        raise DataError(
            f"{sample.image}: no mask for an image of class {sample.label!r}; "
            "add its mask, or move the image to the good ones",
            code="E-mask-missing",
        )
    if sample.mask is not None:
        return read_mask_image(sample.mask, size, orientation=info.orientation)[0]
    mask = np.zeros(size, dtype=bool)
    if sample.label == GOOD:
        return mask
    for rle in sample.metadata.get("rle", ()):
        try:
            part = decode_rle(rle)
        except ValueError as error:
            raise DataError(
                f"{sample.image}: its run-length mask is damaged ({error}); export the annotations again",
                code="E-mask-run-lengths",
            ) from None
        if part.shape != size:
            raise DataError(
                f"{sample.image}: its run-length mask is {part.shape[1]} x {part.shape[0]} but the image "
                f"is {size[1]} x {size[0]}; export the annotations again at the size of the image",
                code="E-mask-size",
            )
        mask |= part
    fill_polygons(mask, sample.polygons)
    return mask


def encode_image(array: npt.NDArray[Any], format: Format = "png", *, quality: int | None = None) -> bytes:
    """Encode pixels; PNG is lossless, JPEG and WebP are of quality 95 unless `quality` says otherwise.

    Args:
        array: (H, W, 3) RGB, (H, W, 1) or (H, W) gray uint8, or (H, W) bool (written as 0 and 255).
        format: `png`, `jpg` or `webp`.
        quality: 1 to 100, of JPEG and WebP.

    Raises:
        ValueError: The array is of another type, or the format is unknown.
    """
    if format not in _SETTINGS:
        raise ValueError(f"expected format png, jpg or webp, got {format!r}")
    settings = _SETTINGS[format]
    if quality is not None and format != "png":
        settings = [settings[0], quality]
    if array.dtype == np.bool_:
        settings = _MASK_PNG if format == "png" else settings
        array = array.astype(np.uint8) * np.uint8(255)
    if array.dtype != np.uint8 or array.ndim not in (2, 3) or (array.ndim == 3 and array.shape[2] not in (1, 3)):
        raise ValueError(f"expected uint8 (H, W), (H, W, 1) or (H, W, 3), got {array.dtype} {array.shape}")
    if array.ndim == 3 and array.shape[2] == 3:
        array = cv2.cvtColor(array, cv2.COLOR_RGB2BGR)
    done, data = cv2.imencode(f".{format}", array, settings)
    if not done:
        raise ValueError(f"cannot encode an array of shape {array.shape} as {format}")
    return data.tobytes()


def _decode(data: bytes, path: Path, info: ImageInfo, depth16: Depth16) -> npt.NDArray[np.uint8]:
    """(H, W, C) as stored, RGB order."""
    if info.cmyk:
        raise DataError(f"{path}: CMYK colors (for print); convert it to RGB or gray", code="E-image-cmyk")
    if info.alpha:
        raise DataError(
            f"{path}: has an alpha channel (transparency); save it without, as RGB or gray", code="E-image-alpha"
        )
    refuse_damaged(data, path, info)
    try:
        array: npt.NDArray[Any] | None = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED)
    except cv2.error:
        array = None
    if array is None or array.shape[:2] != (info.height, info.width):
        raise DataError(
            f"{path}: the file is corrupt (its contents do not decode); copy it again from its source or remove it",
            code="E-image-damaged",
        )
    if array.dtype == np.uint16 and depth16 == "scale":
        array = ((array.astype(np.uint32) + 128) // 257).astype(np.uint8)
    if array.dtype != np.uint8:
        raise DataError(
            f"{path}: {array.dtype.itemsize * 8}-bit pixels, expected 8-bit; "
            "scale it to 8-bit yourself, for only you know which range matters "
            "(check-data and train-gan take --depth16 scale)",
            code="E-image-depth",
        )
    if array.ndim == 2:
        return array[..., None]
    if array.shape[2] == 1:
        return array
    if array.shape[2] != 3:
        raise DataError(
            f"{path}: {array.shape[2]} channels, expected 1 or 3; save it as RGB or gray", code="E-image-channels"
        )
    return cv2.cvtColor(array, cv2.COLOR_BGR2RGB)  # type: ignore[return-value]


def _upright(array: npt.NDArray[np.uint8], orientation: int) -> npt.NDArray[np.uint8]:
    """Undo an EXIF orientation of 1 to 8."""
    if orientation >= 5:
        array = array.transpose(1, 0, 2)
    if orientation in (2, 3, 6, 7):
        array = array[:, ::-1]
    if orientation in (3, 4, 7, 8):
        array = array[::-1]
    return np.ascontiguousarray(array)


def at_depth(samples: Iterable[Sample], depth16: str) -> list[Sample]:
    """The samples, whose 16-bit images whoever reads them must `refuse` or `scale` from 0..65535 to 0..255.

    Raises:
        UsageError: Another word.
    """
    for word in get_args(Depth16):
        if word == depth16:
            return [replace(sample, depth16=word) for sample in samples]
    raise UsageError(
        f"--depth16: {depth16!r} is unknown; choose from {', '.join(get_args(Depth16))}", code="E-image-depth"
    )


def as_channels(image: npt.NDArray[np.uint8], channels: int) -> npt.NDArray[np.uint8]:
    """(H, W, 1 or 3) to (H, W, channels): gray is repeated, color becomes luminance."""
    if image.shape[2] == channels:
        return image
    if channels == 3:
        return np.repeat(image, 3, axis=2)
    return np.round(luminance(image) * 255).astype(np.uint8)[..., None]
