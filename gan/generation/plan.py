"""One image as `gen-defects` writes it, still in memory."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch
from numpy.typing import NDArray

from defects.attributes.guide import GuideValue
from defects.provenance import Provenance
from engine.errors import Issue, UsageError
from engine.runtime.device import choose_device, choose_precision
from gan.checkpoint import LoadedGenerator, load_generator
from gan.generation.jobs import Job, JobList, Request
from gan.generation.masks import inspect, list_masks
from gan.generation.sampler import Painter
from gan.networks.blend_generator import BlendGenerator


@dataclass(frozen=True)
class Picture:
    """An image with its label.

    Attributes:
        image: (H, W, C).
        label: (H, W) the defect's pixels.
        kind: name of the defect.
        raw: guide values; lengths are in px of this image.
        scaled: guide values, numeric ones in 0..1.
        columns: further columns of its manifest row.
        kept: False where it is not to be written.
        rejected: rows of `rejected.jsonl`, a candidate each.
    """

    image: NDArray[np.uint8]
    label: NDArray[np.bool_]
    kind: str
    raw: Mapping[str, GuideValue]
    scaled: Mapping[str, GuideValue]
    columns: Mapping[str, Any] = field(default_factory=dict)
    kept: bool = True
    rejected: tuple[Mapping[str, Any], ...] = ()


LONGEST_SUFFIX = 32
"""Room that an image's name, its extension and its temporary's name need beyond the mask's name."""


@dataclass(frozen=True)
class Plan:
    """What a run makes and with what.

    Attributes:
        jobs: the images.
        painter: the network, ready.
        checkpoint: sha256 of the generator.
        description: all that decides the bytes, for `request.json`.
        provenance: what the generator says of itself, for `generator.json`.
        warnings: what a person should know of the masks, and
        notes: of anything else.
    """

    jobs: JobList
    painter: Painter
    checkpoint: str
    description: dict[str, Any]
    provenance: Provenance
    warnings: tuple[Issue, ...]
    notes: tuple[str, ...] = ()

    @property
    def side(self) -> int | None:
        """Of the written images, px; None where they differ."""
        return self.jobs.size

    def remarks(self, rows: Iterable[Mapping[str, Any]]) -> list[str]:
        """What a person should know of the images made, from their rows."""
        widths = self.jobs.trained_widths
        return width_remarks(rows, widths, len(self.jobs.masks.entries)) if widths else []

    @property
    def count(self) -> int:
        """How many jobs are drawn together."""
        return self.painter.count

    @property
    def leaves_out(self) -> bool:
        """Whether some of the images may not be made."""
        return False

    def refusal(self, rejected: Iterable[Mapping[str, Any]]) -> str:  # noqa: ARG002
        """Why none of the images was made, from the rows of what was rejected."""
        return "no image was made"

    def draw(self, jobs: Sequence[Job]) -> list[Picture]:
        """The images of a micro-batch."""
        items = [self.jobs.resolve(job) for job in jobs]
        keys = [self.jobs.noise_key(job) for job in jobs]
        images = self.painter.paint([item.condition for item in items], [item.vector for item in items], keys)
        return [
            Picture(_resized(image, self.jobs.size), item.label, item.kind, item.raw, item.scaled)
            for item, image in zip(items, images, strict=True)
        ]


def _resized(image: NDArray[np.uint8], size: int) -> NDArray[np.uint8]:
    if size == image.shape[0]:
        return image
    how = cv2.INTER_AREA if size < image.shape[0] else cv2.INTER_CUBIC
    return cv2.resize(image, (size, size), interpolation=how).reshape(size, size, -1).astype(np.uint8, copy=False)


def make_plan(
    request: Request,
    masks: Path,
    checkpoint: Path | None = None,
    *,
    device: str = "auto",
    precision: str = "auto",
    workers: int = 2,
) -> Plan:
    """Reads the generator and every mask.

    Args:
        request: what to make.
        masks: a mask image or a folder, see `gan.generation.masks.list_masks`.
        checkpoint: a checkpoint or run folder; None for the bundled generator.
        device: see `gan.generation.sampler.choose_device`.
        precision: `auto`, `bf16` or `fp32`.
        workers: threads that read masks.

    Raises:
        MagnaError: the request, the generator or a mask cannot be used; all faulty masks are listed.
    """
    where, dtype = choose_device(device), choose_precision(precision)
    found = list_masks(masks, longest_suffix=LONGEST_SUFFIX)
    generator: LoadedGenerator = load_generator(checkpoint)
    if isinstance(generator.network, BlendGenerator):
        raise UsageError(
            "this generator draws into photographs; give --backgrounds a folder of good images, "
            "or --checkpoint a generator of whole images"
        )
    jobs = JobList(request, found, generator.schema, generator.table, generator.size, generator.provenance.kinds)
    seen = inspect(found, workers=workers)
    painter = Painter(generator.network, where, request.seed, dtype)
    description = {
        "masks": {"count": len(found.entries), "sha256": seen.digest},
        "checkpoint": generator.sha256,
        **request.describe(jobs.guide, jobs.size),
        "classes": list(jobs.classes),
        "device": where.type,
        "precision": str(painter.dtype).removeprefix("torch."),
        "torch": torch.__version__,
    }
    return Plan(jobs, painter, generator.sha256, description, generator.provenance, (*jobs.warnings(), *seen.warnings))


def width_remarks(rows: Iterable[Mapping[str, Any]], widths: tuple[float, float], masks: int) -> list[str]:
    """Masks thinner or thicker than all that the generator was trained on; the images of a mask follow each other."""
    seen, outside = "", 0
    for row in rows:
        if row["mask_source"] != seen and not widths[0] <= row["guide"]["raw"]["thickness"] <= widths[1]:
            seen = row["mask_source"]
            outside += 1
    if not outside:
        return []
    return [
        f"{outside} of {masks} masks are thinner or thicker than the generator was trained on "
        f"({widths[0]:.1f}..{widths[1]:.1f} px); their labels stay as drawn, but the images may not: "
        "give --guide thickness=0..1"
    ]
