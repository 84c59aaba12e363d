"""Where photographs to draw into are found: a file, a folder in any layout, or a folder of nothing but images."""

from __future__ import annotations

from collections.abc import Collection
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

from defects.images import image_info, read_image, read_mask, read_mask_image
from defects.layouts.dataset import read_dataset
from defects.layouts.listing import EXTENSIONS, Found, list_images
from defects.sample import GOOD, Sample
from engine.errors import DataError, Fault, FaultsError
from engine.files import sha256_file
from gan.blend.backgrounds import Background, Backgrounds, ScaleOf


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
        FaultsError: files that cannot be used, masks that are missing or empty; all of them are listed.
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
    faults = [fault for _, fault in looked if fault is not None]
    if faults:
        raise FaultsError(faults)
    return Backgrounds([one for one, _ in looked if one is not None], notes, scale=scale, reach=reach)


def _usable(path: Path, inpaint: bool) -> tuple[list[Sample], list[str]]:
    if path.is_file():
        return [Sample(path.stem, path)], []
    if not path.is_dir():
        raise DataError(f"{path}: no such file or folder; give --backgrounds an image or a folder of good images")
    try:
        dataset = read_dataset(path)
    except DataError:
        found = Found()
        files = list_images(path, path, found, deep=True)
        if not files:
            raise DataError(f"{path}: holds no images; put good ones there ({', '.join(sorted(EXTENSIONS))})") from None
        return [Sample(file.relative_to(path).with_suffix("").as_posix(), file) for file in files], []
    faults = [fault for fault in dataset.faults if not fault.warning]
    if faults:
        raise FaultsError(faults)
    good = [s for s in dataset.samples if s.label == GOOD or (inpaint and s.has_pixels)]
    if not good:
        raise DataError(
            f"{path}: none of its {len(dataset.samples)} images is good; "
            "give --backgrounds images without a defect, or add --inpaint to paint their defects out"
        )
    skipped = len(dataset.samples) - len(good)
    return good, [f"left out: {skipped} of {len(dataset.samples)} backgrounds, which have a defect"] if skipped else []


def _look(sample: Sample, root: Path, roi: Path | None) -> tuple[Background | None, Fault | None]:
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
            return None, Fault(str(sample.image), what, "draw one, or give one mask for all")
        region, _ = read_mask_image(mask, found.shape)
        if not region.any():
            return None, Fault(str(mask), "the region of interest is empty", "draw it in white")
        return replace(found, roi=mask), None
    except DataError as error:
        what, _, remedy = str(error).removeprefix(f"{sample.image}: ").partition("; ")
        return None, Fault(str(sample.image), what, remedy or "remove it")


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
