"""All scores of one set of synthetic images, each with its interval, baseline, counts and warning."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from metrics.scores.families import SPLITS, Draws, Family, feature_families, inception, real_baseline
from metrics.scores.score import Array, Score, all_equal, checked, checked_pair, count_warning

COLLAPSED = "all synthetic images look the same to this network; more of them would change nothing"
_HALVINGS = 10
_FEW_HALVINGS = 3
_FEW_FROM = 1200


def score_name(short: str, extractor: str) -> str:
    """Name of a score: the extractor's is left out where it is Inception.

    >>> score_name("fid", "inception"), score_name("fid", "efficientnet_lite0")
    ('fid', 'fid_efficientnet_lite0')
    """
    return short if extractor == "inception" else f"{short}_{extractor}"


def score_table(
    *,
    real: Array,
    fake: Array,
    logits: Array | None,
    extractor: str,
    resize: str,
    seed: int,
    resamples: int = 200,
    parts: Sequence[str] | None = None,
) -> list[Score]:
    """All scores of synthetic features against real ones; one that cannot be computed says why.

    Args:
        real: Features (N, D) of real images.
        fake: Features (M, D) of synthetic images.
        logits: Class logits (M, K) of synthetic images, or None where the network has none.
        extractor: Name of the network.
        resize: How the images were resized to its input size.
        seed: Seed of every draw.
        resamples: Resamples of the intervals, at least 20.
        parts: The part that each real image shows, never split between the halves of the baseline; None where each
            shows its own.

    Returns:
        `fid`, `fid_infinity`, `kid`, `precision`, `recall`, `density`, `coverage` and `is`, with the extractor's name.

    Raises:
        ValueError: Fewer than 20 resamples.
    """
    if resamples < 20:
        raise ValueError(f"expected at least 20 resamples for a 95 % interval, got {resamples}")
    draws = Draws(seed, resamples)
    scores = [score for family in feature_families() for score in _scores(family, real, fake, draws, parts)]
    scores.append(_inception(real, fake, logits, draws))
    return [
        replace(s, name=score_name(s.name, extractor), extractor=extractor, estimator=f"{s.estimator}; {resize}")
        for s in scores
    ]


def _scores(family: Family, real: Array, fake: Array, draws: Draws, parts: Sequence[str] | None) -> list[Score]:
    blank = Score("", None, None, None, None, len(real), len(fake), "", family.estimator, family.better)
    try:
        first, second = checked_pair(real, fake)
        found = family.compute(first, second, draws)
    except ValueError as error:
        return [replace(blank, name=name, why=str(error)) for name in family.names]
    halvings = _HALVINGS if len(first) < _FEW_FROM else _FEW_HALVINGS
    baseline = real_baseline(
        first, lambda a, b: family.baseline(a, b, draws.seed), halvings=halvings, seed=draws.seed, parts=parts
    )
    return [
        replace(
            blank,
            name=name,
            value=value,
            low=interval.low if interval else None,
            high=interval.high if interval else None,
            baseline=None if baseline is None else float(baseline[place]),
            warning=COLLAPSED if all_equal(second) else count_warning(name, len(first), len(second), first.shape[1]),
        )
        for place, (name, (value, interval)) in enumerate(zip(family.names, found, strict=True))
    ]


def _inception(real: Array, fake: Array, logits: Array | None, draws: Draws) -> Score:
    splits = min(SPLITS, len(fake) // 2)
    blank = Score("is", None, None, None, None, len(real), len(fake), "", f"mean of {splits} splits", "higher")
    if logits is None:
        return replace(blank, why="this network has no class logits")
    try:
        found = inception(checked(logits, "logit", varied=False), splits, draws)
    except ValueError as error:
        return replace(blank, why=str(error))
    return replace(
        blank,
        value=found.value,
        low=found.interval.low,
        high=found.interval.high,
        estimator=f"mean of {splits} splits, their deviation {found.deviation:.4g}",
        warning=count_warning("is", len(real), len(fake), logits.shape[1], splits),
    )
