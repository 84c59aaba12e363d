"""A trained generator, read from a checkpoint and ready to draw; without a path, the bundled one."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from defects.guides import GuideSchema, GuideValue
from defects.provenance import Provenance
from engine.checkpoint import find_checkpoint, load_checkpoint, stated_sha256
from engine.errors import CheckpointError
from gan.config import NetworkConfig
from gan.generator import MagnaGenerator

BUNDLED = Path(__file__).parent / "bundled"
ARCHITECTURE = "magna"


@dataclass(frozen=True)
class LoadedGenerator:
    """A generator in eval mode on the CPU, in float32, with what its checkpoint says.

    Attributes:
        table: raw guide rows of the training images, for `random`.
        meta: the whole description of the checkpoint.
        sha256: of the weights file.
    """

    network: MagnaGenerator
    schema: GuideSchema
    size: int
    channels: int
    table: list[dict[str, GuideValue]]
    meta: dict[str, Any]
    sha256: str

    @property
    def provenance(self) -> Provenance:
        """What the folder of its images says of it; old checkpoints say less."""
        data, config = self.meta.get("data") or {}, self.meta.get("config") or {}
        return Provenance(
            checkpoint=self.sha256,
            size=self.size,
            channels=self.channels,
            window=(config.get("data") or {}).get("window"),
            schema=self.schema,
            architecture=self.meta.get("architecture"),
            layout=data.get("layout"),
            licence=self.meta.get("licence") or data.get("licence"),
            train=data.get("train"),
            defective=data.get("defective"),
            kinds=tuple(data.get("kinds") or ()),
            test=tuple(data.get("test") or ()),
            train_sha256=frozenset(data.get("train_sha256") or ()),
        )


def describe(network: NetworkConfig, schema: GuideSchema, table: list[dict[str, GuideValue]]) -> dict[str, Any]:
    """The part of a checkpoint's description from which `load_generator` builds the network again."""
    return {"architecture": ARCHITECTURE, "network": network.model_dump(), "guides": schema.to_dict(), "table": table}


def load_generator(path: Path | None = None) -> LoadedGenerator:
    """Reads a checkpoint (file, stem or run folder); None for the bundled generator.

    Raises:
        CheckpointError: when it is missing, damaged, pickled, or of another architecture.
    """
    file = find_checkpoint(path if path is not None else BUNDLED)
    tensors, meta = load_checkpoint(file)
    if meta.get("architecture") != ARCHITECTURE:
        raise CheckpointError(
            f"{file}: holds {meta.get('architecture', 'something else')!r}, not a Magna generator; "
            "give a run of train-gan"
        )
    try:
        config = NetworkConfig.model_validate(meta["network"])
        schema = GuideSchema.from_dict(meta["guides"])
        network = MagnaGenerator(config, schema.size, schema.columns("background"))
        table = [dict(row) for row in meta["table"]]
        network.load_state_dict({k: v.float() if v.is_floating_point() else v for k, v in tensors.items()})
    except (KeyError, RuntimeError, TypeError, ValueError) as error:
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
        meta,
        stated_sha256(file),
    )
