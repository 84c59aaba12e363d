"""What a user asks `gen-defects` for."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from defects.attributes.guide import CategoricalEntry, GuideSchema, GuideValue, NumericEntry
from defects.attributes.request import Cell, GuideRequest, Interval, Keyword, RowChoice, parse_guide
from defects.images.decode import Format
from defects.masks.width import Mask, pad_and_resize
from defects.sample import GOOD
from engine.errors import Issue, UsageError
from engine.seeding import numpy_generator
from gan.generation.masks import MaskList, Squares

LABELS = ("mask", "coco", "yolo", "labelme")
FORMATS = ("png", "jpg", "webp")
GUIDE_MODES = ("grid", "draw")
SIDES = (16, 4096)
MOST = 10**9


@dataclass(frozen=True)
class Request:
    """Everything that decides the bytes, apart from masks and generator.

    Attributes:
        guide: as typed, see `defects.attributes.request.parse_guide`.
        num: images for each mask and, in `grid` mode, for each cell of the guide's grid.
        size: side of the written images in px; None for the generator's own.
        seed: of noise and of drawn guide values.
        format: of the images; label masks are always PNG.
        labels: any of `LABELS`; masks are always written.
        guide_mode: `grid` makes every cell of the guide's grid for every mask, `draw` one drawn cell for each image.
        same_noise: image number i has the same noise for every mask and every cell.
        label: name of the defect; empty for the kind guide, else the mask's folder, else the generator's only kind.

    Raises:
        UsageError: a value is unknown or out of range.
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
                raise UsageError(f"{flag}: {value!r} is unknown; choose from {', '.join(known)}")
        if self.label.strip().casefold() == GOOD:
            raise UsageError(f"--label: {self.label!r} names parts without a defect; choose another name")
        if self.label and not (self.label.strip() and self.label.isprintable()):
            raise UsageError(f"--label: {self.label!r} is blank or not printable; choose another name")
        if not 1 <= self.num <= MOST:
            raise UsageError(f"--num: {self.num} images of a mask; ask for 1 to {MOST}")
        if self.size is not None and not SIDES[0] <= self.size <= SIDES[1]:
            raise UsageError(f"--size: {self.size} px is out of range; choose {SIDES[0]} to {SIDES[1]}")

    def describe(self, guide: GuideRequest, size: int) -> dict[str, Any]:
        """The request with every default filled in, by flag name, for `request.json`."""
        return {
            "guide": {name: "|".join(_text(choice) for choice in row) for name, row in guide.choices.items()},
            "guide-mode": self.guide_mode,
            "num": self.num,
            "size": size,
            "seed": self.seed,
            "format": self.format,
            "labels": [name for name in LABELS if name in self.labels or name == "mask"],
            "same-noise": self.same_noise,
            "label": self.label,
        }


def _text(choice: object) -> str:
    if isinstance(choice, Keyword):
        return choice.word
    return f"{choice.low}..{choice.high}" if isinstance(choice, Interval) else str(choice)


@dataclass(frozen=True)
class Job:
    """One image to make: of mask number `mask`, in cell number `cell` of the grid, the `index`-th of those.

    A filter may ask for several candidates of it: from 1 on, they differ in noise and drawn guide values.
    """

    mask: int
    cell: int
    index: int
    name: str
    candidate: int = 0


@dataclass(frozen=True)
class Resolved:
    """A job with everything random drawn.

    Attributes:
        condition: (S, S) mask the network sees, at the generator's size.
        label: (size, size) mask that is written; the same array where the sizes agree.
        vector: (G,) guide vector.
        raw: guide values; lengths are in px of the written image.
        scaled: guide values, numeric ones in 0..1.
        kind: name of the defect.
    """

    condition: Mask
    label: Mask
    vector: NDArray[np.float32]
    raw: dict[str, GuideValue]
    scaled: dict[str, GuideValue]
    kind: str


class DrawnGuide(NamedTuple):
    """The guide of a job: raw values in px of the generator's images, scaled ones, the kind's name, and whether the
    mask keeps its width."""

    raw: dict[str, GuideValue]
    scaled: dict[str, GuideValue]
    kind: str
    measured: bool


THINNEST = 1.0
"""No label is brought below this width, in px."""

SAME_WIDTH = 0.05
"""A width that lies outside the trained range by less than this many px is not worth a warning."""


class JobList(Sequence[Job]):
    """The jobs of a request, mask by mask, then cell by cell; one is computed when it is asked for.

    Args:
        request: what to make.
        masks: of what.
        schema: the generator's guide entries.
        table: raw guide values of its training images.
        side: of the generator's images, px.
        kinds: the kinds it was trained on.

    Raises:
        UsageError: the guide does not fit the schema.
    """

    def __init__(
        self,
        request: Request,
        masks: MaskList,
        schema: GuideSchema,
        table: Sequence[Mapping[str, GuideValue]],
        side: int,
        kinds: Sequence[str] = (),
    ) -> None:
        self.request, self.masks, self.schema, self.table, self.side = request, masks, schema, table, side
        self.size = request.size or side
        self.squares = Squares(masks, side)
        self.guide = parse_guide(request.guide, schema)
        self._cells: list[Cell] = self.guide.cells()
        self._grid = len(self._cells) if request.guide_mode == "grid" else 1
        kind = schema["kind"] if "kind" in schema.names else None
        self._kinds = kind.values if isinstance(kind, CategoricalEntry) else ()
        self._only_kind = kinds[0] if len(kinds) == 1 else "defect"
        if request.label:
            self.classes: tuple[str, ...] = (request.label,)
        else:
            self.classes = self._kinds or tuple(sorted({entry.kind or self._only_kind for entry in masks.entries}))

    def __len__(self) -> int:
        return len(self.masks.entries) * self._grid * self.request.num

    def __getitem__(self, i: int) -> Job:  # type: ignore[override]
        if not 0 <= i < len(self):
            raise IndexError(f"expected a job from 0 to {len(self) - 1}, got {i}")
        rest, index = divmod(i, self.request.num)
        mask, cell = divmod(rest, self._grid)
        grid = f"-g{cell:0{len(str(self._grid - 1))}d}" if self._grid > 1 else ""
        digits = max(3, len(str(self.request.num - 1)))
        return Job(mask, cell, index, f"{self.masks.entries[mask].name}{grid}-{index:0{digits}d}")

    def noise_key(self, job: Job) -> tuple[str | int, ...]:
        """What the noise of a job depends on, besides the seed."""
        again = (job.candidate,) if job.candidate else ()
        if self.request.same_noise:
            return "noise", job.index, *again
        return "noise", self.masks.entries[job.mask].name, job.cell, job.index, *again

    def resolve(self, job: Job) -> Resolved:
        """Draws a job's guide and brings its mask to the thickness that the guide says.

        A measured thickness leaves the mask as it is drawn: only what the network is told is clipped to 0..1.
        """
        square = self.squares[job.mask]
        drawn = self.draw_guide(job, lambda: square.width)
        raw, thickness = dict(drawn.raw), drawn.raw.get("thickness")
        if drawn.measured or not isinstance(thickness, float):
            condition = square.mask
        else:
            condition = square.at(max(THINNEST, thickness))
        label = condition if self.size == self.side else pad_and_resize(condition, self.size)
        self.rescale(raw, self.size / self.side)
        return Resolved(condition, label, self.schema.encode(drawn.scaled), raw, drawn.scaled, drawn.kind)

    def draw_guide(self, job: Job, width_of: Callable[[], float], choose: RowChoice | None = None) -> DrawnGuide:
        """Draws what a job's guide leaves open; all candidates have the kind and the cell of the first.

        Args:
            job: one of these.
            width_of: the width of its mask in px of the generator's images, asked for where the guide says `measured`.
            choose: see `GuideRequest.resolve`.
        """
        entry = self.masks.entries[job.mask]
        rng = numpy_generator(self.request.seed, "guide", entry.name, job.cell, job.index)
        cell = self._cell_of(job, rng)
        kind = self._kind_of_folder(entry.kind)
        cell = {**cell, "kind": kind} if kind else cell
        if job.candidate:  # of another kind it would not be what was asked for: easy kinds would oust the others
            if self._kinds:
                cell = {**cell, "kind": str(self.guide.resolve(cell, rng, {}, self.table, choose)["kind"])}
            rng = numpy_generator(self.request.seed, "guide", entry.name, job.cell, job.index, job.candidate)
        as_it_is = cell.get("thickness") == Keyword("measured")
        measured: dict[str, GuideValue] = {"thickness": width_of()} if as_it_is else {}
        scaled = self.guide.resolve(cell, rng, measured, self.table, choose)
        raw = self.schema.unscale(scaled) | measured
        name = self.request.label or str(scaled.get("kind") or entry.kind or self._only_kind)
        return DrawnGuide(raw, scaled, name, as_it_is)

    def rescale(self, raw: dict[str, GuideValue], factor: float) -> None:
        """Brings the lengths among guide values from px of the generator's images to px of the written one."""
        for numeric in self.schema.entries:
            value = raw.get(numeric.name)
            if isinstance(numeric, NumericEntry) and numeric.unit == "px" and isinstance(value, float):
                raw[numeric.name] = value * factor

    @property
    def trained_widths(self) -> tuple[float, float] | None:
        """Thickness in px of the written image that the generator was trained on; None if no width is measured."""
        if Keyword("measured") not in self.guide.choices.get("thickness", ()):
            return None
        entry = self.schema["thickness"]
        if not isinstance(entry, NumericEntry):
            return None
        zoom = self.size / self.side
        return (entry.low - SAME_WIDTH) * zoom, (entry.high + SAME_WIDTH) * zoom

    def warnings(self) -> list[Issue]:
        """The folders whose names are no kind that the generator knows, so that their kind is drawn at random."""
        if not self._kinds or "kind" in self.guide.given:
            return []
        known = {"", *(value.casefold() for value in self._kinds)}
        folders = sorted({entry.kind for entry in self.masks.entries if entry.kind.casefold() not in known})
        return [
            Issue(
                str(self.masks.root),
                f"{folder!r} is no kind this generator knows, so its masks get random kinds",
                f"name it {' or '.join(self._kinds)}, or give --guide kind={self._kinds[0]}",
                True,
            )
            for folder in folders
        ]

    def kind_of(self, job: Job) -> str:
        """The kind that the guide or the mask's folder says; "" where it is drawn."""
        entry = self.masks.entries[job.mask]
        said = self._cell_of(job, numpy_generator(self.request.seed, "guide", entry.name, job.cell, job.index)).get(
            "kind"
        )
        return said if isinstance(said, str) else self._kind_of_folder(entry.kind)

    def _cell_of(self, job: Job, rng: np.random.Generator) -> Cell:
        """The cell of the guide's grid; drawn by the job's generator's first number where one is drawn for each."""
        return self._cells[job.cell if self._grid == len(self._cells) else int(rng.integers(len(self._cells)))]

    @property
    def kinds_by_folder(self) -> bool:
        """Whether the folder of every mask names its kind, so that none is drawn."""
        return all(self._kind_of_folder(entry.kind) for entry in self.masks.entries)

    def _kind_of_folder(self, folder: str) -> str:
        """The kind guide that a mask's folder names; "" when the guide says the kind, or the folder names none."""
        if "kind" in self.guide.given:
            return ""
        return next((value for value in self._kinds if value.casefold() == folder.casefold()), "")
