"""A trained generator, read from a checkpoint and ready to generate; without a path, the bundled one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from defects.attributes.appearance import BackgroundStats, LocalContrast, local_contrast_of
from defects.attributes.guide import GuideSchema, GuideValue
from defects.provenance import Provenance
from engine.checkpoint import find_checkpoint, load_checkpoint, stated_sha256
from engine.errors import CheckpointError
from gan.config import SECTIONS, NetworkConfig
from gan.networks.registry import ARCHITECTURES, Generator

BUNDLED = Path(__file__).parent / "bundled"
"""Generates whole images."""
BUNDLED_BLEND = BUNDLED / "blend"
"""Blends pitting into images of steel; trained on BSData, CC BY-SA 4.0."""


@dataclass(frozen=True)
class LoadedGenerator:
    """A generator in eval mode on the CPU, in float32, with the description of its checkpoint.

    Attributes:
        table: Raw guide rows of the training images, for `random`.
        background_stats: Of the backgrounds of their defects, in the same order; empty in old checkpoints.
        local_contrasts: Of these defects, in the same order; empty in old checkpoints.
        meta: The whole description of the checkpoint.
        sha256: Of the weights file.
        provenance: For the folder of its images; old checkpoints state less.
    """

    network: Generator
    schema: GuideSchema
    size: int
    channels: int
    table: list[dict[str, GuideValue]]
    background_stats: list[BackgroundStats]
    local_contrasts: list[LocalContrast]
    meta: dict[str, Any]
    sha256: str
    provenance: Provenance
    blends: bool = False
    """Whether it blends defects into backgrounds, instead of generating whole images."""


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
        "grounds": [stats.numbers() for stats in background_stats],
        "reliefs": [[round(band, 6) for band in local_contrast] for local_contrast in local_contrasts],
    }


def _read_network(values: Mapping[str, Any]) -> Any:
    """The network section; former versions stored the keys of all architectures, under other names."""
    model = SECTIONS[values.get("architecture", "magna")]["network"]
    others = {name for sections in SECTIONS.values() for name in sections["network"].model_fields}
    present = {model.RENAMED.get(key, key): value for key, value in values.items()}
    return model.model_validate({k: v for k, v in present.items() if k in model.model_fields or k not in others})


def _rows(meta: Mapping[str, Any], name: str) -> list[Any]:
    """A list of a description; empty where an old one has none.

    Raises:
        ValueError: It is something else.
    """
    rows = meta.get(name, [])
    if not isinstance(rows, list):
        raise ValueError(f"expected {name} to be a list, got {rows!r:.40}")
    return rows


def load_generator(path: Path | None = None, *, blend: bool = False) -> LoadedGenerator:
    """Reads a checkpoint (file, stem or run folder); None for a bundled one, with `blend` that of Magna-Blend.

    Raises:
        CheckpointError: It is missing, damaged, pickled, or of another architecture.
    """
    file = find_checkpoint(path or (BUNDLED_BLEND if blend else BUNDLED))
    tensors, meta = load_checkpoint(file)
    architecture = ARCHITECTURES.get(str(meta.get("architecture")))
    if architecture is None:
        raise CheckpointError(
            f"{file}: holds {meta.get('architecture', 'something else')!r}, not a generator; give a run of train-gan",
            code="E-checkpoint-no-generator",
        )
    try:
        config: NetworkConfig = _read_network(meta["network"])
        schema = GuideSchema.from_dict(meta["guides"])
        network = ARCHITECTURES[config.architecture].generator(config, schema)
        table = [dict(row) for row in meta["table"]]
        background_stats = [BackgroundStats.of(numbers) for numbers in _rows(meta, "grounds")]
        local_contrasts = [local_contrast_of(numbers) for numbers in _rows(meta, "reliefs")]
        for name, rows in (("grounds", background_stats), ("reliefs", local_contrasts)):
            if rows and len(rows) != len(table):
                raise ValueError(f"{len(rows)} {name} for {len(table)} rows")
        network.load_state_dict({k: v.float() if v.is_floating_point() else v for k, v in tensors.items()})
        sha256 = stated_sha256(file)
        provenance = Provenance.from_checkpoint(meta, sha256)
    except (AttributeError, KeyError, RuntimeError, TypeError, ValueError) as error:
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        raise CheckpointError(
            f"{file}: does not fit its own description ({reason}); train it again with this version",
            code="E-checkpoint-description",
        ) from error
    return LoadedGenerator(
        network=network.eval().requires_grad_(False),
        schema=schema,
        size=config.size,
        channels=config.channels,
        table=table,
        background_stats=background_stats,
        local_contrasts=local_contrasts,
        meta=meta,
        sha256=sha256,
        provenance=provenance,
        blends=ARCHITECTURES[config.architecture].blends,
    )
