"""Which image goes where, how often it is seen and how it is cut: everything that is decided before a pixel is made."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from augment.mixing.leak_check import Findings
from augment.mixing.request import KINDS_OF_SOURCE, Request
from augment.mixing.sampling_weights import Exposure
from augment.mixing.selection import Fill
from augment.mixing.sources import Cutter, Dropped, counted
from augment.mixing.splits import SPLITS
from augment.transforms.pipeline import Pipeline
from defects.sample import GOOD, Sample
from engine.files.atomic import sha256_bytes, to_json


@dataclass(frozen=True)
class Item:
    """One image of the mixture.

    Attributes:
        name: Unique, its folder's name first, such as `real/MT_Crack/exp1_num_265613`.
        sample: Where it comes from.
        source: `real`, `synthetic` or `pasted`.
        split: `train`, `val` or `test`.
        sha256: Of its image file.
    """

    name: str
    sample: Sample
    source: str
    split: str
    sha256: str = ""

    @property
    def origin(self) -> str:
        """Name of the folder it comes from."""
        return self.name.partition("/")[0]

    def version(self, number: int) -> str:
        """Name of a version of it: its own for 0, else that of an augmented copy."""
        return f"{self.name}_aug{number}" if number else self.name


@dataclass(frozen=True)
class Plan:
    """A mixture.

    Attributes:
        request: What was asked for.
        items: Images by split, photographs first, then by folder and name.
        cutter: How they are read.
        pipeline: How the copies are augmented; None for none.
        shares: How often an epoch sees each source, summing to 1.
        dropped: What was left out, and why.
        fill: The cells before and after; None without balance.
        split_by: In words.
        findings: Of the search for copies of held-out photographs; None where it was not made.
        warnings: What one should know.
    """

    request: Request
    items: dict[str, list[Item]]
    cutter: Cutter
    pipeline: Pipeline | None
    shares: dict[str, float]
    dropped: list[Dropped] = field(default_factory=list)
    fill: Fill | None = None
    split_by: str = ""
    findings: Findings | None = None
    warnings: list[str] = field(default_factory=list)

    @property
    def versions(self) -> int:
        """Of every training image: itself and its augmented copies."""
        return 1 + self.request.copies_each

    @property
    def kinds(self) -> list[str]:
        """`good` first, then by name; the number of a kind is its place here."""
        labels = {item.sample.label for items in self.items.values() for item in items}
        return sorted(labels, key=lambda name: (name != GOOD, name))

    def entries(self) -> Iterator[tuple[Item, int]]:
        """Every image that is written, with the number of its version: 0 for itself, 1 and up for copies."""
        for split in SPLITS:
            for item in self.items[split]:
                for version in range(self.versions if split == "train" else 1):
                    yield item, version

    def __len__(self) -> int:
        return sum(len(items) * (self.versions if split == "train" else 1) for split, items in self.items.items())

    @property
    def members(self) -> dict[str, list[int]]:
        """Numbers of the training images of each source."""
        found: dict[str, list[int]] = {name: [] for name in KINDS_OF_SOURCE}
        for number, item in enumerate(self.items["train"]):
            found[item.source].append(number)
        return {name: numbers for name, numbers in found.items() if numbers}

    @property
    def exposure(self) -> Exposure:
        """What an epoch sees, and in which order."""
        length = self.request.epoch or len(self.items["train"]) * self.versions
        return Exposure(self.members, self.shares, length, self.versions, self.request.seed)

    def _named(self) -> Iterator[tuple[str, Item]]:
        for split in SPLITS:
            yield from ((f"{split}/{item.name}", item) for item in self.items[split])

    def weight(self, item: Item) -> float:
        """How often a mean epoch of as many draws as there are training images sees each version of an image."""
        if item.split != "train":
            return 1.0
        share, number = self.shares.get(item.source, 0.0), len(self.members[item.source])
        return share * len(self.items["train"]) / number

    def describe(self) -> dict[str, Any]:
        """Everything that decides the bytes, as JSON; a folder begun with another description is not gone on with."""
        crop_spec = self.cutter.crop_spec
        return {
            **self.request.describe(),
            "framing": None
            if crop_spec is None
            else {"size": crop_spec.size, "window": crop_spec.crop, "channels": crop_spec.channels},
            "channels": self.cutter.channels,
            "pipeline": None if self.pipeline is None else self.pipeline.config.model_dump(mode="json"),
            "shares": self.shares,
            "kinds": self.kinds,
            "images": len(self),
            "inputs": sha256_bytes(to_json([[name, item.sha256] for name, item in self._named()])),
        }

    def summary(self) -> dict[str, Any]:
        """What is in it, as JSON."""
        return {
            "images": len(self),
            "kinds": self.kinds,
            "splits": {name: _table(self.items[name]) for name in SPLITS},
            "versions": self.versions,
            "split_by": self.split_by,
            "exposure": {name: round(share, 6) for name, share in self.shares.items()},
            "draws_of_an_epoch": self.exposure.draws,
            "dropped": counted(self.dropped),
            "likeness_of_a_copy": None if self.findings is None else round(self.findings.least, 4),
            "cells": None if self.fill is None else self.fill.to_dict(),
            "warnings": self.warnings,
        }


def _table(items: Sequence[Item]) -> dict[str, dict[str, int]]:
    """Images by source and kind."""
    counts = Counter((item.source, item.sample.label) for item in items)
    found: dict[str, dict[str, int]] = {}
    for source in KINDS_OF_SOURCE:
        row = {kind: number for (name, kind), number in sorted(counts.items()) if name == source}
        if row:
            found[source] = row
    return found


def plan_lines(plan: Plan) -> list[str]:
    """What goes where, what an epoch sees, what was left out and which cells are filled."""
    summary = plan.summary()
    kinds = plan.kinds
    rows = [["split", "source", "images", *kinds]]
    for split in SPLITS:
        for source, counts in summary["splits"][split].items():
            rows.append([split, source, str(sum(counts.values())), *(str(counts.get(kind, 0)) for kind in kinds)])
    lines = _plan_table(rows)
    lines.append(f"split: {plan.split_by}")
    crop_spec = plan.cutter.crop_spec
    if crop_spec is None:
        lines.append("images: whole, at their own size")
    else:
        what = "the shorter side" if crop_spec.crop is None else f"{crop_spec.crop} px"
        how = "grey" if crop_spec.channels == 1 else "RGB"
        lines.append(f"images: {crop_spec.size} x {crop_spec.size} px {how}, {what} of a photograph")
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


def _plan_table(rows: list[list[str]]) -> list[str]:
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    return [
        "  ".join(
            cell.ljust(width) if column < 2 else cell.rjust(width)
            for column, (cell, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in rows
    ]
