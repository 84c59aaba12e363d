"""The photographs that defects are drawn into, read as they are needed."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Collection, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from defects.formats.dataset import read_dataset
from defects.formats.listing import EXTENSIONS, Listing, list_images
from defects.images.crops import as_channels
from defects.images.decode import read_image, read_mask, read_mask_image, read_sample
from defects.images.header import image_info
from defects.masks.width import Mask
from defects.sample import GOOD, Sample
from engine.errors import DataError, Issue, IssuesError
from engine.files.atomic import sha256_file
from engine.runtime.cache import BoundedCache
from gan.data.blend_pairs import margin
from gan.data.inpainting import paint_out

KEPT = 512 * 2**20
"""Bytes of photographs kept: painting a defect out costs more than drawing one."""

Image = NDArray[np.uint8]
ScaleOf = Callable[[tuple[int, int]], float]


@dataclass(frozen=True)
class Background:
    """One photograph.

    Attributes:
        sample: a good one, or a defective one whose defect is painted out when it is read.
        sha256: of the image file.
        shape: (height, width) upright.
        roi: the mask file of where a defect may lie.
    """

    sample: Sample
    sha256: str
    shape: tuple[int, int]
    roi: Path | None = None

    @property
    def painted_out(self) -> bool:
        return self.sample.label != GOOD

    @property
    def name(self) -> str:
        return self.sample.name


class Backgrounds(Sequence[Background]):
    """Photographs in the order of their names; the pixels of the latest are kept.

    Args:
        found: the photographs.
        notes: what was left out, a line each.
        scale: px of the network's scale for one px of a photograph of a shape (height, width).
        reach: px of the network's scale around a defect that are painted out with it.
    """

    def __init__(self, found: Sequence[Background], notes: Sequence[str], *, scale: ScaleOf, reach: float) -> None:
        self.found, self.notes, self.scale, self.reach = list(found), tuple(notes), scale, reach
        self._kept = BoundedCache[tuple[Image, Mask | None]](
            KEPT, lambda read: sum(part.nbytes for part in read if part is not None)
        )
        self._small = BoundedCache[Image](KEPT // 4, lambda small: small.nbytes)

    def __len__(self) -> int:
        return len(self.found)

    def __getitem__(self, index: int) -> Background:  # type: ignore[override]
        return self.found[index]

    def read(self, index: int) -> tuple[Image, Mask | None]:
        """Pixels (H, W, C) and the region of interest (H, W), None where the whole picture is one.

        Raises:
            DataError: a file cannot be used any more.
        """
        return self._kept.get(index, lambda: self._read(self.found[index]))

    def small(self, index: int) -> Image:
        """Luminance (h, w, 1) at the network's scale: what grounds are compared by.

        Raises:
            DataError: a file cannot be used any more.
        """
        return self._small.get(index, lambda: self._reduced(index))

    def _read(self, chosen: Background) -> tuple[Image, Mask | None]:
        image, mask = read_sample(chosen.sample)
        if chosen.painted_out:
            image = paint_out(image, margin(mask, self.reach / self.scale(chosen.shape)))
        return image, read_mask_image(chosen.roi, chosen.shape)[0] if chosen.roi is not None else None

    def _reduced(self, index: int) -> Image:
        image, scale = as_channels(self.read(index)[0], 1), self.scale(self.found[index].shape)
        height, width = (max(1, round(side * scale)) for side in image.shape[:2])
        how = cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR
        return np.asarray(cv2.resize(image, (width, height), interpolation=how), np.uint8)[..., None]

    @property
    def digest(self) -> str:
        """SHA-256 of names and contents, regions of interest included."""
        digest = hashlib.sha256()
        for one in self.found:
            roi = sha256_file(one.roi) if one.roi is not None else ""
            digest.update(f"{one.name}\0{one.sha256}\0{roi}\n".encode(errors="surrogateescape"))
        return digest.hexdigest()


def list_backgrounds(
    path: Path,
    *,
    scale: ScaleOf,
    reach: float,
    held_out: Collection[str] = (),
    roi: Path | None = None,
    inpaint: bool = False,
    workers: int = 2,
) -> Backgrounds:
    """The good photographs of a file, of a folder in any known layout, or of a folder of nothing but images.

    Args:
        path: what `--backgrounds` named.
        scale: see `Backgrounds`.
        reach: see `Backgrounds`.
        held_out: names of photographs that the generator's training left for testing; they are left out.
        roi: one mask for all, or a folder with a mask of the same name for each; white where a defect may lie.
        inpaint: take defective photographs too, with their defects painted out.
        workers: threads that look at the files.

    Raises:
        DataError: nothing is there, or nothing that is good.
        IssuesError: files that cannot be used, masks that are missing or empty; all of them are listed.
    """
    samples, notes = _usable(path, inpaint)
    left = [sample for sample in samples if sample.name not in held_out]
    if len(left) < len(samples):
        count = len(samples) - len(left)
        notes.append(f"left out: {count} backgrounds that the generator's training holds for testing")
    if not left:
        raise DataError(f"{path}: all {len(samples)} usable images are held for testing; give --backgrounds others")
    with ThreadPoolExecutor(workers) as pool:
        looked = list(pool.map(lambda sample: _look(sample, path, roi), left))
    issues = [issue for _, issue in looked if issue is not None]
    if issues:
        raise IssuesError(issues)
    return Backgrounds([one for one, _ in looked if one is not None], notes, scale=scale, reach=reach)


def _usable(path: Path, inpaint: bool) -> tuple[list[Sample], list[str]]:
    if path.is_file():
        return [Sample(path.stem, path)], []
    if not path.is_dir():
        raise DataError(f"{path}: no such file or folder; give --backgrounds an image or a folder of good images")
    try:
        dataset = read_dataset(path)
    except DataError:
        listing = Listing()
        files = list_images(path, path, listing, deep=True)
        if not files:
            raise DataError(f"{path}: holds no images; put good ones there ({', '.join(sorted(EXTENSIONS))})") from None
        return [Sample(file.relative_to(path).with_suffix("").as_posix(), file) for file in files], []
    issues = [issue for issue in dataset.issues if not issue.warning]
    if issues:
        raise IssuesError(issues)
    good = [s for s in dataset.samples if s.label == GOOD or (inpaint and s.has_pixels)]
    if not good:
        raise DataError(
            f"{path}: none of its {len(dataset.samples)} images is good; "
            "give --backgrounds images without a defect, or add --inpaint to paint their defects out"
        )
    skipped = len(dataset.samples) - len(good)
    return good, [f"left out: {skipped} of {len(dataset.samples)} backgrounds, which have a defect"] if skipped else []


def _look(sample: Sample, root: Path, roi: Path | None) -> tuple[Background | None, Issue | None]:
    try:
        info = image_info(sample.image)
        read_image(sample.image)
        if sample.label == GOOD:
            sample = replace(sample, mask=None)
        else:
            read_mask(sample, info)
        found = Background(sample, sha256_file(sample.image), info.upright)
        if roi is None:
            return found, None
        mask = _roi_of(sample, root, roi)
        if mask is None:
            what = f"no region of interest {sample.image.stem}.png in {roi}"
            return None, Issue(str(sample.image), what, "draw one, or give one mask for all")
        region, _ = read_mask_image(mask, found.shape)
        if not region.any():
            return None, Issue(str(mask), "the region of interest is empty", "draw it in white")
        return replace(found, roi=mask), None
    except DataError as error:
        what, _, remedy = str(error).removeprefix(f"{sample.image}: ").partition("; ")
        return None, Issue(str(sample.image), what, remedy or "remove it")


def _roi_of(sample: Sample, root: Path, roi: Path) -> Path | None:
    """The mask for one photograph: in a folder, by its path below `root`, its name or its file's name."""
    if not roi.is_dir():
        return roi
    below = sample.image.relative_to(root) if sample.image.is_relative_to(root) else Path(sample.image.name)
    for stem in (below.with_suffix(""), Path(sample.name), Path(sample.image.stem)):
        for extension in sorted(EXTENSIONS):
            path = roi / stem.with_name(stem.name + extension)
            if path.is_file():
                return path
    return None
