"""A trained generator, read from a checkpoint and ready to draw; without a path, the bundled one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from defects.attributes.background import BackgroundStats
from defects.attributes.guide import GuideSchema, GuideValue
from defects.attributes.local_contrast import LocalContrast, local_contrast_of
from defects.provenance import Provenance
from engine.checkpoint import find_checkpoint, load_checkpoint, stated_sha256
from engine.errors import CheckpointError
from gan.config import NetworkConfig
from gan.networks.blend_generator import BlendGenerator
from gan.networks.registry import Generator, build_blender, build_generator

BUNDLED = Path(__file__).parent / "bundled"
"""Draws whole images."""
BUNDLED_BLEND = BUNDLED / "blend"
"""Draws pitting into photographs of steel; trained on BSData, CC BY-SA 4.0."""
ARCHITECTURES = ("magna", "blend", "pix2pix", "cyclegan")


@dataclass(frozen=True)
class LoadedGenerator:
    """A generator in eval mode on the CPU, in float32, with what its checkpoint says.

    Attributes:
        table: raw guide rows of the training images, for `random`.
        background_stats: what their defects lie on, in the same order; empty in old checkpoints.
        local_contrasts: how much the light varies within these defects, in the same order; empty in old checkpoints.
        meta: the whole description of the checkpoint.
        sha256: of the weights file.
        provenance: what the folder of its images says of it; old checkpoints say less.
    """

    network: Generator | BlendGenerator
    schema: GuideSchema
    size: int
    channels: int
    table: list[dict[str, GuideValue]]
    background_stats: list[BackgroundStats]
    local_contrasts: list[LocalContrast]
    meta: dict[str, Any]
    sha256: str
    provenance: Provenance


def describe(
    network: NetworkConfig,
    schema: GuideSchema,
    table: list[dict[str, GuideValue]],
    background_stats: Sequence[BackgroundStats] = (),
    local_contrasts: Sequence[LocalContrast] = (),
) -> dict[str, Any]:
    """The part of a checkpoint's description from which `load_generator` builds the network again."""
    return {
        "architecture": network.architecture,
        "network": network.model_dump(),
        "guides": schema.to_dict(),
        "table": table,
        "grounds": [ground.numbers() for ground in background_stats],
        "reliefs": [[round(band, 6) for band in local_contrast] for local_contrast in local_contrasts],
    }


def _rows(meta: dict[str, Any], name: str) -> list[Any]:
    """A list of a description; empty where an old one has none.

    Raises:
        ValueError: it is something else.
    """
    rows = meta.get(name, [])
    if not isinstance(rows, list):
        raise ValueError(f"expected {name} to be a list, got {rows!r:.40}")
    return rows


def load_generator(path: Path | None = None, *, blend: bool = False) -> LoadedGenerator:
    """Reads a checkpoint (file, stem or run folder); None for a bundled one, with `blend` that of Magna-Blend.

    Raises:
        CheckpointError: when it is missing, damaged, pickled, or of another architecture.
    """
    file = find_checkpoint(path or (BUNDLED_BLEND if blend else BUNDLED))
    tensors, meta = load_checkpoint(file)
    if meta.get("architecture") not in ARCHITECTURES:
        raise CheckpointError(
            f"{file}: holds {meta.get('architecture', 'something else')!r}, not a generator; give a run of train-gan"
        )
    try:
        config = NetworkConfig.model_validate(meta["network"])
        schema = GuideSchema.from_dict(meta["guides"])
        build = build_blender if config.architecture == "blend" else build_generator
        network: Generator | BlendGenerator = build(config, schema)
        table = [dict(row) for row in meta["table"]]
        background_stats = [BackgroundStats.of(numbers) for numbers in _rows(meta, "grounds")]
        local_contrasts = [local_contrast_of(numbers) for numbers in _rows(meta, "reliefs")]
        for name, found in (("grounds", background_stats), ("reliefs", local_contrasts)):
            if found and len(found) != len(table):
                raise ValueError(f"{len(found)} {name} for {len(table)} rows")
        network.load_state_dict({k: v.float() if v.is_floating_point() else v for k, v in tensors.items()})
        sha256 = stated_sha256(file)
        provenance = Provenance.from_checkpoint(meta, sha256)
    except (AttributeError, KeyError, RuntimeError, TypeError, ValueError) as error:
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        raise CheckpointError(
            f"{file}: does not fit its own description ({reason}); train it again with this version"
        ) from error
    return LoadedGenerator(
        network.eval().requires_grad_(False),
        schema,
        config.size,
        config.channels,
        table,
        background_stats,
        local_contrasts,
        meta,
        sha256,
        provenance,
    )
