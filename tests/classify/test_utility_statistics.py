"""Scores and tests against references, and the verdict's rule."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from scipy.stats import wilcoxon
from sklearn.metrics import average_precision_score

from classify.utility.analysis.scores import (
    Resamples,
    average_precision,
    best_threshold,
    difference,
    holm,
    least_p,
    recall_at,
    resampled_precision,
    score_dict,
    signed_rank,
)
from classify.utility.analysis.verdict import HELPS, HURTS, NO_EVIDENCE, verdict_of
from defects.sample import GOOD, Sample


def sorted_precision(scores: np.ndarray, labels: np.ndarray) -> float:
    """Average precision in closed form: the mean, over the defective ones, of the precision at their rank."""
    above = scores[None] >= scores[labels][:, None]
    return float(((above & labels).sum(axis=1) / above.sum(axis=1)).mean())


def pairs_in_order(scores: np.ndarray, labels: np.ndarray) -> float:
    """AUROC in closed form: the share of pairs that are ranked rightly, ties counting half."""
    apart = scores[labels][:, None] - scores[~labels][None]
    return float((apart > 0).mean() + (apart == 0).mean() / 2)


def test_scores_with_ties_equal_the_closed_forms() -> None:
    rng = np.random.default_rng(0)
    for _ in range(20):
        scores = np.round(rng.normal(size=40), 1)
        labels = rng.random(40) < 0.3
        labels[:2] = True, False
        values = score_dict(scores, ["pit" if label else None for label in labels], float(np.median(scores)))
        assert average_precision(scores, labels) == pytest.approx(sorted_precision(scores, labels))
        assert values["auroc"] == pytest.approx(pairs_in_order(scores, labels), abs=1e-6)
        called = scores > np.median(scores)
        assert values["f1"] == pytest.approx(2 * (called & labels).sum() / (called.sum() + labels.sum()), abs=1e-6)
        assert values["accuracy"] == pytest.approx((called == labels).mean(), abs=1e-6)
        reached = [(labels & (scores >= s)).sum() for s in scores if labels[scores >= s].mean() >= 0.95]
        assert recall_at(scores, labels) == pytest.approx(max(reached, default=0) / labels.sum())


def test_the_threshold_is_halfway_below_the_scores_of_the_highest_f1() -> None:
    rng = np.random.default_rng(4)
    for _ in range(20):
        scores = np.round(rng.normal(size=30), 1)
        labels = rng.random(30) < 0.4
        labels[:2] = True, False
        levels = np.unique(scores)
        middles = np.concatenate([[levels[0] - 1.0], (levels[1:] + levels[:-1]) / 2])
        true = (scores[labels][None] > middles[:, None]).sum(axis=1)
        called = (scores[None] > middles[:, None]).sum(axis=1)
        assert best_threshold(scores, labels) == middles[int(np.argmax(2 * true / (called + labels.sum())))]


def test_weights_count_images_as_if_they_were_there_as_often() -> None:
    rng = np.random.default_rng(1)
    scores, labels = rng.normal(size=12), np.arange(12) % 3 == 0
    weights = rng.integers(0, 3, (5, 12)).astype(float)
    weights[:, 0] = 1
    values = resampled_precision(scores, labels, weights)
    for row, value in zip(weights.astype(int), values, strict=True):
        assert value == pytest.approx(average_precision_score(np.repeat(labels, row), np.repeat(scores, row)))


def test_threshold_and_recall_of_a_perfect_and_of_a_poor_ranking() -> None:
    labels = np.asarray([True, True, False, False])
    perfect = np.asarray([4.0, 3.0, 2.0, 1.0])
    assert best_threshold(perfect, labels) == 2.5
    assert recall_at(perfect, labels) == 1.0
    assert recall_at(-perfect, labels) == 0.0
    values = score_dict(perfect, ["pit", "crack", None, None], 3.5)
    assert values["f1"] == pytest.approx(2 / 3, abs=1e-6)
    assert values["recall_of"] == {"crack": 0.0, "pit": 1.0}


def test_signed_rank_is_scipys_exact_one_without_ties() -> None:
    rng = np.random.default_rng(2)
    for count in (5, 8, 20):
        values = rng.normal(0.4, 1, count)
        assert signed_rank(values.tolist()) == pytest.approx(wilcoxon(values, method="exact").pvalue)


def test_signed_rank_with_ties_counts_all_signs() -> None:
    values = [1.0, 1.0, -1.0, 2.0, 0.0]
    signs = np.asarray(np.meshgrid(*[[0, 1]] * 4)).reshape(4, -1).T
    sums = signs @ np.asarray([2.0, 2.0, 2.0, 4.0])
    expected = 2 * min((sums <= 8).mean(), (sums >= 8).mean())
    assert signed_rank(values) == pytest.approx(min(1, expected))
    assert signed_rank([0.0, 0.0]) == 1.0


def test_five_pairs_cannot_be_significant() -> None:
    assert least_p(5) == signed_rank([1, 2, 3, 4, 5]) == 0.0625
    assert holm([0.0625, 0.5]) == [0.125, 0.5]


def _test_set() -> list[Sample]:
    return [Sample(f"{i}", Path("x"), label="pit" if i < 20 else GOOD, group=f"g{i // 2}") for i in range(60)]


def test_resamples_draw_whole_parts_and_keep_defects() -> None:
    resamples = Resamples(_test_set(), count=50)
    assert (resamples.weights[:, 0::2] == resamples.weights[:, 1::2]).all()
    assert (resamples.weights[:, :20].sum(axis=1) == 20).all()
    assert (resamples.weights.sum(axis=1) == 60).all()


def test_interval_widens_with_few_parts_and_covers_no_difference() -> None:
    rng = np.random.default_rng(3)
    samples = _test_set()
    labels = np.asarray([sample.label != GOOD for sample in samples])
    resamples = Resamples(samples, count=400)
    base = [labels + rng.normal(0, 1, 60) for _ in range(6)]
    better = [scores + 0.8 * labels for scores in base]
    noise = [scores + rng.normal(0, 0.3, 60) for scores in base]

    def measured(trials: list[np.ndarray]) -> np.ndarray:
        return np.stack([resamples.precision_of(trial) for trial in trials])[None]

    gain = difference(measured(better), measured(base), resamples)
    assert gain.low > 0
    assert gain.p_value == pytest.approx(2 / 64)
    none = difference(measured(noise), measured(base), resamples)
    assert none.low < 0 < none.high
    same = difference(measured(base), measured(base), resamples)
    assert (same.value, same.low, same.high, same.p_value) == (0, 0, 0, 1.0)


def test_verdict_needs_interval_and_test_in_one_direction() -> None:
    from classify.utility.analysis.scores import Difference

    above, below = Difference(0.1, 0.02, 0.2, (0.1,), 0.01), Difference(-0.1, -0.2, -0.02, (-0.1,), 0.01)
    assert verdict_of(above, 0.01, 1) == HELPS
    assert verdict_of(above, 0.06, 1) == NO_EVIDENCE
    assert verdict_of(below, 0.01, -1) == HURTS
    assert verdict_of(below, 0.01, 1) == NO_EVIDENCE
    assert verdict_of(Difference(0.1, -0.01, 0.2, (0.1,), 0.01), 0.01, 1) == NO_EVIDENCE
