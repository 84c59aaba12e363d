from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from defects.provenance import image_hashes
from defects.sample import Sample
from engine.errors import UsageError
from metrics.data.held_out import divide
from tests.builders.errors import raises


@pytest.fixture
def real(tmp_path: Path) -> list[Sample]:
    """Eight images, two of each part; six cracks and two good ones."""
    samples = []
    for index in range(8):
        path = tmp_path / f"{index}.png"
        path.write_bytes(bytes([index]) * 8)
        label = "good" if index >= 6 else "crack"
        samples.append(Sample(name=f"r{index}", image=path, mask=path, label=label, group=f"part{index // 2}"))
    return samples


def names(samples: list[Sample]) -> list[str]:
    return [sample.name for sample in samples]


def test_training_images_are_refused_with_their_number_and_a_way_out(real: list[Sample]) -> None:
    hashes = image_hashes(real)
    trained = {"magna": frozenset(hashes[:3]), "other": frozenset(hashes[:1])}
    with pytest.raises(UsageError) as caught:
        divide(real, trained)
    assert str(caught.value) == (
        "--real: its 8 images hold 3 that magna was trained on, 1 that other was trained on; leave them out by "
        "--held-out, or score against them all the same by --allow-trained"
    )


def test_a_renamed_copy_in_another_folder_is_known(real: list[Sample], tmp_path: Path) -> None:
    trained = {"magna": frozenset(image_hashes(real)[:1])}
    copy = tmp_path / "elsewhere" / "renamed.png"
    copy.parent.mkdir()
    shutil.copy(real[0].image, copy)
    with raises("E-held-out-leak", "hold 1 that magna was trained on"):
        divide([Sample(name="x", image=copy, mask=copy, label="crack"), *real[4:]], trained)


def test_a_stale_hash_in_the_manifest_hides_nothing(real: list[Sample]) -> None:
    hashes = image_hashes(real)
    stale = [Sample(s.name, s.image, s.mask, label=s.label, metadata={"sha256": "0" * 64}) for s in real]
    with raises("E-held-out-leak", "hold 2 that magna"):
        divide(stale, {"magna": frozenset(hashes[:2])})


def test_held_out_leaves_training_images_and_their_parts_out(real: list[Sample]) -> None:
    division = divide(real, {"magna": frozenset(image_hashes(real)[:3])}, held_out=True)
    assert names(division.real) == ["r4", "r5", "r6", "r7"]
    assert names(division.train) == ["r0", "r1", "r2"]
    assert names(division.held) == names(division.real)
    assert names(division.training_images["magna"]) == ["r0", "r1", "r2"]
    assert division.leaked == 0
    assert not division.halved
    assert "1 real images show the same part as a training image and were left out with it" in division.notes


def test_allowed_training_images_are_counted(real: list[Sample]) -> None:
    division = divide(real, {"magna": frozenset(image_hashes(real)[:4])}, allow_trained=True)
    assert division.leaked == 4
    assert len(division.real) == 8
    assert names(division.held) == ["r4", "r5", "r6", "r7"]
    assert "every score looks better than it is" in division.notes[0]


def test_without_training_images_the_real_ones_are_halved_by_part(real: list[Sample]) -> None:
    division = divide(real, {"magna": None})
    assert division.halved
    assert {s.part for s in division.train}.isdisjoint({s.part for s in division.held})
    assert len(division.train) + len(division.held) == 8
    assert division.training_images == {"magna": []}
    assert "it cannot be checked that the real images are new to it" in division.notes[0]


def test_training_images_given_apart(real: list[Sample]) -> None:
    division = divide(real[4:], {"magna": None}, train=real[:4])
    assert names(division.train) == ["r0", "r1", "r2", "r3"]
    assert names(division.training_images["magna"]) == ["r0", "r1", "r2", "r3"]
    assert names(division.held) == ["r4", "r5", "r6", "r7"]
    assert division.notes == []


def test_training_images_given_apart_are_refused_among_the_real_ones(real: list[Sample]) -> None:
    with raises("E-held-out-leak"):
        divide(real, {"magna": None}, train=real[:2])


def test_one_part_in_training_and_in_real_is_noted(real: list[Sample]) -> None:
    division = divide(real[1:], {"magna": None}, train=real[:1])
    assert "1 real images show the same part as a training image and are compared all the same" in division.notes[0]
    assert "r1" not in names(division.held)


def test_each_source_has_its_own_training_images(real: list[Sample]) -> None:
    hashes = image_hashes(real)
    division = divide(real, {"a": frozenset(hashes[:2]), "b": frozenset(hashes[2:4]), "c": None}, held_out=True)
    assert {name: names(training_images) for name, training_images in division.training_images.items()} == {
        "a": ["r0", "r1"],
        "b": ["r2", "r3"],
        "c": [],
    }


def test_missing_training_images_are_noted(real: list[Sample]) -> None:
    division = divide(real, {"a": frozenset([*image_hashes(real)[:2], "f" * 64])}, held_out=True)
    assert "a: 2 of its 3 training images are at hand; near-duplicates of the others go unnoticed" in division.notes


def test_held_out_without_any_knowledge_is_refused(real: list[Sample]) -> None:
    with raises("E-held-out-unknown"):
        divide(real, {"magna": None}, held_out=True)


def test_both_flags_exclude_one_another(real: list[Sample]) -> None:
    with raises("E-bench-flags"):
        divide(real, {"magna": None}, held_out=True, allow_trained=True)


def test_nothing_left_is_refused(real: list[Sample]) -> None:
    with raises("E-held-out-too-few"):
        divide(real, {"magna": frozenset(image_hashes(real))}, held_out=True)


def test_a_file_that_has_vanished_is_refused(real: list[Sample]) -> None:
    real[0].image.unlink()
    with raises("E-image-unreadable"):
        divide(real, {"magna": None})
