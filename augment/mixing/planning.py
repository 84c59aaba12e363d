"""From a request to a plan: open, split, filter, check for leaks, balance."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from augment.balancing.output import write_plan
from augment.balancing.plan import make_generation_plan
from augment.balancing.plan_commands import read_generator
from augment.mixing import leak_check, selection, splits
from augment.mixing.filtering import filter_by_scores, read_scores
from augment.mixing.plan import Item, Plan
from augment.mixing.request import SOURCES, Request
from augment.mixing.selection import StrataFill, Stratifier, select
from augment.mixing.sources import Cropper, Dropped, Source, Sources, cropper_for, open_sources
from augment.mixing.splits import GeneratorSplit, SplitResult
from augment.transforms.pipeline import Pipeline
from defects.formats.listing import SPLITS
from defects.images.decode import image_info, read_mask
from defects.sample import GOOD, Sample
from engine.errors import DataError, UsageError

_EXAMPLES = 3


class Counter(Protocol):
    """Counts progress."""

    def update(self, n: int = 1) -> None:
        """Counts `n` more."""


OpenProgress = Callable[[int, str], AbstractContextManager[Counter | None]]


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
        real, message = splits.with_groups(sources.real.samples)
        self.warnings += [message] if message else []
        real_hashes = splits.hashes_by_name(real)
        split = self._split(sources, real, real_hashes)
        self.warnings += split.warnings
        self._check_generators(sources, split.held_out, real_hashes)
        train = self._with_pixels("real", split.samples["train"])
        passed = self._passed_scores(sources)
        passed = {name: self._with_pixels(name, samples) for name, samples in passed.items()}
        hashes = {name: splits.hashes_by_name(samples) for name, samples in passed.items()} | {"real": real_hashes}
        cropper = cropper_for(request, sources)
        leaks, near_duplicates = self._leaks(sources, train, passed, split.held_out, hashes, cropper, record)
        if not request.drop_near_duplicates:
            leak_check.check_leaks(leaks)
        self.dropped += leaks
        leaking = {(drop.source, drop.name) for drop in leaks}
        train = [sample for sample in train if ("real", sample.name) not in leaking]
        passed = {name: [s for s in some if (name, s.name) not in leaking] for name, some in passed.items()}
        train, selected, fill = self._select(sources, train, passed, cropper)
        items = _items({**split.samples, "train": train}, selected, hashes)
        counts = {name: sum(item.source == name for item in items["train"]) for name in SOURCES}
        weights = selection.check_sampling_weights(request.sampling_weights, counts)
        return Plan(
            request, items, cropper, pipeline, weights, self.dropped, fill, split.method, near_duplicates, self.warnings
        )

    def _split(self, sources: Sources, real: Sequence[Sample], hashes: Mapping[str, str]) -> SplitResult:
        request = self.request
        known: GeneratorSplit | None = None
        if request.split_from == "auto":
            for source in sources.synthetic:
                if source.provenance is not None:
                    one = GeneratorSplit(frozenset(source.provenance.test), source.provenance.train_sha256)
                    known = one if known is None else known | one
        elif request.split_from not in ("none", "column"):
            known = splits.read_generator_split(Path(request.split_from))
        fractions = {"val": request.val, "test": request.test}
        column = request.split_from == "column"
        return splits.split_real(real, fractions, request.seed, known=known, hashes=hashes, column=column)

    def _check_generators(self, sources: Sources, held_out: Sequence[Sample], hashes: Mapping[str, str]) -> None:
        for source in sources.synthetic:
            leak_check.check_generator(source, held_out, hashes)
            generated = leak_check.from_held_out_masks(source, held_out)
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
    ) -> tuple[list[Dropped], leak_check.NearDuplicates | None]:
        by_hash = {hashes["real"][sample.name]: sample.name for sample in held_out}
        leaks = leak_check.identical_files("real", train, hashes["real"], by_hash)
        for source in sources.training_only:
            leaks += leak_check.identical_files(source.name, passed[source.name], hashes[source.name], by_hash)
            if source.origin == "pasted":
                leaks += leak_check.pasted_leaks(source, by_hash)
        near_duplicates = None
        if self.request.check == "near-duplicates" and held_out:
            files = {str(s.image): hashes["real"][s.name] for s in (*train, *held_out)}
            files |= {str(s.image): hashes[name][s.name] for name, samples in passed.items() for s in samples}
            with self.open_progress(len(train) + sum(map(len, passed.values())), "leak check") as counter:
                near_duplicates = leak_check.find_near_duplicates(
                    train,
                    passed,
                    held_out,
                    hashes=files,
                    cropper=cropper,
                    workers=self.workers,
                    on_progress=None if counter is None else counter.update,
                    record=record,
                )
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
        counts = selection.counts_for(request.ratio, available)
        real = train if counts["real"] else []
        selected: list[tuple[Source, Sample]] = []
        if not request.balance:
            for origin, some in by_origin.items():
                selected += select(some, counts[origin], seed=request.seed, name=origin)
            return real, selected, None
        total = sum(sample.label != GOOD for sample in train) + sum(map(len, by_origin.values()))
        with self.open_progress(total, "measuring") as counter:
            report = None if counter is None else counter.update
            strata = Stratifier(request.balance, train, cropper, workers=self.workers, on_progress=report)
            keys = {origin: strata.keys([s for _, s in some]) for origin, some in by_origin.items()}
        added: list[tuple[str, ...]] = []
        for origin, some in by_origin.items():
            now = strata.fill(added).after
            count = counts[origin] if request.ratio else selection.count_to_level(keys[origin], now)
            numbers = select(range(len(some)), count, keys=keys[origin], start=now, seed=request.seed, name=origin)
            selected += [some[i] for i in numbers]
            added += [keys[origin][i] for i in numbers]
        return real, selected, strata.fill(added)


def _items(
    real: Mapping[str, Sequence[Sample]],
    selected: Sequence[tuple[Source, Sample]],
    hashes: Mapping[str, Mapping[str, str]],
) -> dict[str, list[Item]]:
    def item(folder: str, origin: str, sample: Sample, split: str) -> Item:
        return Item(f"{folder}/{sample.name}", sample, origin, split, hashes[folder][sample.name])

    items = {split: [item("real", "real", sample, split) for sample in real[split]] for split in SPLITS}
    items["train"] += [item(source.name, source.origin, sample, "train") for source, sample in selected]
    if not items["train"]:
        what = "nothing is left to train on; lower the thresholds or change the ratio"
        raise DataError(what, code="E-mix-no-training-images")
    return items


def write_generation_plan(
    plan: Plan, out: Path, *, checkpoint: Path | None = None, dry_run: bool = False
) -> dict[str, Any]:
    """Writes masks, guides and commands for `gen-defects`, from the real training images only.

    Args:
        plan: Of the mixture.
        out: Folder of the masks and the commands.
        checkpoint: Generator the plan is for; else that of the first synthetic folder.
        dry_run: Only describe the plan.

    Returns:
        `lines` for a terminal and the content of `plan.json`.

    Raises:
        DataError: No real training image has a marked defect.
        OutputError: The folder is not empty or cannot be written.
        UsageError: No real image trains.
    """
    train = [item.sample for item in plan.items["train"] if item.source == "real"]
    if not train:
        what = "--plan: no real image trains, so there is no mask to plan from; leave --plan out"
        raise UsageError(what, code="E-plan-no-defect")
    known = [path for path in plan.request.synthetic.values() if (path / "generator.json").is_file()]
    path = checkpoint or (known[0] if known else None)
    generator = read_generator(path) if path is not None else None
    generation = make_generation_plan(train, plan.cropper.crop_spec, generator=generator, seed=plan.request.seed)
    lines = [f"plan: {line}" for line in generation.lines()]
    if not dry_run:
        write_plan(generation, out)
        lines.append(f"plan written: sh {out}/commands.sh")
    return {"folder": str(out), "lines": lines, **generation.to_dict()}
