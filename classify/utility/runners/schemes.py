"""The paper's six training schemes, a to f, with the same number of optimizer steps each.

The negatives are the real good images in every scheme and stage; a scheme whose defects are synthetic trains on no real
defective image. A scheme of two stages divides the steps between them. The paper selected its weights on the test; here
validation does.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, model_validator

from classify.config import NetworkConfig
from classify.models.weights import build_network, normalization, pretrained
from classify.training.fit import Fitting, fit
from classify.utility.analysis.scores import outcome
from classify.utility.design.bench import Bench
from classify.utility.runners.finetune import ImageCrops, image_scores, synthetic_examples, together, train_settings
from defects.sample import GOOD
from engine.commands import aligned
from engine.config import config_names, load_config

LITE0 = "efficientnet_lite0"


class Stage(BaseModel):
    """One stage of a training."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    defects: list[Literal["original", "synthetic"]] = Field(min_length=1, description="where the defects come from")
    classical: bool = Field(False, description="whether images get classical augmentation")
    share: float = Field(1.0, gt=0, le=1, description="of the optimizer steps")


class Scheme(BaseModel):
    """One of `configs/schemes/*.yaml`."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    title: str
    imagenet: bool = Field(description="whether the weights start from ImageNet")
    stages: list[Stage] = Field(min_length=1)
    published: dict[str, dict[str, float]] = Field(default_factory=dict, description="the paper's scores by network")

    @model_validator(mode="after")
    def _shares(self) -> Scheme:
        if abs(sum(stage.share for stage in self.stages) - 1) > 1e-6:
            raise ValueError("the shares of the stages must sum to 1")
        return self


def load_schemes() -> dict[str, Scheme]:
    """The packaged schemes by letter."""
    return {name: load_config(name, Scheme, folder="schemes") for name in config_names("schemes")}


def published(scheme: Scheme, network: str) -> dict[str, float]:
    """The paper's scores of the nearer of its two networks."""
    return scheme.published.get("ResNet" if network.startswith("resnet") else "EfficientNet-B7", {})


@dataclass(frozen=True)
class SchemeTrial:
    """One training: a scheme's letter, a network and a seed."""

    scheme: str
    network: str
    seed: int

    def to_dict(self) -> dict[str, Any]:
        """For a results line."""
        return dict(vars(self))


class SchemeRunner:
    """Trains and tests trials.

    Args:
        bench: Its division and synthetic sets; all sets together are the synthetic images.
        schemes: By letter.
        weights: By network: a file, `imagenet` to take them from the package or download them.
        steps: Optimizer steps of every scheme.
        batch: Images a step.
        rates: Learning rate from scratch, and from ImageNet.
        threads: Of PyTorch.
    """

    def __init__(
        self,
        bench: Bench,
        schemes: Mapping[str, Scheme],
        *,
        weights: Mapping[str, Path | Literal["imagenet"]],
        steps: int,
        batch: int,
        rates: tuple[float, float],
        threads: int | None = None,
        on_epoch: Callable[[dict[str, Any]], object] | None = None,
    ) -> None:
        self._schemes, self._weights, self._steps, self._batch = schemes, weights, steps, batch
        self._rates, self._threads, self._on_epoch = rates, threads, on_epoch
        self._bench = bench
        settings, division = bench.settings, bench.division
        self._train, self._val, self._test = (
            ImageCrops(samples, settings) for samples in (division.train, division.val, division.test)
        )
        samples = [sample for folder in bench.synthetic for sample in folder.samples]
        self._synthetic = synthetic_examples(samples, self._train)

    def run(self, trial: SchemeTrial) -> dict[str, Any]:
        """The trial's results line.

        Raises:
            WeightsError: The network's ImageNet weights cannot be loaded.
        """
        began = time.monotonic()
        scheme, division = self._schemes[trial.scheme], self._bench.division
        config = NetworkConfig(name=trial.network)
        network = build_network(config, 1, trial.seed)
        source = self._weights.get(trial.network, "imagenet") if scheme.imagenet else "none"
        name = pretrained(network, config, source)
        mean, std = normalization(trial.network)
        defective = np.asarray([sample.label != GOOD for sample in division.train])
        every = np.ones(len(division.val), np.bool_)
        for number, stage in enumerate(scheme.stages):
            real = self._train.of(~defective | ("original" in stage.defects))
            parts = [real, *([self._synthetic] if "synthetic" in stage.defects else [])]
            rate = self._rates[1] if scheme.imagenet or number else self._rates[0]
            fitting = Fitting(
                network,
                together(parts),
                self._val.of(every),
                train_settings(rate, self._batch, trial.seed),
                mean=mean,
                std=std,
                preset=self._bench.settings.preset if stage.classical else None,
                steps=max(1, round(self._steps * stage.share)),
            )
            fit(fitting, threads=self._threads, on_epoch=self._on_epoch)
        val = image_scores(network, self._val, mean, std)
        test = image_scores(network, self._test, mean, std)
        scores, threshold = outcome(val=val, test=test, division=division)
        return {
            **trial.to_dict(),
            "weights": name,
            **scores,
            "threshold": round(threshold, 6),
            "seconds": round(time.monotonic() - began, 3),
        }


_SCORES = ("precision", "recall", "f1", "accuracy")
COLUMNS = ("scheme", "network", "precision", "recall", "F1", "accuracy", "paper F1 / accuracy", "training")


def summary_rows(
    rows: Sequence[Mapping[str, Any]],
    missing: Mapping[tuple[str, str], str],
    schemes: Mapping[str, Scheme],
    networks: Sequence[str],
) -> list[dict[str, Any]]:
    """One row a scheme and network.

    Args:
        rows: Results lines.
        missing: Why a (scheme, network) has none.
        schemes: By letter.
        networks: In order.
    """
    entries = []
    for network in networks:
        for letter, scheme in schemes.items():
            own = [row for row in rows if row["scheme"] == letter and row["network"] == network]
            entry: dict[str, Any] = {
                "scheme": letter,
                "title": scheme.title,
                "network": network,
                "seeds": len(own),
                "source": published(scheme, network),
                "missing": missing.get((letter, network)),
            }
            if own:
                for name in _SCORES:
                    values = [float(row["test"][name]) for row in own]
                    entry[name] = float(np.mean(values))
                    entry[f"{name}_sd"] = float(np.std(values, ddof=1)) if len(values) > 1 else None
            entries.append(entry)
    return entries


def table_lines(entries: Sequence[Mapping[str, Any]]) -> list[str]:
    """The same as text."""
    rows = [COLUMNS, *(_row(entry) for entry in entries)]
    table = aligned(rows, range(len(COLUMNS)))
    reasons = dict.fromkeys(str(entry["missing"]) for entry in entries if entry["missing"])
    return [*table, *([""] if reasons else []), *(f"no number: {reason}" for reason in reasons)]


def _row(entry: Mapping[str, Any]) -> tuple[str, ...]:
    values = [_spread(entry.get(name), entry.get(f"{name}_sd")) for name in _SCORES]
    source = entry["source"]
    both = f"{source['f1']:.3f} / {source['accuracy']:.3f}" if source else "–"
    return (str(entry["scheme"]), str(entry["network"]), *values, both, str(entry["title"]))


def _spread(value: float | None, deviation: float | None) -> str:
    if value is None:
        return "no weights"
    return f"{value:.3f}" if deviation is None else f"{value:.3f} +- {deviation:.3f}"
