"""From a request to a plan: the steps in their order, each in a room of its own."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Any, Protocol

from augment.balancing.output import write_plan
from augment.balancing.plan import make_generation_plan
from augment.balancing.plan_commands import read_generator
from augment.mixing.filtering import filter_by_scores, read_scores
from augment.mixing.leak_check import (
    Findings,
    find_copies,
    held_out_masks,
    image_hashes,
    pasted_from,
    refuse,
    refuse_seen,
    same_files,
)
from augment.mixing.plan import Item, Plan
from augment.mixing.request import KINDS_OF_SOURCE, Request
from augment.mixing.sampling_weights import check_exposure
from augment.mixing.selection import Cells, Fill, choose, counts_for, level_up
from augment.mixing.sources import Cutter, Dropped, Source, Sources, choose_crop_spec, open_sources
from augment.mixing.splits import SPLITS, Assignment, KnownSplit, assign, grouped, read_split
from augment.transforms.pipeline import Pipeline
from defects.images.decode import read_mask
from defects.images.header import image_info
from defects.sample import GOOD, Sample
from engine.errors import DataError, UsageError

_NAMED = 3


class Counter(Protocol):
    """What counts progress."""

    def update(self, n: int = 1) -> None:
        """Counts `n` more."""


Watch = Callable[[int, str], AbstractContextManager[Counter | None]]


def make_plan(request: Request, *, memory: Path | None = None, watch: Watch | None = None, workers: int = 2) -> Plan:
    """Decides everything; nothing is written.

    Args:
        request: What is asked for.
        memory: Record of the leak check of an interrupted run, which is not repeated then.
        watch: Given the number of images and the name of a step, opens what counts them.
        workers: Threads.

    Raises:
        DataError: Folders that do not fit together, images that leak, kinds that cannot be split.
        UsageError: A setting that cannot be met.
    """
    watch = watch or (lambda _total, _label: nullcontext())
    pipeline = Pipeline.from_preset(request.augment) if request.augment else None
    sources = open_sources(request)
    warnings = list(sources.warnings)
    real, how = grouped(sources.real.samples)
    warnings += [how] if how else []
    hashes = image_hashes(real)
    assignment = _split(request, sources, real, hashes)
    warnings += assignment.warnings
    held = [*assignment.parts["val"], *assignment.parts["test"]]
    for source in sources.synthetic:
        refuse_seen(source, held, hashes)
        painted = held_out_masks(source, held)
        if painted:
            warnings.append(
                f"{source.root}: {len(painted)} images are painted from masks of held-out photographs, "
                f"such as {', '.join(painted[:_NAMED])}; make them from other masks"
            )
    train, dropped = _marked("real", assignment.parts["train"], workers)
    made, more = _good_enough(request, sources, warnings)
    dropped += more
    for source in sources.made:
        made[source.name], more = _marked(source.name, made[source.name], workers)
        dropped += more
    own = {source.name: image_hashes(made[source.name]) for source in sources.made}
    cutter = choose_crop_spec(request, sources)
    leaks, findings = _leaks(request, sources, train, made, held, hashes, own, cutter, memory, watch, workers)
    if leaks and not request.drop_copies:
        refuse(leaks)
    gone = {(drop.source, drop.name) for drop in leaks}
    dropped += leaks
    train = [sample for sample in train if ("real", sample.name) not in gone]
    made = {name: [s for s in samples if (name, s.name) not in gone] for name, samples in made.items()}
    train, chosen, fill = _choose(request, sources, train, made, cutter, watch, workers)
    every = {"real": hashes, **own}
    items = _items(assignment, train, chosen, every)
    counts = {name: sum(item.source == name for item in items["train"]) for name in KINDS_OF_SOURCE}
    shares = check_exposure(request.exposure, counts)
    if not shares:
        shares = {name: count / len(items["train"]) for name, count in counts.items() if count}
    return Plan(
        request, items, cutter, pipeline, shares, dropped, fill, assignment.how, findings, warnings
    )  # fmt: skip


def _split(request: Request, sources: Sources, real: Sequence[Sample], hashes: dict[str, str]) -> Assignment:
    known: KnownSplit | None = None
    if request.split_from == "auto":
        for source in sources.synthetic:
            if source.provenance is not None:
                one = KnownSplit(frozenset(source.provenance.test), source.provenance.train_sha256)
                known = one if known is None else known | one
    elif request.split_from not in ("none", "column"):
        known = read_split(Path(request.split_from))
    fractions = {"val": request.val, "test": request.test}
    column = request.split_from == "column"
    return assign(real, fractions, request.seed, known=known, hashes=hashes, column=column)


def _marked(source: str, samples: Sequence[Sample], workers: int) -> tuple[list[Sample], list[Dropped]]:
    """Images called defective of which no pixel is marked would teach that a defect looks good."""

    def marked(sample: Sample) -> bool:
        return sample.label == GOOD or bool(read_mask(sample, image_info(sample.image)).any())

    with ThreadPoolExecutor(workers) as pool:
        keep = list(pool.map(marked, samples))
    dropped = [
        Dropped(source, sample.name, "empty mask", f"of kind {sample.label} and no pixel marked")
        for sample, good in zip(samples, keep, strict=True)
        if not good
    ]
    return [sample for sample, good in zip(samples, keep, strict=True) if good], dropped


def _good_enough(
    request: Request, sources: Sources, warnings: list[str]
) -> tuple[dict[str, list[Sample]], list[Dropped]]:
    """Made images by folder, the synthetic ones filtered by their scores."""
    made = {source.name: list(source.samples) for source in sources.made}
    dropped: list[Dropped] = []
    if request.scores:
        scores = read_scores(request.scores)
        for source in sources.synthetic:
            keep = request.keep_unscored or not request.thresholds
            kept, gone, unscored = filter_by_scores(source, scores, request.thresholds, keep_unscored=keep)
            made[source.name] = kept
            dropped += gone
            if unscored:
                what = "kept" if keep else "dropped, --keep-unscored keeps them"
                warnings.append(
                    f"{source.root}: {len(unscored)} images without the scores asked for are {what}, "
                    f"such as {', '.join(unscored[:_NAMED])}"
                )
    return made, dropped


def _leaks(
    request: Request,
    sources: Sources,
    train: Sequence[Sample],
    made: dict[str, list[Sample]],
    held: Sequence[Sample],
    hashes: dict[str, str],
    own: dict[str, dict[str, str]],
    cutter: Cutter,
    memory: Path | None,
    watch: Watch,
    workers: int,
) -> tuple[list[Dropped], Findings | None]:
    by_hash = {hashes[sample.name]: sample.name for sample in held}
    found = same_files("real", train, hashes, by_hash)
    for source in sources.made:
        found += same_files(source.name, made[source.name], own[source.name], by_hash)
        if source.kind == "pasted":
            found += pasted_from(source, by_hash)
    findings = None
    if request.check == "copies" and held:
        files = {str(s.image): hashes[s.name] for s in (*train, *held)}
        files |= {str(s.image): own[name][s.name] for name, samples in made.items() for s in samples}
        total = len(train) + sum(map(len, made.values()))
        with watch(total, "leak check") as counter:
            tell = counter.update if counter is not None else None
            findings = find_copies(
                train,
                made,
                held,
                hashes=files,
                cutter=cutter,
                workers=workers,
                on_progress=tell,
                memory=memory,
            )
        known = {(drop.source, drop.name) for drop in found}
        found += [drop for drop in findings.drops if (drop.source, drop.name) not in known]
    return found, findings


def _choose(
    request: Request,
    sources: Sources,
    train: list[Sample],
    made: dict[str, list[Sample]],
    cutter: Cutter,
    watch: Watch,
    workers: int,
) -> tuple[list[Sample], list[tuple[Source, Sample]], Fill | None]:
    """The made images that train, and the photographs unless the ratio leaves them out."""
    of_kind = {
        kind: [(source, s) for source in sources.made if source.kind == kind for s in made[source.name]]
        for kind in ("synthetic", "pasted")
    }
    counts = counts_for(request.ratio, {"real": len(train), **{kind: len(some) for kind, some in of_kind.items()}})
    cells = None
    if request.balance:
        defective = sum(sample.label != GOOD for sample in train)
        with watch(defective + sum(map(len, of_kind.values())), "measuring") as counter:
            tell = counter.update if counter is not None else None
            cells = Cells(request.balance, train, cutter, workers=workers, on_progress=tell)
            keys = {kind: cells.keys([s for _, s in some]) for kind, some in of_kind.items()}
    chosen: list[tuple[Source, Sample]] = []
    filled: list[tuple[str, ...]] = []
    for kind, some in of_kind.items():
        if cells is None:
            chosen += choose(some, counts[kind], seed=request.seed, name=kind)
            continue
        now = cells.fill(filled).after
        count = counts[kind] if request.ratio else level_up(keys[kind], now)
        taken = choose(range(len(some)), count, keys=keys[kind], start=now, seed=request.seed, name=kind)
        chosen += [some[i] for i in taken]
        filled += [keys[kind][i] for i in taken]
    fill = cells.fill(filled) if cells is not None else None
    return (train if counts["real"] else []), chosen, fill


def _items(
    assignment: Assignment,
    train: Sequence[Sample],
    chosen: Sequence[tuple[Source, Sample]],
    hashes: Mapping[str, Mapping[str, str]],
) -> dict[str, list[Item]]:
    def item(source: str, kind: str, sample: Sample, split: str) -> Item:
        return Item(f"{source}/{sample.name}", sample, kind, split, hashes[source][sample.name])

    photographs = {**assignment.parts, "train": train}
    items = {split: [item("real", "real", sample, split) for sample in photographs[split]] for split in SPLITS}
    items["train"] += [item(source.name, source.kind, sample, "train") for source, sample in chosen]
    if not items["train"]:
        raise DataError("nothing is left to train on; loosen the filter or the ratio")
    return items


def write_wishes(plan: Plan, out: Path, *, checkpoint: Path | None = None, dry_run: bool = False) -> dict[str, Any]:
    """Writes masks, guides and a script of commands; only training photographs are looked at.

    Args:
        plan: Of the mixture.
        out: Folder of the masks and the script.
        checkpoint: Generator to ask; else that of the first synthetic folder.
        dry_run: Say only what would be asked for.

    Returns:
        `lines` for a terminal and what `plan.json` holds.

    Raises:
        DataError: No training photograph has a marked defect.
        OutputError: The folder is not empty or cannot be written.
        UsageError: No photograph trains.
    """
    train = [item.sample for item in plan.items["train"] if item.source == "real"]
    if not train:
        raise UsageError("--plan: no photograph trains, so there is no mask to plan from; leave --plan out")
    known = [path for path in plan.request.synthetic.values() if (path / "generator.json").is_file()]
    told = checkpoint or (known[0] if known else None)
    generator = read_generator(told) if told is not None else None
    wishes = make_generation_plan(train, plan.cutter.crop_spec, generator=generator, seed=plan.request.seed)
    lines = [f"plan: {line}" for line in wishes.lines()]
    if not dry_run:
        write_plan(wishes, out)
        lines.append(f"plan written: sh {out}/commands.sh")
    return {"folder": str(out), "lines": lines, **wishes.to_dict()}
