"""Which trials of a comparison can be computed."""

from __future__ import annotations

from classify.utility.design.trials import PASTED, Arm, reachable, trials_of


def test_a_share_that_is_no_whole_number_lacks_no_images_that_are_pasted_on_the_fly() -> None:
    arm = Arm(classical=True, sources=(PASTED, "magna", "blend"))
    trials = trials_of([arm], [1], [5], range(2))
    reached, left_out = reachable(trials, {"magna": 2, "blend": 2}, 40)
    assert (reached, left_out) == (trials, [])


def test_a_source_with_too_few_images_is_named_with_both_numbers() -> None:
    arm = Arm(sources=("magna",))
    reached, left_out = reachable(trials_of([arm], [2], [5], range(2)), {"magna": 7}, 40)
    assert reached == []
    assert left_out == ["ratio 2 at 5 defective images needs 10 images of magna, which has 7: left out"]
