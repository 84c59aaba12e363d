"""The MVTec AD folder: `train/good`, `test/<class>`, `ground_truth/<class>/<name>_mask.png`."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from defects.formats.listing import ExportRow, ExportRows, Listing, list_images, subfolders
from defects.images.decode import encode_image
from defects.sample import GOOD, Sample


def fits(root: Path) -> bool:
    """Whether there are `train/good` or `ground_truth`, next to `test`."""
    return (root / "test").is_dir() and ((root / "ground_truth").is_dir() or (root / "train" / GOOD).is_dir())


def read(root: Path) -> Listing:
    """Reads the folder; the published split is stored as `metadata["split"]`."""
    listing = Listing()
    for split in ("train", "test"):
        for folder in subfolders(root / split):
            ground_truth = root / "ground_truth" / folder.name
            masks: dict[str, Path] = {}
            if split == "test":
                masks = {p.stem.removesuffix("_mask"): p for p in list_images(ground_truth, root, listing)}
            images = list_images(folder, root, listing)
            where = f"test/{folder.name}/{{}}.png"
            listing.without_image(masks, (image.stem for image in images), "a mask", where)
            for image in images:
                mask = masks.get(image.stem)
                if folder.name != GOOD and mask is None:
                    remedy = f"add ground_truth/{folder.name}/{image.stem}_mask.png, or move it to test/good"
                    listing.issue(image, "its mask is missing", remedy, "E-format-mask-missing")
                    continue
                name, label = f"{split}/{folder.name}/{image.stem}", folder.name.lower()
                sample = Sample(name=name, image=image, mask=mask, label=label, metadata={"split": split})
                listing.samples.append(sample)
    return listing


def write(source: ExportRows, out: Path, *, on_progress: Callable[[int], object], workers: int = 2) -> None:
    """Writes good images for training; good and defective ones for the test, with `ground_truth`.

    MVTec AD has neither a validation split nor defects to train on: see `left_out`.

    Raises:
        DataError: An image or mask does not open.
        OutputError: A file cannot be written.
    """

    def work(row: ExportRow) -> list[tuple[Path, bytes]]:
        data, mask = row.read()
        label = row.sample.label
        files = [(out / row.split / label / f"{row.flat}{row.suffix}", data)]
        if label != GOOD:
            files.append((out / "ground_truth" / label / f"{row.flat}_mask.png", encode_image(mask)))
        return files

    source.write_files(work, (row for row in source.rows if _has_a_place(row)), on_progress, workers)


def left_out(source: ExportRows) -> dict[str, int]:
    """How many images MVTec AD has no place for, by split."""
    counts: dict[str, int] = {}
    for row in source.rows:
        if not _has_a_place(row):
            counts[row.split] = counts.get(row.split, 0) + 1
    return counts


def _has_a_place(row: ExportRow) -> bool:
    return row.split == "test" or (row.split == "train" and row.sample.label == GOOD)
