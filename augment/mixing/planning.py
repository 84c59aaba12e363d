"""From a request to a plan: open, split, filter, check for leaks, balance."""

from __future__ import annotations

import heapq
import math
from collections import Counter, defaultdict
from collections.abc import Callable, Hashable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol, TypeVar

from augment.balancing.strata import StrataFill, Stratifier
from augment.mixing import holdout
from augment.mixing.filtering import filter_by_scores, read_scores
from augment.mixing.plan import Plan, check_sampling_weights, items_by_split
from augment.mixing.request import SOURCES, Request
from augment.mixing.sources import (
    Cropper,
    Dropped,
    GeneratorSplit,
    Source,
    Sources,
    check_generator,
    cropper_for,
    from_held_out_masks,
    hashes_by_name,
    open_sources,
    read_generator_split,
)
from augment.transforms.pipeline import Pipeline
from defects.images.decode import image_info, read_mask
from defects.sample import GOOD, Sample
from engine.errors import UsageError
from engine.seeding import numpy_generator

_EXAMPLES = 3
T = TypeVar("T")
KeyT = TypeVar("KeyT", bound=Hashable)


class ProgressCounter(Protocol):
    """Counts progress."""

    def update(self, n: int = 1) -> None:
        """Counts `n` more."""


OpenProgress = Callable[[int, str], AbstractContextManager[ProgressCounter | None]]


def make_plan(
    request: Request, *, record: Path | None = None, open_progress: OpenProgress | None = None, workers: int = 2
) -> Plan:
    """Plans a mixture; nothing is written.

    Args:
        request: The settings.
        record: Record of the leak check of an interrupted run, which is then not repeated.
        open_progress: Called with the number of images and the name of a step; opens its progress counter.
        workers: Threads.

    Raises:
        DataError: Folders do not fit together, images leak, or classes cannot be split.
        UsageError: A setting cannot be met.
    """
    return _Planning(request, open_progress or (lambda _total, _label: nullcontext()), workers).plan(record)


@dataclass
class _Planning:
    request: Request
    open_progress: OpenProgress
    workers: int
    dropped: list[Dropped] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)

    def plan(self, record: Path | None) -> Plan:
        request = self.request
        pipeline = Pipeline.from_preset(request.augment) if request.augment else None
        sources = open_sources(request)
        self.warnings += sources.warnings
        real, message = holdout.with_groups(sources.real.samples)
        self.warnings += [message] if message else []
        real_hashes = hashes_by_name(real)
        split = self._split(sources, real, real_hashes)
        self.warnings += split.warnings
        self._check_generators(sources, split.held_out, real_hashes)
        train = self._with_pixels("real", split.samples["train"])
        passed = self._passed_scores(sources)
        passed = {name: self._with_pixels(name, samples) for name, samples in passed.items()}
        hashes = {name: hashes_by_name(samples) for name, samples in passed.items()} | {"real": real_hashes}
        cropper = cropper_for(request, sources)
        leaks, near_duplicates = self._leaks(sources, train, passed, split.held_out, hashes, cropper, record)
        if not request.drop_near_duplicates:
            holdout.check_leaks(leaks)
        self.dropped += leaks
        leaking = {(drop.source, drop.name) for drop in leaks}
        train = [sample for sample in train if ("real", sample.name) not in leaking]
        passed = {name: [s for s in some if (name, s.name) not in leaking] for name, some in passed.items()}
        train, selected, fill = self._select(sources, train, passed, cropper)
        items = items_by_split({**split.samples, "train": train}, selected, hashes)
        counts = {name: sum(item.source == name for item in items["train"]) for name in SOURCES}
        weights = check_sampling_weights(request.sampling_weights, counts)
        return Plan(
            request, items, cropper, pipeline, weights, self.dropped, fill, split.method, near_duplicates, self.warnings
        )

    def _split(self, sources: Sources, real: Sequence[Sample], hashes: Mapping[str, str]) -> holdout.SplitResult:
        request = self.request
        known: GeneratorSplit | None = None
        if request.split_from == "auto":
            for source in sources.synthetic:
                if source.provenance is not None:
                    one = GeneratorSplit(frozenset(source.provenance.test), source.provenance.train_sha256)
                    known = one if known is None else known | one
        elif request.split_from not in ("none", "column"):
            known = read_generator_split(Path(request.split_from))
        fractions = {"val": request.val, "test": request.test}
        column = request.split_from == "column"
        return holdout.split_real(real, fractions, request.seed, known=known, hashes=hashes, column=column)

    def _check_generators(self, sources: Sources, held_out: Sequence[Sample], hashes: Mapping[str, str]) -> None:
        for source in sources.synthetic:
            check_generator(source, held_out, hashes)
            generated = from_held_out_masks(source, held_out)
            if generated:
                self.warnings.append(
                    f"{source.root}: {len(generated)} images are generated from masks of held-out images, "
                    f"such as {', '.join(generated[:_EXAMPLES])}; generate them from other masks"
                )

    def _with_pixels(self, source: str, samples: Sequence[Sample]) -> list[Sample]:
        """Drops defective images without a defective pixel, which would teach that a defect looks good."""

        def has_pixels(sample: Sample) -> bool:
            return sample.label == GOOD or bool(read_mask(sample, image_info(sample.image)).any())

        with ThreadPoolExecutor(self.workers) as pool:
            usable = list(pool.map(has_pixels, samples))
        self.dropped += [
            Dropped(source, sample.name, "empty mask", f"of class {sample.label} and no pixel marked")
            for sample, good in zip(samples, usable, strict=True)
            if not good
        ]
        return [sample for sample, good in zip(samples, usable, strict=True) if good]

    def _passed_scores(self, sources: Sources) -> dict[str, list[Sample]]:
        """Synthetic and pasted images by folder, the synthetic ones filtered by their scores."""
        request = self.request
        passed = {source.name: list(source.samples) for source in sources.training_only}
        scores = read_scores(request.scores) if request.scores else {}
        for source in sources.synthetic if request.scores else []:
            keep = request.keep_unscored or not request.thresholds
            passed[source.name], dropped, unscored = filter_by_scores(
                source, scores, request.thresholds, keep_unscored=keep
            )
            self.dropped += dropped
            if unscored:
                result = "used" if keep else "dropped, --keep-unscored uses them"
                self.warnings.append(
                    f"{source.root}: {len(unscored)} images without the required scores are {result}, "
                    f"such as {', '.join(unscored[:_EXAMPLES])}"
                )
        return passed

    def _leaks(
        self,
        sources: Sources,
        train: Sequence[Sample],
        passed: Mapping[str, list[Sample]],
        held_out: Sequence[Sample],
        hashes: Mapping[str, Mapping[str, str]],
        cropper: Cropper,
        record: Path | None,
    ) -> tuple[list[Dropped], holdout.NearDuplicates | None]:
        by_hash = {hashes["real"][sample.name]: sample.name for sample in held_out}
        leaks = holdout.identical_files("real", train, hashes["real"], by_hash)
        for source in sources.training_only:
            leaks += holdout.identical_files(source.name, passed[source.name], hashes[source.name], by_hash)
            if source.origin == "pasted":
                leaks += holdout.pasted_leaks(source, by_hash)
        near_duplicates = None
        if self.request.check == "near-duplicates" and held_out:
            files = {str(s.image): hashes["real"][s.name] for s in (*train, *held_out)}
            files |= {str(s.image): hashes[name][s.name] for name, samples in passed.items() for s in samples}
            with self.open_progress(len(train) + sum(map(len, passed.values())), "leak check") as counter:
                near_duplicates = holdout.find_near_duplicates(
                    train, passed, held_out, hashes=files, cropper=cropper, workers=self.workers, record=record,
                    on_progress=None if counter is None else counter.update,
                )  # fmt: skip
            known = {(drop.source, drop.name) for drop in leaks}
            leaks += [drop for drop in near_duplicates.drops if (drop.source, drop.name) not in known]
        return leaks, near_duplicates

    def _select(
        self, sources: Sources, train: list[Sample], passed: Mapping[str, list[Sample]], cropper: Cropper
    ) -> tuple[list[Sample], list[tuple[Source, Sample]], StrataFill | None]:
        """The real images that train, none where the ratio leaves them out, and the synthetic and pasted ones."""
        request = self.request
        by_origin = {
            origin: [(one, s) for one in sources.training_only if one.origin == origin for s in passed[one.name]]
            for origin in ("synthetic", "pasted")
        }
        available = {"real": len(train), **{origin: len(some) for origin, some in by_origin.items()}}
        counts = counts_for(request.ratio, available)
        real = train if counts["real"] else []
        selected: list[tuple[Source, Sample]] = []
        if not request.balance:
            for origin, some in by_origin.items():
                selected += select(some, counts[origin], seed=request.seed, name=origin)
            return real, selected, None
        total = sum(sample.label != GOOD for sample in train) + sum(map(len, by_origin.values()))
        with self.open_progress(total, "measuring") as counter:
            report = None if counter is None else counter.update
            strata = Stratifier(request.balance, train, cropper.read, workers=self.workers, on_progress=report)
            keys = {origin: strata.keys([s for _, s in some]) for origin, some in by_origin.items()}
        added: list[tuple[str, ...]] = []
        for origin, some in by_origin.items():
            now = strata.fill(added).after
            count = counts[origin] if request.ratio else count_to_level(keys[origin], now)
            numbers = select(range(len(some)), count, keys=keys[origin], start=now, seed=request.seed, name=origin)
            selected += [some[i] for i in numbers]
            added += [keys[origin][i] for i in numbers]
        return real, selected, strata.fill(added)


def counts_for(ratio: Sequence[float], available: Mapping[str, int]) -> dict[str, int]:
    """The number of training images of each source.

    Args:
        ratio: Real : synthetic [: pasted]; empty takes all. With a positive number all real images train; with 0, as
            many of the others as their own ratio allows.
        available: Number of `real`, `synthetic` and `pasted` images.

    >>> counts_for((1, 2), {"real": 10, "synthetic": 25, "pasted": 0})
    {'real': 10, 'synthetic': 20, 'pasted': 0}

    Raises:
        UsageError: There are too few; the error names a ratio that is possible.
    """
    if not ratio:
        return {name: available[name] for name in SOURCES}
    shares = dict(zip(SOURCES, [*ratio, 0.0][:3], strict=True))
    used = [name for name in SOURCES if shares[name] > 0]
    unit = available["real"] / shares["real"] if shares["real"] > 0 else min(available[n] / shares[n] for n in used)
    # Rounded half up; the count of an available source must not be short by the error of a division.
    counts = {name: math.floor(unit * shares[name] + 0.5) for name in SOURCES}
    short = [name for name in used if counts[name] > available[name]]
    if short:
        # At most three digits behind the point, never rounded up.
        possible = [available[n] / unit if n in short else shares[n] for n in SOURCES[: len(ratio)]]
        text = ":".join(f"{share:g}" for share in (math.floor(share * 1000 + 1e-6) / 1000 for share in possible))
        raise UsageError(
            f"--ratio {':'.join(f'{share:g}' for share in ratio)}: {available['real']} real training images need "
            f"{', '.join(f'{counts[name]} {name} images' for name in short)}, there are "
            f"{', '.join(f'{available[name]}' for name in short)}; generate {counts[short[0]] - available[short[0]]} "
            f"more {short[0]} ones, or give --ratio {text}",
            code="E-mix-too-few-images",
        )
    return counts


def select(
    items: Sequence[T],
    count: int,
    *,
    keys: Sequence[KeyT] | None = None,
    start: Mapping[KeyT, int] | None = None,
    seed: int = 0,
    name: str = "",
) -> list[T]:
    """Selects `count` of the items, each at most once, in their given order.

    Args:
        items: To select from.
        count: How many; all where there are fewer.
        keys: The stratum of every item: the next item is of the stratum with the fewest so far. None: at random.
        start: How many each stratum has already.
        seed: Of the selection within a stratum.
        name: Of the source.
    """
    order = [int(i) for i in numpy_generator(seed, "choose", name).permutation(len(items))]
    if keys is None:
        return [items[i] for i in sorted(order[:count])]
    waiting: dict[KeyT, list[int]] = defaultdict(list)
    for index in reversed(order):
        waiting[keys[index]].append(index)
    heap = [((start or {}).get(key, 0), str(key), key) for key in waiting]
    heapq.heapify(heap)
    selected: list[int] = []
    while heap and len(selected) < count:
        filled, text, key = heapq.heappop(heap)
        selected.append(waiting[key].pop())
        if waiting[key]:
            heapq.heappush(heap, (filled + 1, text, key))
    return [items[i] for i in sorted(selected)]


def count_to_level(keys: Sequence[KeyT], start: Mapping[KeyT, int]) -> int:
    """Number of items that fill every stratum up to the fullest, as far as there are items for it."""
    level = max(start.values(), default=0)
    return sum(min(number, max(0, level - start.get(key, 0))) for key, number in Counter(keys).items())
