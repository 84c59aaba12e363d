"""The backgrounds that defects are blended into, read as they are needed."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Collection, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from defects.formats.dataset import Dataset, read_dataset
from defects.formats.listing import EXTENSIONS, Listing, list_images
from defects.images.decode import as_channels, image_info, read_image, read_mask, read_mask_image, read_sample
from defects.masks.width import Mask
from defects.sample import GOOD, Sample
from engine.errors import DataError, Issue, IssuesError
from engine.files.atomic import sha256_bytes, sha256_file
from engine.runtime.cache import BoundedCache
from gan.data.blend_pairs import margin
from gan.data.inpainting import inpaint_around

CACHE_BYTES = 512 * 2**20
"""Of images: inpainting a defect costs more than generating one."""

Image = NDArray[np.uint8]
ScaleOf = Callable[[tuple[int, int]], float]


@dataclass(frozen=True)
class Background:
    """One background.

    Attributes:
        sample: A good one, or a defective one whose defect is inpainted when it is read.
        sha256: Of the image file.
        shape: (height, width), upright.
        roi: The mask file of where a defect may lie.
    """

    sample: Sample
    sha256: str
    shape: tuple[int, int]
    roi: Path | None = None

    @property
    def inpainted(self) -> bool:
        return self.sample.label != GOOD

    @property
    def name(self) -> str:
        return self.sample.name


class Backgrounds(Sequence[Background]):
    """Images in the order of their names; the pixels of the latest are cached.

    Args:
        found: The backgrounds.
        notes: What was left out, a line each.
        scale: Px of the network's scale for one px of an image of a shape (height, width).
        blend_radius: Px of the network's scale around a defect that are inpainted with it.
    """

    def __init__(
        self, found: Sequence[Background], notes: Sequence[str], *, scale: ScaleOf, blend_radius: float
    ) -> None:
        self.found, self.notes, self.scale, self.blend_radius = list(found), tuple(notes), scale, blend_radius
        self._cache = BoundedCache[tuple[Image, Mask | None]](
            CACHE_BYTES, lambda read: sum(part.nbytes for part in read if part is not None)
        )
        self._small = BoundedCache[Image](CACHE_BYTES // 4, lambda small: small.nbytes)

    def __len__(self) -> int:
        return len(self.found)

    def __getitem__(self, index: int) -> Background:  # type: ignore[override]
        return self.found[index]

    def read(self, index: int) -> tuple[Image, Mask | None]:
        """Pixels (H, W, C) and the region of interest (H, W), None where the whole image is one.

        Raises:
            DataError: A file cannot be used any more.
        """
        return self._cache.get(index, lambda: self._read(self.found[index]))

    def small(self, index: int) -> Image:
        """Luminance (h, w, 1) at the network's scale: by which backgrounds are compared.

        Raises:
            DataError: A file cannot be used any more.
        """
        return self._small.get(index, lambda: self._reduced(index))

    def _read(self, selected: Background) -> tuple[Image, Mask | None]:
        image, mask = read_sample(selected.sample)
        if selected.inpainted:
            image = inpaint_around(image, margin(mask, self.blend_radius / self.scale(selected.shape)))
        return image, read_mask_image(selected.roi, selected.shape)[0] if selected.roi is not None else None

    def _reduced(self, index: int) -> Image:
        image, scale = as_channels(self.read(index)[0], 1), self.scale(self.found[index].shape)
        height, width = (max(1, round(side * scale)) for side in image.shape[:2])
        interpolation = cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR
        return np.asarray(cv2.resize(image, (width, height), interpolation=interpolation), np.uint8)[..., None]

    @property
    def digest(self) -> str:
        """SHA-256 of names and contents, regions of interest included."""
        digest = hashlib.sha256()
        for one in self.found:
            roi = sha256_file(one.roi) if one.roi is not None else ""
            digest.update(f"{one.name}\0{one.sha256}\0{roi}\n".encode(errors="surrogateescape"))
        return digest.hexdigest()


class BackgroundArrays(Backgrounds):
    """Images in memory, each (H, W, C) uint8; see `Backgrounds`.

    Raises:
        DataError: An image has another shape or type.
    """

    def __init__(self, arrays: Sequence[Image], *, scale: ScaleOf, blend_radius: float) -> None:
        for number, image in enumerate(arrays):
            if image.ndim != 3 or image.shape[2] not in (1, 3) or image.dtype != np.uint8:
                raise DataError(
                    f"background {number}: has the shape {image.shape} and the type {image.dtype}; give (H, W, C) "
                    "uint8 arrays of 1 or 3 channels",
                    code="E-blend-array",
                )
        backgrounds = [
            Background(
                Sample(f"background-{number}", Path(f"background-{number}.png")),
                sha256_bytes(image.tobytes()),
                (image.shape[0], image.shape[1]),
            )
            for number, image in enumerate(arrays)
        ]
        super().__init__(backgrounds, (), scale=scale, blend_radius=blend_radius)
        self.arrays = list(arrays)

    def read(self, index: int) -> tuple[Image, Mask | None]:
        """See `Backgrounds.read`."""
        return self.arrays[index], None


def list_backgrounds(
    path: Path,
    *,
    scale: ScaleOf,
    blend_radius: float,
    held_out: Collection[str] = (),
    roi: Path | None = None,
    inpaint: bool = False,
    workers: int = 2,
) -> Backgrounds:
    """The good images of a file, of a folder in any known layout, or of a folder of nothing but images.

    Args:
        path: The value of `--backgrounds`.
        scale: See `Backgrounds`.
        blend_radius: See `Backgrounds`.
        held_out: Names of images that the generator's training left for testing; they are left out.
        roi: One mask for all, or a folder with a mask of the same name for each; white where a defect may lie.
        inpaint: Take defective images too, with their defects inpainted.
        workers: Threads that check the files.

    Raises:
        DataError: Nothing is there, or nothing that is good.
        IssuesError: Files that cannot be used, masks that are missing or empty; all of them are listed.
    """
    samples, notes = _usable(path, inpaint)
    left = [sample for sample in samples if sample.name not in held_out]
    if len(left) < len(samples):
        count = len(samples) - len(left)
        notes.append(f"left out: {count} backgrounds that the generator's training holds for testing")
    if not left:
        raise DataError(
            f"{path}: all {len(samples)} usable images are held for testing; give --backgrounds others",
            code="E-blend-all-held-out",
        )
    with ThreadPoolExecutor(workers) as pool:
        checked = list(pool.map(lambda sample: _check(sample, path, roi), left))
    issues = [issue for _, issue in checked if issue is not None]
    if issues:
        raise IssuesError(issues)
    return Backgrounds([one for one, _ in checked if one is not None], notes, scale=scale, blend_radius=blend_radius)


def _usable(path: Path, inpaint: bool) -> tuple[list[Sample], list[str]]:
    if path.is_file():
        return [Sample(path.stem, path)], []
    if not path.is_dir():
        raise DataError(
            f"{path}: no such file or folder; give --backgrounds an image or a folder of good images",
            code="E-blend-no-backgrounds",
        )
    dataset = _dataset(path)
    if dataset is None:
        listing = Listing()
        files = list_images(path, path, listing, deep=True)
        if not files:
            raise DataError(
                f"{path}: holds no images; put good ones there ({', '.join(sorted(EXTENSIONS))})",
                code="E-blend-no-backgrounds",
            )
        return [Sample(file.relative_to(path).with_suffix("").as_posix(), file) for file in files], []
    issues = [issue for issue in dataset.issues if not issue.warning]
    if issues:
        raise IssuesError(issues)
    good = [s for s in dataset.samples if s.label == GOOD or (inpaint and s.has_pixels)]
    if not good:
        raise DataError(
            f"{path}: none of its {len(dataset.samples)} images is good; "
            "give --backgrounds images without a defect, or add --inpaint to remove their defects",
            code="E-blend-no-good",
        )
    skipped = len(dataset.samples) - len(good)
    return good, [f"left out: {skipped} of {len(dataset.samples)} backgrounds, which have a defect"] if skipped else []


def _dataset(path: Path) -> Dataset | None:
    """The folder in its layout; None for images in none, such as those that lie side by side."""
    if all(entry.suffix.lower() in EXTENSIONS for entry in path.iterdir()):
        return None
    try:
        return read_dataset(path)
    except DataError:
        return None


def _check(sample: Sample, root: Path, roi: Path | None) -> tuple[Background | None, Issue | None]:
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
            return None, Issue(
                str(sample.image), what, "draw one, or give one mask for all", code="E-blend-roi-missing"
            )
        region, _ = read_mask_image(mask, found.shape)
        if not region.any():
            return None, Issue(
                str(mask), "the region of interest is empty", "draw it in white", code="E-blend-roi-empty"
            )
        return replace(found, roi=mask), None
    except DataError as error:
        what, _, remedy = str(error).removeprefix(f"{sample.image}: ").partition("; ")
        return None, Issue(str(sample.image), what, remedy or "remove it", code=error.code)


def _roi_of(sample: Sample, root: Path, roi: Path) -> Path | None:
    """The mask for one image: in a folder, by its path below `root`, its name or its file's name."""
    if not roi.is_dir():
        return roi
    below = sample.image.relative_to(root) if sample.image.is_relative_to(root) else Path(sample.image.name)
    for stem in (below.with_suffix(""), Path(sample.name), Path(sample.image.stem)):
        for extension in sorted(EXTENSIONS):
            path = roi / stem.with_name(stem.name + extension)
            if path.is_file():
                return path
    return None
