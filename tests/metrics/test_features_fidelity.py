"""torch-fidelity computes its scores with our extractors."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch_fidelity

from metrics.features.cache import FeatureCache
from metrics.features.extraction import extract
from metrics.features.fidelity import register
from tests.builders import save
from tests.metrics.features_dummy import DummyImages, MeanExtractor, noise


def test_torch_fidelity_scores_our_features(tmp_path: Path) -> None:
    sets = {"real": noise(12), "fake": noise(14, seed=1)}
    for name, images in sets.items():
        for index, image in enumerate(images):
            save(tmp_path / name / f"{index:02}.png", image // (2 if name == "fake" else 1))
    extractor = MeanExtractor()
    name = register(extractor)
    found = torch_fidelity.calculate_metrics(
        input1=str(tmp_path / "real"),
        input2=str(tmp_path / "fake"),
        feature_extractor=name,
        fid=True,
        isc=True,
        cuda=False,
        cache=False,
        save_cpu_ram=True,
        verbose=False,
    )
    values = {
        key: extract(DummyImages([image // scale for image in sets[key]]), extractor, cache=FeatureCache(None)).values
        for key, scale in (("real", 1), ("fake", 2))
    }
    means = values["real"].mean(0) - values["fake"].mean(0)
    covariances = [np.cov(each, rowvar=False) for each in values.values()]
    roots = np.sqrt(np.linalg.eigvals(covariances[0] @ covariances[1]).real).sum()
    wanted = means @ means + np.trace(covariances[0]) + np.trace(covariances[1]) - 2 * roots
    assert found[torch_fidelity.KEY_METRIC_FID] == pytest.approx(wanted, rel=1e-6)
    assert found[torch_fidelity.KEY_METRIC_ISC_MEAN] == pytest.approx(1.0, abs=1e-6)  # both logits are equal


def test_registering_twice_is_one_name_and_another_network_another() -> None:
    class Other(MeanExtractor):
        fingerprint = "mean other"

    assert register(MeanExtractor()) == register(MeanExtractor()) != register(Other())
