"""The synthetic sets, opened and checked: complete, new to the test images, and with the data of their generators.

A set is one folder, or one folder for each few-shot split, so that its generator was trained on no more than the split.
Pasted images come from a folder too, or are pasted on the fly from the images of each split.
"""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from augment.pasting.images import ImageReader
from augment.pasting.paster import PastedImage, Paster
from classify.utility.design.trials import CROPS, FewShotSplit, Settings, shots_name
from defects.formats.dataset import open_dataset
from defects.images.crops import CropSpec
from defects.provenance import Provenance, image_hashes, read_provenance
from defects.sample import GOOD, Sample
from engine.errors import DataError, UsageError
from engine.seeding import numpy_generator, seed_for

SHOTS, SEED = "{shots}", "{seed}"
_MISSES = 60
_CACHE_BYTES = 512 * 1024 * 1024
T = TypeVar("T")


@dataclass(frozen=True)
class SyntheticSet:
    """A folder of synthetic or pasted images.

    Attributes:
        name: As the user calls it.
        root: The folder.
        samples: In the order of their names.
        hashes: SHA-256 of each image file, in that order.
        provenance: Of its generator; None where the folder has none.
    """

    name: str
    root: Path
    samples: list[Sample]
    hashes: list[str]
    provenance: Provenance | None = None

    @property
    def fingerprint(self) -> str:
        """Of its images and their labels."""
        return fingerprint(self.hashes, [sample.label for sample in self.samples])

    @property
    def trained_on(self) -> frozenset[str]:
        """SHA-256 of its generator's training images, as far as its provenance lists them."""
        return self.provenance.train_sha256 if self.provenance is not None else frozenset()


def open_synthetic(name: str, root: Path) -> SyntheticSet:
    """Opens a folder of synthetic images.

    Raises:
        DataError: It is missing or invalid, or holds no defective image.
    """
    samples = open_dataset(root).samples
    if not any(sample.label != GOOD for sample in samples):
        raise DataError(
            f"{root}: shows no defect among {len(samples)} images; give a folder of gen-defects",
            code="E-utility-no-defects",
        )
    return SyntheticSet(name, root, samples, image_hashes(samples), read_provenance(root))


def is_template(folder: Path) -> bool:
    """Whether a path stands for a folder of every few-shot split, as `fakes/{shots}-{seed}` does."""
    return SHOTS in str(folder) or SEED in str(folder)


def filled(folder: Path, split: FewShotSplit) -> Path:
    """The folder of a few-shot split.

    >>> filled(Path("fakes/{shots}-{seed}"), FewShotSplit(5, 0)).as_posix()
    'fakes/5-0'
    """
    return Path(str(folder).replace(SHOTS, shots_name(split.shots)).replace(SEED, str(split.seed)))


def fingerprint(hashes: Sequence[str], labels: Sequence[str]) -> str:
    """SHA-256 of a set of images and their labels, whatever their order."""
    lines = sorted(f"{digest} {label}" for digest, label in zip(hashes, labels, strict=True))
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()


def generator_saw(synthetic: SyntheticSet, real: Sequence[Sample], hashes: Mapping[str, str]) -> int | None:
    """How many real images with a defect its generator was trained on; None where nothing is known.

    Args:
        synthetic: The set.
        real: The real images.
        hashes: SHA-256 of each real image file by name.
    """
    if synthetic.provenance is None or not synthetic.trained_on:
        return None
    at_hand = sum(s.label != GOOD and hashes[s.name] in synthetic.trained_on for s in real)
    return max(at_hand, synthetic.provenance.defective or 0)


def masks_from(synthetic: SyntheticSet, real: Sequence[Sample]) -> list[str | None]:
    """The name of the real image whose mask each synthetic image has, by its `mask_source`; None without one."""
    known: dict[str, str | None] = {}
    for sample in real:
        stems = {sample.name, sample.name.replace("/", "_"), sample.name.rpartition("/")[2]}
        for stem in stems | ({sample.mask.stem} if sample.mask is not None else set()):
            known[stem] = None if stem in known and known[stem] != sample.name else sample.name
    names = []
    for sample in synthetic.samples:
        path = str(sample.metadata.get("mask_source") or "").rpartition(".")[0]
        names.append(known.get(path) or known.get(path.rpartition("/")[2]))
    return names


def origins_of(synthetic: SyntheticSet) -> set[str]:
    """SHA-256 of the images that its images were generated or pasted into, as far as its rows list them."""
    columns = (s.metadata.get(column) for s in synthetic.samples for column in ("background", "ground", "defect"))
    return {str(origin["sha256"]) for origin in columns if isinstance(origin, dict) and "sha256" in origin}


def reject_test_images(synthetic: SyntheticSet, test: Sequence[Sample], hashes: Mapping[str, str]) -> None:
    """Rejects a set that shares a test image: by training, by its backgrounds, byte for byte, or by a mask.

    Raises:
        DataError: Its generator was trained on one, or its images show one.
        UsageError: Its images have the masks of test images.
    """
    names = {hashes[sample.name]: sample.name for sample in test}
    trained = [sample.name for sample in test if hashes[sample.name] in synthetic.trained_on]
    if trained:
        raise DataError(
            f"{synthetic.root}: its generator was trained on {len(trained)} of the {len(test)} test images, such as "
            f"{trained[0]}; train it again without them, or give images whose generator.json names the test images",
            code="E-utility-test-leak",
        )
    backgrounds = sorted(names[digest] for digest in origins_of(synthetic) if digest in names)
    if backgrounds:
        raise DataError(
            f"{synthetic.root}: {len(backgrounds)} of its backgrounds are test images, such as {backgrounds[0]}; "
            "give gen-defects --backgrounds without them",
            code="E-utility-test-leak",
        )
    same = [names[digest] for digest in synthetic.hashes if digest in names]
    if same:
        raise DataError(
            f"{synthetic.root}: {len(same)} of its images are test images byte for byte, such as {same[0]}; "
            "take them out",
            code="E-utility-test-leak",
        )
    own = {sample.name for sample in test}
    masks = [name for name in masks_from(synthetic, test) if name in own]
    if masks:
        raise UsageError(
            f"{synthetic.root}: {len(masks)} of its images have the masks of test images, such as "
            f"{masks[0]}; generate images from the masks of training images only",
            code="E-utility-test-masks",
        )


def image_reader(settings: Settings) -> ImageReader:
    """Reads the images of all few-shot splits for pasting, so that none is decoded for each again."""
    return ImageReader(CropSpec(settings.size, settings.crop, settings.channels), max_bytes=_CACHE_BYTES)


def paster_of(
    settings: Settings, method: str | None, defective: Sequence[Sample], good: Sequence[Sample], seed: int,
    reader: ImageReader | None = None,
) -> Paster:  # fmt: skip
    """Cuts defects out of `defective` and pastes them into `good`, images or crops; another seed, other images."""
    own = seed_for(seed, "utility", "paste") % 2**31
    crop_spec = CropSpec(settings.size, settings.crop, settings.channels)
    return Paster(defective, good, method=method or "alpha", seed=own, crop_spec=crop_spec, reader=reader)


def pasted_images(paster: Paster, count: int) -> Iterator[PastedImage]:
    """`count` pasted images; the first ones are the same for every count.

    A defect that fits into no good image, such as one as large as the image, is skipped.

    Raises:
        DataError: Hardly any defect fits into the good images.
    """
    index, misses = 0, 0
    while count:
        try:
            pasted = paster.make(index)
        except DataError:
            misses += 1
            if misses > _MISSES:
                raise
        else:
            misses, count = 0, count - 1
            yield pasted
        index += 1


def shot_order(defective: Sequence[Sample], seed: int) -> list[Sample]:
    """The defective images in the order in which few-shot splits take them: a larger split holds the smaller ones.

    Classes take turns, and within a class its groups do: five images of one group say less than one each of five.

    Args:
        defective: Of the training split; their order does not matter.
        seed: Another seed, another order.
    """
    rng = numpy_generator(seed, "utility", "shots")
    classes: dict[str, dict[str, list[Sample]]] = defaultdict(lambda: defaultdict(list))
    for sample in sorted(defective, key=lambda sample: sample.name):
        classes[sample.label][sample.part].append(sample)
    queues = []
    for name in _shuffled(sorted(classes), rng):
        groups = [_shuffled(classes[name][group], rng) for group in _shuffled(sorted(classes[name]), rng)]
        queues.append(_in_turns(groups))
    return _in_turns(queues)


def subset_of(defective: Sequence[Sample], split: FewShotSplit) -> list[Sample]:
    """The defective images of a few-shot split, of those for training."""
    return shot_order(defective, split.seed)[: split.shots]


def draw(samples: Sequence[Sample], count: int, seed: int) -> NDArray[np.intp]:
    """Indices of `count` images of a source, each at most once; a larger count holds the smaller one.

    Where a source has good images too, good and defective ones have their shares.

    Args:
        samples: Of the source.
        count: At most as many as there are.
        seed: Another seed, another draw.
    """
    order: list[NDArray[np.intp]] = []
    places: list[NDArray[np.float64]] = []
    for good in (False, True):
        own = np.flatnonzero([(sample.label == GOOD) == good for sample in samples])
        order.append(numpy_generator(seed, "utility", "draw", int(good)).permutation(own))
        places.append((np.arange(len(own)) + 0.5) / max(1, len(own)))
    return np.concatenate(order)[np.argsort(np.concatenate(places), kind="stable")][:count]


def _shuffled(items: Sequence[T], rng: np.random.Generator) -> list[T]:
    return [items[index] for index in rng.permutation(len(items))]


def _in_turns(queues: Sequence[Sequence[T]]) -> list[T]:
    """One of each, again and again, until all are empty."""
    longest = max((len(queue) for queue in queues), default=0)
    return [queue[turn] for turn in range(longest) for queue in queues if turn < len(queue)]


def training_views(
    images: Sequence[Sample],
    subset: Sequence[Sample],
    labels: NDArray[np.int64],
    owners: NDArray[np.int64],
    unit: str,
) -> NDArray[np.bool_]:
    """Which views (N,) of the training images a few-shot split trains on.

    All of its defective images and of the good ones; where crops are the unit, the defective crops of its defective
    images, and the good crops of all.

    Args:
        images: Of the training split.
        subset: The defective ones of the few-shot split.
        labels: (N,) of the views.
        owners: (N,) index of the image of each.
        unit: `image` or `crop`.
    """
    names = {sample.name for sample in subset}
    own = np.asarray([sample.name in names for sample in images], np.bool_)
    if unit == CROPS:
        return np.asarray((labels == 0) | own[owners])
    return np.asarray((own | [sample.label == GOOD for sample in images])[owners])
