"""A run of `gen-defects --backgrounds` decided before anything is written."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from defects.attributes.guide import brightness
from defects.attributes.local_contrast import LocalContrast
from defects.images.crops import CropSpec, crop_of
from defects.masks.width import Mask, set_width, width
from engine.errors import DataError
from engine.seeding import numpy_generator
from gan.blending.compositing import BlendPainter, Drawing, draw_into, working_scale
from gan.blending.matching import ground_remarks
from gan.blending.placement import Site, Sites
from gan.data.blend_pairs import contrast
from gan.generation.jobs import THINNEST, DrawnGuide, Job
from gan.generation.plan import Picture, Plan

MISSED = 0.02
"""A brightness missed by more is written as it is, not as it was asked for."""
CORRECTIONS = 2
"""Steps towards the brightness asked for where a photograph is written smaller."""


@dataclass(frozen=True, kw_only=True)
class BlendPlan(Plan):
    """What a run makes and with what; see `Plan`.

    Attributes:
        sites: finds a place for a mask.
        window: px of a photograph that were the network's size in training.
    """

    painter: BlendPainter
    sites: Sites
    window: int | None

    @property
    def side(self) -> int | None:
        """See `Plan.side`: photographs keep their own size, if no other is asked for."""
        return self.jobs.request.size

    def remarks(self, rows: Iterable[Mapping[str, Any]]) -> list[str]:
        """See `Plan.remarks`; photographs of several sizes have no common px, so nothing is said of widths."""
        return ground_remarks(rows, self.sites.seen)

    def draw(self, jobs: Sequence[Job]) -> list[Picture]:
        """See `Plan.draw`; every image is drawn by itself."""
        return [self._draw(job) for job in jobs]

    def _draw(self, job: Job) -> Picture:
        site = self._site(job)
        chosen = self.sites.backgrounds[site.number]
        photograph = self.sites.backgrounds.read(site.number)[0]
        mask = site.placed.whole(chosen.shape)
        scale = working_scale(chosen.shape, self.painter.network.config.size, self.window)
        own = width(mask) * scale
        like = self.sites.seen.like(site.ground) if site.ground is not None else None
        guide = self.jobs.draw_guide(job, lambda: own, like)
        thickness = guide.raw.get("thickness")
        if isinstance(thickness, float) and not guide.measured:
            mask = set_width(mask, max(THINNEST, thickness / scale))
        vector = self.jobs.schema.encode(guide.scaled)
        key = self.jobs.noise_key(job)
        level = cast(float | None, guide.raw.get("brightness") if "brightness" in self.jobs.guide.given else None)
        local_contrast = self._local_contrast(job, site, guide)
        drawing = draw_into(
            photograph,
            mask,
            self.painter,
            vector,
            key,
            window=self.window,
            brightness=level,
            local_contrast=local_contrast,
        )
        image, mask, zoom = self._written(drawing, mask, level, 1 / scale)
        shown = self._shown(drawing, image, mask) if level is not None else None
        if level is not None and shown is not None and abs(shown - level) > MISSED:
            guide.raw["brightness"] = shown
        self.jobs.rescale(guide.raw, zoom)
        background: dict[str, Any] = {"name": chosen.name, "sha256": chosen.sha256}
        if chosen.painted_out:
            background["painted_out"] = True
        if site.ground is not None:
            background["ground"] = [round(value, 4) for value in site.ground[:2]]
        columns = {"background": background, "placement": site.placed.to_dict()}
        return Picture(image, mask, guide.kind, guide.raw, guide.scaled, columns)

    def _local_contrast(self, job: Job, site: Site, guide: DrawnGuide) -> LocalContrast | None:
        """How much the light is to vary within a job's defect; None where nothing is known of that."""
        thickness, level = guide.raw.get("thickness"), guide.raw.get("brightness")
        if site.ground is None or not isinstance(thickness, float):
            return None
        kind = guide.scaled.get("kind")
        share = float(numpy_generator(self.jobs.request.seed, "relief", *self.jobs.noise_key(job)).random())
        fixed = {"kind": kind} if isinstance(kind, str) else {}
        brightness = level if isinstance(level, float) else None
        return self.sites.seen.local_contrast(site.ground, fixed, share, width=thickness, brightness=brightness)

    def _written(
        self, drawing: Drawing, mask: Mask, level: float | None, zoom: float
    ) -> tuple[NDArray[np.uint8], Mask, float]:
        """The image and its label as they are written, and their px for one px of the network's scale.

        The brightness asked for is that of the written image: scaled down, a small defect is paler than in its
        photograph.
        """
        image = drawing.image(level)
        if self.side is None:
            return image, mask, zoom
        image, label, written = self._cut(image, mask, zoom)
        if level is not None and label.any():
            asked, dark = level, level < 0
            for _ in range(CORRECTIONS):
                asked += level - brightness(image, label)
                image = self._cut(drawing.image(asked, dark=dark), mask, zoom)[0]
        return image, label, written

    def _shown(self, drawing: Drawing, image: NDArray[np.uint8], label: Mask) -> float | None:
        """The brightness of a written image, by the surroundings that it was asked for with; None where it has none."""
        if self.side is not None:
            return brightness(image, label) if label.any() else None
        shown, measured = contrast(image[drawing.region], drawing.mask, drawing.radius)
        return shown if measured else None

    def _site(self, job: Job) -> Site:
        """Where a job's mask goes.

        Raises:
            DataError: it fits nowhere.
        """
        entry, request = self.jobs.masks.entries[job.mask], self.jobs.request
        key: tuple[str | int, ...] = (job.index,) if request.same_noise else (entry.name, job.cell, job.index)
        rng = numpy_generator(request.seed, "background", *key)
        site = self.sites.find(self.jobs.masks.read(job.mask), self.jobs.kind_of(job), rng)
        if site is not None:
            return site
        grounds = self.sites.backgrounds
        height, breadth = max((one.shape for one in grounds), key=lambda shape: shape[0] * shape[1])
        raise DataError(
            f"{self.jobs.masks.root / entry.file}: fits into none of the {len(grounds)} backgrounds, of {breadth} x "
            f"{height} px at most, or their regions of interest; give larger ones, a larger --roi, or a smaller --scale"
        )

    def _cut(self, image: NDArray[np.uint8], mask: Mask, zoom: float) -> tuple[NDArray[np.uint8], Mask, float]:
        """The window around the defect that the framing of a photograph at `--size` gives."""
        size = self.jobs.request.size or self.jobs.side
        crop_spec = CropSpec(size, self.window, image.shape[2])
        shown = size / min(self.window or min(mask.shape), *mask.shape)
        return *crop_of(image, mask, crop_spec), zoom * shown
