"""The folders a mixture is made of, opened and checked against one another."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from augment.mixer.request import Request
from defects.layouts.dataset import open_dataset
from defects.provenance import Provenance, read_provenance
from defects.sample import GOOD, Sample
from engine.config import nearest
from engine.errors import DataError

__all__ = ["Source", "Sources", "open_sources"]


@dataclass(frozen=True)
class Source:
    """One folder.

    Attributes:
        name: `real`, `pasted`, or the name a synthetic folder was given.
        kind: `real`, `synthetic` or `pasted`.
        root: The folder.
        samples: In the order of their names.
        provenance: Of its generator, where it says so.
    """

    name: str
    kind: str
    root: Path
    samples: list[Sample]
    provenance: Provenance | None = None


@dataclass(frozen=True)
class Sources:
    """All folders.

    Attributes:
        real: The photographs.
        synthetic: Folders of generated images.
        pasted: The folder of pasted images, if any.
        warnings: What was left out or is not known.
    """

    real: Source
    synthetic: list[Source] = field(default_factory=list)
    pasted: Source | None = None
    warnings: list[str] = field(default_factory=list)

    @property
    def made(self) -> list[Source]:
        """Synthetic and pasted ones."""
        return [*self.synthetic, *([self.pasted] if self.pasted is not None else [])]


def open_sources(request: Request) -> Sources:
    """Opens every folder of a request and compares their kinds.

    Raises:
        FaultsError: Every fault of a folder's structure.
        DataError: A folder is missing, empty or of no known layout, holds no image of its source, or has kinds
            that the photographs do not have.
    """
    warnings: list[str] = []
    real = _open(request.real, "real", "real", request.layout, ("real", "procedural"), request.rename, warnings)
    synthetic = [
        _open(root, name, "synthetic", "auto", ("synthetic",), request.rename, warnings)
        for name, root in request.synthetic.items()
    ]
    pasted = None
    if request.pasted is not None:
        pasted = _open(request.pasted, "pasted", "pasted", "auto", ("pasted",), request.rename, warnings)
    known = {sample.label for sample in real.samples}
    for source in (*synthetic, *([pasted] if pasted is not None else [])):
        _check_kinds(source, known)
        if source.kind == "synthetic" and source.provenance is None:
            warnings.append(
                f"{source.root}: has no generator.json, so it is not known what its generator has seen; "
                "make it again by gen-defects to have that checked"
            )
    return Sources(real, synthetic, pasted, warnings)


def _open(
    root: Path,
    name: str,
    kind: str,
    layout: str,
    wanted: tuple[str, ...],
    rename: Mapping[str, str],
    warnings: list[str],
) -> Source:
    found = open_dataset(root, layout).samples
    if layout == "auto" and found and all(sample.source == "real" for sample in found) and kind != "real":
        raise DataError(f"{root}: holds real images where {kind} ones are expected; give it as --real, or another one")
    usable = [s for s in found if s.source in wanted and s.has_pixels]
    others = Counter(
        f"of source {s.source}" if s.source not in wanted else "defective without a mask"
        for s in found
        if s.source not in wanted or not s.has_pixels
    )
    for reason, count in sorted(others.items()):
        warnings.append(f"{root}: {count} images left out: {reason}")
    if not usable:
        raise DataError(f"{root}: no {kind} image with known pixels in it; see `check-data {root}` for what was read")
    samples = [replace(s, label=rename.get(s.label, s.label)) for s in usable]
    return Source(name, kind, root, samples, read_provenance(root) if kind == "synthetic" else None)


def _check_kinds(source: Source, known: set[str]) -> None:
    labels: Sequence[str] = sorted({sample.label for sample in source.samples} - known)
    if labels:
        kinds = sorted(known - {GOOD})
        raise DataError(
            f"{source.root}: kind {labels[0]!r} is none of the photographs'; {nearest(labels[0], kinds)} "
            f"(then give --rename {labels[0]}=KIND, or leave those images out)"
        )
