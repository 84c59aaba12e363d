"""What `bench-utility` compares: settings, arms, few-shot splits, and the trials that combine them."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from engine.errors import UsageError

ALL = "all"
AUTO, IMAGES, CROPS = "auto", "image", "crop"
UNITS = (IMAGES, CROPS, AUTO)
FORMER_UNITS = {"photographs": IMAGES, "squares": CROPS}

REAL, CLASSICAL, PASTED = "real", "classical", "pasted"

# The names in the identity of a trial.
_STORED = {"crop": "window", "augmentations": "versions", "synthetic_augmentations": "made_versions", "eval_on": "unit"}


@dataclass(frozen=True)
class Settings:
    """The settings that all trials share.

    Attributes:
        mode: `frozen` or `finetune`.
        size: Side of the network's input, px.
        crop: Side of the crops of an image, px; None for its shorter side.
        channels: 1 or 3.
        network: One of `classify.config.CNNS`.
        weights: Its weights, by name and hash.
        steps: Optimizer steps, the same for every arm.
        batch: Images a step, half of them defective.
        learning_rate: Highest rate.
        decays: Weight decays; validation selects one.
        preset: Of classical augmentation.
        augmentations: Augmentations of each real training image in a classical arm (frozen mode).
        synthetic_augmentations: The same of each pasted or synthetic image.
        good: Number of good training images or good crops; None for all images, or for 1,000 crops.
        least: A crop with so many defective px of the image is defective.
        val_fraction: Share of the images outside the test that select hyperparameters.
        test_fraction: Share that is tested on where no generator names its held-out images.
        split_seed: Of that split.
        eval_on: The evaluation unit: `image`, `crop`, or `auto` until the images are known.
    """

    mode: str = "frozen"
    size: int = 128
    crop: int | None = None
    channels: int = 3
    network: str = "efficientnet_lite0"
    weights: str = ""
    steps: int = 400
    batch: int = 64
    learning_rate: float = 3e-3
    decays: tuple[float, ...] = (1e-3, 1e-2, 1e-1)
    preset: str = "flips"
    augmentations: int = 8
    synthetic_augmentations: int = 2
    good: int | None = None
    least: int = 10
    val_fraction: float = 0.25
    test_fraction: float = 0.2
    split_seed: int = 0
    eval_on: str = IMAGES

    def __post_init__(self) -> None:
        code = "E-utility-settings"
        if self.eval_on not in UNITS:
            raise UsageError(f"--eval-on: {self.eval_on!r} is unknown; use {', '.join(UNITS)}", code=code)
        if self.channels not in (0, 1, 3):
            raise UsageError(f"--channels: expected 1 or 3, or 0 for the images' own, got {self.channels}", code=code)
        for flag, share in (("--val", self.val_fraction), ("--test", self.test_fraction)):
            if not 0 < share < 1:
                raise UsageError(f"{flag}: expected a share between 0 and 1, got {share:g}", code=code)

    @classmethod
    def for_mode(cls, mode: str, *, steps: int | None = None, **values: Any) -> Settings:
        """Settings with the steps, the batch and the rate of a mode, `frozen` or `finetune`.

        Raises:
            UsageError: The mode or a value is not allowed.
        """
        if mode not in ("frozen", "finetune"):
            raise UsageError(f"--mode: {mode!r} is unknown; use frozen or finetune", code="E-utility-settings")
        if mode == "finetune":
            values = {"batch": 16, "learning_rate": 5e-4} | values
            steps = steps or 300
        return cls(mode=mode, steps=steps or cls.steps, **values)

    def to_dict(self) -> dict[str, Any]:
        """For the identity of a trial and for `summary.json`; images as the evaluation unit are the default."""
        values = {_STORED.get(key, key): list(v) if isinstance(v, tuple) else v for key, v in vars(self).items()}
        if self.eval_on == IMAGES:
            del values["unit"]
            return values
        return values | {"unit": stored_unit(self.eval_on)}


def stored_unit(unit: str) -> str:
    """An evaluation unit as results files name it."""
    return next((former for former, present in FORMER_UNITS.items() if present == unit), unit)


def parse_ratios(text: str) -> tuple[float, ...]:
    """Synthetic images per real defective image, in rising order; 0 is what the arm is compared with.

    >>> parse_ratios("5, 1,0")
    (0.0, 1.0, 5.0)

    Raises:
        UsageError: One is no number of at least 0, or none is above 0.
    """
    try:
        ratios = sorted({float(part) for part in text.split(",")})
        if not all(0 <= ratio <= 1000 for ratio in ratios) or not any(ratios):  # NaN has no order
            raise ValueError
    except ValueError:
        what = f"--ratios: expected numbers from 0 to 1000, one at least above 0, such as 0,0.5,1,2, got {text!r}"
        raise UsageError(what, code="E-utility-ratios") from None
    return tuple(ratios)


def parse_shots(text: str) -> tuple[int | None, ...]:
    """Numbers of defective training images, in rising order; None for all of them.

    >>> parse_shots("25,all,5")
    (5, 25, None)

    Raises:
        UsageError: One is neither a count nor `all`.
    """
    words = [part.strip() for part in text.split(",")]
    try:
        counts = sorted({int(word) for word in words if word != ALL})
        if counts and counts[0] < 1:
            raise ValueError
    except ValueError:
        what = f"--shots: expected counts of defective images or all, such as 5,10,all, got {text!r}"
        raise UsageError(what, code="E-utility-shots") from None
    return (*counts, *((None,) if ALL in words else ()))


@dataclass(frozen=True)
class Arm:
    """One composition of a training set.

    Attributes:
        classical: Whether every training image is augmented by the preset.
        sources: Of further images, `pasted` or names of synthetic sets; they share the ratio evenly.
    """

    classical: bool = False
    sources: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        """As in `real+classical+pasted`."""
        return "+".join((REAL, *((CLASSICAL,) if self.classical else ()), *self.sources))


def arms_of(synthetic: Sequence[str], *, pasted: bool) -> list[Arm]:
    """All arms, those of real images alone first.

    >>> [arm.name for arm in arms_of(["gan"], pasted=True)][2:5]
    ['real+pasted', 'real+gan', 'real+classical+pasted']

    Args:
        synthetic: Names of the synthetic sets.
        pasted: Whether there are pasted images.
    """
    sources = [*([PASTED] if pasted else []), *synthetic]
    arms = [Arm(), Arm(classical=True)]
    arms += [Arm(sources=(name,)) for name in sources]
    arms += [Arm(classical=True, sources=(name,)) for name in sources]
    if len(sources) > 1:
        arms.append(Arm(classical=True, sources=tuple(sources)))
    return arms


def references_of(arm: Arm, arms: Sequence[Arm]) -> list[Arm]:
    """The arms that an arm is compared with: the same without its sources, real alone, and pasted images instead."""
    candidates = [Arm(classical=arm.classical), Arm()]
    if arm.sources:
        candidates.append(Arm(classical=arm.classical, sources=(PASTED,)))
    return list(dict.fromkeys(other for other in candidates if other != arm and other in arms))


class FewShotSplit(NamedTuple):
    """The number of real defective training images, None for all, and the seed that selects them."""

    shots: int | None
    seed: int

    @property
    def name(self) -> str:
        """As in `5-0`, the folder of the split."""
        return f"{shots_name(self.shots)}-{self.seed}"


def shots_name(shots: int | None) -> str:
    """A number of real defective images as a word."""
    return ALL if shots is None else str(shots)


@dataclass(frozen=True)
class Trial:
    """One training.

    Attributes:
        arm: What it trains on.
        ratio: Synthetic images per real defective image; 0 for an arm of real images.
        shots: Real defective images; None for all.
        seed: Of the few-shot subset, the draw, the weights and the order.
    """

    arm: Arm
    ratio: float
    shots: int | None
    seed: int

    @property
    def split(self) -> FewShotSplit:
        """Its few-shot split."""
        return FewShotSplit(self.shots, self.seed)

    def count(self, defective: int) -> int:
        """Images that it takes from each of its sources, with so many real defective ones."""
        return round(self.ratio * defective / max(1, len(self.arm.sources)))

    def to_dict(self) -> dict[str, Any]:
        """For a results line."""
        return {"arm": self.arm.name, "ratio": self.ratio, "shots": shots_name(self.shots), "seed": self.seed}


def trials_of(
    arms: Sequence[Arm], ratios: Sequence[float], shots: Sequence[int | None], seeds: Sequence[int]
) -> list[Trial]:
    """All trials, split by split; an arm at ratio 0 is the arm that it is compared with."""
    return [
        Trial(arm, ratio, count, seed)
        for count in shots
        for seed in seeds
        for arm in arms
        for ratio in ([value for value in ratios if value] if arm.sources else [0.0])
    ]


def identity(trial: Trial, common: Mapping[str, Any], sources: Mapping[str, str]) -> str:
    """A hash of the trial, of the settings and data that all trials share, and of the images of its sources.

    Args:
        trial: The trial.
        common: Settings, data and code that all share.
        sources: Fingerprint of each source.
    """
    own = {name: sources[name] for name in trial.arm.sources}
    content = {**trial.to_dict(), "common": dict(common), "made": own}
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()[:24]


def available_shots(shots: Sequence[int | None], defective: int) -> list[int | None]:
    """The numbers of shots that can be trained with; one of all defective images is `all`, if that is requested.

    Raises:
        UsageError: There are fewer defective images.
    """
    for count in shots:
        if count is not None and count > defective:
            what = f"--shots: {count} defective images, but {defective} are left for training; lower it"
            raise UsageError(what, code="E-utility-shots")
    return [count for count in shots if count != defective or None not in shots]


def reachable(trials: Sequence[Trial], sizes: Mapping[str, int], defective: int) -> tuple[list[Trial], list[str]]:
    """Trials whose sources hold as many images as they take, at least one, and a sentence for each of the others.

    Args:
        trials: All of them.
        sizes: Images of each source; one that is pasted on the fly is not in it.
        defective: Real defective images for training.
    """
    reached: list[Trial] = []
    none: dict[str, None] = {}
    short: dict[str, None] = {}
    for trial in trials:
        each = trial.count(trial.shots or defective)
        at = f"ratio {trial.ratio:g} at {shots_name(trial.shots)} defective images"
        if trial.arm.sources and not each:
            none[f"{trial.arm.name}, {at}: not one synthetic image: left out"] = None
            continue
        lacking = next((name for name in trial.arm.sources if name in sizes and sizes[name] < each), None)
        if lacking is None:
            reached.append(trial)
        else:
            short[f"{at} needs {each} images of {lacking}, which has {sizes[lacking]}: left out"] = None
    return reached, [*none, *short]
