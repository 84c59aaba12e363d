"""Opening every image and mask of a data set, and reporting all issues at once."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from defects.sample import GOOD, Sample
from engine.errors import DataError, Issue

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    from defects.formats.dataset import Dataset

_SPECK = 4


@dataclass(frozen=True)
class Inspection:
    """The result of opening one sample.

    Attributes:
        sample: The sample.
        size: (height, width) of the upright image; None when it does not open.
        channels: 1 or 3; 0 when it does not open.
        coverage: Share of defective pixels, 0 to 1.
        thickness: Mean width of the defect in pixels; 0 when there is none or it was not measured.
        issues: What is wrong, warnings included.
    """

    sample: Sample
    size: tuple[int, int] | None
    channels: int
    coverage: float
    thickness: float
    issues: tuple[Issue, ...]


def check_images(dataset: Dataset) -> list[Issue]:
    """Opens every image and mask; all issues, warnings included, in the order of the samples."""
    return [issue for inspection in inspect(dataset.samples) for issue in inspection.issues]


def inspect(
    samples: list[Sample], *, width: Callable[[npt.NDArray[np.bool_]], float] | None = None
) -> Iterator[Inspection]:
    """Opens every image and mask.

    Args:
        samples: What to open.
        width: Measures the thickness of a mask; not measured without it.
    """
    with ThreadPoolExecutor(max_workers=2) as pool:
        for start in range(0, len(samples), 64):  # a few at a time bound the memory
            yield from pool.map(lambda sample: _inspect(sample, width), samples[start : start + 64])


def _inspect(sample: Sample, width: Callable[[npt.NDArray[np.bool_]], float] | None) -> Inspection:
    from defects.images.decode import image_info, read_image, read_mask, read_mask_image

    issues: list[Issue] = []
    try:
        info = image_info(sample.image)
        image = read_image(sample.image, depth16=sample.depth16)
    except DataError as error:
        issues.append(_issue(error, sample.image))
        if sample.mask is not None:  # its own issues are listed too
            try:
                read_mask_image(sample.mask)
            except DataError as second:
                issues.append(_issue(second, sample.mask))
        return Inspection(sample, None, 0, 0.0, 0.0, tuple(issues))
    size, channels = (image.shape[0], image.shape[1]), image.shape[2]
    file = sample.mask or sample.image
    try:
        if sample.mask is not None:
            mask, binary = read_mask_image(sample.mask, size, orientation=info.orientation)
        else:
            mask, binary = read_mask(sample, info), True
    except DataError as error:
        return Inspection(sample, size, channels, 0.0, 0.0, (_issue(error, file),))
    if not binary:
        what = "the mask has gray values, read as defect from half of white upwards"
        remedy = "save it as black and white to decide yourself"
        issues.append(Issue(str(file), what, remedy, warning=True, code="E-mask-gray"))
    if info.orientation > 1 and sample.mask is not None and image_info(sample.mask).orientation == 1:
        what = "is rotated by its EXIF tag and the mask has no such tag"
        remedy = "check that the mask fits the upright image, or save the image upright without tag"
        issues.append(Issue(str(sample.image), what, remedy, warning=True, code="E-mask-orientation"))
    marked = int(mask.sum())
    if sample.label == GOOD and marked > 0:
        what = f"the image is called good but {marked} pixels are marked"
        issues.append(Issue(str(file), what, "name its class, or remove the mask", code="E-mask-of-good"))
    if sample.label != GOOD and marked < _SPECK:
        how = f"has only {marked} px" if marked else "is empty"
        what = f"the mask of an image of class {sample.label!r} {how}"
        remedy = "mark the defect, or move the image to the good ones"
        issues.append(Issue(str(file), what, remedy, warning=True, code="E-mask-empty"))
    coverage = marked / mask.size
    thickness = float(width(mask)) if width is not None and marked else 0.0
    return Inspection(sample, size, channels, coverage, thickness, tuple(issues))


def _issue(error: DataError, path: Path) -> Issue:
    """The parts of a one-line message `path: what; remedy`; the path may be of another file."""
    message = str(error)
    for name in (str(path), ""):
        if message.startswith(f"{name}: "):
            what, _, remedy = message.removeprefix(f"{name}: ").partition("; ")
            return Issue(name, what, remedy or "check the file", code=error.code)
    what, _, remedy = message.partition("; ")
    head, colon, rest = what.partition(": ")
    return Issue(head if colon else str(path), rest or what, remedy or "check the file", code=error.code)
