"""A plan on disk: masks, a script that is ready to run, and what both come from."""

from __future__ import annotations

from pathlib import Path

from augment.imbalance.plan import Plan
from augment.imbalance.plan_guides import folder_name
from defects.images import encode_image
from engine.errors import OutputError
from engine.files import LOCK_NAME, lock_folder, write_json, write_many, write_text

__all__ = ["write_plan"]

COMMANDS = "commands.sh"


def write_plan(plan: Plan, out: Path) -> list[Path]:
    """Write `masks/<kind>/<size>-<brightness>/*.png`, then `plan.json` and `commands.sh`.

    Returns:
        The files.

    Raises:
        OutputError: the folder is not empty, in use or cannot be written.
    """
    with lock_folder(out):
        if any(entry.name != LOCK_NAME for entry in out.iterdir()):
            raise OutputError(f"{out}: is not empty; choose another folder for the plan")
        files: list[tuple[Path, bytes]] = []
        for cell in plan.asked:
            stem = f"{folder_name(cell.cell.kind)}-{cell.cell.size}-{cell.cell.brightness}"
            for number, mask in enumerate(cell.masks):
                files.append((out / cell.folder / f"{stem}-{number:03d}.png", encode_image(mask.mask)))
        write_many(files)
        write_json(out / "plan.json", plan.to_dict())
        write_text(out / COMMANDS, "\n".join(_script(plan)) + "\n")
    return [*(path for path, _ in files), out / "plan.json", out / COMMANDS]


def _script(plan: Plan) -> list[str]:
    known = plan.generator.checkpoint if plan.generator else None
    lines = ["#!/bin/sh", "# Fills the cells of a data set that are empty or thin, the emptiest first.", "set -e"]
    if known is not None:
        path = str(known.resolve()).replace("'", "'\\''")
        lines += ['if [ -z "$CHECKPOINT" ]; then', f"    CHECKPOINT='{path}'", "fi"]
    else:
        lines.append(': "${CHECKPOINT:?set it to the run folder or checkpoint of a generator trained on this set}"')
    if known is None:
        lines.append('case "$CHECKPOINT" in /*) ;; *) CHECKPOINT="$PWD/$CHECKPOINT" ;; esac')
    lines.append('cd "$(dirname "$0")"')
    for cell in plan.cells:
        note = f": {cell.why}" if cell.why else ""
        lines.append(f"# {cell.cell.name}: has {cell.cell.count}, lacks {cell.need}{note}".replace("\n", " "))
        if cell.words:
            lines.append(cell.line)
    return lines
