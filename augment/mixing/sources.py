"""The folders of a mixture: opened, their classes compared, and how their images are cropped."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from augment.mixing.request import Request
from defects.formats.dataset import open_dataset
from defects.images.crops import CropSpec, read_crop
from defects.images.decode import as_channels, image_info, read_sample
from defects.masks.width import Mask
from defects.provenance import Provenance, image_hashes, read_provenance
from defects.sample import GOOD, Sample
from engine.config import nearest
from engine.errors import DataError, UsageError
from engine.files.atomic import from_json

_EXAMPLES = 3


@dataclass(frozen=True)
class Dropped:
    """One image that is left out of the mixture.

    Attributes:
        source: Name of its folder.
        name: Of the sample.
        reason: `held-out`, `label_iou`, `realism`, `nearest_ratio`, `no score` or `empty mask`.
        detail: The measured value, or the held-out image.
    """

    source: str
    name: str
    reason: str
    detail: str

    def to_dict(self) -> dict[str, str]:
        """As JSON."""
        return asdict(self)


def count_dropped(drops: Iterable[Dropped]) -> dict[str, dict[str, int]]:
    """Number of dropped images by source and reason."""
    counts: dict[str, dict[str, int]] = {}
    for (source, reason), number in sorted(Counter((drop.source, drop.reason) for drop in drops).items()):
        counts.setdefault(source, {})[reason] = number
    return counts


@dataclass(frozen=True)
class Source:
    """One folder.

    Attributes:
        name: `real`, `pasted`, or the name of a synthetic folder.
        origin: `real`, `synthetic` or `pasted`.
        root: The folder.
        samples: In the order of their names.
        provenance: Of its generator, if the folder has one.
    """

    name: str
    origin: str
    root: Path
    samples: list[Sample]
    provenance: Provenance | None = None


@dataclass(frozen=True)
class Sources:
    """All folders.

    Attributes:
        real: The real images.
        synthetic: Folders of generated images.
        pasted: The folder of pasted images, if any.
        warnings: What is left out or unknown.
    """

    real: Source
    synthetic: list[Source] = field(default_factory=list)
    pasted: Source | None = None
    warnings: list[str] = field(default_factory=list)

    @property
    def training_only(self) -> list[Source]:
        """Synthetic and pasted folders."""
        return [*self.synthetic, *([self.pasted] if self.pasted is not None else [])]


def open_sources(request: Request) -> Sources:
    """Opens every folder of a request and compares their classes.

    Raises:
        IssuesError: All issues of a folder's structure.
        DataError: A folder is missing, empty or of no known layout, has no image of its source, or has classes that
            the real images do not have.
    """
    warnings: list[str] = []
    sources = Sources(_open(request, "real", "real", request.real, warnings), warnings=warnings)
    for name, root in request.synthetic.items():
        sources.synthetic.append(_open(request, name, "synthetic", root, warnings))
    if request.pasted is not None:
        sources = replace(sources, pasted=_open(request, "pasted", "pasted", request.pasted, warnings))
    known = {sample.label for sample in sources.real.samples}
    for source in sources.training_only:
        unknown = sorted({sample.label for sample in source.samples} - known)
        if unknown:
            raise DataError(
                f"{source.root}: no real image has class {unknown[0]!r}; {nearest(unknown[0], known - {GOOD})} "
                f"(then give --class-map {unknown[0]}=CLASS, or leave those images out)",
                code="E-mix-unknown-class",
            )
        if source.origin == "synthetic" and source.provenance is None:
            warnings.append(
                f"{source.root}: has no generator.json, so the training images of its generator are unknown; "
                "generate it again by gen-defects to have them checked"
            )
    return sources


def _open(request: Request, name: str, origin: str, root: Path, warnings: list[str]) -> Source:
    layout = request.layout if origin == "real" else "auto"
    allowed = ("real", "procedural") if origin == "real" else (origin,)
    samples = open_dataset(root, layout).samples
    if origin != "real" and samples and all(sample.source == "real" for sample in samples):
        what = f"{root}: has real images where {origin} ones are expected; give it as --real, or another folder"
        raise DataError(what, code="E-mix-wrong-source")
    usable = [s for s in samples if s.source in allowed and s.has_pixels]
    unusable = Counter(
        f"of source {s.source}" if s.source not in allowed else "defective without a mask"
        for s in samples
        if s.source not in allowed or not s.has_pixels
    )
    for reason, count in sorted(unusable.items()):
        warnings.append(f"{root}: {count} images left out: {reason}")
    if not usable:
        what = f"{root}: no {origin} image with known pixels in it; see `check-data {root}` for what was read"
        raise DataError(what, code="E-mix-no-images")
    mapped = [replace(s, label=request.class_map.get(s.label, s.label)) for s in usable]
    return Source(name, origin, root, mapped, read_provenance(root) if origin == "synthetic" else None)


@dataclass(frozen=True)
class Cropper:
    """Reads the images of a mixture at one size.

    Attributes:
        crop_spec: Of the real images; None for every image whole and at its own resolution.
        channels: Of the images; None for those of each file.
    """

    crop_spec: CropSpec | None
    channels: int | None = None

    def spec_of(self, sample: Sample) -> CropSpec | None:
        """The crop spec of one sample: images of the generator's size are used whole."""
        crop_spec = self.crop_spec
        if crop_spec is None or crop_spec.crop is None:
            return crop_spec
        whole = CropSpec(crop_spec.size, None, crop_spec.channels)
        if sample.source == "synthetic":
            return whole
        if sample.source == "pasted" and image_info(sample.image).upright == (crop_spec.size, crop_spec.size):
            return whole
        return crop_spec

    def read(self, sample: Sample) -> tuple[NDArray[np.uint8], Mask]:
        """Image (H, W, C) uint8 and mask (H, W).

        Raises:
            DataError: The image or its mask does not open.
        """
        crop_spec = self.spec_of(sample)
        if crop_spec is not None:
            return read_crop(sample, crop_spec)
        image, mask = read_sample(sample)
        return image if self.channels is None else as_channels(image, self.channels), mask

    def is_whole(self, sample: Sample, shape: tuple[int, ...]) -> bool:
        """Whether an image of this shape (H, W) read from a sample is its whole file, neither cropped nor resized."""
        return self.crop_spec is None or image_info(sample.image).upright == tuple(shape)


def cropper_for(request: Request, sources: Sources) -> Cropper:
    """The requested crop spec, else that of the generators, else whole images.

    Raises:
        UsageError: The generators have different crop specs, and none is requested.
        DataError: A synthetic image has different sides and no generator.json.
    """
    known = {s.provenance.crop_spec for s in sources.synthetic if s.provenance is not None}
    first = image_info(sources.real.samples[0].image)
    channels = next((s.provenance.channels for s in sources.synthetic if s.provenance is not None), 0)
    channels = channels or (3 if first.channels >= 3 else 1)
    if request.native:
        folders = (sources.real, *sources.training_only)
        mixed = len({image_info(source.samples[0].image).channels for source in folders}) > 1
        return Cropper(None, channels if mixed else None)
    if request.size is not None or request.crop is not None:
        one = next(iter(known)) if len(known) == 1 else None
        size = request.size or (one.size if one else None)
        if size is None:
            raise UsageError("--crop: the size of the resized crops is unknown; give --size too", code="E-mix-no-size")
        crop = request.crop if request.crop is not None else (one.crop if one else None)
        return Cropper(CropSpec(size, crop, channels))
    if len(known) > 1:
        named = ", ".join(f"{s.name} {s.provenance.crop_spec}" for s in sources.synthetic if s.provenance is not None)
        what = f"--synthetic: the generators have different crop specs ({named}); give --size and --crop"
        raise UsageError(what, code="E-mix-no-size")
    if known:
        return Cropper(next(iter(known)))
    if sources.synthetic:
        image = sources.synthetic[0].samples[0].image
        height, width = image_info(image).upright
        if height != width:
            what = f"{image}: {width} x {height} px has different sides; give --size, or --native for whole images"
            raise DataError(what, code="E-mix-no-size")
        return Cropper(CropSpec(height, None, channels))
    return Cropper(None)


@dataclass(frozen=True)
class GeneratorSplit:
    """The split that a generator was trained with.

    Attributes:
        test: Names of its held-out images.
        train_sha256: Of its training image files.
    """

    test: frozenset[str] = frozenset()
    train_sha256: frozenset[str] = frozenset()

    def __or__(self, other: GeneratorSplit) -> GeneratorSplit:
        return GeneratorSplit(self.test | other.test, self.train_sha256 | other.train_sha256)


def read_generator_split(path: Path) -> GeneratorSplit:
    """The split in a `generator.json`, a checkpoint's JSON file, or a folder with the former.

    Raises:
        DataError: The file is missing or has no split.
    """
    file = path / "generator.json" if path.is_dir() else path
    try:
        content: Any = from_json(file.read_bytes())
        data = content.get("meta", content)["data"]
        test, trained = data["test"], data["train_sha256"]
        if not all(isinstance(value, str) for value in (*test, *trained)):
            raise TypeError
    except OSError as error:
        what = f"{file}: {error.strerror}; give a generator.json or a checkpoint's .json"
        raise DataError(what, code="E-mix-no-split") from None
    except (ValueError, TypeError, KeyError, AttributeError):
        what = f"{file}: has no split; give a generator.json or a checkpoint's .json"
        raise DataError(what, code="E-mix-no-split") from None
    return GeneratorSplit(frozenset(test), frozenset(trained))


def hashes_by_name(samples: Sequence[Sample]) -> dict[str, str]:
    """SHA-256 of every image file, by sample name; computed, not read from a manifest.

    Raises:
        DataError: A file cannot be read.
    """
    return dict(zip((sample.name for sample in samples), image_hashes(samples), strict=True))


def check_generator(source: Source, held_out: Sequence[Sample], hashes: Mapping[str, str]) -> None:
    """Raises an error for a synthetic folder whose generator was trained on held-out images.

    Raises:
        DataError: It was.
    """
    if source.provenance is None:
        return
    trained = [sample.name for sample in held_out if hashes[sample.name] in source.provenance.train_sha256]
    if trained:
        raise DataError(
            f"{source.root}: its generator was trained on {len(trained)} of the {len(held_out)} images held out for "
            f"validation and test, such as {', '.join(trained[:_EXAMPLES])}; use the split of the generator by "
            f"--split-from {source.root}/generator.json, or train it again without them",
            code="E-mix-generator-leak",
        )


def from_held_out_masks(source: Source, held_out: Sequence[Sample]) -> list[str]:
    """Names of synthetic images generated from the mask of a held-out image, by their `mask_source`."""
    masks = {sample.mask.stem for sample in held_out if sample.mask is not None}
    names = {sample.name for sample in held_out}
    generated = []
    for sample in source.samples:
        mask = str(sample.metadata.get("mask_source") or "")
        stem = mask.rpartition("/")[2].rpartition(".")[0]
        if mask.rpartition(".")[0] in names or (len(stem) > 4 and stem in masks):
            generated.append(sample.name)
    return generated
