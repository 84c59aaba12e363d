"""What `bench-fid` compares: the folders opened, the real images divided, everything cut alike.

Whatever can be wrong with the request is found here, before the first network is loaded.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from defects.attributes.guide import GuideSchema
from defects.formats.dataset import read_dataset
from defects.images.crops import CropSpec
from defects.provenance import Provenance, image_hashes, read_provenance
from defects.sample import GOOD, Sample
from engine.errors import DataError
from metrics.data.held_out import Division, divide
from metrics.data.image_set import ImageSet, select_crop_spec


@dataclass(frozen=True)
class Request:
    """What is to be compared, as the command line says.

    Attributes:
        real: The folder of real images.
        fakes: (name, folder) of each synthetic set.
        train: A folder of real training images given apart.
        held_out: Leave training images out of the real ones.
        allow_trained: Compare with training images all the same.
        good: Compare with good real images too.
        crop: Side of the crop in an image, px; None for the fakes' own.
        size: Side of the crop after resizing, px; None for the fakes' own.
        channels: 1 or 3; None for the fakes' own.
        seed: Of everything that is sampled.
        derived: Names of the fakes that derive from the training images of the others, as pasted ones do.
    """

    real: Path
    fakes: tuple[tuple[str, Path], ...]
    train: Path | None = None
    held_out: bool = False
    allow_trained: bool = False
    good: bool = False
    crop: int | None = None
    size: int | None = None
    channels: int | None = None
    seed: int = 0
    derived: frozenset[str] = frozenset()


@dataclass(frozen=True)
class Source:
    """One synthetic set.

    Attributes:
        name: As given by the user.
        folder: Where it lies.
        images: Its images, cut.
        hashes: SHA-256 of every image file, in order.
        provenance: What the folder says of its generator, if anything.
        training_images: The real images that its generator was trained on, as far as they are at hand.
    """

    name: str
    folder: Path
    images: ImageSet
    hashes: list[str]
    provenance: Provenance | None
    training_images: ImageSet

    @property
    def schema(self) -> GuideSchema | None:
        """What its guide values mean; None where the folder does not say."""
        return self.provenance.schema if self.provenance is not None else None


@dataclass(frozen=True)
class Comparison:
    """Everything `bench-fid` works on.

    Attributes:
        request: As the command line says.
        crop_spec: How real images are cut.
        real: The real images that are compared.
        train: Real images to learn from, good ones included.
        held: Real images that share nothing with `train`.
        sources: The synthetic sets.
        division: How the real images were divided.
        notes: What the reader of a score has to know, a sentence each.
    """

    request: Request
    crop_spec: CropSpec
    real: ImageSet
    train: ImageSet
    held: ImageSet
    sources: list[Source]
    division: Division
    notes: list[str]


def open_comparison(request: Request) -> Comparison:
    """Open the folders and divide the images; no image is decoded yet.

    Raises:
        DataError: A folder is missing, empty or holds fewer than two images to compare.
        UsageError: The real images are training images, or the sets do not fit one another.
    """
    opened = {name: _samples(folder, f"--fake {name}") for name, folder in request.fakes}
    origins = {name: read_provenance(folder) for name, folder in request.fakes}
    real = _samples(request.real, "--real")
    train = _samples(request.train, "--train") if request.train is not None else None
    notes: list[str] = []
    fakes = {}
    for name, samples in opened.items():
        fakes[name] = _shown(samples, good=request.good)
        left = len(samples) - len(fakes[name])
        if left:
            notes.append(f"{name}: {left} good images were left out; --good compares them too")
        _enough(fakes[name], f"--fake {name}", good=request.good)
    _enough(_shown(real, good=request.good), "--real", good=request.good)
    crop_spec = select_crop_spec(fakes, origins, real, size=request.size, crop=request.crop, channels=request.channels)
    trained = {name: origin.train_sha256 if origin is not None else None for name, origin in origins.items()}
    together = frozenset[str]().union(*(own for own in trained.values() if own))
    trained |= {name: together for name in request.derived if not trained[name]}
    division = divide(
        real,
        trained,
        train=train,
        held_out=request.held_out,
        allow_trained=request.allow_trained,
        seed=request.seed,
    )
    compared = _shown(division.real, good=request.good)
    _enough(compared, "--real (without training images)" if request.held_out else "--real", good=request.good)
    everything = ImageSet("real", [*division.real, *division.train], crop_spec)
    at = {id(sample): place for place, sample in enumerate(everything.samples)}

    def part(samples: Sequence[Sample], name: str) -> ImageSet:
        return everything.part([at[id(sample)] for sample in samples], name=name)

    whole = replace(crop_spec, crop=None)  # a synthetic image is a crop already
    sources = [
        Source(
            name,
            folder,
            ImageSet(name, fakes[name], whole),
            image_hashes(fakes[name]),
            origins[name],
            part(_shown(division.training_images[name], good=request.good), f"training images of {name}"),
        )
        for name, folder in request.fakes
    ]
    notes += [*division.notes, *_copied(sources, division.real)]
    return Comparison(
        request,
        crop_spec,
        part(compared, "real"),
        part(division.train, "real, training"),
        part(_shown(division.held, good=request.good), "real, held out"),
        sources,
        division,
        notes,
    )


def _samples(folder: Path, flag: str) -> list[Sample]:
    dataset = read_dataset(folder)
    issues = [issue for issue in dataset.issues if not issue.warning]
    if issues:
        more = f" (and {len(issues) - 1} more issues; `check-data {folder}` lists them)" if len(issues) > 1 else ""
        raise DataError(f"{flag}: {issues[0]}{more}", code=issues[0].code)
    return dataset.samples


def _shown(samples: Sequence[Sample], *, good: bool) -> list[Sample]:
    return [sample for sample in samples if good or sample.label != GOOD]


def _enough(samples: Sequence[Sample], flag: str, *, good: bool) -> None:
    if len(samples) < 2:
        what = "images" if good else "images of defects"
        remedy = "give more images" if good else "give more images, or compare good ones too by --good"
        raise DataError(
            f"{flag}: {len(samples)} {what}, and scores need at least 2; {remedy}", code="E-bench-too-few-images"
        )


def _copied(sources: Sequence[Source], real: Sequence[Sample]) -> list[str]:
    files = set(image_hashes(real))
    notes = []
    for source in sources:
        count = sum(digest in files for digest in source.hashes)
        if count:
            notes.append(f"{source.name}: {count} of its {len(source.images)} files are files of --real, byte for byte")
    return notes
