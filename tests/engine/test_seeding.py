"""Seeds: a function of their parts alone, and the global generators left alone."""

from __future__ import annotations

import random

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from engine.seeding import numpy_generator, seed_for, torch_generator

PARTS = st.lists(st.text(max_size=5) | st.integers(-3, 3), max_size=4)


def test_seeds_do_not_change_between_versions() -> None:
    assert seed_for(0) == 7520536977032167579
    assert seed_for(7, "MT_Crack/ü", 3) == 997821631125045957


@given(PARTS, PARTS)
def test_different_parts_give_different_seeds(first: list[str | int], second: list[str | int]) -> None:
    assert (seed_for(1, *first) == seed_for(1, *second)) == (first == second)
    assert 0 <= seed_for(1, *first) < 2**63


def test_generators_repeat_and_leave_the_global_ones_alone() -> None:
    before = (random.getstate(), np.random.get_state()[1].tolist(), torch.get_rng_state())  # noqa: NPY002
    assert np.array_equal(numpy_generator(1, "a").random(5), numpy_generator(1, "a").random(5))
    assert not np.array_equal(numpy_generator(1, "a").random(5), numpy_generator(1, "b").random(5))
    draws = [torch.rand(5, generator=torch_generator(1, name)) for name in ("a", "a", "b")]
    assert torch.equal(draws[0], draws[1])
    assert not torch.equal(draws[0], draws[2])
    assert random.getstate() == before[0]
    assert np.random.get_state()[1].tolist() == before[1]  # noqa: NPY002
    assert torch.equal(torch.get_rng_state(), before[2])


def test_a_part_that_is_no_text_or_number_is_refused() -> None:
    with pytest.raises(TypeError):
        seed_for(1, object())  # type: ignore[arg-type]
