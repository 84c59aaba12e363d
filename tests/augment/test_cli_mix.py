"""The command: what it prints, and that bad input is one line with a way out."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from defects.sample import Sample
from tests.builders.mixing import (
    error_lines,
    mix,
    real_images,
    rows_of,
    synthetic_images,
    texture,
    tree_hash,
    write_samples,
)


@pytest.fixture(scope="module")
def real(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return real_images(tmp_path_factory.mktemp("real") / "real")


@pytest.fixture(scope="module")
def synthetic(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return synthetic_images(tmp_path_factory.mktemp("synthetic") / "gan", 10)


def test_a_dry_run_shows_the_plan_and_writes_nothing(
    real: Path, synthetic: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    options = [
        "--ratio",
        "1:0.25",
        "--balance",
        "class,size",
        "--augment",
        "flips",
        "--sampling-weights",
        "real=0.5,synthetic=0.5",
    ]
    assert mix("--real", real, "--synthetic", synthetic, *options, "--check", "files", "--out", out, "--dry-run") == 0
    printed = capsys.readouterr().out
    description = [
        "split  source",
        "train  synthetic",
        "test   real",
        "sampled by group",
        "an epoch of",
        "strata (class x size)",
    ]
    for text in (*description, "would write"):
        assert text in printed
    assert not out.exists()


def test_the_plan_as_json_is_one_object(real: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert mix("--real", real, "--check", "files", "--out", tmp_path / "out", "--dry-run", "--json") == 0
    result = json.loads(capsys.readouterr().out)
    assert result["dry_run"] is True
    assert set(result["splits"]) == {"train", "val", "test"}


def test_the_main_action_works_with_and_without_its_verb(real: Path, tmp_path: Path) -> None:
    for number, verb in enumerate(([], ["mix"])):
        assert mix(*verb, "--real", real, "--check", "files", "--out", tmp_path / str(number)) == 0
    assert rows_of(tmp_path / "0") == rows_of(tmp_path / "1")


def test_the_issue_s_command_with_pasted_images(real: Path, synthetic: Path, tmp_path: Path) -> None:
    pasted, out = tmp_path / "pasted", tmp_path / "out"
    assert mix("paste", "--real", real, "--num", 9, "--out", pasted) == 0
    assert mix("--real", real, "--synthetic", synthetic, "--pasted", pasted, "--ratio", "1:0.4:0.25", "--balance",
               "class,size", "--augment", "flips", "--native", "--out", out) == 0  # fmt: skip
    sources = [row["source"] for row in rows_of(out) if row["split"] == "train" and not row["version"]]
    number = sources.count("real")
    assert sources.count("synthetic") == int(number * 0.4 + 0.5)
    assert sources.count("pasted") == int(number * 0.25 + 0.5)


def test_a_report_and_a_plan_for_the_generator(real: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert mix("report", real, "--size", 32, "--out", tmp_path / "report", "--plan", tmp_path / "plan") == 0
    assert "strata are empty" in capsys.readouterr().out
    assert (tmp_path / "report" / "report.html").is_file()
    assert (tmp_path / "plan" / "commands.sh").is_file()
    assert mix("--real", real, "--size", 32, "--check", "files", "--plan", tmp_path / "other", "--out",
               tmp_path / "out") == 0  # fmt: skip
    assert (tmp_path / "other" / "commands.sh").is_file()


def test_the_catalog_lists_transforms_and_presets(capsys: pytest.CaptureFixture[str]) -> None:
    assert mix("catalog", "--list", "--json") == 0
    description = json.loads(capsys.readouterr().out)
    assert "oliena" in description["presets"]
    assert {"camera", "lighting"} == {row["family"] for row in description["transforms"]}


@pytest.mark.parametrize(
    ("arguments", "code", "text"),
    [
        ([], 2, "--real is missing"),
        (["--real", "/nowhere"], 1, "/nowhere: no such folder"),
        (["--real", "{real}", "--ratio", "1:2"], 2, "--ratio: requests synthetic images; give --synthetic"),
        (["--real", "{real}", "--synthetic", "{gan}", "--ratio", "1:9"], 2, "there are 10; generate"),
        (["--real", "{real}", "--balance", "clas"], 2, "--balance: unknown 'clas'; did you mean class?"),
        (["--real", "{real}", "--augment", "olliena"], 2, "did you mean oliena?"),
        (["--real", "{real}", "--augment", "feature_space"], 2, "[E-augment-feature-space]"),
        (["--real", "{real}", "--sampling-weights", "real=0.5"], 2, "the shares sum to 0.5"),
        (["--real", "{real}", "--sampling-weights", "reel=1"], 2, "--sampling-weights: reel=1 is unknown"),
        (["--real", "{real}", "--val", "0.7", "--test", "0.5"], 2, "leave something to train on"),
        (["--real", "{real}", "--native", "--size", "32"], 2, "--native"),
        (["--real", "{real}", "--crop", "32"], 2, "give --size too"),
        (["--real", "{real}", "--split-from", "{real}/metadata.jsonl"], 1, "has no split"),
        (["--real", "{real}", "--split-from", "column"], 2, "--split-from column"),
        (["--real", "{real}", "--synthetic", "{real}"], 1, "has real images where synthetic ones are expected"),
        (["--real", "{gan}"], 1, "no real image with known pixels"),
        (["--real", "{real}", "--min-realism", "1"], 2, "give --scores"),
        (["--real", "{real}", "--out", "{real}/out"], 2, "lie inside one another"),
        (["--real", "{real}", "--check", "all"], 2, "--check: unknown 'all'"),
        (["--real", "{real}", "--nope"], 2, "--nope"),
        (["paste", "--real", "{real}", "--method", "alfa"], 2, "did you mean alpha?"),
        (["export", "{real}", "--to", "cocco"], 2, "did you mean coco?"),
    ],
)  # fmt: skip
def test_bad_input_is_one_line(
    arguments: list[str], code: int, text: str, real: Path, synthetic: Path, tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    filled = [part.format(real=real, gan=synthetic) for part in arguments]
    if filled and "--out" not in filled:
        filled += ["--out", str(tmp_path / "out")]
    assert mix(*filled) == code
    lines = error_lines(capsys.readouterr().err)
    assert len(lines) == 1
    assert text in lines[0]


def test_a_class_that_no_real_image_has_is_named_with_the_nearest(
    real: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pasted = synthetic_images(tmp_path / "gan", 4, classes=("craks", "pit"))
    assert mix("--real", real, "--synthetic", pasted, "--out", tmp_path / "out") == 1
    (line,) = error_lines(capsys.readouterr().err)
    assert "no real image has class 'craks'; did you mean crack? (then give --class-map craks=CLASS" in line
    assert line.endswith("[E-mix-unknown-class]")
    arguments = ["--real", real, "--synthetic", pasted, "--class-map", "craks=crack", "--check", "files"]
    assert mix(*arguments, "--out", tmp_path / "out") == 0
    assert {row["label"] for row in rows_of(tmp_path / "out") if row["source"] == "synthetic"} == {"crack", "pit"}


def test_a_class_of_one_group_is_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    rows = []
    for number in range(6):
        mask = np.zeros((32, 32), bool)
        label = ("good", "crack", "dent")[number % 3]
        mask[4:9, 4:9] = label != "good"
        group = "one" if label == "dent" else f"{label}{number}"
        rows.append((Sample(f"s{number}", Path(), None, (), label, group), texture(number, (32, 32)), mask))
    folder = write_samples(tmp_path / "real", rows)
    assert mix("--real", folder, "--out", tmp_path / "out") == 1
    (line,) = error_lines(capsys.readouterr().err)
    assert "1 classes have one group only" in line
    assert "dent (2 images)" in line


def test_names_that_would_clash_are_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    rows = []
    for number in range(8):
        mask = np.zeros((32, 32), bool)
        name = f"a{number}" if number < 7 else "a0_aug1"
        rows.append((Sample(name, Path(), None, (), "good", f"g{number}"), texture(number, (32, 32)), mask))
    folder = write_samples(tmp_path / "real", rows)
    arguments = ["--real", folder, "--val", 0, "--test", 0, "--check", "files", "--out", tmp_path / "out"]
    assert mix(*arguments, "--augment", "flips") == 1
    (line,) = error_lines(capsys.readouterr().err)
    assert "a0_aug1.png" in line
    assert "rename one of them" in line


def test_an_unreadable_image_is_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = real_images(tmp_path / "real", each=1)
    (folder / "images" / "crack" / "g1_0.png").write_bytes(b"\x89PNG\r\n")
    assert mix("--real", folder, "--out", tmp_path / "out") == 1
    (line,) = error_lines(capsys.readouterr().err)
    assert "g1_0.png" in line


def test_former_flags_values_and_subcommands_are_read_with_one_line_each(
    real: Path, synthetic: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    former = ["--balance", "kind,size", "--augment", "flips", "--copies", 2, "--exposure", "real=0.5,synthetic=0.5",
              "--rename", "a=b", "--drop-copies", "--check", "copies", "--size", 32, "--window", 40]  # fmt: skip
    present = ["--balance", "class,size", "--augment", "flips", "--augmentations", 2, "--sampling-weights",
               "real=0.5,synthetic=0.5", "--class-map", "a=b", "--drop-near-duplicates", "--check", "near-duplicates",
               "--size", 32, "--crop", 40]  # fmt: skip
    sources = ["--real", real, "--synthetic", synthetic]
    assert mix(*sources, *former, "--out", tmp_path / "former") == 0
    lines = [line for line in capsys.readouterr().err.splitlines() if " is now " in line]
    assert len(lines) == 7
    assert "--augmentations; write that" in " ".join(lines)
    assert "--balance class; write that" in " ".join(lines)
    assert mix(*sources, *present, "--out", tmp_path / "present") == 0
    assert " is now " not in capsys.readouterr().err
    assert tree_hash(tmp_path / "former") == tree_hash(tmp_path / "present")
    assert mix("catalogue", "--list") == 0
    assert "is now catalog; write that" in capsys.readouterr().err
    paste = ["paste", "--real", real, "--method", "perlin", "--dry-run", "--out", tmp_path / "pasted"]
    assert mix(*paste, "--kind", "pit") == 0
    assert "is now --label" in capsys.readouterr().err
    assert mix("report", real, "--size", 32, "--window", 40) == 0
    assert "is now --crop" in capsys.readouterr().err
