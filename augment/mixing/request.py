"""The request of a mixture: everything that a user of `mix-defects` chooses."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from augment.balancing.strata import AXES
from engine.config import nearest
from engine.errors import UsageError

SOURCES = ("real", "synthetic", "pasted")
CHECKS = ("near-duplicates", "files")
DEVICES = ("", "auto", "cpu", "cuda")
# As they stand in files: mix.json and summary.json keep the words of their first version.
STORED = {"class": "kind", "near-duplicates": "copies"}


@dataclass(frozen=True)
class Thresholds:
    """The scores that a synthetic image must reach; None requires nothing.

    Attributes:
        label_iou: Overlap of the label mask with the prediction of a segmenter, 0 to 1.
        realism: From 1 on the image lies among the real images (Kynkäänniemi et al. 2019, eq. 3).
        nearest_ratio: Distance to the nearest training image in units of a held-out image's; near 0 is memorized.
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
    """Everything that decides the bytes, apart from the content of the folders.

    The settings are those of `augment.mix`, which describes them.

    Attributes:
        synthetic: Folders of gen-defects by name.
        pasted: Folder of pasted images.
        augment: Name or file of a preset; empty for none.

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
    augmentations: int = 1
    val: float = 0.1
    test: float = 0.2
    split_from: str = "auto"
    sampling_weights: dict[str, float] = field(default_factory=dict)
    epoch: int | None = None
    size: int | None = None
    crop: int | None = None
    native: bool = False
    scores: tuple[Path, ...] = ()
    thresholds: Thresholds = field(default_factory=Thresholds)
    keep_unscored: bool = False
    class_map: dict[str, str] = field(default_factory=dict)
    check: str = "near-duplicates"
    drop_near_duplicates: bool = False
    seed: int = 0
    device: str = ""

    def __post_init__(self) -> None:
        for flag, values, known in (
            ("--balance", self.balance, AXES),
            ("--check", (self.check,), CHECKS),
            ("--device", (self.device,), DEVICES),
        ):
            for value in values:
                if value not in known:
                    raise UsageError(f"{flag}: unknown {value!r}; {nearest(value, known)}", code="E-mix-unknown-value")
        if not 0 <= self.val < 1 or not 0 <= self.test < 1 or self.val + self.test >= 1:
            raise UsageError(
                f"--val {self.val:g} --test {self.test:g}: expected shares from 0 that leave something to train on; "
                "give for example --val 0.1 --test 0.2",
                code="E-mix-bad-shares",
            )
        needs_pasted = len(self.ratio) == 3 and self.ratio[2] and self.pasted is None
        needs_synthetic = len(self.ratio) >= 2 and self.ratio[1] and not self.synthetic
        for conflict, message in (
            (self.native and (self.size or self.crop), "--native: uses whole images; leave out --size and --crop"),
            (self.thresholds and not self.scores, "--min-...: needs the scores of the synthetic images; give --scores"),
            (self.device and not self.augment, "--device: there is no augmentation; give --augment PRESET"),
            (needs_pasted, "--ratio: requests pasted images; give --pasted DIR, or leave the third number out"),
            (needs_synthetic, "--ratio: requests synthetic images; give --synthetic DIR, or 0 as the second number"),
        ):
            if conflict:
                raise UsageError(message, code="E-mix-conflicting-options")

    @property
    def augmentations_each(self) -> int:
        """Augmented images per training image; none without a preset."""
        return self.augmentations if self.augment else 0

    def describe(self) -> dict[str, Any]:
        """Every setting by its name in `mix.json`."""
        return {
            "real": str(self.real),
            "synthetic": {name: str(path) for name, path in self.synthetic.items()},
            "pasted": None if self.pasted is None else str(self.pasted),
            "layout": self.layout,
            "ratio": list(self.ratio),
            "balance": [STORED.get(axis, axis) for axis in self.balance],
            "augment": self.augment,
            "copies": self.augmentations_each,
            "val": self.val,
            "test": self.test,
            "split_from": self.split_from,
            "exposure": self.sampling_weights,
            "epoch": self.epoch,
            "native": self.native,
            "scores": [str(path) for path in self.scores],
            "thresholds": self.thresholds.to_dict(),
            "keep_unscored": self.keep_unscored,
            "rename": self.class_map,
            "check": STORED.get(self.check, self.check),
            "drop_copies": self.drop_near_duplicates,
            "seed": self.seed,
            **({"device": self.device} if self.device else {}),
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
        values = tuple(float(number) for number in text.split(":"))
    except ValueError:
        values = ()
    if len(values) not in (2, 3) or not all(math.isfinite(v) and v >= 0 for v in values) or not any(values):
        what = f"--ratio: {text!r} is no ratio; give real:synthetic or real:synthetic:pasted, such as 1:2"
        raise UsageError(what, code="E-mix-bad-ratio")
    return values


def parse_pairs(flag: str, text: str) -> dict[str, str]:
    """`a=b,c=d` as a mapping.

    Raises:
        UsageError: A pair has no equals sign, or a name is given twice.
    """
    pairs: dict[str, str] = {}
    for pair in filter(None, (pair.strip() for pair in text.split(","))):
        name, equals, value = (piece.strip() for piece in pair.partition("="))
        if not equals or not name or not value:
            what = f"{flag}: expected name=value, got {pair!r}; separate several by commas"
            raise UsageError(what, code="E-mix-bad-pair")
        if name in pairs:
            raise UsageError(f"{flag}: {name} is given twice; give it once", code="E-mix-bad-pair")
        pairs[name] = value
    return pairs


def parse_sampling_weights(text: str) -> dict[str, float]:
    """`real=0.5,synthetic=0.5` as numbers.

    Raises:
        UsageError: A value is no number or a source is unknown.
    """
    weights = {}
    for name, value in parse_pairs("--sampling-weights", text).items():
        try:
            weights[name] = float(value)
        except ValueError:
            what = f"--sampling-weights: {name}={value} is no number; give a share from 0 to 1"
            raise UsageError(what, code="E-mix-bad-weights") from None
        if name not in SOURCES or not math.isfinite(weights[name]):
            what = f"--sampling-weights: {name}={value} is unknown; give shares of {', '.join(SOURCES)}"
            raise UsageError(what, code="E-mix-bad-weights")
    return weights


def named_folders(values: Sequence[str]) -> dict[str, Path]:
    """`DIR` and `NAME=DIR` as folders by name; a single folder is called synthetic, several by their own names.

    Raises:
        UsageError: Two folders have the same name, or a name cannot be that of a folder.
    """
    folders: dict[str, Path] = {}
    for value in values:
        name, equals, folder = value.partition("=")
        if not equals or "/" in name:
            folder = value
            name = "synthetic" if len(values) == 1 else Path(value).resolve().name
        if name in ("real", "pasted", "") or name.startswith(".") or any(c in name for c in '/\\:*?"<>|'):
            what = f"--synthetic: {name!r} cannot be the name of a folder of images; give NAME=DIR"
            raise UsageError(what, code="E-mix-folder-name")
        if name.casefold() in {known.casefold() for known in folders}:
            what = f"--synthetic: two folders are called {name}; give each a name by NAME=DIR"
            raise UsageError(what, code="E-mix-folder-name")
        folders[name] = Path(folder)
    return folders
