"""Which cells of a utility bench can be computed."""

from __future__ import annotations

from classify.utility.design.few_shot import reachable
from classify.utility.design.trials import PASTED, Arm, cells_of


def test_a_share_that_is_no_whole_number_does_not_want_for_images_that_are_made_as_needed() -> None:
    arm = Arm(classical=True, made=(PASTED, "magna", "blend"))
    cells = cells_of([arm], [1], [5], range(2))
    kept, left_out = reachable(cells, {"magna": 2, "blend": 2}, 40)
    assert (kept, left_out) == (cells, [])


def test_a_source_with_too_few_images_is_named_with_both_numbers() -> None:
    arm = Arm(made=("magna",))
    kept, left_out = reachable(cells_of([arm], [2], [5], range(2)), {"magna": 7}, 40)
    assert kept == []
    assert left_out == ["ratio 2 at 5 defective images needs 10 images of magna, which has 7: left out"]
