"""Searches the best learning rate and batch size by the tree-structured Parzen estimator (Bergstra et al. 2011).

Every trial is a line of `trials.jsonl`. What the estimator samples for trial n depends on the seed, n and the lines
before, so that a resumed search samples what an undisturbed one would have.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from classify.config import MOST_IMAGES, TRANSFORMERS, ClassifierConfig
from classify.data.dataset import Prepared
from classify.models.checkpoint import neurons
from classify.models.weights import build_network, normalization, pretrained
from classify.training.fit import Fitting, fit
from engine.config import dump_config
from engine.errors import DataError, TrainingError, UsageError
from engine.files.atomic import sha256_bytes, write_text
from engine.files.json_lines import LineLog
from engine.run.folder import RunFolder, same_config
from engine.seeding import seed_for

TRIALS = "trials.jsonl"
_SPACE = "E-classify-search-space"


@dataclass(frozen=True)
class Space:
    """The search space.

    Attributes:
        lowest: learning rate.
        highest: learning rate.
        batches: sizes to select from.
    """

    lowest: float
    highest: float
    batches: tuple[int, ...] = (32, 64)

    def __post_init__(self) -> None:
        if not 0 < self.lowest < self.highest <= 1:
            raise UsageError(
                f"--rates: expected two rates from above 0 to 1, got {self.lowest:g} and {self.highest:g}", code=_SPACE
            )
        if not self.batches or min(self.batches) < 2 or max(self.batches) > MOST_IMAGES:
            raise UsageError(f"--batches: expected sizes from 2 to {MOST_IMAGES}, such as 32,64", code=_SPACE)


def space_of(network: str) -> Space:
    """The thesis's: rates of 1e-4 to 1e-2, for transformers 1e-5 to 1e-4; batches of 32 or 64."""
    return Space(1e-5, 1e-4) if network in TRANSFORMERS else Space(1e-4, 1e-2)


def parse_space(rates: str, batches: str, network: str) -> Space:
    """Of the flags `--rates` and `--batches`; without rates those of the network.

    Raises:
        UsageError: They are no numbers, or out of range.
    """
    usual = space_of(network)
    try:
        lowest, highest = [float(part) for part in rates.split(",")] if rates else (usual.lowest, usual.highest)
        return Space(lowest, highest, tuple(int(part) for part in batches.split(",")))
    except ValueError:
        raise UsageError(
            f"--rates {rates} --batches {batches}: give numbers, such as 1e-4,1e-2 and 32,64", code=_SPACE
        ) from None


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
    log: Callable[[str], object] | None = None,
) -> dict[str, Any]:
    """Trains with so many settings and writes the best of them, by validation accuracy, as `best.yaml`.

    Args:
        prepared: data; the test split is not used.
        config: everything but learning rate and batch.
        folder: to write.
        space: of rates and batch sizes.
        trials: in all, those of an interrupted search included.
        weights: where every trial starts.
        threads: of PyTorch.
        resume: continue an interrupted search.
        log: called with a line after every trial.

    Returns:
        The best trial's row, and where the configuration is.

    Raises:
        DataError: there are no validation images, or no trial ended in numbers.
        UsageError: the folder was started with other settings, images or ranges.
        OutputError, WeightsError: as their names say.
    """
    if not len(prepared.val):
        raise DataError(
            "search: there are no validation images to select by; raise data.val_fraction", code="E-classify-no-val"
        )
    with RunFolder.create(folder, resume) as run, LineLog(folder / TRIALS) as lines:
        same_config(run, config)
        run.write_config(config)
        run.write_environment()
        about = {
            "rates": [space.lowest, space.highest],
            "batches": list(space.batches),
            "train_sha256": sha256_bytes("".join(prepared.meta["data"]["train_sha256"]).encode()),
        }
        rows = _rows(lines, about, folder)
        while len(rows) < trials:
            row = _trial(prepared, config, space, rows, weights, threads)
            lines.append([row])
            rows.append(row)
            if log is not None:
                log(_line(row, trials))
    done = [row for row in rows if row["val_accuracy"] is not None]
    if not done:
        raise DataError(f"{folder}: no trial ended in numbers; give lower --rates", code="E-classify-not-a-number")
    best = max(done, key=lambda row: (row["val_accuracy"], -row["val_loss"]))
    selected = _with(config, best["learning_rate"], best["batch_size"])
    write_text(folder / "best.yaml", dump_config(selected))
    return {**best, "trials": len(rows), "config": str(folder / "best.yaml")}


def _rows(log: LineLog, about: dict[str, Any], folder: Path) -> list[dict[str, Any]]:
    """The trials done; a new search first writes its settings."""
    lines = log.lines()
    if not lines:
        log.append([about])
        return []
    other = [name for name, value in about.items() if lines[0].get(name) != value]
    if other:
        raise UsageError(
            f"{folder}: was started with other {' and '.join(other)}; use the same, or another --out",
            code="E-out-other-run",
        )
    return lines[1:]


def _trial(
    prepared: Prepared,
    config: ClassifierConfig,
    space: Space,
    rows: Sequence[dict[str, Any]],
    weights: Literal["imagenet", "none"] | Path,
    threads: int | None,
) -> dict[str, Any]:
    rate, batch = _sampled(space, rows, config.train.seed)
    own = _with(config, rate, batch)
    network = build_network(config.network, neurons(config.task, prepared.classes), config.train.seed)
    pretrained(network, config.network, weights)
    mean, std = normalization(config.network.name)
    row: dict[str, Any] = {"trial": len(rows) + 1, "learning_rate": rate, "batch_size": batch}
    try:
        fitting = Fitting(
            network, prepared.train, prepared.val, own.train, mean=mean, std=std, preset=config.data.preset
        )
        fitted = fit(fitting, threads=threads)
    except TrainingError:  # too high a rate is a result, too
        return row | {"val_accuracy": None, "val_loss": None, "best_epoch": None}
    best = fitted.history[fitted.best_epoch - 1]
    return row | {name: best[name] for name in ("val_accuracy", "val_loss")} | {"best_epoch": fitted.best_epoch}


def _sampled(space: Space, rows: Sequence[dict[str, Any]], seed: int) -> tuple[float, int]:
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
    result = "no number" if score is None else f"validation accuracy {score:.4f}"
    return f"trial {row['trial']}/{trials}: rate {row['learning_rate']:.2e}, batch {row['batch_size']}: {result}"
