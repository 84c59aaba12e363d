"""Looks for the best learning rate and batch by the tree-structured Parzen estimator (Bergstra et al. 2011).

Every trial is a line of `trials.jsonl`. What the estimator draws for trial n depends on the seed, n and the lines
before, so that a resumed search draws what an undisturbed one would have.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from classify.config import MOST_IMAGES, ClassifierConfig
from classify.data.dataset import Prepared
from classify.models.checkpoint import neurons
from classify.models.rollout import TRANSFORMERS
from classify.models.weights import build_network, normalization, pretrained
from classify.training.fit import TrainingError, fit
from engine.config import dump_config
from engine.errors import DataError, UsageError
from engine.files.atomic import sha256_bytes, write_text
from engine.files.json_lines import LineLog
from engine.run.folder import RunFolder, same_config
from engine.seeding import seed_for

TRIALS = "trials.jsonl"


@dataclass(frozen=True)
class Space:
    """Where is looked.

    Attributes:
        lowest: learning rate.
        highest: learning rate.
        batches: sizes to choose from.
    """

    lowest: float
    highest: float
    batches: tuple[int, ...] = (32, 64)

    def __post_init__(self) -> None:
        if not 0 < self.lowest < self.highest <= 1:
            raise UsageError(f"--rates: expected two rates from above 0 to 1, got {self.lowest:g} and {self.highest:g}")
        if not self.batches or min(self.batches) < 2 or max(self.batches) > MOST_IMAGES:
            raise UsageError(f"--batches: expected sizes from 2 to {MOST_IMAGES}, such as 32,64")


def space_of(network: str) -> Space:
    """The thesis's: rates of 1e-4 to 1e-2, for transformers 1e-5 to 1e-4; batches of 32 or 64."""
    return Space(1e-5, 1e-4) if network in TRANSFORMERS else Space(1e-4, 1e-2)


def search(
    prepared: Prepared,
    config: ClassifierConfig,
    folder: Path,
    space: Space,
    *,
    trials: int = 10,
    weights: Literal["imagenet", "none"] | Path = "imagenet",
    threads: int | None = None,
    resume: bool = False,
    tell: Callable[[str], object] | None = None,
) -> dict[str, Any]:
    """Trains with so many settings and writes the best of them, by validation accuracy, as `best.yaml`.

    Args:
        prepared: data; the test part is not looked at.
        config: everything but learning rate and batch.
        folder: to write.
        space: where to look.
        trials: in all, those of an interrupted search included.
        weights: where every trial starts.
        threads: of PyTorch.
        resume: go on with an interrupted search.
        tell: told a line after every trial.

    Returns:
        The best trial's row, and where the configuration is.

    Raises:
        DataError: there are no validation images, or no trial ended in numbers.
        UsageError: the folder was begun with other settings, images or ranges.
        OutputError, WeightsError: as their names say.
    """
    if not len(prepared.val):
        raise DataError("search: there are no validation images to choose by; raise data.val_fraction")
    with RunFolder.create(folder, resume) as run, LineLog(folder / TRIALS) as log:
        same_config(run, config)
        run.write_config(config)
        run.write_environment()
        about = {
            "rates": [space.lowest, space.highest],
            "batches": list(space.batches),
            "train_sha256": sha256_bytes("".join(prepared.meta["data"]["train_sha256"]).encode()),
        }
        rows = _rows(log, about, folder)
        while len(rows) < trials:
            row = _trial(prepared, config, space, rows, weights, threads)
            log.append([row])
            rows.append(row)
            if tell is not None:
                tell(_line(row, trials))
    done = [row for row in rows if row["val_accuracy"] is not None]
    if not done:
        raise DataError(f"{folder}: no trial ended in numbers; give lower --rates")
    best = max(done, key=lambda row: (row["val_accuracy"], -row["val_loss"]))
    found = _with(config, best["learning_rate"], best["batch_size"])
    write_text(folder / "best.yaml", dump_config(found))
    return {**best, "trials": len(rows), "config": str(folder / "best.yaml")}


def _rows(log: LineLog, about: dict[str, Any], folder: Path) -> list[dict[str, Any]]:
    """The trials done; a new search first says what it is about."""
    lines = log.lines()
    if not lines:
        log.append([about])
        return []
    other = [name for name, value in about.items() if lines[0].get(name) != value]
    if other:
        raise UsageError(f"{folder}: was begun with other {' and '.join(other)}; use the same, or another --out")
    return lines[1:]


def _trial(
    prepared: Prepared,
    config: ClassifierConfig,
    space: Space,
    rows: Sequence[dict[str, Any]],
    weights: Literal["imagenet", "none"] | Path,
    threads: int | None,
) -> dict[str, Any]:
    rate, batch = _drawn(space, rows, config.train.seed)
    chosen = _with(config, rate, batch)
    network = build_network(config.network, neurons(config.task, prepared.classes), config.train.seed)
    pretrained(network, config.network, weights)
    mean, std = normalization(config.network.name)
    row: dict[str, Any] = {"trial": len(rows) + 1, "learning_rate": rate, "batch_size": batch}
    try:
        fitted = fit(
            network, prepared.train, prepared.val, chosen.train,
            mean=mean, std=std, preset=config.data.preset, threads=threads,
        )  # fmt: skip
    except TrainingError:  # too high a rate is a finding, too
        return row | {"val_accuracy": None, "val_loss": None, "best_epoch": None}
    best = fitted.history[fitted.best_epoch - 1]
    return row | {name: best[name] for name in ("val_accuracy", "val_loss")} | {"best_epoch": fitted.best_epoch}


def _drawn(space: Space, rows: Sequence[dict[str, Any]], seed: int) -> tuple[float, int]:
    """Learning rate and batch of the next trial."""
    import optuna

    optuna.logging.set_verbosity(optuna.logging.ERROR)
    ranges: dict[str, Any] = {
        "learning_rate": optuna.distributions.FloatDistribution(space.lowest, space.highest, log=True),
        "batch_size": optuna.distributions.CategoricalDistribution(space.batches),
    }
    with warnings.catch_warnings(action="ignore"):  # of what is experimental in it
        sampler = optuna.samplers.TPESampler(seed=seed_for(seed, "search", len(rows)) % 2**32)
        study = optuna.create_study(direction="maximize", sampler=sampler)
        for row in rows:
            score = row["val_accuracy"]
            given = {name: row[name] for name in ranges}
            study.add_trial(
                optuna.trial.create_trial(params=given, distributions=ranges, value=score if score is not None else 0.0)
            )
        trial = study.ask(ranges)
    return float(trial.params["learning_rate"]), int(trial.params["batch_size"])


def _with(config: ClassifierConfig, rate: float, batch: int) -> ClassifierConfig:
    train = config.train.model_copy(update={"learning_rate": rate, "batch_size": batch})
    return config.model_copy(update={"train": train})


def _line(row: dict[str, Any], trials: int) -> str:
    score = row["val_accuracy"]
    told = "no number" if score is None else f"validation accuracy {score:.4f}"
    return f"trial {row['trial']}/{trials}: rate {row['learning_rate']:.2e}, batch {row['batch_size']}: {told}"
