"""A run of `gen-defects` decided to the last detail before anything is written."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from defects.provenance import Provenance
from engine.errors import Fault
from gan.bundle import LoadedGenerator, load_generator
from gan.jobs import JobList
from gan.mask_list import inspect, list_masks
from gan.paint import Painter, choose_device, choose_precision
from gan.request import Request

_LONGEST_SUFFIX = 32
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
        warnings: what a person should know of the masks.
    """

    jobs: JobList
    painter: Painter
    checkpoint: str
    description: dict[str, Any]
    provenance: Provenance
    warnings: tuple[Fault, ...]


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
        masks: a mask image or a folder, see `gan.mask_list.list_masks`.
        checkpoint: a checkpoint or run folder; None for the bundled generator.
        device: see `gan.paint.choose_device`.
        precision: `auto`, `bf16` or `fp32`.
        workers: threads that read masks.

    Raises:
        MagnaError: the request, the generator or a mask cannot be used; all faulty masks are listed.
    """
    where, dtype = choose_device(device), choose_precision(precision)
    found = list_masks(masks, longest_suffix=_LONGEST_SUFFIX)
    generator: LoadedGenerator = load_generator(checkpoint)
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
