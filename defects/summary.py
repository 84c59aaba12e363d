"""What a data set holds, in numbers: by class, by size, by group."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from statistics import median
from typing import Any

from defects.formats.validation import Inspection
from defects.sample import GOOD
from engine.commands import aligned
from engine.errors import Issue


@dataclass
class ClassSummary:
    """The images of one class.

    Attributes:
        images: How many.
        groups: Of how many groups.
        coverage: Defective part of each image that has a defect, 0 to 1.
        thickness: Mean defect width of each such image, px.
    """

    images: int = 0
    groups: set[str] = field(default_factory=set)
    coverage: list[float] = field(default_factory=list)
    thickness: list[float] = field(default_factory=list)

    def to_dict(self) -> dict[str, Any]:
        """As JSON; ranges as [least, median, most], null where there is no defect."""
        return {
            "images": self.images,
            "groups": len(self.groups),
            "marked": len(self.coverage),
            "coverage": _range(self.coverage, 5),
            "thickness_px": _range(self.thickness, 2),
        }


@dataclass
class Summary:
    """A whole data set; `classes` has `good` first, then by name."""

    classes: dict[str, ClassSummary]
    sizes: Counter[tuple[int, int]]
    channels: Counter[int]
    issues: list[Issue]

    @property
    def images(self) -> int:
        """How many images there are, those with issues included."""
        return sum(one.images for one in self.classes.values())

    @property
    def marked(self) -> int:
        """How many images have a marked defect."""
        return sum(len(one.coverage) for one in self.classes.values())

    @property
    def errors(self) -> list[Issue]:
        """The issues that must be fixed."""
        return [issue for issue in self.issues if not issue.warning]

    @property
    def warnings(self) -> list[Issue]:
        """The issues that leave the data usable."""
        return [issue for issue in self.issues if issue.warning]

    def to_dict(self) -> dict[str, Any]:
        """As JSON."""
        return {
            "images": self.images,
            "groups": len(set[str]().union(*(one.groups for one in self.classes.values()))),
            "kinds": {name: one.to_dict() for name, one in self.classes.items()},
            "sizes": [
                {"width": width, "height": height, "images": number}
                for (height, width), number in self.sizes.most_common()
            ],
            "channels": {str(channels): number for channels, number in sorted(self.channels.items())},
            "faults": [_as_dict(issue) for issue in self.errors],
            "warnings": [_as_dict(issue) for issue in self.warnings],
        }

    def lines(self) -> list[str]:
        """A table for a terminal."""
        rows = [("class", "images", "groups", "marked", "defect area, %", "thickness, px")]
        for name, one in self.classes.items():
            area = _text([100 * value for value in one.coverage], 2)
            row = (str(one.images), str(len(one.groups)), str(len(one.coverage)), area, _text(one.thickness, 1))
            rows.append((name, *row))
        table = aligned(rows, left=(0, 4, 5))
        if self.sizes:
            (height, width), number = self.sizes.most_common(1)[0]
            low, high = _sides(self.sizes, 1), _sides(self.sizes, 0)
            span = "" if len(self.sizes) == 1 else f"; widths {low}, heights {high}, {len(self.sizes)} sizes"
            table.append(f"size: {width} x {height} px in {number} of {sum(self.sizes.values())}{span}")
            table.append(
                "channels: "
                + ", ".join(
                    f"{number} {'gray' if channels == 1 else 'RGB'}"
                    for channels, number in sorted(self.channels.items())
                )
            )
        return table


def summarize(inspections: Iterable[Inspection], issues: Sequence[Issue] = ()) -> Summary:
    """Sums up what opening the samples found.

    Args:
        inspections: Of every sample.
        issues: Those of the folder's structure, listed first.
    """
    classes: dict[str, ClassSummary] = {}
    sizes: Counter[tuple[int, int]] = Counter()
    channels: Counter[int] = Counter()
    gathered = list(issues)
    for inspection in inspections:
        one = classes.setdefault(inspection.sample.label, ClassSummary())
        one.images += 1
        one.groups.add(inspection.sample.part)
        gathered += inspection.issues
        if inspection.size is not None:
            sizes[inspection.size] += 1
            channels[inspection.channels] += 1
        if inspection.coverage > 0:
            one.coverage.append(inspection.coverage)
            if inspection.thickness > 0:
                one.thickness.append(inspection.thickness)
    names = sorted(classes, key=lambda name: (name != GOOD, name))
    return Summary({name: classes[name] for name in names}, sizes, channels, gathered)


def _range(values: Sequence[float], digits: int) -> list[float] | None:
    if not values:
        return None
    return [round(value, digits) for value in (min(values), median(values), max(values))]


def _text(values: Sequence[float], digits: int) -> str:
    if not values:
        return "-"
    return f"{min(values):.{digits}f} .. {median(values):.{digits}f} .. {max(values):.{digits}f}"


def _sides(sizes: Iterable[tuple[int, int]], axis: int) -> str:
    sides = [size[axis] for size in sizes]
    return f"{min(sides)}..{max(sides)}"


def _as_dict(issue: Issue) -> dict[str, str]:
    return {"path": issue.path, "what": issue.what, "remedy": issue.remedy}
