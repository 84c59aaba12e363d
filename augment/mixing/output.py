"""The folder a mixture is written to: begun, gone on with, and what is already in it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from augment.mixing.plan import Item, Plan
from augment.mixing.splits import SPLITS
from defects.formats.sample_folder import dataset_card
from defects.manifest import NAME
from engine.errors import DataError, OutputError, UsageError
from engine.files.atomic import from_json, remove_temporaries, to_json, write_bytes, write_json, write_text
from engine.files.json_lines import LOCK_NAME, LineLog

REQUEST = "mix.json"
MEMORY = "leak.json"
DROPPED = "dropped.jsonl"
SUMMARY = "summary.json"

_TOLD = ("split", "origin", "original", "original_sha256", "checkpoint", "mask_source", "method")
_HUB_NAMES = {"train": "train", "val": "validation", "test": "test"}


def check_apart(out: Path, folders: Mapping[str, Path | None], *, flag: str = "--out") -> None:
    """Refuses an output that holds a folder it is made from, or lies in one.

    Raises:
        UsageError: It does.
    """
    written = out.resolve()
    for other, folder in folders.items():
        if folder is None:
            continue
        given = folder.resolve()
        if written.is_relative_to(given) or given.is_relative_to(written):
            raise UsageError(f"{flag}: {out} and {other} {folder} lie inside one another; choose another {flag}")


def files_of(item: Item, version: int) -> tuple[str, str]:
    """Image and mask of a version, relative to the folder."""
    name = item.version(version)
    return f"{item.split}/images/{name}.png", f"{item.split}/masks/{name}.png"


def begin(out: Path, plan: Plan, *, resume: bool) -> None:
    """Starts or goes on with a folder; the caller holds its lock.

    Raises:
        OutputError: It is not empty and `resume` is not set.
        UsageError: It was begun with other settings or other images; the first that differs is named.
        DataError: It holds something else than an interrupted mixture, or two images would get one name.
    """
    _refuse_clashes(plan)
    remove_temporaries(out)
    there = sorted(entry.name for entry in out.iterdir() if entry.name != LOCK_NAME)
    if there and not resume:
        raise OutputError(f"{out}: is not empty; add --resume to go on with it, or choose another --out")
    description = json.loads(to_json(plan.describe()))
    if there:
        _compare(out, description)
    else:
        write_json(out / REQUEST, description)
    if plan.findings is not None:
        write_json(out / MEMORY, plan.findings.record)


def recorded(log: LineLog, plan: Plan, out: Path) -> tuple[int, set[int]]:
    """How many images the manifest records, and which of them have lost a file since.

    Raises:
        DataError: The manifest is not that of this plan.
    """
    entries = [files_of(item, version) for item, version in plan.entries()]
    done, lost = 0, set()
    for row in log.stream():
        if done >= len(entries) or row.get("file_name") != entries[done][0]:
            raise DataError(f"{log.path}: row {done + 1} is not one that this run writes; choose another --out")
        if not all((out / name).is_file() for name in entries[done]):
            lost.add(done)
        done += 1
    return done, lost


def finish(out: Path, plan: Plan, log: LineLog) -> None:
    """Writes what needs all rows: a manifest and a card for each split, the drops and the summary.

    Raises:
        OutputError: A file cannot be written.
    """
    counts = {}
    for split in SPLITS:
        lines = [to_json(_within(row, split)) + b"\n" for row in log.stream() if row["split"] == split]
        counts[split] = len(lines)
        if lines:
            write_bytes(out / split / NAME, b"".join(lines))
            write_text(out / split / "README.md", _card({_HUB_NAMES[split]: ""}, plan, {split: len(lines)}))
    write_bytes(out / DROPPED, b"".join(to_json(drop.to_dict()) + b"\n" for drop in plan.dropped))
    write_json(out / SUMMARY, plan.summary())
    present = {_HUB_NAMES[split]: f"{split}/" for split in SPLITS if counts[split]}
    write_text(out / "README.md", _card(present, plan, {name: n for name, n in counts.items() if n}))


def _within(row: Mapping[str, Any], split: str) -> dict[str, Any]:
    """A row of the whole folder as one of its split's folder.

    Every row of every split has the same columns of the same types and nothing is null, for that is what
    `datasets.load_dataset` asks of several splits; `mask_file_name` makes it open the masks as well. What only some
    sources have, their guide values for one, is in the manifest of the whole folder.
    """
    own = {key: str(row[key] or "").removeprefix(f"{split}/") for key in ("file_name", "mask", "parent")}
    texts = {key: str(row.get(key) or "") for key in ("label", "group", "source", "sha256", *_TOLD)}
    return {
        "file_name": own["file_name"],
        "mask": own["mask"],
        "mask_file_name": own["mask"],
        **texts,
        "parent": own["parent"],
        "version": int(row["version"]),
        "applied": ", ".join(row["applied"]),
        "weight": float(row["weight"]),
    }


def _refuse_clashes(plan: Plan) -> None:
    seen: dict[str, str] = {}
    for item, version in plan.entries():
        name = files_of(item, version)[0]
        earlier = seen.get(name.casefold())
        if earlier is not None:
            raise DataError(
                f"{item.sample.image}: would be written as {name}, which {earlier} is already; rename one of them"
            )
        seen[name.casefold()] = f"{item.sample.image}" + (f" (copy {version})" if version else "")


def _compare(out: Path, description: Mapping[str, Any]) -> None:
    path = out / REQUEST
    try:
        before: dict[str, Any] = from_json(path.read_bytes())
        keys = [*description, *before.keys()]
    except (OSError, ValueError, AttributeError):
        raise DataError(f"{path}: missing or unreadable, so this is no run to resume; choose another --out") from None
    for key in dict.fromkeys(keys):
        old, new = before.get(key), description.get(key)
        if old != new and key == "inputs":
            raise UsageError(f"{out}: was started with other images; restore them, or choose another --out")
        if old != new:
            raise UsageError(
                f"{out}: was started with {key} {_short(old)}, now it is {_short(new)}; "
                "repeat the first command with --resume, or choose another --out"
            )


def _card(splits: Mapping[str, str], plan: Plan, counts: Mapping[str, int]) -> str:
    paths = {name: f'["{where}{NAME}", "{where}images/**"]' for name, where in splits.items()}
    told = ", ".join(f"{number} in {name}" for name, number in counts.items())
    text = f"""Images of surface defects ({", ".join(plan.kinds)}), mixed by `mix-defects`: {told}.

Validation and test hold photographs only. `source` says of every image whether it is real, synthetic or pasted; an
augmented copy names its `parent` and the transforms `applied`; `weight` is how often a training should draw it.
"""
    return dataset_card(paths, ("defect-detection",), text)


def _short(value: object) -> str:
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= 60 else f"{text[:57]}..."
