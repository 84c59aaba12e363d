"""What a procedural data set holds: every choice for image number i follows from the plan and i alone."""

from __future__ import annotations

import dataclasses
import json
import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from defects.images.decode import encode_image
from defects.manifest import NAME, row_of
from defects.sample import GOOD, Sample
from defects.synthetic.masks import DEFECT_CLASSES, ShapeSpec
from defects.synthetic.mpi_image import MpiImage, render
from defects.synthetic.mpi_surface import BACKGROUNDS
from engine.errors import OutputError, UsageError
from engine.files.atomic import remove_temporaries, sha256_bytes, write_many, write_text
from engine.files.json_lines import LOCK_NAME, LineLog, lock_folder
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
_BATCH = 16


def dataset(
    out: Path,
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
        resume: Go on with a folder that this function began.
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
    with lock_folder(out):
        remove_temporaries(out)
        _begin(out, plan, resume)
        with LineLog(out / NAME) as log:
            listed = _listed(log, out, count)
            lost = [index for index, whole in enumerate(listed) if not whole]
            for batch in _batches(lost):
                _write(out, plan, batch)
            if on_progress is not None:
                on_progress(len(listed))
            for batch in _batches(range(len(listed), count)):
                log.append(_write(out, plan, batch))
                if on_progress is not None:
                    on_progress(len(batch))
    return count - len(listed) + len(lost)


def _begin(out: Path, plan: MpiPlan, resume: bool) -> None:
    """Write the settings of a new folder, or compare them with those of one that is resumed."""
    path = out / SETTINGS
    text = json.dumps({"made_by": "gen-mpi", **plan.to_dict()}, indent=2) + "\n"
    if path.is_file():
        if not resume:
            raise OutputError(
                f"{out}: is not empty; add --resume to go on with it or choose another folder", code="E-out-not-empty"
            )
        if path.read_text(encoding="utf-8") != text:
            remedy = f"repeat those in its {SETTINGS} or choose another folder"
            raise OutputError(f"{out}: was begun with other settings; {remedy}", code="E-resume-settings")
    elif any(entry.name != LOCK_NAME for entry in out.iterdir()):
        raise OutputError(
            f"{out}: is not empty and was not written by gen-mpi; choose another folder", code="E-out-not-empty"
        )
    else:
        write_text(path, text)


def _listed(log: LineLog, out: Path, count: int) -> list[bool]:
    """For every image in the manifest, in order, whether its files are there."""
    listed: list[bool] = []
    for row in log.stream():
        files = [str(row.get(key)) for key in ("file_name", "mask") if row.get(key)]
        if not files or Path(files[0]).stem != f"{len(listed):06d}":
            raise OutputError(
                f"{out / NAME}: its row {len(listed) + 1} is not of this run; choose another folder",
                code="E-resume-foreign",
            )
        listed.append(all((out / name).is_file() for name in files))
    if len(listed) > count:
        raise OutputError(
            f"{out}: already holds {len(listed)} images, more than {count}; give --count {len(listed)}",
            code="E-resume-count",
        )
    return listed


def _batches(indices: range | list[int]) -> Iterator[list[int]]:
    for start in range(0, len(indices), _BATCH):
        yield list(indices[start : start + _BATCH])


def _write(out: Path, plan: MpiPlan, indices: list[int]) -> list[dict[str, Any]]:
    """Render and write images and masks, and return their rows for the manifest."""
    files: list[tuple[Path, bytes]] = []
    rows: list[dict[str, Any]] = []
    for settings in map(plan.settings, indices):
        shown = plan.render(settings)
        image, mask = out / "images" / f"{settings.name}.png", out / "masks" / f"{settings.name}.png"
        data = encode_image(shown.image)
        files.append((image, data))
        if settings.label != GOOD:
            files.append((mask, encode_image(shown.mask)))
        sample = Sample(
            name=settings.name,
            image=image,
            mask=mask if settings.label != GOOD else None,
            label=settings.label,
            group=settings.group,
            source="procedural",
            metadata=_metadata(plan, settings, shown.guide),
        )
        rows.append(row_of(sample, out, sha256=sha256_bytes(data)))
    write_many(files)
    return rows


def _metadata(plan: MpiPlan, settings: ImageSettings, guide: dict[str, float | str]) -> dict[str, Any]:
    """Raw guide values as measured on the image, scaled ones as the plan requested them, and the seed."""
    raw = {key: round(value, 6) if isinstance(value, float) else value for key, value in guide.items()}
    scaled: dict[str, float | str] = {"background": settings.background}
    if settings.label != GOOD:
        low, high = plan.widths
        scaled["thickness"] = round((settings.thickness - low) / max(high - low, 1e-9), 6)
        scaled["brightness"] = round(settings.brightness, 6)
    return {"guide": raw, "guide_scaled": scaled, "seed": settings.seed}
