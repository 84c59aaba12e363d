"""A plan as a table for a terminal."""

from __future__ import annotations

from augment.mixer.assign import SPLITS
from augment.mixer.dropped import counted
from augment.mixer.plan import Plan

__all__ = ["plan_lines"]


def plan_lines(plan: Plan) -> list[str]:
    """What goes where, what an epoch sees, what was left out and which cells are filled."""
    summary = plan.summary()
    kinds = plan.kinds
    rows = [["split", "source", "images", *kinds]]
    for split in SPLITS:
        for source, counts in summary["splits"][split].items():
            rows.append([split, source, str(sum(counts.values())), *(str(counts.get(kind, 0)) for kind in kinds)])
    lines = _table(rows)
    lines.append(f"split: {plan.split_by}")
    framing = plan.cutter.framing
    if framing is None:
        lines.append("images: whole, at their own size")
    else:
        what = "the shorter side" if framing.window is None else f"{framing.window} px"
        how = "grey" if framing.channels == 1 else "RGB"
        lines.append(f"images: {framing.size} x {framing.size} px {how}, {what} of a photograph")
    if plan.versions > 1:
        each = plan.versions - 1
        lines.append(f"training images are written with {each} augmented {'copy' if each == 1 else 'copies'} each "
                     f"({plan.request.augment}): {len(plan.items['train']) * plan.versions} in all")  # fmt: skip
    draws = summary["draws_of_an_epoch"]
    seen = ", ".join(f"{name} {draws[name]} ({share:.0%})" for name, share in plan.shares.items())
    lines.append(f"an epoch of {plan.exposure.length} draws: {seen}")
    for source, reasons in counted(plan.dropped).items():
        told = ", ".join(f"{number} {reason}" for reason, number in reasons.items())
        lines.append(f"left out of {source}: {told}")
    if plan.findings is not None:
        lines.append(f"copies of held-out images: none left (likeness over {plan.findings.least:.2f} counts as one)")
    if plan.fill is not None:
        before, after = plan.fill.before, plan.fill.after
        axes = " x ".join(plan.fill.axes)
        lines.append(
            f"cells ({axes}): {sum(not n for n in before.values())} of {len(before)} empty before, "
            f"{sum(not n for n in after.values())} after; {min(after.values())} to {max(after.values())} images each"
        )
    return lines


def _table(rows: list[list[str]]) -> list[str]:
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    return [
        "  ".join(
            cell.ljust(width) if column < 2 else cell.rjust(width)
            for column, (cell, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in rows
    ]
