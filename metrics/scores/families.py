"""Families of scores: what is computed together, with its interval and its real-vs-real baseline."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from engine.seeding import numpy_generator
from metrics.scores.frechet import frechet_distance
from metrics.scores.infinity import frechet_infinity
from metrics.scores.intervals import (
    Interval,
    bootstrap,
    frechet_influence,
    half_sampling,
    inception_influence,
    kernel_influence,
    or_wilson,
)
from metrics.scores.kernel import kernel_distance
from metrics.scores.manifold import ManifoldHalves, manifold_scores
from metrics.scores.score import Array, Better, Spread, checked


def inception_score(logits: Array, *, splits: int = 10, seed: int | None = 0) -> Spread:
    """Inception score of a set of images, mean and deviation over equal splits.

    Salimans et al., Improved Techniques for Training GANs, 2016, section 4: exp of the mean over a split's images of
    KL(p(y | x) || p(y)), p(y) being the split's mean. Split i of S holds rows i * N // S up to (i + 1) * N // S, as
    torch-fidelity cuts them; with `seed=None` the rows stay in the given order and the numbers are its numbers.

    Args:
        logits: Class logits (N, K).
        splits: Number of splits.
        seed: Seed of the random order of the rows, or None for the given order.

    Raises:
        ValueError: Fewer than two rows, fewer rows than splits, or logits that are not finite.
    """
    rows = checked(logits, "logit", varied=False)
    if splits < 1 or splits > len(rows):
        raise ValueError(f"expected between 1 and {len(rows)} splits for {len(rows)} rows, got {splits}; take fewer")
    if seed is not None:
        rows = rows[torch.from_numpy(numpy_generator(seed, "inception score").permutation(len(rows)))]
    scores = split_scores(rows.softmax(1), rows.log_softmax(1), splits)
    return Spread(float(scores.mean()), float(scores.std(correction=0)))


def split_scores(chances: Tensor, logs: Tensor, splits: int) -> Tensor:
    """Scores (S,) of consecutive splits of class probabilities (N, K) and their logarithms (N, K)."""
    count = len(chances)
    scores = []
    for split in range(splits):
        part = slice(split * count // splits, (split + 1) * count // splits)
        mixed = chances[part].mean(0)
        # One row's entropy and the split's own, each summed once: sum p (log p - log q), averaged.
        own = (chances[part] * logs[part]).sum(1).mean()
        shared = torch.special.xlogy(mixed, mixed).sum()
        scores.append((own - shared).exp())
    return torch.stack(scores)


def real_baseline(
    real: Tensor,
    score: Callable[[Tensor, Tensor], NDArray[np.float64]],
    *,
    halvings: int,
    seed: int,
    parts: Sequence[str] | None = None,
) -> NDArray[np.float64] | None:
    """Mean scores (K,) of random disjoint halves of the same real rows.

    Each half has half the images: the baseline of a score whose bias grows with fewer images is on the high side.
    Images of one part stay in one half: several shots of the same part, spread over both halves, would make the
    halves look far more alike than images of other parts ever can.

    Args:
        real: Features (N, D), float64.
        score: Scores (K,) of (real, fake) features.
        halvings: Number of random halvings.
        seed: Seed of the halvings.
        parts: The part that each row shows; None where every row is a part of its own.

    Returns:
        The scores, or None where a half is too small or does not vary, or all rows are of one part.
    """
    generator = numpy_generator(seed, "floor")
    owner = np.arange(len(real)) if parts is None else np.unique(np.asarray(parts), return_inverse=True)[1]
    found = []
    for _ in range(halvings):
        first, second = _halves(owner, generator)
        try:
            found.append(score(real[first], real[second]))
        except ValueError:
            return None
    return np.asarray(np.mean(found, axis=0))


def _halves(owner: NDArray[np.intp], generator: np.random.Generator) -> tuple[Tensor, Tensor]:
    """Rows of two random halves, as equal as whole parts allow; `owner` (N,) is the part of each row."""
    counts = np.bincount(owner)
    order = generator.permutation(len(counts))
    reached = np.cumsum(counts[order])
    cut = int(np.argmin(np.abs(reached[:-1] - len(owner) // 2))) + 1 if len(counts) > 1 else 0
    rank = np.empty(len(counts), np.intp)
    rank[order] = np.arange(len(counts))
    rows = np.argsort(rank[owner], kind="stable")
    at = int(reached[cut - 1]) if cut else 0
    return torch.from_numpy(rows[:at]), torch.from_numpy(rows[at:])


NEIGHBORS = 5
SPLITS = 10
_ORDERS_UP_TO = 600
_HALVES_UP_TO = 50_000_000

Found = tuple[float, Interval | None]


@dataclass(frozen=True)
class Draws:
    """What is random in a score.

    Attributes:
        seed: Seed of every draw.
        resamples: Resamples of an interval.
    """

    seed: int
    resamples: int


@dataclass(frozen=True)
class Family:
    """Scores that are computed together from real and synthetic features.

    Attributes:
        names: Their short names.
        better: Which way is better.
        estimator: How they are computed.
        compute: Their values and intervals.
        baseline: Their values alone, for one half of the real images against the other, and a seed.
    """

    names: tuple[str, ...]
    better: Better
    estimator: str
    compute: Callable[[Tensor, Tensor, Draws], list[Found]]
    baseline: Callable[[Tensor, Tensor, int], NDArray[np.float64]]


def feature_families() -> tuple[Family, ...]:
    """Frechet distance, its extrapolation, kernel distance and the manifold scores."""
    return (
        Family(
            ("fid",),
            "lower",
            "Frechet distance, covariances over N - 1",
            _frechet,
            lambda real, fake, _: np.array([frechet_distance(real=real, fake=fake)]),
        ),
        Family(
            ("fid_infinity",),
            "lower",
            "Frechet distance extrapolated to infinitely many images, both sets thinned down to half",
            _infinity,
            _infinity_baseline,
        ),
        Family(("kid",), "lower", "unbiased MMD^2, cubic kernel, 100 subsets of up to 1000", _kernel, _kernel_baseline),
        Family(
            ("precision", "recall", "density", "coverage"),
            "higher",
            f"balls to neighbor {NEIGHBORS}",
            _manifold,
            lambda real, fake, _: _manifold_values(real, fake),
        ),
    )


def _frechet(real: Tensor, fake: Tensor, draws: Draws) -> list[Found]:
    value = frechet_distance(real=real, fake=fake)
    influence = replace(frechet_influence(real, fake), value=value)
    return [(value, bootstrap(influence, resamples=draws.resamples, seed=draws.seed, least=0.0))]


def _infinity(real: Tensor, fake: Tensor, draws: Draws) -> list[Found]:
    orders = 4 if max(len(real), len(fake)) <= _ORDERS_UP_TO else 1
    found = frechet_infinity(real=real, fake=fake, seed=draws.seed, orders=orders)
    return [(found.value, bootstrap(found.influence, resamples=draws.resamples, seed=draws.seed))]


def _infinity_baseline(real: Tensor, fake: Tensor, seed: int) -> NDArray[np.float64]:
    return np.array([frechet_infinity(real=real, fake=fake, seed=seed, points=5, orders=1).value])


def _kernel(real: Tensor, fake: Tensor, draws: Draws) -> list[Found]:
    value = kernel_distance(real=real, fake=fake, seed=draws.seed).mean
    influence = replace(kernel_influence(real, fake), value=value)
    return [(value, bootstrap(influence, resamples=draws.resamples, seed=draws.seed))]


def _kernel_baseline(real: Tensor, fake: Tensor, seed: int) -> NDArray[np.float64]:
    return np.array([kernel_distance(real=real, fake=fake, seed=seed).mean])


def _manifold(real: Tensor, fake: Tensor, draws: Draws) -> list[Found]:
    values = _manifold_values(real, fake)
    if min(len(real), len(fake)) // 2 <= NEIGHBORS or len(real) * len(fake) > _HALVES_UP_TO:
        return [(float(value), None) for value in values]
    halves = ManifoldHalves(real, fake, NEIGHBORS)
    intervals = half_sampling(values, halves, len(real), len(fake), resamples=draws.resamples, seed=draws.seed)
    counts = (len(fake), len(real), None, len(real))
    return [
        (
            float(value),
            Interval(max(interval.low, 0.0), interval.high)
            if count is None
            else or_wilson(interval, float(value), count),
        )
        for value, interval, count in zip(values, intervals, counts, strict=True)
    ]


def _manifold_values(real: Tensor, fake: Tensor) -> NDArray[np.float64]:
    found = manifold_scores(real=real, fake=fake, k=NEIGHBORS)
    return np.array([found.precision, found.recall, found.density, found.coverage])


@dataclass(frozen=True)
class Inception:
    """Inception score, its interval and the deviation of its splits."""

    value: float
    interval: Interval
    deviation: float


def inception(logits: Tensor, splits: int, draws: Draws) -> Inception:
    """Inception score of class logits (M, K)."""
    found = inception_score(logits, splits=splits, seed=draws.seed)
    influence = inception_influence(logits, found.mean)
    interval = bootstrap(influence, resamples=draws.resamples, seed=draws.seed, least=1.0)
    return Inception(found.mean, interval, found.std)
