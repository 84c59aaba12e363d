"""What a user asks `mix-defects` for."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from engine.config import nearest
from engine.errors import UsageError

KINDS_OF_SOURCE = ("real", "synthetic", "pasted")
AXES = ("kind", "size", "brightness")
CHECKS = ("copies", "files")


@dataclass(frozen=True)
class Thresholds:
    """What a synthetic image must reach to be used; None asks nothing.

    Attributes:
        label_iou: Overlap of the written label with what a segmenter finds, 0 to 1.
        realism: 1 and more lies among the real images (Kynkäänniemi et al. 2019, eq. 3).
        nearest_ratio: Distance to the nearest training image in units of a held-out image's; near 0 is a copy.
    """

    label_iou: float | None = None
    realism: float | None = None
    nearest_ratio: float | None = None

    def __bool__(self) -> bool:
        return any(value is not None for value in self.to_dict().values())

    def to_dict(self) -> dict[str, float | None]:
        """As JSON, by the columns of `scores.jsonl`."""
        return {"label_iou": self.label_iou, "realism": self.realism, "nearest_ratio": self.nearest_ratio}


@dataclass(frozen=True)
class Request:
    """Everything that decides the bytes, apart from what lies in the folders.

    Attributes:
        real: Folder of the photographs, in any layout.
        synthetic: Folders of gen-defects by name.
        pasted: Folder of pasted images.
        layout: Of `real`.
        ratio: Real : synthetic : pasted images in training; empty takes all there are.
        balance: Any of `AXES`: the cells of which are filled evenly, empty ones first.
        augment: Name or file of a pipeline; empty for none.
        copies: Augmented copies of every training image, beside the image itself.
        val: Share of the photographs kept for validation.
        test: Share of the photographs kept for the test.
        split_from: `auto`, `none`, `column`, or a `generator.json` or checkpoint whose split is taken over.
        exposure: How often an epoch sees each source, shares by name; empty for as often as there are files.
        epoch: Draws an epoch; None for as many as there are training images with their copies.
        size: Side of the squares, px; None for the generator's.
        window: That many px of a photograph become a square.
        native: Leave photographs as they are.
        scores: Files of per-sample scores.
        thresholds: What the scores must reach.
        keep_unscored: Keep synthetic images without a score.
        rename: Kinds to call otherwise.
        check: `copies` looks for copies of held-out images by their pixels, `files` by checksums only.
        drop_copies: Drop what shows a held-out image instead of refusing.
        seed: Same seed, same bytes.

    Raises:
        UsageError: A value is unknown or out of range.
    """

    real: Path
    synthetic: dict[str, Path] = field(default_factory=dict)
    pasted: Path | None = None
    layout: str = "auto"
    ratio: tuple[float, ...] = ()
    balance: tuple[str, ...] = ()
    augment: str = ""
    copies: int = 1
    val: float = 0.1
    test: float = 0.2
    split_from: str = "auto"
    exposure: dict[str, float] = field(default_factory=dict)
    epoch: int | None = None
    size: int | None = None
    window: int | None = None
    native: bool = False
    scores: tuple[Path, ...] = ()
    thresholds: Thresholds = field(default_factory=Thresholds)
    keep_unscored: bool = False
    rename: dict[str, str] = field(default_factory=dict)
    check: str = "copies"
    drop_copies: bool = False
    seed: int = 0

    def __post_init__(self) -> None:
        for axis in self.balance:
            if axis not in AXES:
                raise UsageError(f"--balance: unknown {axis!r}; {nearest(axis, AXES)}")
        if self.check not in CHECKS:
            raise UsageError(f"--check: unknown {self.check!r}; choose from {', '.join(CHECKS)}")
        if not 0 <= self.val < 1 or not 0 <= self.test < 1 or self.val + self.test >= 1:
            raise UsageError(
                f"--val {self.val:g} --test {self.test:g}: expected shares from 0 that leave something to train on; "
                "give for example --val 0.1 --test 0.2"
            )
        if self.native and (self.size or self.window):
            raise UsageError("--native: leaves photographs as they are; leave out --size and --window, or --native")
        if self.thresholds and not self.scores:
            raise UsageError("--min-...: needs the scores of the synthetic images; give --scores scores.jsonl")
        if len(self.ratio) == 3 and self.ratio[2] and self.pasted is None:
            raise UsageError("--ratio: asks for pasted images; give --pasted DIR, or leave the third number out")
        if len(self.ratio) >= 2 and self.ratio[1] and not self.synthetic:
            raise UsageError("--ratio: asks for synthetic images; give --synthetic DIR, or 0 as the second number")

    @property
    def copies_each(self) -> int:
        """Augmented copies of every training image; none without a pipeline."""
        return self.copies if self.augment else 0

    def describe(self) -> dict[str, Any]:
        """Every setting by name, as JSON."""
        return {
            "real": str(self.real),
            "synthetic": {name: str(path) for name, path in self.synthetic.items()},
            "pasted": None if self.pasted is None else str(self.pasted),
            "layout": self.layout,
            "ratio": list(self.ratio),
            "balance": list(self.balance),
            "augment": self.augment,
            "copies": self.copies_each,
            "val": self.val,
            "test": self.test,
            "split_from": self.split_from,
            "exposure": self.exposure,
            "epoch": self.epoch,
            "native": self.native,
            "scores": [str(path) for path in self.scores],
            "thresholds": self.thresholds.to_dict(),
            "keep_unscored": self.keep_unscored,
            "rename": self.rename,
            "check": self.check,
            "drop_copies": self.drop_copies,
            "seed": self.seed,
        }


def parse_ratio(text: str) -> tuple[float, ...]:
    """`1:2` or `1:2:0.5` as numbers; empty for an empty text.

    >>> parse_ratio("1:2")
    (1.0, 2.0)

    Raises:
        UsageError: It is no ratio.
    """
    if not text:
        return ()
    try:
        values = tuple(float(part) for part in text.split(":"))
    except ValueError:
        values = ()
    if len(values) not in (2, 3) or not all(math.isfinite(v) and v >= 0 for v in values) or not any(values):
        raise UsageError(f"--ratio: {text!r} is no ratio; give real:synthetic or real:synthetic:pasted, such as 1:2")
    return values


def pairs(flag: str, text: str) -> dict[str, str]:
    """`a=b,c=d` as a mapping.

    Raises:
        UsageError: A part has no equals sign, or a name is given twice.
    """
    found: dict[str, str] = {}
    for part in filter(None, (part.strip() for part in text.split(","))):
        name, equals, value = (piece.strip() for piece in part.partition("="))
        if not equals or not name or not value:
            raise UsageError(f"{flag}: expected name=value, got {part!r}; separate several by commas")
        if name in found:
            raise UsageError(f"{flag}: {name} is given twice; give it once")
        found[name] = value
    return found


def named_folders(values: Sequence[str]) -> dict[str, Path]:
    """`DIR` and `NAME=DIR` as folders by name; a lone folder is called synthetic, of several each by its own name.

    Raises:
        UsageError: Two have one name, or a name cannot be a folder's.
    """
    found: dict[str, Path] = {}
    for value in values:
        name, equals, folder = value.partition("=")
        if not equals or "/" in name:
            folder = value
            name = "synthetic" if len(values) == 1 else Path(value).resolve().name
        if name in ("real", "pasted", "") or name.startswith(".") or any(c in name for c in '/\\:*?"<>|'):
            raise UsageError(f"--synthetic: {name!r} cannot be the name of a folder of images; give NAME=DIR")
        if name.casefold() in {known.casefold() for known in found}:
            raise UsageError(f"--synthetic: two folders are called {name}; give each a name by NAME=DIR")
        found[name] = Path(folder)
    return found


def parse_shares(flag: str, text: str) -> dict[str, float]:
    """`real=0.5,synthetic=0.5` as numbers.

    Raises:
        UsageError: A value is no number.
    """
    found = {}
    for name, value in pairs(flag, text).items():
        try:
            found[name] = float(value)
        except ValueError:
            raise UsageError(f"{flag}: {name}={value} is no number; give a share from 0 to 1") from None
        if name not in KINDS_OF_SOURCE or not math.isfinite(found[name]):
            raise UsageError(f"{flag}: {name}={value} is unknown; give shares of {', '.join(KINDS_OF_SOURCE)}")
    return found
