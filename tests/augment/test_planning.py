"""Which image is in which split, how many of each source, and which are selected first."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest

from augment.mixing.holdout import split_real
from augment.mixing.planning import count_to_level, counts_for, make_plan, select
from augment.mixing.request import Request, named_folders, parse_ratio
from augment.mixing.sources import GeneratorSplit
from defects.sample import Sample
from tests.builders.errors import raises
from tests.builders.mixing import provenance, real_images, synthetic_images


def _samples(groups: int = 8, each: int = 3) -> list[Sample]:
    return [
        Sample(f"{label}{group}_{i}", Path(f"{label}{group}_{i}.png"), label=label, group=f"{label}{group}")
        for label in ("good", "crack", "pit")
        for group in range(groups)
        for i in range(each)
    ]


def test_no_group_is_in_two_splits_and_every_class_in_each() -> None:
    parts = split_real(_samples(), {"val": 0.2, "test": 0.2}, 0).samples
    groups = [{sample.part for sample in parts[name]} for name in ("train", "val", "test")]
    assert not groups[0] & groups[1]
    assert not groups[0] & groups[2]
    assert not groups[1] & groups[2]
    assert all({sample.label for sample in part} == {"good", "crack", "pit"} for part in parts.values())


def test_the_generators_held_out_groups_validate_and_test_and_its_training_images_train() -> None:
    samples = _samples()
    test = {s.name for s in samples if s.part.endswith(("6", "7"))}
    hashes = {s.name: f"hash of {s.name}" for s in samples}
    trained = frozenset(hashes[s.name] for s in samples if s.part.endswith(("0", "1")))
    found = split_real(
        samples, {"val": 0.1, "test": 0.2}, 0, known=GeneratorSplit(frozenset(test), trained), hashes=hashes
    )
    held_out = {s.name for s in (*found.samples["val"], *found.samples["test"])}
    assert held_out == test
    assert found.samples["val"]


def test_a_group_of_which_one_image_was_trained_on_trains_as_a_whole() -> None:
    samples = _samples(each=2)
    hashes = {s.name: s.name for s in samples}
    trained = frozenset(s.name for s in samples if s.name.endswith("_0") and s.part[-1] in "0123")
    found = split_real(samples, {"val": 0.0, "test": 0.2}, 0, known=GeneratorSplit(frozenset(), trained), hashes=hashes)
    assert all(s.part[-1] in "4567" for s in found.samples["test"])
    assert found.samples["test"]


def test_a_generator_trained_on_every_group_leaves_nothing_to_test_on() -> None:
    samples = _samples()
    hashes = {s.name: s.name for s in samples}
    known = GeneratorSplit(frozenset(), frozenset(hashes.values()))
    with raises("E-mix-no-held-out-images", "train it again"):
        split_real(samples, {"val": 0.1, "test": 0.2}, 0, known=known, hashes=hashes)


def test_a_class_of_one_group_is_an_error_with_a_way_out() -> None:
    samples = [*_samples(), *(Sample(f"rare{i}", Path(f"r{i}"), label="rare", group="only") for i in range(3))]
    with raises("E-mix-rare-class", r"rare \(3 images\).*--val 0 --test 0"):
        split_real(samples, {"val": 0.1, "test": 0.2}, 0)
    assert len(split_real(samples, {"val": 0, "test": 0}, 0).samples["train"]) == len(samples)


def test_a_ratio_gives_exact_counts() -> None:
    there = {"real": 30, "synthetic": 100, "pasted": 40}
    assert counts_for((1, 2), there) == {"real": 30, "synthetic": 60, "pasted": 0}
    assert counts_for((1, 2, 0.5), there) == {"real": 30, "synthetic": 60, "pasted": 15}
    assert counts_for((0, 2, 1), there) == {"real": 0, "synthetic": 80, "pasted": 40}
    assert counts_for((), there) == there


def test_a_ratio_that_cannot_be_met_names_one_that_can() -> None:
    there = {"real": 30, "synthetic": 20, "pasted": 0}
    with raises("E-mix-too-few-images", r"30 real.*need 60 synthetic.*there are 20; generate 40 more.*--ratio 1:0.666"):
        counts_for((1, 2), there)
    assert counts_for((1, 0.666), there)["synthetic"] == 20


@pytest.mark.parametrize("text", ["1", "a:b", "1:-1", "0:0", "1:2:3:4", "1:nan"])
def test_what_is_no_ratio_is_an_error(text: str) -> None:
    with raises("E-mix-bad-ratio"):
        parse_ratio(text)


def test_empty_strata_are_filled_first() -> None:
    keys = ["a"] * 50 + ["b"] * 50 + ["c"] * 3
    taken = select(keys, 20, keys=keys, start={"a": 10, "b": 0, "c": 0}, seed=1)
    assert Counter(taken) == {"b": 13, "c": 3, "a": 4}
    assert Counter(select(keys, 6, keys=keys, start={"a": 10, "b": 0, "c": 0})) == {"b": 3, "c": 3}


def test_without_a_ratio_every_stratum_is_filled_up_to_the_fullest() -> None:
    keys = ["a"] * 50 + ["b"] * 50 + ["c"] * 3
    assert count_to_level(keys, {"a": 10, "b": 2, "c": 0}) == 8 + 3


def test_the_same_seed_takes_the_same_and_another_seed_others() -> None:
    items = list(range(100))
    assert select(items, 10, seed=1, name="x") == select(items, 10, seed=1, name="x")
    assert select(items, 10, seed=1, name="x") != select(items, 10, seed=2, name="x")


def test_folders_are_named_and_clashing_names_are_errors() -> None:
    assert named_folders(["a/b"]) == {"synthetic": Path("a/b")}
    assert named_folders(["g1=a/b", "c/d"]) == {"g1": Path("a/b"), "d": Path("c/d")}
    for values in (["x=a", "X=b"], ["real=a"], ["a/s", "b/s"]):
        with raises("E-mix-folder-name"):
            named_folders(values)


def test_synthetic_and_pasted_images_only_train(tmp_path: Path) -> None:
    real, synthetic = real_images(tmp_path / "real"), synthetic_images(tmp_path / "synthetic")
    pasted = synthetic_images(tmp_path / "pasted", source="pasted", seed=3)
    plan = make_plan(Request(real, {"gan": synthetic}, pasted, check="files"))
    assert {item.source for item in plan.items["train"]} == {"real", "synthetic", "pasted"}
    assert {item.source for name in ("val", "test") for item in plan.items[name]} == {"real"}


def test_the_crops_are_the_generators_and_both_read_alike(tmp_path: Path) -> None:
    real = real_images(tmp_path / "real")
    synthetic = provenance(synthetic_images(tmp_path / "synthetic", size=24), size=24)
    plan = make_plan(Request(real, {"gan": synthetic}, check="files"))
    shapes = {plan.cropper.read(item.sample)[0].shape for items in plan.items.values() for item in items}
    assert shapes == {(24, 24, 1)}


def test_images_stay_whole_with_native(tmp_path: Path) -> None:
    plan = make_plan(Request(real_images(tmp_path / "real"), native=True, check="files"))
    assert {plan.cropper.read(item.sample)[0].shape for item in plan.items["test"]} == {(40, 48, 1)}


def test_balance_fills_classes_up_with_synthetic_images(tmp_path: Path) -> None:
    real = real_images(tmp_path / "real")
    synthetic = synthetic_images(tmp_path / "synthetic", 30, classes=("crack", "pit", "crack"))
    plan = make_plan(Request(real, {"gan": synthetic}, ratio=(1, 0.5), balance=("class", "size"), check="files"))
    assert plan.fill is not None
    assert sum(plan.fill.after.values()) - sum(plan.fill.before.values()) == sum(
        item.source == "synthetic" for item in plan.items["train"]
    )
    assert min(plan.fill.before.values()) == 0
    assert min(plan.fill.after.values()) > 0
