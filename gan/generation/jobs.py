"""The request of a user and the jobs it consists of: one for each image, with its guide and its mask at its width."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from defects.attributes.guide import CategoricalEntry, GuideSchema, GuideValue, NumericEntry
from defects.attributes.request import GridPoint, GuideRequest, Interval, Keyword, RowSampler, parse_guide
from defects.images.decode import Format
from defects.masks.width import Mask, pad_and_resize
from defects.sample import GOOD
from engine.errors import Issue, UsageError
from engine.seeding import numpy_generator
from gan.generation.masks import MaskList, ResizedMasks

LABELS = ("mask", "coco", "yolo", "labelme")
FORMATS = ("png", "jpg", "webp")
GUIDE_MODES = ("grid", "draw")
SIDES = (16, 4096)
LARGEST_NUM = 10**9
THINNEST = 1.0
"""No label is thinner than this, in px."""
SAME_WIDTH = 0.05
"""A width that lies outside the trained range by less than this many px is not worth a warning."""


@dataclass(frozen=True)
class Request:
    """Everything that decides the bytes, apart from masks and generator.

    Attributes:
        guide: As typed, see `defects.attributes.request.parse_guide`.
        num: Images for each mask and, in `grid` mode, for each point of the guide's grid.
        size: Side of the written images in px; None for the generator's own.
        seed: Of noise and of sampled guide values.
        format: Of the images; label masks are always PNG.
        labels: Any of `LABELS`; masks are always written.
        guide_mode: `grid` takes every point of the guide's grid for every mask, `draw` a random one for each image.
        same_noise: Image number i has the same noise for every mask and every grid point.
        label: Name of the defect; empty for the class in the guide, else the mask's folder, else the only class.

    Raises:
        UsageError: A value is unknown or out of range.
    """

    guide: str = ""
    num: int = 1
    size: int | None = None
    seed: int = 0
    format: Format = "png"
    labels: tuple[str, ...] = ("mask",)
    guide_mode: str = "grid"
    same_noise: bool = False
    label: str = ""

    def __post_init__(self) -> None:
        for flag, value, known in (
            *(("--labels", name, LABELS) for name in self.labels),
            ("--format", self.format, FORMATS),
            ("--guide-mode", self.guide_mode, GUIDE_MODES),
        ):
            if value not in known:
                raise UsageError(
                    f"{flag}: {value!r} is unknown; choose from {', '.join(known)}", code="E-generate-unknown-value"
                )
        code = "E-generate-label"
        if self.label.strip().casefold() == GOOD:
            raise UsageError(f"--label: {self.label!r} names parts without a defect; choose another name", code=code)
        if self.label and not (self.label.strip() and self.label.isprintable()):
            raise UsageError(f"--label: {self.label!r} is blank or not printable; choose another name", code=code)
        code = "E-generate-range"
        if not 1 <= self.num <= LARGEST_NUM:
            raise UsageError(f"--num: {self.num} images of a mask; give 1 to {LARGEST_NUM}", code=code)
        if self.size is not None and not SIDES[0] <= self.size <= SIDES[1]:
            raise UsageError(f"--size: {self.size} px is out of range; choose {SIDES[0]} to {SIDES[1]}", code=code)

    def describe(self, guide: GuideRequest, size: int) -> dict[str, Any]:
        """The request with every default filled in, by flag name, for `request.json`."""
        return {
            "guide": {name: "|".join(map(_text, values)) for name, values in guide.requested.items()},
            "guide-mode": self.guide_mode,
            "num": self.num,
            "size": size,
            "seed": self.seed,
            "format": self.format,
            "labels": [name for name in LABELS if name in self.labels or name == "mask"],
            "same-noise": self.same_noise,
            "label": self.label,
        }


def _text(value: object) -> str:
    return f"{value.low}..{value.high}" if isinstance(value, Interval) else getattr(value, "word", str(value))


@dataclass(frozen=True)
class Job:
    """One image: of mask number `mask`, at grid point number `point`, the `index`-th of those.

    A filter may request several candidates of it: from 1 on, they differ in noise and sampled guide values.
    """

    mask: int
    point: int
    index: int
    name: str
    candidate: int = 0


@dataclass(frozen=True)
class Resolved:
    """A job with everything random sampled.

    Attributes:
        condition: (S, S) mask the network sees, at the generator's size.
        mask: (size, size) mask that is written; the same array where the sizes agree.
        vector: (G,) guide vector.
        raw: Guide values; lengths are in px of the written image.
        scaled: Guide values, numeric ones in 0..1.
        label: Name of the defect's class.
    """

    condition: Mask
    mask: Mask
    vector: NDArray[np.float32]
    raw: dict[str, GuideValue]
    scaled: dict[str, GuideValue]
    label: str


class SampledGuide(NamedTuple):
    """The guide of a job: raw values in px of the generator's images, scaled ones, class, and whether width stays."""

    raw: dict[str, GuideValue]
    scaled: dict[str, GuideValue]
    label: str
    measured: bool


class JobList(Sequence[Job]):
    """The jobs of a request, mask by mask, then grid point by grid point; one is computed when it is indexed.

    Args:
        request: What to generate.
        masks: Of what.
        schema: The generator's guide entries.
        table: Raw guide values of its training images.
        side: Of the generator's images, px.
        classes: The classes it was trained on.

    Raises:
        UsageError: The guide does not fit the schema.
    """

    def __init__(
        self,
        request: Request,
        masks: MaskList,
        schema: GuideSchema,
        table: Sequence[Mapping[str, GuideValue]],
        side: int,
        classes: Sequence[str] = (),
    ) -> None:
        self.request, self.masks, self.schema, self.table, self.side = request, masks, schema, table, side
        self.size = request.size or side
        self.resized = ResizedMasks(masks, side)
        self.guide = parse_guide(request.guide, schema)
        self._points: list[GridPoint] = self.guide.grid_points()
        self._grid = len(self._points) if request.guide_mode == "grid" else 1
        entry = schema["kind"] if "kind" in schema.names else None
        self._guided = entry.values if isinstance(entry, CategoricalEntry) else ()
        self._only_class = classes[0] if len(classes) == 1 else "defect"
        if request.label:
            self.classes: tuple[str, ...] = (request.label,)
        else:
            self.classes = self._guided or tuple(sorted({entry.label or self._only_class for entry in masks.entries}))

    def __len__(self) -> int:
        return len(self.masks.entries) * self._grid * self.request.num

    def __getitem__(self, i: int) -> Job:  # type: ignore[override]
        if not 0 <= i < len(self):
            raise IndexError(f"expected a job from 0 to {len(self) - 1}, got {i}")
        rest, index = divmod(i, self.request.num)
        mask, point = divmod(rest, self._grid)
        grid = f"-g{point:0{len(str(self._grid - 1))}d}" if self._grid > 1 else ""
        digits = max(3, len(str(self.request.num - 1)))
        return Job(mask, point, index, f"{self.masks.entries[mask].name}{grid}-{index:0{digits}d}")

    def noise_key(self, job: Job) -> tuple[str | int, ...]:
        """What the noise of a job depends on, besides the seed."""
        again = (job.candidate,) if job.candidate else ()
        if self.request.same_noise:
            return "noise", job.index, *again
        return "noise", self.masks.entries[job.mask].name, job.point, job.index, *again

    def resolve(self, job: Job) -> Resolved:
        """Samples a job's guide and brings its mask to the thickness of the guide.

        A measured thickness leaves the mask as it is: only the network's input is clipped to 0..1.
        """
        resized = self.resized[job.mask]
        guide = self.sample_guide(job, lambda: resized.width)
        raw, thickness = dict(guide.raw), guide.raw.get("thickness")
        if guide.measured or not isinstance(thickness, float):
            condition = resized.mask
        else:
            condition = resized.with_width(max(THINNEST, thickness))
        mask = condition if self.size == self.side else pad_and_resize(condition, self.size)
        self.rescale(raw, self.size / self.side)
        return Resolved(condition, mask, self.schema.encode(guide.scaled), raw, guide.scaled, guide.label)

    def sample_guide(
        self, job: Job, width_of: Callable[[], float], sample_row: RowSampler | None = None
    ) -> SampledGuide:
        """Samples what a job's guide leaves open; all candidates have the class and the grid point of the first.

        Args:
            job: One of these.
            width_of: The width of its mask in px of the generator's images, called where the guide says `measured`.
            sample_row: See `GuideRequest.resolve`.
        """
        entry = self.masks.entries[job.mask]
        rng = numpy_generator(self.request.seed, "guide", entry.name, job.point, job.index)
        point = self._point_of(job, rng)
        folder = self._class_of_folder(entry.label)
        point = {**point, "kind": folder} if folder else point
        if job.candidate:  # candidates of another class would let easy classes oust the requested one
            if self._guided:
                point = {**point, "kind": str(self.guide.resolve(point, rng, {}, self.table, sample_row)["kind"])}
            rng = numpy_generator(self.request.seed, "guide", entry.name, job.point, job.index, job.candidate)
        as_it_is = point.get("thickness") == Keyword("measured")
        measured: dict[str, GuideValue] = {"thickness": width_of()} if as_it_is else {}
        scaled = self.guide.resolve(point, rng, measured, self.table, sample_row)
        raw = self.schema.unscale(scaled) | measured
        label = self.request.label or str(scaled.get("kind") or entry.label or self._only_class)
        return SampledGuide(raw, scaled, label, as_it_is)

    def rescale(self, raw: dict[str, GuideValue], factor: float) -> None:
        """Brings the lengths among guide values from px of the generator's images to px of the written one."""
        for numeric in self.schema.entries:
            value = raw.get(numeric.name)
            if isinstance(numeric, NumericEntry) and numeric.unit == "px" and isinstance(value, float):
                raw[numeric.name] = value * factor

    @property
    def trained_widths(self) -> tuple[float, float] | None:
        """Thickness in px of the written image that the generator was trained on; None if no width is measured."""
        if Keyword("measured") not in self.guide.requested.get("thickness", ()):
            return None
        entry = self.schema["thickness"]
        if not isinstance(entry, NumericEntry):
            return None
        zoom = self.size / self.side
        return (entry.low - SAME_WIDTH) * zoom, (entry.high + SAME_WIDTH) * zoom

    def warnings(self) -> list[Issue]:
        """The folders whose names are no class of the generator, so that their class is sampled."""
        if not self._guided or "kind" in self.guide.given:
            return []
        known = {"", *(value.casefold() for value in self._guided)}
        folders = sorted({entry.label for entry in self.masks.entries if entry.label.casefold() not in known})
        example = f"kind={self._guided[0]}"
        return [
            Issue(
                str(self.masks.root),
                f"{folder!r} is no class of this generator, so its masks get random classes",
                f"name it {' or '.join(self._guided)}, or give --guide {example}",
                warning=True,
                code="E-masks-unknown-class",
            )
            for folder in folders
        ]

    def class_of(self, job: Job) -> str:
        """The class that the guide or the mask's folder names; "" where it is sampled."""
        entry = self.masks.entries[job.mask]
        rng = numpy_generator(self.request.seed, "guide", entry.name, job.point, job.index)
        value = self._point_of(job, rng).get("kind")
        return value if isinstance(value, str) else self._class_of_folder(entry.label)

    def _point_of(self, job: Job, rng: np.random.Generator) -> GridPoint:
        """The point of the guide's grid; in `draw` mode the first number of the job's generator selects one."""
        return self._points[job.point if self._grid == len(self._points) else int(rng.integers(len(self._points)))]

    @property
    def classes_by_folder(self) -> bool:
        """Whether the folder of every mask names its class, so that none is sampled."""
        return all(self._class_of_folder(entry.label) for entry in self.masks.entries)

    def _class_of_folder(self, folder: str) -> str:
        """The class that a mask's folder names; "" when the guide names the class, or the folder none."""
        if "kind" in self.guide.given:
            return ""
        return next((value for value in self._guided if value.casefold() == folder.casefold()), "")
