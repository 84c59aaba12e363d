"""The command: what it prints, and that bad input is one line with a way out."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from defects.sample import Sample
from tests.augment.mixing import error_lines, generated, mix, photographs, rows_of, texture, write_samples


@pytest.fixture(scope="module")
def real(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return photographs(tmp_path_factory.mktemp("real") / "real")


@pytest.fixture(scope="module")
def synthetic(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return generated(tmp_path_factory.mktemp("synthetic") / "gan", 10)


def test_a_dry_run_shows_the_plan_and_writes_nothing(
    real: Path, synthetic: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    wishes = [
        "--ratio",
        "1:0.25",
        "--balance",
        "kind,size",
        "--augment",
        "flips",
        "--exposure",
        "real=0.5,synthetic=0.5",
    ]
    assert mix("--real", real, "--synthetic", synthetic, *wishes, "--check", "files", "--out", out, "--dry-run") == 0
    shown = capsys.readouterr().out
    told = ["split  source", "train  synthetic", "test   real", "drawn by group", "an epoch of", "cells (kind x size)"]
    for text in (*told, "would write"):
        assert text in shown
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
               "kind,size", "--augment", "flips", "--native", "--out", out) == 0  # fmt: skip
    sources = [row["source"] for row in rows_of(out) if row["split"] == "train" and not row["version"]]
    number = sources.count("real")
    assert sources.count("synthetic") == int(number * 0.4 + 0.5)
    assert sources.count("pasted") == int(number * 0.25 + 0.5)


def test_a_report_and_a_plan_for_the_generator(real: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert mix("report", real, "--size", 32, "--out", tmp_path / "report", "--plan", tmp_path / "plan") == 0
    assert "cells are empty" in capsys.readouterr().out
    assert (tmp_path / "report" / "report.html").is_file()
    assert (tmp_path / "plan" / "commands.sh").is_file()
    assert mix("--real", real, "--size", 32, "--check", "files", "--plan", tmp_path / "other", "--out",
               tmp_path / "out") == 0  # fmt: skip
    assert (tmp_path / "other" / "commands.sh").is_file()


def test_the_catalogue_lists_transforms_and_presets(capsys: pytest.CaptureFixture[str]) -> None:
    assert mix("catalogue", "--list", "--json") == 0
    told = json.loads(capsys.readouterr().out)
    assert "oliena" in told["presets"]
    assert {"camera", "lighting"} == {row["family"] for row in told["transforms"]}


@pytest.mark.parametrize(
    ("arguments", "code", "text"),
    [
        ([], 2, "--real is missing"),
        (["--real", "/nowhere"], 1, "/nowhere: no such folder"),
        (["--real", "{real}", "--ratio", "1:2"], 2, "--ratio: asks for synthetic images; give --synthetic"),
        (["--real", "{real}", "--synthetic", "{gan}", "--ratio", "1:9"], 2, "there are 10; make"),
        (["--real", "{real}", "--balance", "kinds"], 2, "--balance: unknown 'kinds'; did you mean kind?"),
        (["--real", "{real}", "--augment", "olliena"], 2, "did you mean oliena?"),
        (["--real", "{real}", "--exposure", "real=0.5"], 2, "the shares sum to 0.5"),
        (["--real", "{real}", "--exposure", "reel=1"], 2, "--exposure: reel=1 is unknown"),
        (["--real", "{real}", "--val", "0.7", "--test", "0.5"], 2, "leave something to train on"),
        (["--real", "{real}", "--native", "--size", "32"], 2, "--native"),
        (["--real", "{real}", "--window", "32"], 2, "give --size too"),
        (["--real", "{real}", "--split-from", "{real}/metadata.jsonl"], 1, "says nothing of a split"),
        (["--real", "{real}", "--split-from", "column"], 2, "--split-from column"),
        (["--real", "{real}", "--synthetic", "{real}"], 1, "holds real images where synthetic ones are expected"),
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


def test_a_kind_that_no_photograph_has_is_named_with_the_nearest(
    real: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    made = generated(tmp_path / "gan", 4, kinds=("craks", "pit"))
    assert mix("--real", real, "--synthetic", made, "--out", tmp_path / "out") == 1
    (line,) = error_lines(capsys.readouterr().err)
    assert "kind 'craks' is none of the photographs'; did you mean crack? (then give --rename craks=KIND" in line
    arguments = ["--real", real, "--synthetic", made, "--rename", "craks=crack", "--check", "files"]
    assert mix(*arguments, "--out", tmp_path / "out") == 0
    assert {row["label"] for row in rows_of(tmp_path / "out") if row["source"] == "synthetic"} == {"crack", "pit"}


def test_a_kind_of_one_part_is_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
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
    assert "1 kinds show one part only" in line
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
    folder = photographs(tmp_path / "real", each=1)
    (folder / "images" / "crack" / "g1_0.png").write_bytes(b"\x89PNG\r\n")
    assert mix("--real", folder, "--out", tmp_path / "out") == 1
    (line,) = error_lines(capsys.readouterr().err)
    assert "g1_0.png" in line
