"""Why an image is not in the mixture."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from augment.mixing.request import Request
from defects.formats.dataset import open_dataset
from defects.images.crops import CropSpec, as_channels, read_crop
from defects.images.decode import read_sample
from defects.images.header import image_info
from defects.masks.width import Mask
from defects.provenance import Provenance, read_provenance
from defects.sample import GOOD, Sample
from engine.config import nearest
from engine.errors import DataError, UsageError


@dataclass(frozen=True)
class Dropped:
    """One image left out.

    Attributes:
        source: Name of its folder.
        name: Of the sample.
        reason: One word or two: `held-out`, `label_iou`, `realism`, `nearest_ratio`, `no score`, `empty mask`.
        detail: What was found.
    """

    source: str
    name: str
    reason: str
    detail: str

    def to_dict(self) -> dict[str, str]:
        """As JSON."""
        return asdict(self)


def counted(drops: Iterable[Dropped]) -> dict[str, dict[str, int]]:
    """How many of each source for each reason."""
    counts = Counter((drop.source, drop.reason) for drop in drops)
    found: dict[str, dict[str, int]] = {}
    for (source, reason), number in sorted(counts.items()):
        found.setdefault(source, {})[reason] = number
    return found


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
        IssuesError: Every fault of a folder's structure.
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


@dataclass(frozen=True)
class Cutter:
    """How images are read.

    Attributes:
        crop_spec: Of the photographs; None leaves every image whole and at its own resolution.
        channels: Of what is read; None for those of each file.
    """

    crop_spec: CropSpec | None
    channels: int | None = None

    def frame(self, sample: Sample) -> CropSpec | None:
        """How one sample is cut: a photograph by its window, an image made at a square's size as a whole."""
        crop_spec = self.crop_spec
        if crop_spec is None or crop_spec.crop is None:
            return crop_spec
        if sample.source == "synthetic":
            return CropSpec(crop_spec.size, None, crop_spec.channels)
        if sample.source == "pasted" and image_info(sample.image).upright == (crop_spec.size, crop_spec.size):
            return CropSpec(crop_spec.size, None, crop_spec.channels)
        return crop_spec

    def read(self, sample: Sample) -> tuple[NDArray[np.uint8], Mask]:
        """Image (H, W, C) uint8 and mask (H, W).

        Raises:
            DataError: The image or its mask does not open.
        """
        crop_spec = self.frame(sample)
        if crop_spec is not None:
            return read_crop(sample, crop_spec)
        image, mask = read_sample(sample)
        return image if self.channels is None else as_channels(image, self.channels), mask

    def whole(self, sample: Sample, shape: tuple[int, ...]) -> bool:
        """Whether a picture of this shape (H, W) read from a sample is all of its file, neither cut nor resized."""
        return self.crop_spec is None or image_info(sample.image).upright == tuple(shape)


def choose_crop_spec(request: Request, sources: Sources) -> Cutter:
    """The framing asked for, else that of the generators, else photographs as they are.

    Raises:
        UsageError: Generators of different framings, and none was asked for.
        DataError: A synthetic image that is no square and has no generator.json.
    """
    channels = _channels(sources)
    known = {s.provenance.crop_spec for s in sources.synthetic if s.provenance is not None}
    if request.native:
        mixed = len({image_info(s.samples[0].image).channels for s in (sources.real, *sources.made)}) > 1
        return Cutter(None, channels if mixed else None)
    if request.size is not None or request.window is not None:
        one = next(iter(known)) if len(known) == 1 else None
        size = request.size or (one.size if one else None)
        if size is None:
            raise UsageError("--window: how many px the squares get is not known; give --size too")
        window = request.window if request.window is not None else (one.crop if one else None)
        return Cutter(CropSpec(size, window, channels))
    if len(known) > 1:
        named = ", ".join(f"{s.name} {s.provenance.crop_spec}" for s in sources.synthetic if s.provenance is not None)
        raise UsageError(f"--synthetic: the generators see different squares ({named}); give --size and --window")
    if known:
        return Cutter(next(iter(known)))
    if sources.synthetic:
        first = sources.synthetic[0].samples[0].image
        height, width = image_info(first).upright
        if height != width:
            raise DataError(f"{first}: {width} x {height} px is no square; give --size, or --native to leave all whole")
        return Cutter(CropSpec(height, None, channels))
    return Cutter(None)


def _channels(sources: Sources) -> int:
    """Those of the generator, else 3 where a photograph has them."""
    for source in sources.synthetic:
        if source.provenance is not None:
            return source.provenance.channels
    return 3 if image_info(sources.real.samples[0].image).channels >= 3 else 1
