"""Opens a run of `gen-defects --backgrounds`: generator, masks and photographs are read before anything is written."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch

from engine.errors import DataError, UsageError
from engine.files.atomic import sha256_bytes, to_json
from engine.runtime.device import select_device, select_precision
from gan.blending.backgrounds import list_backgrounds
from gan.blending.compositing import BlendPainter, working_scale
from gan.blending.matching import Seen
from gan.blending.placement import LOOKS, Placement, Sites
from gan.blending.plan import BlendPlan
from gan.checkpoint import LoadedGenerator, load_generator
from gan.generation.jobs import JobList, Request
from gan.generation.masks import inspect, list_masks
from gan.generation.plan import LONGEST_SUFFIX
from gan.networks.blend_generator import BlendGenerator


def make_blend_plan(
    request: Request,
    masks: Path,
    backgrounds: Path,
    checkpoint: Path | None = None,
    *,
    placement: Placement | None = None,
    roi: Path | None = None,
    inpaint: bool = False,
    any_ground: bool = False,
    device: str = "auto",
    precision: str = "auto",
    workers: int = 2,
) -> BlendPlan:
    """Reads the generator, every mask and every background.

    Args:
        request: what to make; `size` None keeps every photograph's own.
        masks: see `gan.generation.plan.make_plan`.
        backgrounds: see `gan.blending.backgrounds.list_backgrounds`.
        checkpoint: of a run of train-gan with `network.architecture: blend`.
        placement: where masks may go; a region of interest moves them.
        roi: regions of interest.
        inpaint: paint the defects of defective backgrounds out, instead of leaving them out.
        any_ground: take any background, not one that is like those on which real defects of the kind were seen.
        device: see `gan.generation.sampler.select_device`.
        precision: `auto`, `bf16` or `fp32`.
        workers: threads that read files.

    Raises:
        MagnaError: the request, the generator, a mask or a background cannot be used; all faulty files are listed.
    """
    where, dtype = select_device(device), select_precision(precision)
    found = list_masks(masks, longest_suffix=LONGEST_SUFFIX)
    generator = load_generator(checkpoint, blend=True)
    if not isinstance(generator.network, BlendGenerator):
        raise UsageError(
            "--backgrounds: this generator draws whole images; give --checkpoint a run of a blend_... configuration, "
            "or leave one of the two out"
        )
    if roi is not None and not roi.exists():
        raise DataError(f"{roi}: no such file or folder; give --roi a mask or a folder of them")
    config, window = generator.network.config, generator.provenance.crop
    background_stats = list_backgrounds(
        backgrounds,
        scale=lambda shape: working_scale(shape, config.size, window),
        reach=config.reach,
        held_out=generator.provenance.test,
        roi=roi,
        inpaint=inpaint,
        workers=workers,
    )
    wanted = placement or Placement()
    if roi is not None:
        wanted = Placement(True, wanted.rotate, wanted.scale)
    jobs = JobList(request, found, generator.schema, generator.table, generator.size, generator.provenance.classes)
    seen = inspect(found, workers=workers)
    painter = BlendPainter(generator.network, where, request.seed, dtype)
    description = {
        "masks": {"count": len(found.entries), "sha256": seen.digest},
        "backgrounds": {"count": len(background_stats), "sha256": background_stats.digest, "inpaint": inpaint},
        "placement": wanted.describe() | {"any_ground": any_ground, "looks": LOOKS},
        "checkpoint": generator.sha256,
        "training-defects": sha256_bytes(to_json(_told(generator))),
        **request.describe(jobs.guide, jobs.size),
        "size": request.size or "background",
        "classes": list(jobs.classes),
        "device": where.type,
        "precision": str(painter.dtype).removeprefix("torch."),
        "torch": torch.__version__,
    }
    return BlendPlan(
        jobs=jobs,
        painter=painter,
        checkpoint=generator.sha256,
        description=description,
        provenance=generator.provenance,
        warnings=(*jobs.warnings(), *seen.warnings),
        notes=background_stats.notes,
        sites=Sites(
            background_stats,
            wanted,
            config.size,
            Seen(generator.table, generator.background_stats, generator.local_contrasts),
            any_ground,
        ),
        window=window,
    )


def _told(generator: LoadedGenerator) -> list[Any]:
    """What a checkpoint tells of its training defects."""
    background_stats = [ground.numbers() for ground in generator.background_stats]
    return [generator.table, background_stats, *([generator.local_contrasts] if generator.local_contrasts else [])]
