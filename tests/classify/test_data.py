"""What is held out stays held out: groups, synthetic images, leaks; and the sets that are rejected."""

from __future__ import annotations

from pathlib import Path

import pytest

from augment.cli.mix import app as mix_app
from classify.data.dataset import held_out, open_data, prepare
from classify.data.leaks import reject_trained
from defects.provenance import Provenance
from engine.commands import main
from engine.files.atomic import sha256_file, write_json
from tests.builders.classifiers import parts, prepared, tiny
from tests.builders.errors import raises

TILED = {"size": 16, "tile": {"side": 16, "overlap": 4, "pixels": 5}, "preset": None}


def groups(examples: object) -> set[str]:
    return {sample.group for sample in examples.samples}  # type: ignore[attr-defined]


def test_groups_and_the_tiles_of_a_image_are_in_one_split(tmp_path: Path) -> None:
    found = prepared(tmp_path, tiny(data=TILED), grouped=2)
    sets = [groups(examples) for examples in (found.train, found.val, found.test)]
    assert all(sets)
    assert sum(map(len, sets)) == len(set().union(*sets)) == 12


def test_the_record_names_every_training_image_and_what_is_held_out(tmp_path: Path) -> None:
    found = prepared(tmp_path)
    data = found.meta["data"]
    assert data["train_images"] == {s.name: sha256_file(s.image) for s in found.train.samples}
    assert sorted(data["train_images"].values()) == data["train_sha256"]
    assert data["test"] == sorted(s.name for s in found.test.samples)
    assert data["val"] == sorted(s.name for s in found.val.samples)
    assert data["counts"]["train"] == found.train.counts
    assert data["split_seed"] == 0


def test_another_seed_holds_other_images_out_and_the_same_the_same(tmp_path: Path) -> None:
    folder = open_data(parts(tmp_path))
    first, again = (prepare(folder, tiny()).meta["data"]["test"] for _ in range(2))
    other = prepare(folder, tiny(data={"split_seed": 1})).meta["data"]["test"]
    assert first == again != other


def test_synthetic_images_are_only_trained_on_and_never_of_a_group_that_is_held_out(tmp_path: Path) -> None:
    sources = ["real", "real", "synthetic", "pasted"] * 8
    found = prepared(tmp_path, labels=("crack", "good") * 16, sources=sources, grouped=4)
    assert {sample.source for sample in found.train.samples} == {"real", "synthetic", "pasted"}
    for part in (found.val, found.test):
        assert {sample.source for sample in part.samples} == {"real"}
        assert not groups(part) & groups(found.train)


def test_a_generator_trained_on_a_held_out_image_is_rejected(tmp_path: Path) -> None:
    folder = open_data(parts(tmp_path))
    test = prepare(folder, tiny()).meta["data"]["test_sha256"]
    output = Provenance("0" * 64, 32, 3, train_sha256=frozenset(test[:1]))
    write_json(tmp_path / "generator.json", output.to_dict())
    with raises("E-classify-leak", r"generator was trained on 1 of the .* held-out images"):
        prepare(folder, tiny())


@pytest.mark.parametrize("column", ["ground", "defect", "original_sha256"])
def test_an_image_pasted_from_a_held_out_image_is_rejected(tmp_path: Path, column: str) -> None:
    test = prepared(tmp_path / "before").meta["data"]["test_sha256"][0]
    value = test if column == "original_sha256" else {"sha256": test, "name": "x"}
    labels = [*("crack", "good") * 12, "crack"]
    sources = ["real"] * 24 + ["pasted"]
    with raises("E-classify-leak", "the held-out part_"):
        prepared(tmp_path / "after", labels=labels, sources=sources, columns={24: {column: value}})


def test_images_only_can_be_held_out(tmp_path: Path) -> None:
    with raises("E-classify-no-real-images"):
        prepared(tmp_path, sources=["synthetic"] * 24)


def test_one_class_only_is_rejected(tmp_path: Path) -> None:
    with raises("E-classify-one-class", r"one class only \(24 good\)"):
        prepared(tmp_path, labels=["good"] * 24)


def test_a_class_without_training_images_is_rejected(tmp_path: Path) -> None:
    with raises("E-classify-empty-class", "train holds no pit"):
        prepared(
            tmp_path,
            tiny("classes", data={"test_fraction": 0.6}),
            labels=[*("crack", "good") * 11, "pit", "pit"],
            grouped=2,
        )


def test_too_small_a_set_is_rejected(tmp_path: Path) -> None:
    with raises("E-classify-too-few-groups"):
        prepared(tmp_path / "two", labels=("crack", "good"))
    with raises("E-classify-empty-class"):
        prepared(tmp_path / "few", labels=("crack", "good", "good", "good"))


def test_the_held_out_images_are_found_again_and_trained_ones_are_rejected(tmp_path: Path) -> None:
    folder = open_data(parts(tmp_path))
    found = prepare(folder, tiny())
    again = held_out(folder, tiny(), found.classes, found.meta)
    assert [s.name for s in again.samples] == found.meta["data"]["test"]
    assert again.labels.tolist() == found.test.labels.tolist()
    with raises("E-classify-leak", r"trained on \d+ of 24 images"):
        reject_trained(folder.samples, found.meta)
    named = {"data": found.meta["data"] | {"test": sorted(found.meta["data"]["train_images"])}}
    with raises("E-classify-leak", "was trained on"):
        held_out(folder, tiny(), found.classes, named)
    named = {"data": found.meta["data"] | {"test": ["part_99"]}}
    with raises("E-classify-other-folder"):
        held_out(folder, tiny(), found.classes, named)


def test_a_mixture_keeps_its_own_split_and_sampling(tmp_path: Path) -> None:
    real = parts(tmp_path / "real")
    mixed = tmp_path / "mixed"
    command = ["--real", str(real), "--out", str(mixed), "--augment", "flips", "--size", "32", "--val", "0.2"]
    assert (
        main(
            mix_app, [*command, "--sampling-weights", "real=1", "--epoch", "7", "--check", "files"], name="mix-defects"
        )
        == 0
    )
    found = prepare(open_data(mixed), tiny())
    assert all(s.image.is_relative_to(mixed / "val") for s in found.val.samples)
    assert found.train.sampling is not None
    assert found.train.sampling.length == 7
    originals = {sha256_file(path) for path in (real / "images").iterdir()}
    assert originals & set(found.meta["data"]["train_sha256"])
    with raises("E-classify-leak", "was trained on"):
        reject_trained(open_data(real).samples, found.meta)
