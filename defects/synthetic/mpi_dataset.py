"""A procedural data set: everything about image number i follows from the plan and i alone."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from defects.images.decode import encode_image
from defects.manifest import row_of
from defects.sample import GOOD, Sample
from defects.synthetic.masks import DEFECT_CLASSES, ShapeSpec
from defects.synthetic.mpi_image import MpiImage, render
from defects.synthetic.mpi_surface import BACKGROUNDS
from engine.errors import OutputError, UsageError
from engine.files.atomic import sha256_bytes
from engine.run.sample_folder import Item, WriteJob, open_sample_folder
from engine.seeding import numpy_generator, seed_for

# Crack widths on a 128 px image; other sizes are scaled.
_THICKNESS = (1.8, 8.0)
_SHORTEST_BLOB = 3.0


@dataclass(frozen=True)
class ImageSettings:
    """All that image number `index` is rendered from."""

    index: int
    label: str
    part: int
    background: str
    thickness: float
    brightness: float
    seed: int

    @property
    def name(self) -> str:
        """File name without folder and extension."""
        return f"{self.index:06d}"

    @property
    def group(self) -> str:
        """Images of one part share it."""
        return f"part-{self.part:05d}"


@dataclass(frozen=True)
class MpiPlan:
    """The settings of a data set.

    Attributes:
        size: Side of an image, pixels.
        seed: Of everything.
        good_fraction: Share of images of good parts, met as exactly as whole images allow.
        classes: Defect classes, sampled with equal chance; one given twice is sampled twice as often.
        thickness: Range of the mean local width, pixels; None takes 1.8 to 8 px at 128 px, scaled with the size.
        brightness: Range of the brightness, within 0 to 1.
        per_part: Images of one part, which share material, texture and group.
    """

    size: int = 128
    seed: int = 0
    good_fraction: float = 0.25
    classes: tuple[str, ...] = ("crack",)
    thickness: tuple[float, float] | None = None
    brightness: tuple[float, float] = (0.0, 1.0)
    per_part: int = 3

    def __post_init__(self) -> None:
        """Refuse what cannot be rendered."""
        if not 64 <= self.size <= 2048:
            raise UsageError(
                f"size: expected 64 to 2048 px, got {self.size}; 128, 256 and 512 are usual", code="E-gen-mpi-setting"
            )
        if not 0 <= self.good_fraction <= 1:
            raise UsageError(
                f"good fraction: expected 0 to 1, got {self.good_fraction:g}; 0.25 is a quarter",
                code="E-gen-mpi-setting",
            )
        if not self.classes or any(class_name not in DEFECT_CLASSES for class_name in self.classes):
            given = ", ".join(self.classes) or "none"
            raise UsageError(
                f"classes: expected some of {', '.join(DEFECT_CLASSES)}, got {given}; separate them by commas",
                code="E-gen-mpi-setting",
            )
        low, high = self.brightness
        if not 0 <= low <= high <= 1:
            raise UsageError(
                f"brightness: expected low..high within 0 to 1, got {low:g}..{high:g}", code="E-gen-mpi-setting"
            )
        low, high = self.widths
        if not 1 <= low <= high <= self.size / 8:
            raise UsageError(
                f"thickness: expected low..high within 1 to {self.size // 8} px, got {low:g}..{high:g}",
                code="E-gen-mpi-setting",
            )
        if self.per_part < 1:
            raise UsageError(f"images a part: expected at least 1, got {self.per_part}", code="E-gen-mpi-setting")

    @property
    def widths(self) -> tuple[float, float]:
        """Range of the mean local width in pixels."""
        if self.thickness is not None:
            return self.thickness
        return max(1.2, _THICKNESS[0] * self.size / 128), _THICKNESS[1] * self.size / 128

    def to_dict(self) -> dict[str, Any]:
        """The settings as plain values."""
        values = dataclasses.asdict(self)
        return {"kinds" if name == "classes" else name: value for name, value in values.items()}

    def settings(self, index: int) -> ImageSettings:
        """What image number `index` shows."""
        part = index // self.per_part
        rng = numpy_generator(self.seed, "choice", index)
        good = math.floor((index + 1) * self.good_fraction) > math.floor(index * self.good_fraction)
        # Four parts in a row take the four backgrounds in a random order.
        order = numpy_generator(self.seed, "backgrounds", part // len(BACKGROUNDS)).permutation(len(BACKGROUNDS))
        label = self.classes[int(rng.integers(len(self.classes)))]
        low, high = self.widths
        if label in ("pit", "spot"):
            low = min(high, max(low, _SHORTEST_BLOB * self.size / 128))
        return ImageSettings(
            index=index,
            label="good" if good else label,
            part=part,
            background=BACKGROUNDS[int(order[part % len(BACKGROUNDS)])],
            thickness=float(rng.uniform(low, high)),
            brightness=float(rng.uniform(*self.brightness)),
            seed=seed_for(self.seed, "scan", index),
        )

    def render(self, settings: ImageSettings) -> MpiImage:
        """The image of a choice."""
        mask = np.zeros((self.size, self.size), bool)
        if settings.label != "good":
            rng = numpy_generator(self.seed, "mask", settings.index)
            mask = self._spec(settings).sample(rng).draw(self.size, rng)
        return render(
            mask,
            thickness=settings.thickness,
            brightness=settings.brightness,
            background=settings.background,
            seed=settings.seed,
            part=seed_for(self.seed, "part", settings.part),
        )

    def _spec(self, settings: ImageSettings) -> ShapeSpec:
        typical = ShapeSpec.typical(settings.label, self.size)
        width, (low, high) = settings.thickness, typical.length
        if settings.label == "crack":
            low = min(max(low, 9 * width), high)
        elif settings.label == "pit":
            low, high = width, max(high, 3 * width)
        elif settings.label == "spot":
            low, high = width, 1.8 * width
        return dataclasses.replace(typical, width=(width, width), length=(low, high), position=(0.18, 0.18, 0.74, 0.82))


SETTINGS = "settings.yaml"
# Images between two lines of the manifest: one sync for all of them, and little to do again after a kill.
_CHUNK = 16


def dataset(
    out: str | Path,
    count: int,
    size: int = 128,
    seed: int = 0,
    good_fraction: float = 0.25,
    *,
    plan: MpiPlan | None = None,
    resume: bool = False,
    on_progress: Callable[[int], None] | None = None,
) -> int:
    """Write a sample folder: `images/`, `masks/` (of defects) and `metadata.jsonl`.

    Args:
        out: The folder.
        count: Number of images in it at the end; a larger count resumed adds to a smaller one.
        size: Side of an image, pixels.
        seed: Of everything.
        good_fraction: Share of good parts.
        plan: All settings at once, instead of `size`, `seed` and `good_fraction`.
        resume: Continue a folder that this function began.
        on_progress: Called with the number of images that have become complete.

    Returns:
        The number of images written now.

    Raises:
        UsageError: A setting is out of range.
        OutputError: The folder is not empty, was begun with other settings, is in use or cannot be written.
    """
    if count < 1:
        raise UsageError(
            f"count: expected at least 1 image, got {count}; give for example 1000", code="E-gen-mpi-setting"
        )
    plan = plan or MpiPlan(size=size, seed=seed, good_fraction=good_fraction)
    job = WriteJob(count, lambda index: _names(plan.settings(index)), lambda _, needed: _items(plan, needed), _CHUNK)
    description = {"made_by": "gen-mpi", **plan.to_dict()}
    with open_sample_folder(Path(out), description, request=SETTINGS, resume=resume) as folder:
        listed = sum(1 for _ in folder.manifest.stream())
        if listed > count:
            raise OutputError(
                f"{out}: already holds {listed} images, more than {count}; give --count {listed}", code="E-resume-count"
            )
        return folder.write(job, folder.recorded(job), workers=1, on_progress=on_progress)


def _names(settings: ImageSettings) -> list[str]:
    folders = ("images",) if settings.label == GOOD else ("images", "masks")
    return [f"{folder}/{settings.name}.png" for folder in folders]


def _items(plan: MpiPlan, numbers: Sequence[int]) -> list[Item]:
    """Renders images and masks."""
    items = []
    for number in numbers:
        settings = plan.settings(number)
        rendered = plan.render(settings)
        contents = (encode_image(pixels) for pixels in (rendered.image, rendered.mask))
        files = dict(zip(_names(settings), contents, strict=False))
        image, mask = (Path(*names) for names in (_names(settings)[:1], _names(settings)[1:]))
        sample = Sample(
            name=settings.name,
            image=image,
            mask=mask if settings.label != GOOD else None,
            label=settings.label,
            group=settings.group,
            source="procedural",
            metadata=_metadata(plan, settings, rendered.guide),
        )
        row = row_of(sample, Path(), sha256=sha256_bytes(files[image.as_posix()]))
        items.append(Item(number, files, row))
    return items


def _metadata(plan: MpiPlan, settings: ImageSettings, guide: dict[str, float | str]) -> dict[str, Any]:
    """Raw guide values as measured on the image, scaled ones as the plan requested them, and the seed."""
    raw = {key: round(value, 6) if isinstance(value, float) else value for key, value in guide.items()}
    scaled: dict[str, float | str] = {"background": settings.background}
    if settings.label != GOOD:
        low, high = plan.widths
        scaled["thickness"] = round((settings.thickness - low) / max(high - low, 1e-9), 6)
        scaled["brightness"] = round(settings.brightness, 6)
    return {"guide": raw, "guide_scaled": scaled, "seed": settings.seed}
