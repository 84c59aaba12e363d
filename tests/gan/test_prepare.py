"""From a folder to crops: the split, the schema, the backgrounds, and what the checkpoint says of the data."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from defects.attributes.appearance import local_contrast
from defects.attributes.guide import CategoricalEntry, NumericEntry
from defects.formats.dataset import open_dataset
from defects.sample import GOOD
from engine.files.atomic import sha256_file
from gan.data.attributes import background_statistics, cluster_backgrounds
from gan.data.dataset import prepare, thinned
from tests.builders.errors import raises
from tests.builders.gan import dataset, part, prepared, sample_folder, tiny

CLASSES = ("crack", "pit") * 6 + (GOOD,) * 6


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("grouped", [1, 2, 3])
def test_no_group_is_both_trained_on_and_held_out(tmp_path: Path, seed: int, grouped: int) -> None:
    config = tiny(train={"seed": seed}, data={"test_fraction": 0.3, "good_per_defect": 1.0})
    result = prepared(tmp_path / "data", config, CLASSES, grouped=grouped)
    assert {s.group for s in result.train.samples}.isdisjoint({s.group for s in result.test})
    assert result.test


def test_held_out_images_are_named_in_the_description_and_their_hashes_are_not(tmp_path: Path) -> None:
    result = prepared(tmp_path / "data", tiny(data={"test_fraction": 0.3}), CLASSES, grouped=2)
    data = result.meta["data"]
    assert data["test"] == sorted(s.name for s in result.test)
    assert {sha256_file(s.image) for s in result.test}.isdisjoint(data["train_sha256"])
    assert set(data["train_sha256"]) == {sha256_file(s.image) for s in result.train.samples}
    assert (data["train"], data["defective"]) == (len(result.train), len(result.defective))


def test_the_local_contrast_of_every_training_defect_is_measured_at_the_networks_scale(tmp_path: Path) -> None:
    blend = {"architecture": "blend", "spectral": True}
    config = tiny(network=blend, data={"backgrounds": 1, "width_jitter": 1.0, "jitter_share": 0.0})
    result = prepared(tmp_path / "data", config, CLASSES)
    expected = [local_contrast(*result.train.scaled(index)) for index in result.defective]
    assert result.local_contrasts == expected
    assert len(expected) == len(result.table) == len(result.background_stats)
    assert prepare(dataset(tmp_path / "other", CLASSES), tiny()).local_contrasts == []


def test_nothing_is_held_out_where_nothing_shall_be(tmp_path: Path) -> None:
    result = prepared(tmp_path / "data", tiny(data={"test_fraction": 0.0}), CLASSES)
    assert result.test == []
    assert len(result.train) == len(CLASSES)


def test_the_same_seed_splits_the_same_and_another_one_differently(tmp_path: Path) -> None:
    opened = dataset(tmp_path / "data", CLASSES)
    names = [[s.name for s in prepare(opened, tiny(train={"seed": seed})).test] for seed in (0, 0, 1, 2, 3)]
    assert names[0] == names[1]
    assert any(names[0] != other for other in names[2:])


def test_the_schema_has_thickness_brightness_background_and_class_in_this_order(tmp_path: Path) -> None:
    result = prepared(tmp_path / "data", tiny(), CLASSES)
    assert result.schema.names == ("thickness", "brightness", "background", "kind")
    thickness = result.schema["thickness"]
    assert isinstance(thickness, NumericEntry)
    # A bar of 3 px becomes 2 or 3 rows of the crop, and its written skeleton may stand out of them by a pixel.
    assert (thickness.unit, thickness.low) == ("px", pytest.approx(3 * 32 / 40, abs=0.7))
    assert result.schema["kind"] == CategoricalEntry("kind", ("crack", "pit"))
    assert result.schema["background"] == CategoricalEntry("background", ("ground-1", "ground-2"))
    assert len(result.table) == len(result.defective)
    assert all(set(row) == set(result.schema.names) for row in result.table)


def test_backgrounds_are_named_apart_and_numbered_from_dark_to_bright(tmp_path: Path) -> None:
    result = prepared(tmp_path / "data", tiny(), CLASSES)
    for sample, columns in zip(result.train.samples, result.train.columns, strict=True):
        dark = int(sample.name[-2:]) % 2 == 1
        assert columns["background"] == ("ground-1" if dark else "ground-2")


def test_a_given_background_is_used_and_none_is_looked_for(tmp_path: Path) -> None:
    columns = {"background": [("steel", "zinc")[i % 3 == 0] for i in range(len(CLASSES))]}
    result = prepared(tmp_path / "data", tiny(), CLASSES, columns=columns)
    assert result.schema["background"] == CategoricalEntry("background", ("steel", "zinc"))


def test_a_value_known_on_good_parts_alone_is_unknown_to_the_schema_and_encodes_as_nothing(tmp_path: Path) -> None:
    columns = {"background": ["steel" if label != GOOD else "zinc" for label in CLASSES]}
    result = prepared(tmp_path / "data", tiny(data={"good_per_defect": 1.0}), CLASSES, columns=columns)
    assert result.schema["background"] == CategoricalEntry("background", ("steel",))
    crop = result.train.cut(result.good[0], None)
    assert not result.schema.encode(result.schema.scale(crop.guide)).any()


def test_one_class_or_classes_switched_off_give_no_entry_for_it(tmp_path: Path) -> None:
    assert "kind" not in prepared(tmp_path / "one", tiny(), ("crack",) * 6 + (GOOD,) * 2).schema.names
    assert "kind" not in prepared(tmp_path / "off", tiny(data={"kinds": False}), CLASSES).schema.names


def test_one_background_gives_no_entry_for_it(tmp_path: Path) -> None:
    assert "background" not in prepared(tmp_path / "data", tiny(data={"backgrounds": 1}), CLASSES).schema.names


def test_declared_columns_become_entries_numbers_and_words_alike(tmp_path: Path) -> None:
    columns = {
        "depth": [float(i) for i in range(len(CLASSES))],
        "line": [("a", "b")[i % 2] for i in range(len(CLASSES))],
    }
    result = prepared(tmp_path / "data", tiny(data={"columns": ("line", "depth")}), CLASSES, columns=columns)
    assert result.schema.names[-2:] == ("depth", "line")
    assert isinstance(result.schema["depth"], NumericEntry)
    assert result.schema["line"] == CategoricalEntry("line", ("a", "b"))


def test_a_declared_column_that_is_missing_is_named_with_its_image(tmp_path: Path) -> None:
    columns = {"depth": [None if i == 3 else 1.0 + i for i in range(len(CLASSES))]}
    config = tiny(data={"columns": ("depth",), "test_fraction": 0.0})
    with raises("E-data-missing-column", r"part_03\.png: no column 'depth', which the config declares a guide"):
        prepared(tmp_path / "data", config, CLASSES, columns=columns)


@pytest.mark.parametrize("classes", [(GOOD,) * 5, ("crack",) + (GOOD,) * 5])
def test_fewer_than_two_defects_are_too_few(tmp_path: Path, classes: tuple[str, ...]) -> None:
    with raises("E-train-few-images") as caught:
        prepared(tmp_path / "data", tiny(data={"test_fraction": 0.0}), classes)
    assert "\n" not in str(caught.value)


def test_synthetic_and_pasted_images_are_never_trained_on(tmp_path: Path) -> None:
    root = sample_folder(tmp_path / "data", CLASSES)
    manifest = root / "metadata.jsonl"
    lines = manifest.read_text().splitlines()
    for index, source in ((0, "synthetic"), (1, "pasted"), (2, "procedural")):
        lines[index] = lines[index].replace('"source": "real"', f'"source": "{source}"')
        lines[index] = lines[index].replace('"source":"real"', f'"source":"{source}"')
    manifest.write_text("\n".join(lines) + "\n")
    result = prepare(open_dataset(root), tiny(data={"test_fraction": 0.0}))
    sources = {s.name: s.source for s in result.train.samples}
    assert len(sources) == len(CLASSES) - 2
    assert set(sources.values()) == {"real", "procedural"}


def test_good_parts_are_thinned_evenly_and_left_out_where_none_are_requested(tmp_path: Path) -> None:
    samples = list(dataset(tmp_path / "data", CLASSES).samples)
    assert thinned(samples, 100) == samples
    assert thinned(samples, 6) == samples[::3]
    result = prepare(dataset(tmp_path / "again", CLASSES), tiny(data={"good_per_defect": 0.0}))
    assert result.good == []


def test_the_defect_is_no_part_of_the_background() -> None:
    plain, _ = part(1, label=GOOD)
    marked, mask = plain.copy(), np.zeros(plain.shape[:2], bool)
    mask[10:20, 10:20] = True
    marked[mask] = 255
    known, bare = background_statistics(marked, mask)[:6], background_statistics(plain, mask)[:6]
    assert np.array_equal(known, bare)
    assert background_statistics(plain, np.ones_like(mask)).shape == (8,)


def test_clusters_are_never_more_than_there_are_different_backgrounds() -> None:
    statistics = np.array([[0.2, 0.0], [0.9, 0.0]] * 3, np.float32)
    assert cluster_backgrounds(statistics, 4, 0) == ["ground-1", "ground-2"] * 3
