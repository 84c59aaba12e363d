"""The command: trials resumed, reports written, errors in one line."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from classify.cli.utility import app, bench_utility
from classify.utility.runners import features
from engine.commands import main
from tests.builders.utility import SpotFeatures, folder, real_folder


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    root = tmp_path_factory.mktemp("cli")
    return real_folder(root), folder(root / "fakes", 80, 0, seed=7)


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(features, "FrozenLite0", SpotFeatures)


def run(folders: tuple[Path, Path], out: Path, *more: str) -> int:
    real, fakes = folders
    words = [str(real), "--synthetic", f"gan={fakes}", "--pasted", "none", "--ratios", "0,2", "--shots", "4,all"]
    words += ["--seeds", "2", "--size", "64", "--steps", "40", "--no-cache", "--out", str(out)]
    return main(app, [*words, *more], name="bench-utility")


def lines(out: Path) -> list[dict[str, object]]:
    return [json.loads(line) for line in (out / "results.jsonl").read_text().splitlines()]


def test_runs_and_reports_in_text_page_and_plots(
    folders: tuple[Path, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "run"
    assert run(folders, out) == 0
    text = capsys.readouterr().out
    assert text.startswith("gan: ")
    assert "average precision" in text
    rows = lines(out)
    assert len(rows) == 2 * 2 * 4 == len({row["id"] for row in rows})
    page = (out / "report.html").read_text()
    assert page.index("gan: ") < page.index("<h1>")
    assert "http" not in page.replace("http-equiv", "")
    for name in ("gains.png", "learning.png", "ratios.png"):
        assert (out / name).read_bytes().startswith(b"\x89PNG")
    for shots in ("4", "all"):
        for seed in (0, 1):
            own = [row for row in rows if row["shots"] == shots and row["seed"] == seed]
            assert len({json.dumps(row["shots_sha256"]) for row in own}) == 1


def test_a_killed_run_resumes_to_the_same_end(folders: tuple[Path, Path], tmp_path: Path) -> None:
    whole, torn = tmp_path / "whole", tmp_path / "torn"
    assert run(folders, whole) == 0
    torn.mkdir()
    content = (whole / "results.jsonl").read_bytes()
    (torn / "results.jsonl").write_bytes(content[: len(content) // 2])
    assert run(folders, torn) == 1
    assert run(folders, torn, "--resume") == 0

    def results(out: Path) -> list[dict[str, object]]:
        return [{key: value for key, value in row.items() if key != "seconds"} for row in lines(out)]

    assert results(torn) == results(whole)
    assert (torn / "summary.json").read_bytes() == (whole / "summary.json").read_bytes()


def test_another_setting_gives_other_trials(folders: tuple[Path, Path], tmp_path: Path) -> None:
    out = tmp_path / "run"
    assert run(folders, out) == 0
    assert run(folders, out, "--resume", "--split-seed", "1") == 0
    assert len(lines(out)) == 32


@pytest.mark.parametrize(
    ("words", "exit_code", "code"),
    [
        (["--ratios", "0"], 2, "E-utility-ratios"),
        (["--ratios", "a"], 2, "E-utility-ratios"),
        (["--shots", "1000"], 2, "E-utility-shots"),
        (["--shots", "none"], 2, "E-utility-shots"),
        (["--pasted", "glue"], 2, "E-utility-pasted"),
        (["--preset", "nothing"], 2, "E-"),
        (["--mode", "magic"], 2, "E-utility-settings"),
        (["--task", "magic"], 2, "E-utility-task"),
        (["--network", "resnet18"], 2, "E-utility-network"),
        (["--mode", "finetune", "--network", "resnet18"], 2, "E-utility-network"),
        (["--val", "1"], 2, "E-utility-settings"),
        (["--channels", "2"], 2, "E-utility-settings"),
        (["--synthetic", "real=."], 2, "E-utility-set-name"),
        (["--synthetic", "nothing"], 2, "E-set-name"),
        (["--synthetic", "b=/nowhere"], 1, "E-"),
        (["--good", "5000"], 1, "E-utility-good"),
    ],
)
def test_errors_are_one_line(
    folders: tuple[Path, Path],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    words: list[str],
    exit_code: int,
    code: str,
) -> None:
    assert run(folders, tmp_path / "run", *words) == exit_code
    error = capsys.readouterr().err
    assert f"[{code}" in error
    assert error.count("\n") == 1
    assert not (tmp_path / "run").exists()


def test_one_class_only_is_rejected(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    only = folder(tmp_path / "only", 0, 20, seed=1)
    assert main(app, [str(only)], name="bench-utility") == 1
    assert "[E-utility-one-class]" in capsys.readouterr().err


def test_pasted_folder_of_held_out_images_is_rejected(
    folders: tuple[Path, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    from augment.pasting.folder import write_pasted
    from augment.pasting.paster import Paster
    from defects.formats.dataset import open_dataset
    from defects.sample import GOOD

    samples = open_dataset(folders[0]).samples
    paster = Paster([s for s in samples if s.label != GOOD], [s for s in samples if s.label == GOOD])
    write_pasted(tmp_path / "pasted", paster, 30)
    assert run(folders, tmp_path / "run", "--pasted", str(tmp_path / "pasted")) == 1
    assert "[E-utility-pasted-leak]" in capsys.readouterr().err


def test_former_flags_are_read_with_one_line_each(
    folders: tuple[Path, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    words = [str(folders[0]), "--synthetic", f"gan={folders[1]}", "--pasted", "none", "--ratios", "2", "--shots", "4"]
    words += ["--window", "64", "--versions", "2", "--unit", "photographs", "--dry-run", "--out", str(tmp_path / "run")]
    monkeypatch.setattr("sys.argv", ["bench-utility", *words])
    with pytest.raises(SystemExit) as ended:
        bench_utility()
    assert ended.value.code == 0
    lines = [line for line in capsys.readouterr().err.splitlines() if line.startswith("warning:")]
    assert [line.split()[1] for line in lines] == ["--window", "--versions", "--unit"]
