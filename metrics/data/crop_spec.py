"""The crop in which real and synthetic images are compared: size, crop side and channels."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor

from defects.images.crops import CropSpec
from defects.images.header import image_info
from defects.provenance import Provenance
from defects.sample import Sample
from engine.errors import UsageError


def select_crop_spec(
    fakes: Mapping[str, Sequence[Sample]],
    origins: Mapping[str, Provenance | None],
    real: Sequence[Sample],
    *,
    size: int | None = None,
    crop: int | None = None,
    channels: int | None = None,
) -> CropSpec:
    """How images are cut to be compared; what is not given is what the synthetic images are.

    Args:
        fakes: The synthetic sets by name; their headers are read.
        origins: What their folders say of their generators.
        real: The images; their headers are read.
        size: Side of the crop after resizing, px.
        crop: Side of the crop in an image, px.
        channels: 1 or 3.

    Raises:
        UsageError: The sets are of several sizes, crops or numbers of channels, and none was given.
        DataError: A header cannot be read.
    """
    looks = {name: _looks(samples) for name, samples in fakes.items()}
    return CropSpec(size or _size(looks), crop or _crop(origins), channels or _channels(looks, origins, _looks(real)))


def _looks(samples: Sequence[Sample]) -> Counter[tuple[int, int, int]]:
    """How many images there are of each (height, width, channels)."""
    with ThreadPoolExecutor(max_workers=4) as pool:
        infos = list(pool.map(lambda sample: image_info(sample.image), samples))
    return Counter((*info.upright, 1 if info.channels < 3 else 3) for info in infos)


def _size(looks: Mapping[str, Counter[tuple[int, int, int]]]) -> int:
    sizes = {(height, width): name for name, found in looks.items() for height, width, _ in found}
    if len(sizes) > 1:
        shown = ", ".join(f"{width} x {height} px in {name}" for (height, width), name in list(sizes.items())[:3])
        raise UsageError(
            f"--fake: images of {len(sizes)} sizes ({shown}); give one --size for all of them, "
            "or compare them one by one",
            code="E-bench-sizes",
        )
    return min(next(iter(sizes)))


def _crop(origins: Mapping[str, Provenance | None]) -> int | None:
    crops = {origin.crop: name for name, origin in origins.items() if origin is not None}
    if len(crops) > 1:
        shown = ", ".join(f"{crop or 'the shorter side'} for {name}" for crop, name in crops.items())
        raise UsageError(
            f"--fake: the generators saw different crops of an image ({shown}, px); "
            "give one --crop, or compare them one by one",
            code="E-bench-crops",
        )
    return next(iter(crops), None)


def _channels(
    looks: Mapping[str, Counter[tuple[int, int, int]]],
    origins: Mapping[str, Provenance | None],
    real: Counter[tuple[int, int, int]],
) -> int:
    found = {channels: name for name, found_sizes in looks.items() for _, _, channels in found_sizes}
    if len(found) > 1:
        raise UsageError(
            f"--fake: {found[1]} has gray images and {found[3]} RGB ones; "
            "give --channels 1 to compare luminance, or --channels 3",
            code="E-bench-channels",
        )
    channels = next(iter(found))
    of_real = {each for _, _, each in real}
    if of_real != {channels} and not all(origins.values()):
        names = {1: "grey", 3: "RGB"}
        shown = " and ".join(names[each] for each in sorted(of_real))
        raise UsageError(
            f"--real: its images are {shown}, the synthetic ones {names[channels]}; "
            "give --channels 1 to compare luminance, or --channels 3 to repeat gray",
            code="E-bench-channels",
        )
    return channels
