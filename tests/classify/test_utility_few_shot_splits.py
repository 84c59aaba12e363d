"""Synthetic sets of which every few-shot split has its own: exported, sampled, and rejected where they know more."""

from __future__ import annotations

import json
import shutil
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from classify.cli.utility import app
from classify.utility.design.bench import Bench
from classify.utility.design.split_export import SplitContent, export_splits
from classify.utility.design.trials import FewShotSplit
from defects.formats.dataset import open_dataset
from defects.manifest import read_manifest
from defects.provenance import Provenance, file_name
from defects.sample import GOOD
from engine.commands import main
from engine.errors import MagnaError
from engine.files.atomic import write_json
from tests.builders.errors import raises
from tests.builders.utility import bench_of, folder, outcome, real_folder

SEEDS = range(2)
SPLITS = [FewShotSplit(4, seed) for seed in SEEDS]


@pytest.fixture(scope="module")
def real(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return real_folder(tmp_path_factory.mktemp("splits"))


def opened(real: Path, template: Path) -> Bench:
    return bench_of(real, {"own": template}, shots=(4,), seeds=len(SEEDS), ratios=(0.0, 2.0))


def bench_without(real: Path) -> Bench:
    return bench_of(real, {}, pasted="alpha", shots=(4,), seeds=len(SEEDS), ratios=(0.0, 2.0))


def fakes(root: Path, *, empty: Sequence[int] = ()) -> Path:
    """A folder for each split, that of seed 1 with one image more."""
    for seed in SEEDS:
        folder(root / f"4-{seed}", 8 + seed, 0, seed=20 + seed, labels="empty" if seed in empty else "true")
    return root / "{shots}-{seed}"


def trained(root: Path, split: FewShotSplit, hashes: Sequence[str]) -> None:
    """States that the images of a split come from a generator trained on these files."""
    origin = Provenance("0" * 64, 64, 1, train=len(hashes), train_sha256=frozenset(hashes))
    write_json(root / split.name / file_name, origin.to_dict())


def test_a_split_is_exported_as_it_is_trained_with(real: Path, tmp_path: Path) -> None:
    bench = bench_without(real)
    items = [SplitContent(split, bench.subset(split), bench.good) for split in SPLITS]
    written = list(export_splits(items, tmp_path, bench.hashes))
    assert [root.name for root in written] == ["4-0", "4-1"]
    for root, (_, subset, good) in zip(written, items, strict=True):
        there = {sample.name: sample for sample in read_manifest(root, verify=True)[0]}
        assert set(there) == {sample.name for sample in [*subset, *good]}
        assert {name for name, sample in there.items() if sample.label != GOOD} == {sample.name for sample in subset}
        for sample in [*subset, *good]:
            copy = there[sample.name]
            assert copy.image.read_bytes() == sample.image.read_bytes()
            assert (copy.label, copy.group) == (sample.label, sample.group)
        masks = sorted(path.relative_to(root / "masks") for path in (root / "masks").rglob("*.png"))
        assert masks == sorted(Path(sample.label, f"{sample.name}.png") for sample in subset)
        held = {sample.name for sample in [*bench.division.val, *bench.division.test]}
        assert not held & set(there)


def test_a_split_is_not_written_over(real: Path, tmp_path: Path) -> None:
    bench = bench_without(real)
    items = [SplitContent(SPLITS[0], bench.subset(SPLITS[0]), bench.good)]
    list(export_splits(items, tmp_path, bench.hashes))
    with raises("E-out-exists"):
        list(export_splits(items, tmp_path, bench.hashes))
    before = sorted((path, path.stat().st_mtime_ns) for path in tmp_path.rglob("*"))
    list(export_splits(items, tmp_path, bench.hashes, resume=True))
    assert sorted((path, path.stat().st_mtime_ns) for path in tmp_path.rglob("*")) == before


def test_a_folder_that_was_cut_off_is_written_anew(real: Path, tmp_path: Path) -> None:
    bench = bench_without(real)
    items = [SplitContent(split, bench.subset(split), bench.good) for split in SPLITS]
    writing = export_splits(items, tmp_path / "cut", bench.hashes)
    next(writing)
    writing.close()
    begun = tmp_path / "cut" / ".4-1.part" / "masks" / "pit" / "other.png"
    begun.parent.mkdir(parents=True)
    begun.write_bytes(b"left by a kill")
    list(export_splits(items, tmp_path / "cut", bench.hashes, resume=True))
    list(export_splits(items, tmp_path / "whole", bench.hashes))

    def tree(root: Path) -> dict[Path, bytes]:
        return {path.relative_to(root): path.read_bytes() for path in root.rglob("*") if path.is_file()}

    assert tree(tmp_path / "cut") == tree(tmp_path / "whole")


def test_a_folder_of_other_settings_is_not_resumed(real: Path, tmp_path: Path) -> None:
    bench = bench_without(real)
    list(export_splits([SplitContent(SPLITS[0], bench.subset(SPLITS[0]), bench.good)], tmp_path, bench.hashes))
    for subset, good in ((bench.subset(SPLITS[1]), bench.good), (bench.subset(SPLITS[0]), bench.good[:9])):
        with raises("E-utility-split-differs"):
            list(export_splits([SplitContent(SPLITS[0], subset, good)], tmp_path, bench.hashes, resume=True))
    next((tmp_path / "4-0" / "images").iterdir()).unlink()
    with raises("E-utility-split-differs"):
        list(
            export_splits(
                [SplitContent(SPLITS[0], bench.subset(SPLITS[0]), bench.good)], tmp_path, bench.hashes, resume=True
            )
        )


def test_good_images_beyond_those_trained_with_are_rejected(real: Path, tmp_path: Path) -> None:
    template = fakes(tmp_path)
    bench = bench_without(real)
    for split in SPLITS:
        trained(tmp_path, split, [bench.hashes[sample.name] for sample in [*bench.subset(split), *bench.good]])
    settings = replace(bench.request.settings, good=20)
    with raises("E-utility-split-leak", r"trained on .* images outside its few-shot split"):
        bench_of(real, {"own": template}, shots=(4,), seeds=2, ratios=(0.0, 2.0), settings=settings)


def test_masks_of_one_name_are_rejected_and_empty_ones_left_out(real: Path, tmp_path: Path) -> None:
    bench = bench_without(real)
    first, second = bench.subset(SPLITS[0])[:2]
    twins = [replace(first, name="a/b_c", label="pit"), replace(second, name="a_b/c", label="pit")]
    with raises("E-utility-mask-name"):
        list(export_splits([SplitContent(SPLITS[0], twins, [])], tmp_path / "twins", bench.hashes))
    empty = replace(first, mask=bench.good[0].mask)
    (root,) = export_splits([SplitContent(SPLITS[0], [empty, second], [])], tmp_path / "empty", bench.hashes)
    assert len(list((root / "masks").rglob("*.png"))) == 1
    assert [sample.name for sample in open_dataset(root).samples] == [second.name]
    with pytest.raises(MagnaError, match=r"file name .*\.\."):
        list(
            export_splits(
                [SplitContent(SPLITS[0], [replace(first, label="../out")], [])], tmp_path / "out", bench.hashes
            )
        )


def test_every_seed_draws_from_its_own_folder(real: Path, tmp_path: Path) -> None:
    bench = opened(real, fakes(tmp_path))
    trials = [trial for trial in bench.trials if trial.arm.sources == ("own",)]
    for trial in trials:
        source, at = bench.draw_source("own", trial, bench.subset(trial.split))
        assert source.root == tmp_path / f"4-{trial.seed}"
        assert len(at) == 8
    names = bench.names()
    shutil.rmtree(tmp_path / "4-1")
    folder(tmp_path / "4-1", 9, 0, seed=99)
    after = opened(real, tmp_path / "{shots}-{seed}").names()
    assert {trial.seed for trial in names if names[trial] != after[trial]} == {1}
    assert all(names[trial] == after[trial] for trial in names if not trial.arm.sources)


def test_the_smallest_folder_says_how_many_images_there_are(real: Path, tmp_path: Path) -> None:
    bench = bench_of(real, {"own": fakes(tmp_path)}, shots=(4,), seeds=2, ratios=(0.0, 2.0, 5.0))
    assert "ratio 5 at 4 defective images needs 20 images of own, which has 8: left out" in bench.skipped


def test_a_generator_trained_on_its_split_alone_is_named_as_such(real: Path, tmp_path: Path) -> None:
    template = fakes(tmp_path)
    bench = bench_without(real)
    for split in SPLITS:
        trained(tmp_path, split, [bench.hashes[sample.name] for sample in [*bench.subset(split), *bench.good]])
    result = outcome(opened(real, template))
    own = next(one for one in result.comparisons if one.sources == ("own",))
    assert result.caveats(own)[0].endswith("their generators were trained on no image outside the split.")


def test_without_provenance_that_is_not_claimed(real: Path, tmp_path: Path) -> None:
    result = outcome(opened(real, fakes(tmp_path)))
    own = next(one for one in result.comparisons if one.sources == ("own",))
    assert "not every folder states that" in result.caveats(own)[0]


@pytest.mark.parametrize(("part", "good"), [("train", False), ("val", False), ("val", True)])
def test_a_generator_trained_on_more_than_its_split_is_rejected(
    real: Path, tmp_path: Path, part: str, good: bool
) -> None:
    template = fakes(tmp_path)
    bench = bench_without(real)
    own = {sample.name for sample in bench.subset(SPLITS[1])}
    samples = vars(bench.division)[part]
    other = next(sample for sample in samples if (sample.label == GOOD) == good and sample.name not in own)
    trained(tmp_path, SPLITS[1], [bench.hashes[other.name]])
    with raises("E-utility-split-leak", rf"4-1: its generator was trained on 1 images .* such as {other.name}"):
        opened(real, template)


def test_a_generator_trained_on_a_test_image_is_rejected(real: Path, tmp_path: Path) -> None:
    template = fakes(tmp_path)
    bench = bench_without(real)
    trained(tmp_path, SPLITS[0], [bench.hashes[bench.division.test[0].name]])
    with raises("E-utility-test-leak", "trained on 1 of the"):
        opened(real, template)


def test_masks_of_other_images_are_rejected(real: Path, tmp_path: Path) -> None:
    template = fakes(tmp_path)
    bench = bench_without(real)
    own = {sample.name for sample in bench.subset(SPLITS[0])}
    other = next(sample for sample in bench.defective if sample.name not in own)
    manifest = tmp_path / "4-0" / "metadata.jsonl"
    rows = [json.loads(line) | {"mask_source": f"{other.name}.png"} for line in manifest.read_text().splitlines()]
    manifest.write_text("".join(json.dumps(row) + "\n" for row in rows))
    with raises("E-utility-split-leak", f"have the masks of 1 images .* such as {other.name}"):
        opened(real, template)


@pytest.mark.parametrize("column", ["background", "ground", "defect"])
def test_images_generated_into_other_images_are_rejected(real: Path, tmp_path: Path, column: str) -> None:
    template = fakes(tmp_path)
    bench = bench_without(real)
    other = next(sample for sample in bench.division.val if sample.label == GOOD)
    manifest = tmp_path / "4-0" / "metadata.jsonl"
    rows = [json.loads(line) for line in manifest.read_text().splitlines()]
    rows[3][column] = {"name": other.name, "sha256": bench.hashes[other.name]}
    manifest.write_text("".join(json.dumps(row) + "\n" for row in rows))
    with raises("E-utility-split-leak", f"backgrounds include 1 images .* such as {other.name}"):
        opened(real, template)
    rows[3][column]["sha256"] = bench.hashes[bench.division.test[0].name]
    manifest.write_text("".join(json.dumps(row) + "\n" for row in rows))
    with raises("E-utility-test-leak", "1 of its backgrounds are test images"):
        bench_of(real, {"shared": tmp_path / "4-0"}, shots=(4,), seeds=2, ratios=(0.0, 1.0))


def test_a_copy_of_another_image_is_rejected(real: Path, tmp_path: Path) -> None:
    template = fakes(tmp_path)
    bench = bench_without(real)
    own = {sample.name for sample in bench.subset(SPLITS[0])}
    other = next(sample for sample in bench.defective if sample.name not in own)
    copied = tmp_path / "4-0" / "images" / "0000.png"
    copied.write_bytes(other.image.read_bytes())
    manifest = tmp_path / "4-0" / "metadata.jsonl"
    rows = [json.loads(line) for line in manifest.read_text().splitlines()]
    rows[0]["sha256"] = bench.hashes[other.name]
    manifest.write_text("".join(json.dumps(row) + "\n" for row in rows))
    with raises("E-utility-split-leak", f"byte for byte, 1 images .* such as {other.name}"):
        opened(real, template)


def test_a_generator_of_other_images_is_rejected(real: Path, tmp_path: Path) -> None:
    template = fakes(tmp_path)
    trained(tmp_path, SPLITS[0], ["0" * 64])
    with raises("E-utility-split-leak", "4-0: its generator was trained on no defective image"):
        opened(real, template)


def test_a_generator_of_more_defective_images_is_rejected(real: Path, tmp_path: Path) -> None:
    template = fakes(tmp_path)
    bench = bench_without(real)
    hashes = frozenset(bench.hashes[sample.name] for sample in bench.subset(SPLITS[0]))
    origin = Provenance("0" * 64, 64, 1, train=400, defective=400, train_sha256=hashes)
    write_json(tmp_path / "4-0" / file_name, origin.to_dict())
    with raises("E-utility-split-leak", "trained on 400 defective images, its few-shot split has 4"):
        opened(real, template)


def test_splits_of_different_crops_are_rejected(real: Path, tmp_path: Path) -> None:
    template = fakes(tmp_path)
    bench = bench_without(real)
    for crop, split in zip((64, 256), SPLITS, strict=True):
        hashes = frozenset(bench.hashes[sample.name] for sample in bench.subset(split))
        origin = Provenance("0" * 64, 64, 1, crop=crop, train_sha256=hashes)
        write_json(tmp_path / split.name / file_name, origin.to_dict())
    with raises("E-utility-crops-differ"):
        opened(real, template)


def test_one_folder_for_two_splits_is_rejected(real: Path, tmp_path: Path) -> None:
    fakes(tmp_path)
    (tmp_path / "4-0").rename(tmp_path / "4")
    with raises("E-utility-template"):
        opened(real, tmp_path / "{shots}")


def test_a_missing_folder_is_named(real: Path, tmp_path: Path) -> None:
    template = fakes(tmp_path)
    shutil.rmtree(tmp_path / "4-1")
    with pytest.raises(MagnaError, match="4-1"):
        opened(real, template)


def test_the_command_exports_splits_and_then_compares(
    real: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = [str(real), "--synthetic", f"own={tmp_path / 'fakes' / '{shots}-{seed}'}", "--pasted", "none"]
    words += ["--ratios", "0,2", "--shots", "4", "--seeds", "2", "--size", "64", "--json"]
    out = tmp_path / "splits"
    assert main(app, [*words, "--export-splits", str(out), "--dry-run"], name="bench-utility") == 0
    assert json.loads(capsys.readouterr().out.splitlines()[-1])["splits"]["4-1"][0] == 4
    assert not out.exists()
    assert main(app, [*words, "--export-splits", str(out)], name="bench-utility") == 0
    result = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert result == {"folders": [str(out / "4-0"), str(out / "4-1")]}
    assert main(app, [*words, "--export-splits", str(out)], name="bench-utility") == 1
    assert capsys.readouterr().err.splitlines()[-1].endswith("choose another folder for --export-splits [E-out-exists]")
    assert main(app, [*words, "--export-splits", str(out), "--resume"], name="bench-utility") == 0
    assert main(app, [*words, "--export-splits", str(tmp_path / "{seed}")], name="bench-utility") == 2
    fakes(tmp_path / "fakes")
    inside = tmp_path / "fakes" / "4-1" / "report"
    assert main(app, [*words, "--out", str(inside)], name="bench-utility") == 2
    assert "lie inside one another" in capsys.readouterr().err
    assert main(app, [*words, "--dry-run"], name="bench-utility") == 0
    assert "real+own" in json.loads(capsys.readouterr().out.splitlines()[-1])["arms"]
    assert main(app, [*words, "--export-splits", str(real / "in")], name="bench-utility") == 2
    assert "--export-splits" in capsys.readouterr().err
