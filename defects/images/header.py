"""The header of an image file: size, depth, orientation; and whether the file is whole."""

from __future__ import annotations

import io
import os
import struct
import threading
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from engine.errors import DataError

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
