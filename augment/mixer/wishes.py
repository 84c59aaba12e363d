"""What to ask `gen-defects` for, so that the cells of a mixture that are empty or thin are filled."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from augment.imbalance import make_plan, read_generator, write_plan
from augment.mixer.plan import Plan
from engine.errors import UsageError

__all__ = ["write_wishes"]


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
    wishes = make_plan(train, plan.cutter.framing, generator=generator, seed=plan.request.seed)
    lines = [f"plan: {line}" for line in wishes.lines()]
    if not dry_run:
        write_plan(wishes, out)
        lines.append(f"plan written: sh {out}/commands.sh")
    return {"folder": str(out), "lines": lines, **wishes.to_dict()}
