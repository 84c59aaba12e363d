"""How often an epoch sees each source, whatever the number of files."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest

from augment.mixing.dataset import rank_indices
from augment.mixing.plan import EpochSampling, check_sampling_weights, whole_draws
from engine.errors import UsageError

MEMBERS = {"real": list(range(30)), "synthetic": list(range(30, 330)), "pasted": list(range(330, 340))}
SHARES = {"real": 0.5, "synthetic": 0.3, "pasted": 0.2}


def _source(index: int, variants: int = 1) -> str:
    return next(name for name, numbers in MEMBERS.items() if index // variants in numbers)


def test_an_epoch_has_the_requested_share_of_each_source_whatever_the_files() -> None:
    sequence = EpochSampling(MEMBERS, SHARES, 100).epoch(0)
    assert Counter(_source(i) for i in sequence) == {"real": 50, "synthetic": 30, "pasted": 20}


def test_no_image_comes_again_before_all_of_its_source_came() -> None:
    sampling = EpochSampling(MEMBERS, SHARES, 100)
    trained = Counter(int(i) for epoch in range(6) for i in sampling.epoch(epoch))
    assert {trained[i] for i in MEMBERS["real"]} == {10}
    assert {trained[i] for i in MEMBERS["pasted"]} == {12}
    assert {trained[i] for i in MEMBERS["synthetic"]} <= {0, 1}


def test_epochs_can_be_computed_in_any_order_and_differ() -> None:
    sampling = EpochSampling(MEMBERS, SHARES, 90, variants=3, seed=4)
    late = sampling.epoch(5)
    assert not np.array_equal(late, sampling.epoch(4))
    assert np.array_equal(late, sampling.epoch(5))
    assert not np.array_equal(late, EpochSampling(MEMBERS, SHARES, 90, variants=3, seed=5).epoch(5))


def test_every_version_of_an_image_gets_its_turn() -> None:
    sampling = EpochSampling({"real": list(range(10))}, {"real": 1.0}, 10, variants=4)
    trained = Counter(int(i) for epoch in range(4) for i in sampling.epoch(epoch))
    assert trained == dict.fromkeys(range(40), 1)


def test_ranks_draw_equally_many_and_together_the_whole_epoch() -> None:
    sequence = EpochSampling(MEMBERS, SHARES, 101).epoch(2)
    parts = [rank_indices(sequence, rank, 4) for rank in range(4)]
    assert {len(part) for part in parts} == {26}
    assert Counter(np.concatenate(parts)) - Counter(sequence.tolist()) == Counter(sequence[:3].tolist())
    with pytest.raises(ValueError, match="expected a rank from 0 to 3"):
        rank_indices(sequence, 4, 4)


def test_draws_are_whole_and_sum_to_the_epoch() -> None:
    assert whole_draws({"a": 1 / 3, "b": 1 / 3, "c": 1 / 3}, 100) == {"a": 34, "b": 33, "c": 33}
    assert whole_draws({"a": 0.0, "b": 1.0}, 7) == {"a": 0, "b": 7}


@pytest.mark.parametrize(
    ("weights", "text"),
    [
        ({"real": 0.5, "synthetic": 0.4}, "sum to 0.9"),
        ({"real": 1.0}, "synthetic is not named"),
        ({"real": 0.5, "synthetic": 0.3, "pasted": 0.2}, "there is no pasted image"),
        ({"real": 1.5, "synthetic": -0.5}, "is no share"),
    ],
)
def test_shares_that_make_no_sense_are_refused(weights: dict[str, float], text: str) -> None:
    with pytest.raises(UsageError, match=text):
        check_sampling_weights(weights, {"real": 3, "synthetic": 4, "pasted": 0})
