"""The sets of the table: training runs, what each was trained on, and the images that each generates.

Every run generates from the same held-out masks; the cheap baselines stand next to them. The images come from
`gen-defects` and `mix-defects paste`, run as a user would; what is exchanged is sample folders.
"""

from __future__ import annotations

import shlex
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from defects.formats.dataset import read_dataset
from defects.formats.folders import write_masks
from defects.images.crops import CropSpec
from defects.provenance import Provenance
from defects.provenance import file_name as GENERATOR
from defects.sample import GOOD
from engine.checkpoint import find_checkpoint
from engine.errors import CheckpointError, DataError, MagnaError, OutputError, UsageError
from engine.files.atomic import from_json, write_json

TIMING = "timing.jsonl"


@dataclass(frozen=True)
class Training:
    """How long a training took, as far as its folder tells.

    Attributes:
        images: Of all epochs together.
        seconds: Of all epochs; those that were not timed are taken for as long as the others.
        timed: Share of the epochs that were timed.
    """

    images: int
    seconds: float
    timed: float


@dataclass(frozen=True)
class Run:
    """A training run under the name it has in the table.

    Attributes:
        name: In the table.
        folder: The run, or a checkpoint.
        provenance: Of its newest checkpoint.
        training: None where nothing was timed.
    """

    name: str
    folder: Path
    provenance: Provenance
    training: Training | None


def open_runs(named: Sequence[tuple[str, Path]]) -> list[Run]:
    """The runs, all of which must have held out the same images.

    Raises:
        CheckpointError: A folder holds no generator.
        UsageError: Two runs held out other images, or work on other crops.
    """
    runs = [Run(name, folder, _provenance(folder), read_training(folder)) for name, folder in named]
    first = runs[0]
    for run in runs:
        if not run.provenance.test:
            raise UsageError(
                f"--run {run.name}: says nothing of held-out images; train it again with this version",
                code="E-paper-run-unknown",
            )
        if set(run.provenance.test) != set(first.provenance.test):
            raise UsageError(
                f"--run {run.name}: held out other images than {first.name}; "
                "train both with the same data, data.test_fraction and train.seed",
                code="E-paper-runs-differ",
            )
        if (run.provenance.crop, run.provenance.channels) != (first.provenance.crop, first.provenance.channels):
            raise UsageError(
                f"--run {run.name}: was trained on another crop or other channels than {first.name}; "
                "train both with the same data.crop and network.channels",
                code="E-paper-runs-differ",
            )
    return runs


def read_training(folder: Path) -> Training | None:
    """What `timing.jsonl` and `metrics.jsonl` of a run folder tell; None where they tell nothing.

    An epoch that was trained twice, since a run was resumed, counts once.
    """
    rows = {row["epoch"]: row for row in _rows(folder / TIMING) if {"epoch", "images", "seconds"} <= row.keys()}
    epochs = max((row.get("epoch", 0) for row in _rows(folder / "metrics.jsonl")), default=0)
    timed = [row for epoch, row in rows.items() if epoch <= epochs]
    if not timed:
        return None
    share = len(timed) / epochs
    images, seconds = (sum(row[key] for row in timed) / share for key in ("images", "seconds"))
    return Training(round(images), seconds, share)


def _provenance(folder: Path) -> Provenance:
    file = find_checkpoint(folder).with_suffix(".json")
    try:
        description = from_json(file.read_bytes())
        return Provenance.from_checkpoint(description["meta"], description["sha256"])
    except (OSError, ValueError, TypeError, KeyError, AttributeError):
        raise CheckpointError(
            f"{file}: describes no generator; give a run of train-gan", code="E-checkpoint-format"
        ) from None


def _rows(path: Path) -> list[dict[str, float]]:
    """The whole lines of a log; none where it is missing."""
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError):
        return []
    rows = []
    for line in lines:
        try:
            row = from_json(line)
        except ValueError:
            continue
        if isinstance(row, dict):
            rows.append(row)
    return rows


BASELINES = {"pasted": "alpha", "perlin": "perlin"}
"""Names in the table and the method of `mix-defects paste`."""

BLEND = "blend"
MATCHED = "-matched"
"""Added to the name of a Magna-Blend run: the same masks, as hard to find as real defects are."""
FILTER = ("--match-difficulty", "--min-realism", "0", "--write-best", "--max-attempts", "8")
"""Every mask has an image, the candidate nearest to its target difficulty; of four attempts half miss it."""
MASKS, WHOLE = "masks", "masks-whole"


class CommandError(MagnaError):
    """A command that the table needs has failed; it has said why."""


@dataclass(frozen=True)
class GeneratedSet:
    """A set of images.

    Attributes:
        name: In the table.
        folder: The sample folder.
        speed: Images a second, reading and writing included; None where they were generated in several runs.
    """

    name: str
    folder: Path
    speed: float | None


Call = Callable[[Sequence[str]], str]
"""Runs a command and gives what it printed."""


def set_commands(
    runs: Sequence[Run],
    real: Path,
    out: Path,
    *,
    num: int,
    seed: int,
    size: int | None = None,
    matched: bool = False,
) -> dict[str, list[str]]:
    """The command of every set by its name in the table, without its `--out`.

    Every held-out mask is used `num` times with its own class, its own thickness and a brightness out of the training
    images'; Magna-Blend draws it where it was in its image, into good training images, or, without any, into
    those with their defects inpainted; on request once more with the filter behind it. The baselines are as many
    images, pasted from the training images.

    Args:
        runs: Trained on the same images.
        real: The images, held-out ones among them.
        out: Where the masks, the split and the sets will lie.
        num: Images of every mask.
        seed: Of all of them.
        size: Side of the images, px; None for the smallest of the generators'.
        matched: Make a second set of every Magna-Blend, as hard to find as real defects.

    Raises:
        UsageError: A run has the name of such a set.
        DataError: None of the held-out images is there, or shows a defect.
    """
    first = runs[0].provenance
    samples, held = read_dataset(real).samples, set(first.test)
    count = sum(sample.label != GOOD and sample.name in held for sample in samples)
    if not count:
        raise DataError(
            f"--real {real}: none of the images held out by {runs[0].name} shows a defect; give its data",
            code="E-paper-no-masks",
        )
    good = any(sample.label == GOOD and sample.name not in held for sample in samples)
    side = size or min(run.provenance.size for run in runs)
    found = {}
    for run in runs:
        schema, blends = run.provenance.schema, run.provenance.architecture == BLEND
        masks = out / (WHOLE if blends else MASKS)
        words = ["gen-defects", "--masks", str(masks), "--checkpoint", str(run.folder), "--num", str(num)]
        words += ["--guide", "brightness=random"] if schema is not None and "brightness" in schema.names else []
        words += ["--backgrounds", str(real), *([] if good else ["--inpaint"])] if blends else []
        words += ["--size", str(side)] if blends or run.provenance.size != side else []
        found[run.name] = [*words, "--seed", str(seed)]
        if blends and matched:
            name = f"{run.name}{MATCHED}"
            if name in {other.name for other in runs}:
                raise UsageError(
                    f"--run {name}: --matched makes a set of that name; choose another", code="E-bench-set-name"
                )
            found[name] = [*words, *FILTER, "--filter-with", str(real), "--seed", str(seed)]
    for name, method in BASELINES.items():
        words = ["mix-defects", "paste", "--real", str(real), "--num", str(num * count), "--method", method]
        words += ["--size", str(side), *(["--crop", str(first.crop)] if first.crop else [])]
        found.setdefault(name, [*words, "--split-from", str(out / GENERATOR), "--seed", str(seed)])
    return found


def make_sets(
    commands: Mapping[str, Sequence[str]], runs: Sequence[Run], real: Path, out: Path, *, call: Call | None = None
) -> list[GeneratedSet]:
    """Makes what is not there yet.

    Args:
        commands: As `set_commands` gives them.
        runs: Whose held-out masks are written.
        real: The images.
        out: A folder for masks, split and sets; complete sets are not generated again.
        call: Runs a command and gives what it printed.

    Raises:
        OutputError: A set was generated by another command.
        CommandError: A command failed.
    """
    held, first = set(runs[0].provenance.test), runs[0].provenance
    write_json(out / GENERATOR, first.to_dict())
    finest = CropSpec(max(run.provenance.size for run in runs), first.crop, first.channels)
    samples = [sample for sample in read_dataset(real).samples if sample.name in held]
    write_masks(samples, finest, out / MASKS)
    if any(run.provenance.architecture == BLEND for run in runs):
        write_masks(samples, None, out / WHOLE)
    checkpoints = {f"{run.name}{end}": run.provenance.checkpoint for run in runs for end in ("", MATCHED)}
    for name, words in commands.items():
        if "--filter-with" in words and not (out / name).exists():  # refused now or never
            (call or _run)([*words, "--out", str(out / name), "--dry-run", "--json"])
    return [_generated(name, list(words), checkpoints.get(name), out, call or _run) for name, words in commands.items()]


def _generated(name: str, words: list[str], checkpoint: str | None, out: Path, call: Call) -> GeneratedSet:
    """One set, and the speed of its generation, which is stored next to it."""
    folder, note = out / name, out / f"{name}.json"
    requested_all = {"command": shlex.join(words), "checkpoint": checkpoint}
    before = _noted(note)
    if before is not None and folder.is_dir():
        if any(before.get(key) != value for key, value in requested_all.items()):
            raise OutputError(
                f"{folder}: was generated by another command or generator; remove it, or choose another --out",
                code="E-resume-settings",
            )
        return GeneratedSet(name, folder, before.get("speed"))
    begun = folder.is_dir() and any(folder.iterdir())
    answer = call([*words, "--out", str(folder), *(["--resume"] if begun else []), "--json"]).splitlines()[-1]
    result = from_json(answer)
    speed = result["written"] / result["seconds"] if not begun and result.get("seconds") else None
    write_json(note, requested_all | {"speed": speed})
    return GeneratedSet(name, folder, speed)


def _noted(note: Path) -> dict[str, Any] | None:
    try:
        content = from_json(note.read_bytes())
    except (OSError, ValueError):
        return None
    return content if isinstance(content, dict) else None


def _run(words: Sequence[str]) -> str:
    """Runs one of this project's commands; its progress and its errors go to stderr."""
    program = Path(sys.executable).with_name(words[0])
    try:
        done = subprocess.run([str(program), *words[1:]], stdout=subprocess.PIPE, text=True, check=False)
    except OSError as error:
        raise CommandError(
            f"{program}: cannot be run ({error.strerror}); install the project with its commands",
            code="E-compare-command",
        ) from None
    if done.returncode or not done.stdout.strip():
        raise CommandError(
            f"`{shlex.join(words)}` failed (exit {done.returncode}); see the line above", code="E-compare-command"
        )
    return done.stdout
