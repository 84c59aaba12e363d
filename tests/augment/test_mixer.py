"""What goes where, how many of each source, and which are taken first."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest

from augment.mixing.planning import make_plan
from augment.mixing.request import Request, named_folders, parse_ratio
from augment.mixing.selection import choose, counts_for, level_up
from augment.mixing.splits import KnownSplit, assign
from defects.sample import Sample
from engine.errors import DataError, UsageError
from tests.augment.mixing import generated, photographs, provenance


def _samples(groups: int = 8, each: int = 3) -> list[Sample]:
    return [
        Sample(f"{label}{group}_{i}", Path(f"{label}{group}_{i}.png"), label=label, group=f"{label}{group}")
        for label in ("good", "crack", "pit")
        for group in range(groups)
        for i in range(each)
    ]


def test_no_group_is_in_two_splits_and_every_kind_in_each() -> None:
    parts = assign(_samples(), {"val": 0.2, "test": 0.2}, 0).parts
    groups = [{sample.part for sample in parts[name]} for name in ("train", "val", "test")]
    assert not groups[0] & groups[1]
    assert not groups[0] & groups[2]
    assert not groups[1] & groups[2]
    assert all({sample.label for sample in part} == {"good", "crack", "pit"} for part in parts.values())


def test_the_generators_held_out_groups_validate_and_test_and_what_it_saw_trains() -> None:
    samples = _samples()
    test = {s.name for s in samples if s.part.endswith(("6", "7"))}
    hashes = {s.name: f"hash of {s.name}" for s in samples}
    seen = frozenset(hashes[s.name] for s in samples if s.part.endswith(("0", "1")))
    found = assign(samples, {"val": 0.1, "test": 0.2}, 0, known=KnownSplit(frozenset(test), seen), hashes=hashes)
    held = {s.name for s in (*found.parts["val"], *found.parts["test"])}
    assert held == test
    assert found.parts["val"]


def test_a_group_of_which_one_image_was_seen_trains_as_a_whole() -> None:
    samples = _samples(each=2)
    hashes = {s.name: s.name for s in samples}
    seen = frozenset(s.name for s in samples if s.name.endswith("_0") and s.part[-1] in "0123")
    found = assign(samples, {"val": 0.0, "test": 0.2}, 0, known=KnownSplit(frozenset(), seen), hashes=hashes)
    assert all(s.part[-1] in "4567" for s in found.parts["test"])
    assert found.parts["test"]


def test_a_generator_that_saw_every_part_leaves_nothing_to_test_on() -> None:
    samples = _samples()
    hashes = {s.name: s.name for s in samples}
    known = KnownSplit(frozenset(), frozenset(hashes.values()))
    with pytest.raises(DataError, match=r"has seen a picture of every part.*train it again"):
        assign(samples, {"val": 0.1, "test": 0.2}, 0, known=known, hashes=hashes)


def test_a_kind_of_one_group_is_refused_with_a_way_out() -> None:
    samples = [*_samples(), *(Sample(f"rare{i}", Path(f"r{i}"), label="rare", group="only") for i in range(3))]
    with pytest.raises(DataError, match=r"rare \(3 images\).*--val 0 --test 0"):
        assign(samples, {"val": 0.1, "test": 0.2}, 0)
    assert len(assign(samples, {"val": 0, "test": 0}, 0).parts["train"]) == len(samples)


def test_a_ratio_gives_exact_counts() -> None:
    there = {"real": 30, "synthetic": 100, "pasted": 40}
    assert counts_for((1, 2), there) == {"real": 30, "synthetic": 60, "pasted": 0}
    assert counts_for((1, 2, 0.5), there) == {"real": 30, "synthetic": 60, "pasted": 15}
    assert counts_for((0, 2, 1), there) == {"real": 0, "synthetic": 80, "pasted": 40}
    assert counts_for((), there) == there


def test_a_ratio_that_cannot_be_met_names_one_that_can() -> None:
    there = {"real": 30, "synthetic": 20, "pasted": 0}
    with pytest.raises(UsageError, match=r"30 real.*need 60 synthetic.*there are 20; make 40 more.*--ratio 1:0.666"):
        counts_for((1, 2), there)
    assert counts_for((1, 0.666), there)["synthetic"] == 20


@pytest.mark.parametrize("text", ["1", "a:b", "1:-1", "0:0", "1:2:3:4", "1:nan"])
def test_what_is_no_ratio_is_refused(text: str) -> None:
    with pytest.raises(UsageError, match="--ratio"):
        parse_ratio(text)


def test_empty_cells_are_filled_first() -> None:
    keys = ["a"] * 50 + ["b"] * 50 + ["c"] * 3
    taken = choose(keys, 20, keys=keys, start={"a": 10, "b": 0, "c": 0}, seed=1)
    assert Counter(taken) == {"b": 13, "c": 3, "a": 4}
    assert Counter(choose(keys, 6, keys=keys, start={"a": 10, "b": 0, "c": 0})) == {"b": 3, "c": 3}


def test_without_a_ratio_every_cell_is_brought_to_the_fullest() -> None:
    keys = ["a"] * 50 + ["b"] * 50 + ["c"] * 3
    assert level_up(keys, {"a": 10, "b": 2, "c": 0}) == 8 + 3


def test_the_same_seed_takes_the_same_and_another_seed_others() -> None:
    items = list(range(100))
    assert choose(items, 10, seed=1, name="x") == choose(items, 10, seed=1, name="x")
    assert choose(items, 10, seed=1, name="x") != choose(items, 10, seed=2, name="x")


def test_folders_are_named_and_clashing_names_refused() -> None:
    assert named_folders(["a/b"]) == {"synthetic": Path("a/b")}
    assert named_folders(["g1=a/b", "c/d"]) == {"g1": Path("a/b"), "d": Path("c/d")}
    for values in (["x=a", "X=b"], ["real=a"], ["a/s", "b/s"]):
        with pytest.raises(UsageError, match="--synthetic"):
            named_folders(values)


def test_made_images_only_train(tmp_path: Path) -> None:
    real, synthetic = photographs(tmp_path / "real"), generated(tmp_path / "synthetic")
    pasted = generated(tmp_path / "pasted", source="pasted", seed=3)
    plan = make_plan(Request(real, {"gan": synthetic}, pasted, check="files"))
    assert {item.source for item in plan.items["train"]} == {"real", "synthetic", "pasted"}
    assert {item.source for name in ("val", "test") for item in plan.items[name]} == {"real"}


def test_the_framing_is_the_generators_and_both_read_alike(tmp_path: Path) -> None:
    real = photographs(tmp_path / "real")
    synthetic = provenance(generated(tmp_path / "synthetic", size=24), size=24)
    plan = make_plan(Request(real, {"gan": synthetic}, check="files"))
    shapes = {plan.cutter.read(item.sample)[0].shape for items in plan.items.values() for item in items}
    assert shapes == {(24, 24, 1)}


def test_photographs_stay_whole_with_native(tmp_path: Path) -> None:
    plan = make_plan(Request(photographs(tmp_path / "real"), native=True, check="files"))
    assert {plan.cutter.read(item.sample)[0].shape for item in plan.items["test"]} == {(40, 48, 1)}


def test_balance_levels_kinds_up_with_synthetic_images(tmp_path: Path) -> None:
    real = photographs(tmp_path / "real")
    synthetic = generated(tmp_path / "synthetic", 30, kinds=("crack", "pit", "crack"))
    plan = make_plan(Request(real, {"gan": synthetic}, ratio=(1, 0.5), balance=("kind", "size"), check="files"))
    assert plan.fill is not None
    assert sum(plan.fill.after.values()) - sum(plan.fill.before.values()) == sum(
        item.source == "synthetic" for item in plan.items["train"]
    )
    assert min(plan.fill.before.values()) == 0
    assert min(plan.fill.after.values()) > 0
