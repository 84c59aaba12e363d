"""Synthetic sets of which every level and seed has its own: written, drawn from, and refused where they know more."""

from __future__ import annotations

import json
import shutil
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from classify.cli.utility import app
from classify.utility.design.bench import Bench
from classify.utility.design.few_shot_splits import write_levels
from classify.utility.design.trials import Level
from classify.utility.report.sentences import caveats
from defects.formats.dataset import open_dataset
from defects.manifest import read_manifest
from defects.provenance import Provenance, file_name
from defects.sample import GOOD
from engine.commands import main
from engine.errors import DataError, OutputError, UsageError
from engine.files.atomic import write_json
from tests.classify.utility_folders import bench_of, folder, outcome, real_folder

SEEDS = range(2)
LEVELS: list[Level] = [(4, seed) for seed in SEEDS]


@pytest.fixture(scope="module")
def real(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return real_folder(tmp_path_factory.mktemp("levels"))


def opened(real: Path, template: Path) -> Bench:
    return bench_of(real, {"own": template}, shots=(4,), seeds=len(SEEDS), ratios=(0.0, 2.0))


def levels_of(real: Path) -> Bench:
    return bench_of(real, {}, pasted="alpha", shots=(4,), seeds=len(SEEDS), ratios=(0.0, 2.0))


def fakes(root: Path, *, empty: Sequence[int] = ()) -> Path:
    """A folder for each level, that of seed 1 with one image more."""
    for seed in SEEDS:
        folder(root / f"4-{seed}", 8 + seed, 0, seed=20 + seed, look="empty" if seed in empty else "true")
    return root / "{shots}-{seed}"


def knowing(root: Path, level: Level, hashes: Sequence[str]) -> None:
    """Has the images of a level come from a generator that has seen these files."""
    origin = Provenance("0" * 64, 64, 1, train=len(hashes), train_sha256=frozenset(hashes))
    write_json(root / f"{level[0]}-{level[1]}" / file_name, origin.to_dict())


def test_a_level_is_written_as_it_is_trained_with(real: Path, tmp_path: Path) -> None:
    bench = levels_of(real)
    items = [(level, bench.chosen(level), bench.good) for level in LEVELS]
    written = list(write_levels(items, tmp_path, bench.hashes))
    assert [root.name for root in written] == ["4-0", "4-1"]
    for root, (_, chosen, good) in zip(written, items, strict=True):
        there = {sample.name: sample for sample in read_manifest(root, verify=True)[0]}
        assert set(there) == {sample.name for sample in [*chosen, *good]}
        assert {name for name, sample in there.items() if sample.label != GOOD} == {sample.name for sample in chosen}
        for sample in [*chosen, *good]:
            copy = there[sample.name]
            assert copy.image.read_bytes() == sample.image.read_bytes()
            assert (copy.label, copy.group) == (sample.label, sample.group)
        masks = sorted(path.relative_to(root / "masks") for path in (root / "masks").rglob("*.png"))
        assert masks == sorted(Path(sample.label, f"{sample.name}.png") for sample in chosen)
        held = {sample.name for sample in [*bench.division.val, *bench.division.test]}
        assert not held & set(there)


def test_a_level_is_not_written_over(real: Path, tmp_path: Path) -> None:
    bench = levels_of(real)
    items = [(LEVELS[0], bench.chosen(LEVELS[0]), bench.good)]
    list(write_levels(items, tmp_path, bench.hashes))
    with pytest.raises(OutputError, match="is there already"):
        list(write_levels(items, tmp_path, bench.hashes))
    before = sorted((path, path.stat().st_mtime_ns) for path in tmp_path.rglob("*"))
    list(write_levels(items, tmp_path, bench.hashes, resume=True))
    assert sorted((path, path.stat().st_mtime_ns) for path in tmp_path.rglob("*")) == before


def test_a_folder_that_was_cut_off_is_written_anew(real: Path, tmp_path: Path) -> None:
    bench = levels_of(real)
    items = [(level, bench.chosen(level), bench.good) for level in LEVELS]
    writing = write_levels(items, tmp_path / "cut", bench.hashes)
    next(writing)
    writing.close()
    begun = tmp_path / "cut" / ".4-1.part" / "masks" / "pit" / "other.png"
    begun.parent.mkdir(parents=True)
    begun.write_bytes(b"left by a kill")
    list(write_levels(items, tmp_path / "cut", bench.hashes, resume=True))
    list(write_levels(items, tmp_path / "whole", bench.hashes))

    def tree(root: Path) -> dict[Path, bytes]:
        return {path.relative_to(root): path.read_bytes() for path in root.rglob("*") if path.is_file()}

    assert tree(tmp_path / "cut") == tree(tmp_path / "whole")


def test_a_folder_of_other_settings_is_not_gone_on_with(real: Path, tmp_path: Path) -> None:
    bench = levels_of(real)
    list(write_levels([(LEVELS[0], bench.chosen(LEVELS[0]), bench.good)], tmp_path, bench.hashes))
    for chosen, good in ((bench.chosen(LEVELS[1]), bench.good), (bench.chosen(LEVELS[0]), bench.good[:9])):
        with pytest.raises(OutputError, match="holds other photographs than its level"):
            list(write_levels([(LEVELS[0], chosen, good)], tmp_path, bench.hashes, resume=True))
    next((tmp_path / "4-0" / "images").iterdir()).unlink()
    with pytest.raises(OutputError, match="holds other photographs"):
        list(write_levels([(LEVELS[0], bench.chosen(LEVELS[0]), bench.good)], tmp_path, bench.hashes, resume=True))


def test_good_photographs_beyond_those_trained_with_are_refused(real: Path, tmp_path: Path) -> None:
    template = fakes(tmp_path)
    bench = levels_of(real)
    for level in LEVELS:
        knowing(tmp_path, level, [bench.hashes[sample.name] for sample in [*bench.chosen(level), *bench.good]])
    settings = replace(bench.request.settings, good=20)
    with pytest.raises(DataError, match=r"trained on .* photographs that its level does not have"):
        bench_of(real, {"own": template}, shots=(4,), seeds=2, ratios=(0.0, 2.0), settings=settings)


def test_masks_of_one_name_are_refused_and_empty_ones_left_out(real: Path, tmp_path: Path) -> None:
    bench = levels_of(real)
    first, second = bench.chosen(LEVELS[0])[:2]
    twins = [replace(first, name="a/b_c", label="pit"), replace(second, name="a_b/c", label="pit")]
    with pytest.raises(DataError, match="would have its name"):
        list(write_levels([(LEVELS[0], twins, [])], tmp_path / "twins", bench.hashes))
    empty = replace(first, mask=bench.good[0].mask)
    (root,) = write_levels([(LEVELS[0], [empty, second], [])], tmp_path / "empty", bench.hashes)
    assert len(list((root / "masks").rglob("*.png"))) == 1
    assert [sample.name for sample in open_dataset(root).samples] == [second.name]
    with pytest.raises(DataError, match=r"file name .*\.\."):
        list(write_levels([(LEVELS[0], [replace(first, label="../out")], [])], tmp_path / "out", bench.hashes))


def test_every_seed_draws_from_its_own_folder(real: Path, tmp_path: Path) -> None:
    bench = opened(real, fakes(tmp_path))
    cells = [cell for cell in bench.cells if cell.arm.made == ("own",)]
    for cell in cells:
        made, at = bench.taken("own", cell, bench.chosen(cell.at), 8)
        assert made.root == tmp_path / f"4-{cell.seed}"
        assert len(at) == 8
    names = bench.names()
    shutil.rmtree(tmp_path / "4-1")
    folder(tmp_path / "4-1", 9, 0, seed=99)
    after = opened(real, tmp_path / "{shots}-{seed}").names()
    assert {cell.seed for cell in names if names[cell] != after[cell]} == {1}
    assert all(names[cell] == after[cell] for cell in names if not cell.arm.made)


def test_the_smallest_folder_says_how_many_images_there_are(real: Path, tmp_path: Path) -> None:
    bench = bench_of(real, {"own": fakes(tmp_path)}, shots=(4,), seeds=2, ratios=(0.0, 2.0, 5.0))
    assert "ratio 5 at 4 defective images needs 20 images of own, which has 8: left out" in bench.skipped


def test_a_generator_that_has_seen_its_level_only_is_said_to_have(real: Path, tmp_path: Path) -> None:
    template = fakes(tmp_path)
    bench = levels_of(real)
    for level in LEVELS:
        knowing(tmp_path, level, [bench.hashes[sample.name] for sample in [*bench.chosen(level), *bench.good]])
    found = outcome(opened(real, template))
    own = next(one for one in found.comparisons if one.made == ("own",))
    assert caveats(own, found.bench)[0].endswith("have seen no photograph that is not trained with there.")


def test_without_a_word_of_the_generator_that_is_not_claimed(real: Path, tmp_path: Path) -> None:
    found = outcome(opened(real, fakes(tmp_path)))
    own = next(one for one in found.comparisons if one.made == ("own",))
    assert "not every folder tells that" in caveats(own, found.bench)[0]


@pytest.mark.parametrize(("part", "good"), [("train", False), ("val", False), ("val", True)])
def test_a_generator_that_has_seen_more_than_its_level_is_refused(
    real: Path, tmp_path: Path, part: str, good: bool
) -> None:
    template = fakes(tmp_path)
    bench = levels_of(real)
    own = {sample.name for sample in bench.chosen(LEVELS[1])}
    samples = vars(bench.division)[part]
    other = next(sample for sample in samples if (sample.label == GOOD) == good and sample.name not in own)
    knowing(tmp_path, LEVELS[1], [bench.hashes[other.name]])
    with pytest.raises(DataError, match=rf"4-1: its generator was trained on 1 photographs .* such as {other.name}"):
        opened(real, template)


def test_a_generator_that_has_seen_a_test_image_is_refused(real: Path, tmp_path: Path) -> None:
    template = fakes(tmp_path)
    bench = levels_of(real)
    knowing(tmp_path, LEVELS[0], [bench.hashes[bench.division.test[0].name]])
    with pytest.raises(DataError, match="trained on 1 of the"):
        opened(real, template)


def test_masks_of_other_photographs_are_refused(real: Path, tmp_path: Path) -> None:
    template = fakes(tmp_path)
    bench = levels_of(real)
    own = {sample.name for sample in bench.chosen(LEVELS[0])}
    other = next(sample for sample in bench.defective if sample.name not in own)
    manifest = tmp_path / "4-0" / "metadata.jsonl"
    rows = [json.loads(line) | {"mask_source": f"{other.name}.png"} for line in manifest.read_text().splitlines()]
    manifest.write_text("".join(json.dumps(row) + "\n" for row in rows))
    with pytest.raises(DataError, match=f"painted from the masks of 1 photographs .* such as {other.name}"):
        opened(real, template)


@pytest.mark.parametrize("column", ["background", "ground", "defect"])
def test_images_drawn_into_other_photographs_are_refused(real: Path, tmp_path: Path, column: str) -> None:
    template = fakes(tmp_path)
    bench = levels_of(real)
    other = next(sample for sample in bench.division.val if sample.label == GOOD)
    manifest = tmp_path / "4-0" / "metadata.jsonl"
    rows = [json.loads(line) for line in manifest.read_text().splitlines()]
    rows[3][column] = {"name": other.name, "sha256": bench.hashes[other.name]}
    manifest.write_text("".join(json.dumps(row) + "\n" for row in rows))
    with pytest.raises(DataError, match=f"drawn into 1 photographs .* such as {other.name}"):
        opened(real, template)
    rows[3][column]["sha256"] = bench.hashes[bench.division.test[0].name]
    manifest.write_text("".join(json.dumps(row) + "\n" for row in rows))
    with pytest.raises(DataError, match="drawn into 1 of the test images"):
        bench_of(real, {"shared": tmp_path / "4-0"}, shots=(4,), seeds=2, ratios=(0.0, 1.0))


def test_a_copy_of_another_photograph_is_refused(real: Path, tmp_path: Path) -> None:
    template = fakes(tmp_path)
    bench = levels_of(real)
    own = {sample.name for sample in bench.chosen(LEVELS[0])}
    other = next(sample for sample in bench.defective if sample.name not in own)
    copied = tmp_path / "4-0" / "images" / "0000.png"
    copied.write_bytes(other.image.read_bytes())
    manifest = tmp_path / "4-0" / "metadata.jsonl"
    rows = [json.loads(line) for line in manifest.read_text().splitlines()]
    rows[0]["sha256"] = bench.hashes[other.name]
    manifest.write_text("".join(json.dumps(row) + "\n" for row in rows))
    with pytest.raises(DataError, match=f"holds copies of 1 photographs .* such as {other.name}"):
        opened(real, template)


def test_a_generator_of_other_photographs_is_refused(real: Path, tmp_path: Path) -> None:
    template = fakes(tmp_path)
    knowing(tmp_path, LEVELS[0], ["0" * 64])
    with pytest.raises(DataError, match="4-0: its generator was trained on none of its level's"):
        opened(real, template)


def test_a_generator_of_more_defective_images_is_refused(real: Path, tmp_path: Path) -> None:
    template = fakes(tmp_path)
    bench = levels_of(real)
    seen = frozenset(bench.hashes[sample.name] for sample in bench.chosen(LEVELS[0]))
    origin = Provenance("0" * 64, 64, 1, train=400, defective=400, train_sha256=seen)
    write_json(tmp_path / "4-0" / file_name, origin.to_dict())
    with pytest.raises(DataError, match="trained on 400 defective images, its level has 4"):
        opened(real, template)


def test_levels_of_different_windows_are_refused(real: Path, tmp_path: Path) -> None:
    template = fakes(tmp_path)
    bench = levels_of(real)
    for window, level in zip((64, 256), LEVELS, strict=True):
        seen = frozenset(bench.hashes[sample.name] for sample in bench.chosen(level))
        origin = Provenance("0" * 64, 64, 1, crop=window, train_sha256=seen)
        write_json(tmp_path / f"4-{level[1]}" / file_name, origin.to_dict())
    with pytest.raises(UsageError, match="different windows"):
        opened(real, template)


def test_one_folder_for_two_levels_is_refused(real: Path, tmp_path: Path) -> None:
    fakes(tmp_path)
    (tmp_path / "4-0").rename(tmp_path / "4")
    with pytest.raises(UsageError, match="is one folder for two levels"):
        opened(real, tmp_path / "{shots}")


def test_a_missing_folder_is_named(real: Path, tmp_path: Path) -> None:
    template = fakes(tmp_path)
    shutil.rmtree(tmp_path / "4-1")
    with pytest.raises(DataError, match="4-1"):
        opened(real, template)


def test_the_command_writes_levels_and_then_compares(
    real: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = [str(real), "--synthetic", f"own={tmp_path / 'fakes' / '{shots}-{seed}'}", "--pasted", "none"]
    words += ["--ratios", "0,2", "--shots", "4", "--seeds", "2", "--size", "64", "--json"]
    out = tmp_path / "levels"
    assert main(app, [*words, "--write-levels", str(out), "--dry-run"], name="bench-utility") == 0
    assert json.loads(capsys.readouterr().out.splitlines()[-1])["levels"]["4-1"][0] == 4
    assert not out.exists()
    assert main(app, [*words, "--write-levels", str(out)], name="bench-utility") == 0
    told = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert told == {"folders": [str(out / "4-0"), str(out / "4-1")]}
    assert main(app, [*words, "--write-levels", str(out)], name="bench-utility") == 1
    assert capsys.readouterr().err.splitlines()[-1].endswith("choose another folder for --write-levels")
    assert main(app, [*words, "--write-levels", str(out), "--resume"], name="bench-utility") == 0
    assert main(app, [*words, "--write-levels", str(tmp_path / "{seed}")], name="bench-utility") == 2
    fakes(tmp_path / "fakes")
    inside = tmp_path / "fakes" / "4-1" / "report"
    assert main(app, [*words, "--out", str(inside)], name="bench-utility") == 2
    assert "lie inside one another" in capsys.readouterr().err
    assert main(app, [*words, "--dry-run"], name="bench-utility") == 0
    assert "real+own" in json.loads(capsys.readouterr().out.splitlines()[-1])["arms"]
    assert main(app, [*words, "--write-levels", str(real / "in")], name="bench-utility") == 2
    assert "--write-levels" in capsys.readouterr().err
