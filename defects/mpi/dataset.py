"""A sample folder of procedural images; killed at any instant, `resume` ends in the tree of an undisturbed run."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from defects.images import encode_image
from defects.manifest import NAME, row_of
from defects.mpi.plan import Choice, MpiPlan
from defects.sample import GOOD, Sample
from engine.errors import OutputError, UsageError
from engine.files import LOCK_NAME, LineLog, lock_folder, remove_temporaries, sha256_bytes, write_many, write_text

__all__ = ["SETTINGS", "dataset"]

SETTINGS = "settings.yaml"
# Images between two lines of the manifest: one sync for all of them, and little to do again after a kill.
_BATCH = 16


def dataset(
    out: Path,
    count: int,
    size: int = 128,
    seed: int = 0,
    good_fraction: float = 0.25,
    *,
    plan: MpiPlan | None = None,
    resume: bool = False,
    on_progress: Callable[[int], None] | None = None,
) -> int:
    """Write a sample folder: `images/`, `masks/` (of defects) and `metadata.jsonl`.

    Args:
        out: The folder.
        count: Number of images in it at the end; a larger count resumed adds to a smaller one.
        size: Side of an image, pixels.
        seed: Of everything.
        good_fraction: Share of good parts.
        plan: All settings at once, instead of `size`, `seed` and `good_fraction`.
        resume: Go on with a folder that this function began.
        on_progress: Called with the number of images that have become complete.

    Returns:
        The number of images written now.

    Raises:
        UsageError: A setting is out of range.
        OutputError: The folder is not empty, was begun with other settings, is in use or cannot be written.
    """
    if count < 1:
        raise UsageError(f"count: expected at least 1 image, got {count}; give for example 1000")
    plan = plan or MpiPlan(size=size, seed=seed, good_fraction=good_fraction)
    with lock_folder(out):
        remove_temporaries(out)
        _begin(out, plan, resume)
        with LineLog(out / NAME) as log:
            listed = _listed(log, out, count)
            lost = [index for index, whole in enumerate(listed) if not whole]
            for batch in _batches(lost):
                _write(out, plan, batch)
            if on_progress is not None:
                on_progress(len(listed))
            for batch in _batches(range(len(listed), count)):
                log.append(_write(out, plan, batch))
                if on_progress is not None:
                    on_progress(len(batch))
    return count - len(listed) + len(lost)


def _begin(out: Path, plan: MpiPlan, resume: bool) -> None:
    """Write the settings of a new folder, or compare them with those of one that is resumed."""
    path = out / SETTINGS
    text = json.dumps({"made_by": "gen-mpi", **plan.to_dict()}, indent=2) + "\n"
    if path.is_file():
        if not resume:
            raise OutputError(f"{out}: is not empty; add --resume to go on with it or choose another folder")
        if path.read_text(encoding="utf-8") != text:
            remedy = f"repeat those in its {SETTINGS} or choose another folder"
            raise OutputError(f"{out}: was begun with other settings; {remedy}")
    elif any(entry.name != LOCK_NAME for entry in out.iterdir()):
        raise OutputError(f"{out}: is not empty and was not made by gen-mpi; choose another folder")
    else:
        write_text(path, text)


def _listed(log: LineLog, out: Path, count: int) -> list[bool]:
    """For every image in the manifest, in order, whether its files are there."""
    listed: list[bool] = []
    for row in log.stream():
        files = [str(row.get(key)) for key in ("file_name", "mask") if row.get(key)]
        if not files or Path(files[0]).stem != f"{len(listed):06d}":
            raise OutputError(f"{out / NAME}: its row {len(listed) + 1} is not of this run; choose another folder")
        listed.append(all((out / name).is_file() for name in files))
    if len(listed) > count:
        raise OutputError(f"{out}: already holds {len(listed)} images, more than {count}; give --count {len(listed)}")
    return listed


def _batches(indices: range | list[int]) -> Iterator[list[int]]:
    for start in range(0, len(indices), _BATCH):
        yield list(indices[start : start + _BATCH])


def _write(out: Path, plan: MpiPlan, indices: list[int]) -> list[dict[str, Any]]:
    """Render and write images and masks, and return their rows for the manifest."""
    files: list[tuple[Path, bytes]] = []
    rows: list[dict[str, Any]] = []
    for choice in map(plan.choice, indices):
        shown = plan.render(choice)
        image, mask = out / "images" / f"{choice.name}.png", out / "masks" / f"{choice.name}.png"
        data = encode_image(shown.image)
        files.append((image, data))
        if choice.label != GOOD:
            files.append((mask, encode_image(shown.mask)))
        sample = Sample(
            name=choice.name,
            image=image,
            mask=mask if choice.label != GOOD else None,
            label=choice.label,
            group=choice.group,
            source="procedural",
            metadata=_metadata(plan, choice, shown.guide),
        )
        rows.append(row_of(sample, out, sha256=sha256_bytes(data)))
    write_many(files)
    return rows


def _metadata(plan: MpiPlan, choice: Choice, guide: dict[str, float | str]) -> dict[str, Any]:
    """Raw guide values as measured on the image, scaled ones as the plan asked for them, and the seed."""
    raw = {key: round(value, 6) if isinstance(value, float) else value for key, value in guide.items()}
    scaled: dict[str, float | str] = {"background": choice.background}
    if choice.label != GOOD:
        low, high = plan.widths
        scaled["thickness"] = round((choice.thickness - low) / max(high - low, 1e-9), 6)
        scaled["brightness"] = round(choice.brightness, 6)
    return {"guide": raw, "guide_scaled": scaled, "seed": choice.seed}
