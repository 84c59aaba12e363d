"""Classifiers with weights drawn from a seed, saved for the tests that read one."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch

from classify.config import ClassifierConfig
from classify.models.checkpoint import LoadedClassifier, load_classifier, neurons, save_classifier
from classify.models.weights import build_network

TINY = {"name": "mobilenetv3_large", "short": True}


def checkpoint(
    root: Path,
    *,
    network: dict[str, Any] | None = None,
    data: dict[str, Any] | None = None,
    classes: tuple[str, ...] = ("good", "defect"),
    bias: float = 0.0,
    meta: dict[str, Any] | None = None,
) -> Path:
    """A checkpoint below `root`, whose last neuron leans by `bias` to the last class."""
    task = "binary" if classes == ("good", "defect") else "kinds"
    content = {"task": task, "network": network or TINY, "data": {"size": 32, "channels": 1} | (data or {})}
    config = ClassifierConfig.model_validate(content)
    made = build_network(config.network, neurons(config.task, classes), seed=1)
    with torch.no_grad():
        last = [module for module in made.modules() if isinstance(module, torch.nn.Linear)][-1]
        last.weight *= 3
        last.bias[-1] += bias
    return save_classifier(root / "checkpoints" / "best", made.eval(), config, classes, meta or {"data": {}})


def loaded(root: Path, **options: Any) -> LoadedClassifier:
    """The same, read back."""
    return load_classifier(checkpoint(root, **options))
