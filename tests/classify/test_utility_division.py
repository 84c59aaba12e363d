"""What may be tested on: no image that a generator was trained on, and no group in two splits."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from classify.utility.design.bench import Bench
from classify.utility.design.division import UNCLEAR, covering, views_of
from classify.utility.design.sources import draw, shot_order
from defects.provenance import Provenance, file_name
from defects.sample import GOOD, Sample
from engine.files.atomic import sha256_file
from tests.builders import save
from tests.builders.errors import raises
from tests.builders.utility import bench_of, folder, real_folder


@pytest.fixture(scope="module")
def real(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return real_folder(tmp_path_factory.mktemp("division"))


def named(root: Path, real: Path, test: list[str], train: list[str]) -> Path:
    """Writes the provenance of a generator."""
    hashes = frozenset(sha256_file(real / "images" / f"{name}.png") for name in train)
    origin = Provenance("c" * 64, 64, 1, None, test=tuple(test), train_sha256=hashes, defective=len(train))
    (root / file_name).write_text(json.dumps(origin.to_dict()))
    return root


def names(first: int, last: int) -> list[str]:
    return [f"{index:04}" for index in range(first, last)]


@pytest.fixture
def fakes(tmp_path: Path) -> Path:
    return folder(tmp_path / "fakes", 60, 0, seed=5)


def test_tests_on_what_the_generator_held_out(real: Path, fakes: Path) -> None:
    held = [*names(0, 12), *names(48, 70)]
    others = [name for name in names(0, 128) if name not in held]
    bench = bench_of(real, {"gan": named(fakes, real, held, others)})
    assert [sample.name for sample in bench.division.test] == held
    parts = [{sample.part for sample in getattr(bench.division, name)} for name in ("train", "val", "test")]
    assert sum(map(len, parts)) == len(set().union(*parts))
    assert any("validation images are training images of the generator of gan" in note for note in bench.notes)


def test_two_generators_leave_the_intersection(real: Path, tmp_path: Path) -> None:
    folders = {}
    for number, held in enumerate([[*names(0, 12), *names(48, 70)], [*names(6, 20), *names(60, 90)]]):
        others = [name for name in names(0, 128) if name not in held]
        folders[f"gan{number}"] = named(folder(tmp_path / f"f{number}", 60, 0, seed=20 + number), real, held, others)
    bench = bench_of(real, folders)
    assert [sample.name for sample in bench.division.test] == [*names(6, 12), *names(60, 70)]


def test_a_test_image_that_was_trained_on_is_rejected(real: Path, fakes: Path) -> None:
    with raises("E-utility-test-leak", "names 1 test images that it was trained on, such as 0003"):
        bench_of(real, {"gan": named(fakes, real, [*names(0, 12), *names(48, 70)], [*names(20, 48), "0003"])})


def test_siblings_of_training_images_are_not_tested_on(real: Path, fakes: Path) -> None:
    held = [*names(0, 11), *names(48, 70)]
    bench = bench_of(real, {"gan": named(fakes, real, held, [name for name in names(0, 128) if name not in held])})
    assert "0010" not in {sample.name for sample in bench.division.test}


def test_too_few_held_out_images_are_rejected_in_one_line(real: Path, fakes: Path) -> None:
    with raises("E-utility-too-few", r"test images: 1 groups .* and 1 a good one, .* give more real") as raised:
        bench_of(real, {"gan": named(fakes, real, ["0000", "0001", "0048", "0049"], names(2, 40))})
    assert "\n" not in str(raised.value)


def test_a_generator_of_other_images_is_rejected(real: Path, fakes: Path, tmp_path: Path) -> None:
    other = folder(tmp_path / "other", 10, 10, seed=9)
    with raises("E-utility-other-images"):
        bench_of(real, {"gan": named(fakes, other, ["x"], names(0, 10))})


def test_synthetic_images_that_are_test_images_are_rejected(real: Path, fakes: Path) -> None:
    bench = bench_of(real, {"gan": fakes})
    copied = next(sample for sample in bench.division.test if sample.label != GOOD)
    (fakes / "images" / "0000.png").write_bytes(copied.image.read_bytes())
    with raises("E-utility-test-leak", f"byte for byte, such as {copied.name}"):
        bench_of(real, {"gan": fakes})


def test_masks_of_test_images_are_rejected(real: Path, fakes: Path) -> None:
    bench = bench_of(real, {"gan": fakes})
    used = next(sample for sample in bench.division.test if sample.label != GOOD)
    rows = [json.loads(line) for line in (fakes / "metadata.jsonl").read_text().splitlines()]
    rows[0]["mask_source"] = f"scratch/{used.name}.png"
    (fakes / "metadata.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    with raises("E-utility-test-masks"):
        bench_of(real, {"gan": fakes})


def test_few_shot_splits_hold_one_another_and_classes_take_turns(real: Path, fakes: Path) -> None:
    bench = bench_of(real, {"gan": fakes})
    order = shot_order(bench.defective, 3)
    assert {sample.label for sample in order[:2]} == {"pit", "scratch"}
    assert len({sample.part for sample in order[:6]}) == 6
    assert {sample.name for sample in order} == {sample.name for sample in bench.defective}
    assert shot_order(bench.defective[::-1], 3) == order
    assert shot_order(bench.defective, 4) != order
    samples = [Sample(str(index), Path("x"), label=GOOD if index % 4 else "pit") for index in range(80)]
    few, many = draw(samples, 20, 1), draw(samples, 60, 1)
    assert list(many[:20]) == list(few)
    assert sum(samples[index].label != GOOD for index in few) == 5


def test_pasted_images_are_of_the_split_only(real: Path, fakes: Path) -> None:
    bench = bench_of(real, {"gan": fakes}, pasted="alpha")
    subset = shot_order(bench.defective, 0)[:4]
    good = [sample for sample in bench.division.train if sample.label == GOOD]
    pasted = list(bench.paste(subset, 0, 12))
    assert {one.metadata["defect"]["name"] for one in pasted} <= {sample.name for sample in subset}
    assert {one.metadata["ground"]["name"] for one in pasted} <= {sample.name for sample in good}
    assert [one.name for one in bench.paste(subset, 0, 5)] == [one.name for one in pasted[:5]]


def test_crops_do_not_depend_on_the_label(tmp_path: Path) -> None:
    assert covering(50, 120, None) == [(0, 0, 50, 50), (35, 0, 50, 50), (70, 0, 50, 50)]
    pixels = np.full((50, 120, 1), 90, np.uint8)
    mask = np.zeros((50, 120), bool)
    mask[10:20, 2:8] = True
    mask[10, 30:40] = True
    file, label = save(tmp_path / "a.png", pixels), save(tmp_path / "m.png", mask)
    good, bad = Sample("a", file), Sample("a", file, label, label="pit")
    cut = {"size": 32, "channels": 1, "least": 8}
    assert [v.box for v in views_of(good, **cut)] == [v.box for v in views_of(bad, **cut)]
    assert [v.label for v in views_of(bad, **cut)] == [1, UNCLEAR, 0]
    assert [v.label for v in views_of(replace(bad, mask=None), **cut)] == [1, 1, 1]
    assert views_of(bad, **cut)[0].image.shape == (32, 32, 1)


def test_sources_too_small_for_a_ratio_leave_it_out(real: Path, fakes: Path) -> None:
    bench: Bench = bench_of(real, {"gan": fakes}, ratios=(0.0, 1.0, 50.0))
    assert {trial.ratio for trial in bench.trials if trial.arm.sources} == {1.0}
    assert any("ratio 50" in line and "60" in line for line in bench.skipped)
