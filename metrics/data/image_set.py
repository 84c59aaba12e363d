"""Images cropped alike for comparison, opened on demand; and the crop of a comparison."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor

import numpy as np
from numpy.typing import NDArray

from defects.images.crops import CropSpec, read_crop
from defects.images.decode import image_info
from defects.masks.width import Mask
from defects.provenance import Provenance
from defects.sample import Image, Sample
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
        names = {1: "gray", 3: "RGB"}
        shown = " and ".join(names[each] for each in sorted(of_real))
        raise UsageError(
            f"--real: its images are {shown}, the synthetic ones {names[channels]}; "
            "give --channels 1 to compare luminance, or --channels 3 to repeat gray",
            code="E-bench-channels",
        )
    return channels


_CACHE_BYTES = 1 << 30


class _CropCache:
    """Windows already cut, shared by a set and its parts, up to a number of bytes."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._bytes = 0
        self._crops: dict[int, tuple[Sample, Image, Mask]] = {}

    def get(self, sample: Sample, crop_spec: CropSpec) -> tuple[Image, Mask]:
        found = self._crops.get(id(sample))  # which no other sample takes while this one is held
        if found is not None:
            return found[1:]
        image, mask = read_crop(sample, crop_spec)
        image.setflags(write=False)
        mask.setflags(write=False)
        size = image.nbytes + mask.nbytes
        if self._bytes + size <= self._limit:
            self._crops[id(sample)] = sample, image, mask
            self._bytes += size
        return image, mask


class ImageSet:
    """Samples under a name, all cut by one framing.

    Args:
        name: Shown next to every score, such as `real` or `magna`.
        samples: In the order in which everything about them is reported.
        crop_spec: How an image becomes a crop of side S and C channels.
        cache_bytes: Memory for crops; beyond it they are read again.
    """

    def __init__(
        self, name: str, samples: Sequence[Sample], crop_spec: CropSpec, *, cache_bytes: int = _CACHE_BYTES
    ) -> None:
        self.name = name
        self.samples = list(samples)
        self.crop_spec = crop_spec
        self._cache = _CropCache(cache_bytes)

    def __len__(self) -> int:
        return len(self.samples)

    def __repr__(self) -> str:
        return f"ImageSet({self.name!r}, {len(self)} images, {self.crop_spec})"

    @property
    def labels(self) -> list[str]:
        """`good` or the defect class of every sample."""
        return [sample.label for sample in self.samples]

    def read(self, index: int) -> tuple[Image, Mask]:
        """The image (S, S, C) and the mask (S, S) of one sample; not to be written to.

        Raises:
            DataError: The image or its mask does not open.
            IndexError: There is no such sample.
        """
        return self._cache.get(self.samples[index], self.crop_spec)

    def batches(self, size: int) -> Iterator[Image]:
        """Images (B, S, S, C) in order; the last batch may be smaller.

        Raises:
            DataError: An image does not open.
            ValueError: The size is not positive.
        """
        if size < 1:
            raise ValueError(f"expected a batch of at least 1 image, got {size}")
        for start in range(0, len(self), size):
            yield np.stack([self.read(i)[0] for i in range(start, min(start + size, len(self)))])

    def masks(self) -> NDArray[np.bool_]:
        """All masks, (N, S, S)."""
        side = self.crop_spec.size
        masks = [self.read(index)[1] for index in range(len(self))]
        return np.stack(masks) if masks else np.zeros((0, side, side), dtype=bool)

    def part(self, indices: Sequence[int] | NDArray[np.integer], *, name: str | None = None) -> ImageSet:
        """The samples at some indices, in that order, sharing the cached crops."""
        return ImageSet(name or self.name, [self.samples[int(index)] for index in indices], self.crop_spec).share(self)

    def share(self, other: ImageSet) -> ImageSet:
        """Keep what is cut in the memory of a set of the same framing.

        Raises:
            ValueError: The framings differ.
        """
        if other.crop_spec != self.crop_spec:
            raise ValueError(
                f"expected sets of one framing, got {self.crop_spec} and {other.crop_spec}; cut them alike"
            )
        self._cache = other._cache
        return self
