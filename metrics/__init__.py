"""Measuring synthetic images: quality, labels, control, memorization.

>>> import metrics
>>> score = metrics.fid("examples/masks", "examples/masks", extractor="lite0")
>>> round(score.value, 3), score.n_real, score.n_fake, score.warning
(0.0, 8, 8, '8 images, 1280 features: mostly bias; use kid')

`fid`, `kid` and `compute_scores` take folders of images, the other functions features. Every score says from what, from
how many images and how it was computed, and warns where they are too few.
"""

from __future__ import annotations

from collections.abc import Callable
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from torch import Tensor

    from metrics.features.extraction import Extractor, Features
    from metrics.scores.intervals import Influence
    from metrics.scores.score import Score

__all__ = [
    "compute_features",
    "compute_scores",
    "fid",
    "frechet_distance",
    "kernel_distance",
    "kid",
    "manifold_scores",
    "open_extractor",
]

Folder = str | PathLike[str]


def fid(
    real: Folder, fake: Folder, *, extractor: str = "lite0", seed: int = 0, resamples: int = 200, device: str = "auto"
) -> Score:
    """Frechet distance of the features of two folders of images (FID where the extractor is `inception`).

    Args:
        real: Folder of real images.
        fake: Folder of synthetic images.
        extractor: `lite0` (offline), `inception` (weights are downloaded once), or the path of an .onnx network.
        seed: Of the interval's resamples.
        resamples: Of the interval, at least 20.
        device: auto, cpu or cuda.

    Returns:
        `value`, `low` and `high` of the 95 % interval, `n_real`, `n_fake`, `estimator`, and `warning`: what to beware
        of at these counts. No baseline; `compute_scores` has it.

    Raises:
        DataError: A folder is missing or empty, or an image does not open.
        UsageError: The extractor or the device is unknown.
        ValueError: Fewer than two images in a folder, or real images that all look the same.
    """
    from metrics.scores.frechet import frechet_distance
    from metrics.scores.intervals import frechet_influence

    def value(a: Tensor, b: Tensor) -> float:
        return frechet_distance(real=a, fake=b)

    return _score("fid", value, frechet_influence, real, fake, extractor, seed, resamples, device, least=0.0)


def kid(
    real: Folder, fake: Folder, *, extractor: str = "lite0", seed: int = 0, resamples: int = 200, device: str = "auto"
) -> Score:
    """Kernel distance of the features of two folders of images; unbiased, so the one to trust with few images.

    Arguments, result and errors are those of `fid`.
    """
    from metrics.scores.intervals import kernel_influence
    from metrics.scores.kernel import kernel_distance

    def value(a: Tensor, b: Tensor) -> float:
        return kernel_distance(real=a, fake=b, seed=seed).mean

    return _score("kid", value, kernel_influence, real, fake, extractor, seed, resamples, device)


def compute_scores(
    real: Folder, fake: Folder, *, extractor: str = "lite0", seed: int = 0, resamples: int = 200, device: str = "auto"
) -> list[Score]:
    """All scores of two folders of images: fid, fid_infinity, kid, precision, recall, density, coverage, is.

    Each has its interval, its warning and its baseline: the same score of one half of the real images against the
    other. Arguments and errors are those of `fid`.
    """
    from metrics.scores.table import score_table

    network = _extractor(extractor, device)
    first, second = compute_features(real, extractor=network), compute_features(fake, extractor=network)
    return score_table(
        real=first.values,
        fake=second.values,
        logits=second.logits,
        extractor=network.name,
        resize=network.resize,
        seed=seed,
        resamples=resamples,
    )


def compute_features(
    folder: Folder, *, extractor: str | Extractor = "lite0", device: str = "auto", cache: Folder | None = None
) -> Features:
    """Features of the images of a folder, in the order of their paths.

    Args:
        folder: Searched to any depth; of a folder with `images/` that subfolder alone.
        extractor: A name as for `fid`, or an extractor of `open_extractor`.
        device: auto, cpu or cuda.
        cache: Folder in which features are cached by the content of the images; None for no cache on disk.

    Returns:
        `values` (N, D) float32 and `logits` (N, K) or None.
    """
    from metrics.features.extraction import ImageFiles, extract

    network = _extractor(extractor, device) if isinstance(extractor, str) else extractor
    if cache is None:
        return extract(ImageFiles(folder), network)
    from metrics.features.cache import FeatureCache

    return extract(ImageFiles(folder), network, cache=FeatureCache(Path(cache)))


def _score(
    name: str,
    value: Callable[[Tensor, Tensor], float],
    influence: Callable[[Tensor, Tensor], Influence],
    real: Folder,
    fake: Folder,
    extractor: str,
    seed: int,
    resamples: int,
    device: str,
    least: float | None = None,
) -> Score:
    from dataclasses import replace

    from metrics.scores.intervals import bootstrap
    from metrics.scores.score import Score, checked_pair, count_warning

    network = _extractor(extractor, device)
    first, second = (compute_features(folder, extractor=network).values for folder in (real, fake))
    a, b = checked_pair(first, second)
    point = value(a, b)
    interval = bootstrap(replace(influence(a, b), value=point), resamples=resamples, seed=seed, least=least)
    return Score(
        name if network.name == "inception" else f"{name}_{network.name}",
        point,
        interval.low,
        interval.high,
        None,
        len(first),
        len(second),
        network.name,
        f"{'Frechet distance' if name == 'fid' else 'kernel distance'} of whole images, {network.resize}",
        "lower",
        count_warning(name, len(first), len(second), first.shape[1]),
    )


def _extractor(name: str, device: str) -> Extractor:
    if name != "lite0":
        from metrics.features.registry import open_extractor

        return open_extractor(name, device=device)
    from engine.runtime.device import select_device
    from metrics.features.lite0 import Lite0

    return Lite0(select_device(device))


def __getattr__(name: str) -> Any:
    places = {
        "frechet_distance": "metrics.scores.frechet",
        "kernel_distance": "metrics.scores.kernel",
        "manifold_scores": "metrics.scores.manifold",
        "open_extractor": "metrics.features.registry",
    }
    if name not in places:
        raise AttributeError(f"module 'metrics' has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(places[name]), name)


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])
