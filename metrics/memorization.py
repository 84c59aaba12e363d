"""Whether a generator copies its training images: the three-sample test of Meehan, Chaudhuri and Dasgupta (2020)."""

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
_CELL_LEAST = 10


@dataclass(frozen=True)
class Pair:
    """A synthetic image and its nearest training image, by their positions; `ratio` as in `Memorization`."""

    fake: int
    train: int
    ratio: float


@dataclass(frozen=True)
class Memorization:
    """Distances of synthetic images to the training images, beside those of held-out real images.

    Attributes:
        c_t: z-score of the rank test; far below 0 copies, far above 0 strays from the training images. None when
            there are too few images.
        c_t_cells: The same within cells of the training images, averaged by the held-out images in each, which sees
            copying that is confined to a region; None where the counts do not allow it.
        p_value: Chance of a `c_t` this low for a generator as far from its training images as unseen real ones are.
        index: (M,) nearest training image of each synthetic one.
        distance: (M,) to it.
        ratio: (M,) distance over the median distance of held-out real images; near 0 is a copy.
        reference: That median.
        share_copies: Share of synthetic images with a ratio below `COPY_RATIO`.
        share_expected: Share of held-out real images below it.
        copies: Whether the test says that training images are copied.
        verdict: What that means, in words.
        why: Why there is no test; empty when there is one.
    """

    c_t: float | None
    c_t_cells: float | None
    p_value: float | None
    index: NDArray[np.intp]
    distance: NDArray[np.float64]
    ratio: NDArray[np.float64]
    reference: float
    share_copies: float
    share_expected: float
    copies: bool
    verdict: str
    why: str = ""

    def closest(self, count: int = 8) -> list[Pair]:
        """The synthetic images nearest to a training image, the nearest first."""
        order = np.argsort(self.ratio, kind="stable")[:count]
        return [Pair(int(i), int(self.index[i]), float(self.ratio[i])) for i in order]

    def to_dict(self) -> dict[str, Any]:
        """Everything but the single images."""
        return {key: value for key, value in asdict(self).items() if key not in ("index", "distance", "ratio")}


def memorization(
    *, train: NDArray[Any], test: NDArray[Any], fake: NDArray[Any], seed: int = 0, cells: int | None = None
) -> Memorization:
    """Tests whether synthetic images lie nearer to the training images than unseen real images do.

    The test assumes that training and held-out images are drawn alike: no part in both, and the kinds mixed alike. It
    sees what the features see: those of a classification network are moved far by a little noise or blur, with which
    a copy escapes; `metrics.looks.look_alikes` is for such copies.

    Args:
        train: (T, D) features of the images that the generator was trained on.
        test: (R, D) features of real images that it has not seen.
        fake: (M, D) features of its images.
        seed: Of the cells.
        cells: Number of cells; None for as many as leave about 25 held-out images in each, 5 at most.

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
    by_cell = _by_cell(train, test, fake, unseen, distance, seed, cells)
    table = [[int(close.sum()), int((~close).sum())], [int(expected.sum()), int((~expected).sum())]]
    # The rank test sees images that are nearer on the whole; a few copies among many others show in the share only.
    some = float(stats.fisher_exact(table, alternative="greater")[1]) < _SIGNIFICANT_SHARE
    copies = p_value < _SIGNIFICANT or some or (by_cell is not None and float(stats.norm.cdf(by_cell)) < _SIGNIFICANT)
    verdict = _verdict(copies, shares[0], c_t)
    return Memorization(c_t, by_cell, p_value, index, distance, ratio, reference, *shares, copies, verdict)


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
    squares = np.square(targets).sum(axis=1)
    index = np.empty(len(points), np.intp)
    distance = np.empty(len(points), np.float64)
    for start in range(0, len(points), rows):
        part = points[start : start + rows].astype(np.float64) - center
        best = np.argmin(squares - 2 * part @ targets.T, axis=1)
        index[start : start + rows] = best
        # By differences once more: the product loses the small distances, which are those of copies.
        distance[start : start + rows] = np.linalg.norm(part - targets[best], axis=1)
    return index, distance


def _by_cell(
    train: NDArray[Any],
    test: NDArray[Any],
    fake: NDArray[Any],
    unseen: NDArray[np.float64],
    distance: NDArray[np.float64],
    seed: int,
    cells: int | None,
) -> float | None:
    """C_T (Meehan et al. 2020, sec. 3.2): the score in each cell of the training images, weighted by held-out ones."""
    count = min(5, len(test) // 25) if cells is None else cells
    if count < 2 or len(train) < count:
        return None
    means = KMeans(count, n_init=4, random_state=seed_for(seed, "memorisation") % 2**32).fit(train.astype(np.float64))
    of_test, of_fake = means.predict(test.astype(np.float64)), means.predict(fake.astype(np.float64))
    scores, weights = [], []
    for cell in range(count):
        here, there = distance[of_fake == cell], unseen[of_test == cell]
        if min(len(here), len(there)) >= _CELL_LEAST:
            scores.append(copying_score(there, here))
            weights.append(len(there))
    return float(np.average(scores, weights=weights)) if scores else None


def _verdict(copies: bool, share: float, c_t: float) -> str:
    if copies:
        return f"training images are copied: {share:.0%} near-copies, C_T = {c_t:.1f}"
    if c_t > 3:
        return f"no copying found; the images lie farther from the training images than real ones do (C_T = {c_t:.1f})"
    return f"no copying found (C_T = {c_t:.1f})"
