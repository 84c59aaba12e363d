"""Whether a generator memorizes its training images: the three-sample test of Meehan, Chaudhuri and Dasgupta (2020)."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import stats
from sklearn.cluster import KMeans

from engine.seeding import seed_for

COPY_RATIO = 0.5
"""An image nearer to a training image than this share of a held-out real image's median distance is a near-copy."""

_SIGNIFICANT = 0.001
_SIGNIFICANT_SHARE = 0.01  # the exact test on a share of near 0 is far below the chance it states
_LEAST = 5  # images of a side below which a rank test cannot say anything
_CLUSTER_LEAST = 10


@dataclass(frozen=True)
class Pair:
    """A synthetic image and its nearest training image, by their positions; `ratio` as in `Memorization`."""

    fake: int
    train: int
    ratio: float


@dataclass(frozen=True)
class Memorization:
    """Distances of synthetic images to the training images, next to those of held-out real images.

    Attributes:
        c_t: z-score of the rank test; far below 0 the generator memorizes, far above 0 it strays from the training
            images. None when there are too few images.
        c_t_clusters: The same within clusters of the training images, averaged by the held-out images in each, which
            shows memorization that is confined to a region; None where the counts do not allow it.
        p_value: Chance of a `c_t` this low for a generator as far from its training images as unseen real ones are.
        index: (M,) nearest training image of each synthetic one.
        distance: (M,) to it.
        ratio: (M,) distance over the median distance of held-out real images; near 0 is a copy.
        reference: That median.
        share_memorized: Share of synthetic images with a ratio below `COPY_RATIO`.
        share_expected: Share of held-out real images below it.
        memorized: Whether the test says that training images are copied.
        verdict: What that means, in words.
        why: Why there is no test; empty when there is one.
    """

    c_t: float | None
    c_t_clusters: float | None
    p_value: float | None
    index: NDArray[np.intp]
    distance: NDArray[np.float64]
    ratio: NDArray[np.float64]
    reference: float
    share_memorized: float
    share_expected: float
    memorized: bool
    verdict: str
    why: str = ""

    def closest(self, count: int = 8) -> list[Pair]:
        """The synthetic images nearest to a training image, the nearest first."""
        order = np.argsort(self.ratio, kind="stable")[:count]
        return [Pair(int(i), int(self.index[i]), float(self.ratio[i])) for i in order]

    def to_dict(self) -> dict[str, Any]:
        """Everything but the single images, under the keys of `results.json`."""
        stored = {"c_t_clusters": "c_t_cells", "share_memorized": "share_copies", "memorized": "copies"}
        content = {key: value for key, value in asdict(self).items() if key not in ("index", "distance", "ratio")}
        return {stored.get(key, key): value for key, value in content.items()}


def memorization(
    *, train: NDArray[Any], test: NDArray[Any], fake: NDArray[Any], seed: int = 0, clusters: int | None = None
) -> Memorization:
    """Tests whether synthetic images lie nearer to the training images than unseen real images do.

    The test assumes that training and held-out images are sampled alike: no part in both, and the classes mixed alike.
    It depends on the features: a little noise or blur moves those of a classification network far, so that a memorized
    image escapes; `augment.leakage.near_duplicates` finds such images.

    Args:
        train: (T, D) features of the images that the generator was trained on.
        test: (R, D) features of real images that it was not trained on.
        fake: (M, D) features of its images.
        seed: Of the clusters.
        clusters: Number of clusters; None for as many as leave about 25 held-out images in each, 5 at most.

    Raises:
        ValueError: The shapes do not fit, a side is empty, or a feature is not finite.
    """
    for name, features in (("train", train), ("test", test), ("fake", fake)):
        if features.ndim != 2 or not len(features) or features.shape[1] != train.shape[1]:
            raise ValueError(f"expected {name} features (N, {train.shape[-1]}), got {features.shape}")
        if not np.isfinite(features).all():
            raise ValueError(f"expected finite {name} features, got NaN or infinity; look at those images")
    index, distance = nearest(fake, train)
    _, unseen = nearest(test, train)
    reference = float(np.median(unseen))
    ratio = distance / max(reference, 1e-12)
    expected = unseen / max(reference, 1e-12) < COPY_RATIO
    close = ratio < COPY_RATIO
    shares = float(close.mean()), float(expected.mean())
    if min(len(test), len(fake)) < _LEAST:
        why = f"{len(test)} held-out and {len(fake)} synthetic images; the test needs {_LEAST} of each"
        return Memorization(None, None, None, index, distance, ratio, reference, *shares, False, "not tested", why)
    c_t = copying_score(unseen, distance)
    p_value = float(stats.norm.cdf(c_t))
    by_cluster = _by_cluster(train, test, fake, unseen, distance, seed, clusters)
    table = [[int(close.sum()), int((~close).sum())], [int(expected.sum()), int((~expected).sum())]]
    # The rank test compares whole sets; a few memorized images among many others show in the share only.
    some = float(stats.fisher_exact(table, alternative="greater")[1]) < _SIGNIFICANT_SHARE
    memorized = (
        p_value < _SIGNIFICANT or some or (by_cluster is not None and float(stats.norm.cdf(by_cluster)) < _SIGNIFICANT)
    )
    verdict = _verdict(memorized, shares[0], c_t)
    return Memorization(c_t, by_cluster, p_value, index, distance, ratio, reference, *shares, memorized, verdict)


def copying_score(unseen: NDArray[np.float64], fake: NDArray[np.float64]) -> float:
    """z-score of the Mann-Whitney statistic of distances to the nearest training image (Meehan et al. 2020, sec. 3.1).

    Args:
        unseen: (R,) distances of held-out real images.
        fake: (M,) distances of synthetic images.

    Returns:
        Below 0 when the synthetic ones are nearer. Ties count half, and the variance is corrected for them.
    """
    m, n = len(fake), len(unseen)
    both = np.concatenate([fake, unseen])
    u = stats.rankdata(both)[:m].sum() - m * (m + 1) / 2
    ties = np.unique(both, return_counts=True)[1].astype(np.float64)
    total = m + n
    variance = m * n / 12 * (total + 1 - (ties**3 - ties).sum() / (total * (total - 1)))
    return float((u - m * n / 2) / np.sqrt(variance)) if variance > 0 else 0.0


def nearest(
    points: NDArray[Any], among: NDArray[Any], *, rows: int = 1024
) -> tuple[NDArray[np.intp], NDArray[np.float64]]:
    """The nearest row of `among` (T, D) for each row of `points` (N, D): positions and Euclidean distances."""
    targets = among.astype(np.float64)
    center = targets.mean(axis=0)
    targets -= center
    norms = np.square(targets).sum(axis=1)
    index = np.empty(len(points), np.intp)
    distance = np.empty(len(points), np.float64)
    for start in range(0, len(points), rows):
        part = points[start : start + rows].astype(np.float64) - center
        best = np.argmin(norms - 2 * part @ targets.T, axis=1)
        index[start : start + rows] = best
        # By differences once more: the product loses small distances, which are those that matter.
        distance[start : start + rows] = np.linalg.norm(part - targets[best], axis=1)
    return index, distance


def _by_cluster(
    train: NDArray[Any],
    test: NDArray[Any],
    fake: NDArray[Any],
    unseen: NDArray[np.float64],
    distance: NDArray[np.float64],
    seed: int,
    clusters: int | None,
) -> float | None:
    """C_T (Meehan et al. 2020, sec. 3.2): the mean over clusters of the training images, weighted by held-out ones."""
    count = min(5, len(test) // 25) if clusters is None else clusters
    if count < 2 or len(train) < count:
        return None
    means = KMeans(count, n_init=4, random_state=seed_for(seed, "memorization") % 2**32).fit(train.astype(np.float64))
    of_test, of_fake = means.predict(test.astype(np.float64)), means.predict(fake.astype(np.float64))
    scores, weights = [], []
    for cluster in range(count):
        here, there = distance[of_fake == cluster], unseen[of_test == cluster]
        if min(len(here), len(there)) >= _CLUSTER_LEAST:
            scores.append(copying_score(there, here))
            weights.append(len(there))
    return float(np.average(scores, weights=weights)) if scores else None


def _verdict(memorized: bool, share: float, c_t: float) -> str:
    if memorized:
        return f"training images are memorized: {share:.0%} near-duplicates, C_T = {c_t:.1f}"
    if c_t > 3:
        return f"no copying found; the images lie farther from the training images than real ones do (C_T = {c_t:.1f})"
    return f"no copying found (C_T = {c_t:.1f})"
