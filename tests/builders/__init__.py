"""Real folders of tiny images, one builder a layout; what every test of data starts from."""

from __future__ import annotations

import io
import json
import struct
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image

from defects.images.decode import encode_image
from defects.manifest import row_of, write_manifest
from defects.sample import Sample

Pixels = npt.NDArray[np.uint8]
Mask = npt.NDArray[np.bool_]

SIZE = (24, 32)
BOX = (8, 10, 6, 12)  # row, column, height, width of the defect in every image with one


def noise_image(seed: int = 0, *, size: tuple[int, int] = SIZE, channels: int = 3, defect: bool = True) -> Pixels:
    """(H, W, C) noise on a slope, with a dark bar where `bar` is."""
    noise = np.random.default_rng(seed).integers(0, 60, (*size, channels))
    slope = np.linspace(80, 180, size[1]).reshape(1, -1, 1)
    pixels = (noise + slope).astype(np.uint8)
    if defect:
        pixels[bar(size)] = 20
    return pixels


def bar(size: tuple[int, int] = SIZE) -> Mask:
    """(H, W) mask of the defect of `noise_image`."""
    mask = np.zeros(size, dtype=bool)
    row, column, height, width = BOX
    mask[row : row + height, column : column + width] = True
    return mask


def outline() -> list[list[float]]:
    """The corners of `bar`, as (x, y)."""
    row, column, height, width = (float(value) for value in BOX)
    return [[column, row], [column + width, row], [column + width, row + height], [column, row + height]]


def save(path: Path, pixels: npt.NDArray[Any]) -> Path:
    """Write an image by the ending of its name, making folders."""
    path.parent.mkdir(parents=True, exist_ok=True)
    ending = path.suffix.lower().lstrip(".")
    path.write_bytes(encode_image(pixels, "jpg" if ending in ("jpg", "jpeg") else "png"))
    return path


def folders(root: Path, count: int = 4) -> Path:
    """`images/` and `masks/`; the last one is good and has no mask."""
    for index in range(count):
        good = index == count - 1
        save(root / "images" / f"part_{index}.png", noise_image(index, defect=not good))
        if not good:
            save(root / "masks" / f"part_{index}.png", bar())
    return root


def magnetic_tile(root: Path) -> Path:
    """Two tiles of three photos each, of the classes Crack and Free, with masks as PNG."""
    for class_name, first in (("Crack", 1000), ("Free", 5000)):
        for shot in (1, 2, 3):
            stem = f"exp{shot}_num_{first + 20 * shot}"
            defect = class_name != "Free"
            save(root / f"MT_{class_name}" / "Imgs" / f"{stem}.jpg", noise_image(shot, channels=1, defect=defect))
            save(root / f"MT_{class_name}" / "Imgs" / f"{stem}.png", bar() if defect else np.zeros(SIZE, dtype=bool))
    return root


def bsdata(root: Path) -> Path:
    """Two places on two days, the first day of the second still good."""
    for day, position in ((1, 277500), (2, 277500), (1, 395000), (2, 395000)):
        stem = f"01_20090{day}053521_{position}_090_crop_{day}"
        defect = (day, position) != (1, 395000)
        save(root / "data" / f"{stem}.jpg", noise_image(day + position, defect=defect))
        shapes = [{"label": "Pitting", "points": outline(), "shape_type": "polygon"}] if defect else []
        write_json(root / "label" / f"{stem}.json", {"shapes": shapes, "imagePath": f"{stem}.jpg"})
    return root


def mvtec(root: Path) -> Path:
    """Two good ones to train on, one good and one scratched to test."""
    for name in ("train/good/000", "train/good/001", "test/good/000"):
        save(root / f"{name}.png", noise_image(defect=False))
    save(root / "test" / "scratch" / "000.png", noise_image())
    save(root / "ground_truth" / "scratch" / "000_mask.png", bar())
    return root


def coco(root: Path) -> Path:
    """Three images: an outline, run lengths, and a good one."""
    for index in range(3):
        save(root / "images" / f"part_{index}.png", noise_image(index, defect=index < 2))
    flat = [value for point in outline() for value in point]
    marks = [
        {"id": 1, "image_id": 10, "category_id": 7, "segmentation": [flat]},
        {"id": 2, "image_id": 11, "category_id": 7, "segmentation": {"size": list(SIZE), "counts": runs(bar())}},
    ]
    images = [{"id": 10 + index, "file_name": f"part_{index}.png", "height": 24, "width": 32} for index in range(3)]
    content = {"images": images, "annotations": marks, "categories": [{"id": 7, "name": "Crack"}]}
    write_json(root / "annotations" / "instances.json", content)
    return root


def yolo(root: Path) -> Path:
    """Two images, one with an outline and one with an empty label file."""
    for index in range(2):
        save(root / "images" / f"part_{index}.jpg", noise_image(index, defect=index < 1))
    values = " ".join(f"{x / SIZE[1]:.6f} {y / SIZE[0]:.6f}" for x, y in outline())
    (root / "labels").mkdir(parents=True)
    (root / "labels" / "part_0.txt").write_text(f"1 {values}\n")
    (root / "labels" / "part_1.txt").write_text("")
    (root / "data.yaml").write_text("names: [scratch, pit]\n")
    return root


def sample_folder(root: Path, count: int = 4) -> Path:
    """Images, masks and a manifest; the last one is good; two of one group."""
    rows = []
    for index in range(count):
        good = index == count - 1
        image = save(root / "images" / f"part_{index}.png", noise_image(index, defect=not good))
        mask = save(root / "masks" / f"part_{index}.png", np.zeros(SIZE, dtype=bool) if good else bar())
        sample = Sample(
            name=f"part_{index}",
            image=image,
            mask=mask,
            label="good" if good else "crack",
            group=f"g{index // 2}",
            metadata={"guide": {} if good else {"thickness": 6.0}},
        )
        rows.append(row_of(sample, root))
    write_manifest(root, rows)
    return root


LAYOUTS: dict[str, Callable[[Path], Path]] = {
    "sample_folder": sample_folder, "magnetic_tile": magnetic_tile, "bsdata": bsdata, "mvtec": mvtec,
    "coco": coco, "yolo": yolo, "folders": folders,
}  # fmt: skip


def runs(mask: Mask) -> list[int]:
    """COCO's uncompressed run lengths: column by column, zeros first."""
    flat = mask.T.ravel()
    edges = np.flatnonzero(np.diff(flat.astype(np.int8))) + 1
    lengths = np.diff(np.concatenate([[0], edges, [flat.size]])).tolist()
    return [0, *lengths] if flat[0] else lengths


def write_json(path: Path, content: object) -> None:
    """Write JSON, making folders."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(content), encoding="utf-8")


def pillow_bytes(pixels: npt.NDArray[Any], mode: str, format: str, **options: Any) -> bytes:
    """An image in a mode or with an option that `encode_image` refuses to write."""
    buffer = io.BytesIO()
    Image.fromarray(pixels).convert(mode).save(buffer, format, **options)
    return buffer.getvalue()


def with_orientation(pixels: Pixels, orientation: int, format: str = "PNG") -> bytes:
    """An image whose EXIF tag says how it must be turned."""
    exif = Image.Exif()
    exif[0x0112] = orientation
    buffer = io.BytesIO()
    Image.fromarray(pixels.squeeze()).save(buffer, format, exif=exif)
    return buffer.getvalue()


def huge_png(width: int = 20_000, height: int = 20_000) -> bytes:
    """A PNG of a few bytes whose header promises 400 million pixels."""

    def chunk(class_name: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + class_name + data + struct.pack(">I", zlib.crc32(class_name + data))

    header = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(b"\0")) + chunk(b"IEND", b"")
