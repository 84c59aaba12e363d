"""`bench-fid --table paper`: runs that belong together, sets generated once, and what the table says of them."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from defects.formats.dataset import read_dataset
from engine.checkpoint import save_checkpoint
from engine.commands import main
from engine.errors import MagnaError
from metrics.bench.comparison import Request
from metrics.bench.results import Results, SourceResults
from metrics.cli import app
from metrics.paper.protocol import open_paper
from metrics.paper.sets import GeneratedSet, Run, make_sets, open_runs, read_training, set_commands
from metrics.paper.table import PaperTable, paper_table
from metrics.scores.score import Score
from tests.builders.bench import SCHEMA, SIDE, folder, images_of, network, trained_on
from tests.builders.errors import raises


def run_of(root: Path, architecture: str, test: Sequence[str], *, crop: int | None = None, size: int = SIDE) -> Path:
    """A run folder as `train-gan` leaves it, with one weight."""
    meta = {
        "architecture": architecture,
        "network": {"size": size, "channels": 1},
        "guides": SCHEMA.to_dict(),
        "config": {"data": {"window": crop}},
        "data": {"test": list(test), "train_sha256": ["a" * 64]},
    }
    save_checkpoint(root / "checkpoints" / "epoch-0001", {"w": torch.zeros(1)}, meta)
    return root


def log(run: Path, name: str, rows: Sequence[dict[str, Any]]) -> None:
    run.mkdir(parents=True, exist_ok=True)
    (run / name).write_text("".join(json.dumps(row) + "\n" for row in rows))


@pytest.fixture
def real(tmp_path: Path) -> Path:
    return folder(tmp_path / "real", 16, good=2)


@pytest.fixture
def held(real: Path) -> list[str]:
    return [sample.name for sample in read_dataset(real).samples if sample.label != "good"][:8]


def test_an_epoch_that_was_trained_twice_counts_once(tmp_path: Path) -> None:
    log(tmp_path, "metrics.jsonl", [{"epoch": 1}, {"epoch": 2}])
    rows = [(1, 9.0), (2, 99.0), (1, 10.0), (2, 30.0)]
    log(tmp_path, "timing.jsonl", [{"epoch": epoch, "images": 8, "seconds": seconds} for epoch, seconds in rows])
    found = read_training(tmp_path)
    assert found is not None
    assert (found.images, found.seconds, found.timed) == (16, 40.0, 1.0)


def test_epochs_that_were_not_timed_are_taken_for_as_long_with_a_note(tmp_path: Path) -> None:
    log(tmp_path, "metrics.jsonl", [{"epoch": number} for number in (1, 2, 3, 4)])
    log(tmp_path, "timing.jsonl", [{"epoch": number, "images": 8, "seconds": 5.0} for number in (3, 4)])
    found = read_training(tmp_path)
    assert found is not None
    assert (found.images, found.seconds, found.timed) == (32, 20.0, 0.5)
    assert read_training(tmp_path / "none") is None


def test_runs_that_held_out_other_images_are_refused(tmp_path: Path, held: list[str]) -> None:
    a = run_of(tmp_path / "a", "magna", held)
    b = run_of(tmp_path / "b", "pix2pix", held[1:])
    with raises("E-paper-runs-differ"):
        open_runs([("a", a), ("b", b)])


def test_runs_on_other_crops_of_an_image_are_refused(tmp_path: Path, held: list[str]) -> None:
    a, b = run_of(tmp_path / "a", "magna", held), run_of(tmp_path / "b", "pix2pix", held, crop=64)
    with raises("E-paper-runs-differ"):
        open_runs([("a", a), ("b", b)])


def test_a_checkpoint_that_describes_no_generator_is_refused(tmp_path: Path) -> None:
    save_checkpoint(tmp_path / "checkpoints" / "epoch-0001", {"w": torch.zeros(1)}, {"architecture": "resnet18"})
    with raises("E-checkpoint-format"):
        open_runs([("a", tmp_path)])


def runs_of(root: Path, held: Sequence[str]) -> list[Run]:
    named = [(name, run_of(root / name, name, held)) for name in ("cyclegan", "pix2pix", "magna")]
    return open_runs([*named, ("blend", run_of(root / "blend", "blend", held, size=2 * SIDE))])


def test_magna_blend_blends_into_good_images_at_the_size_of_the_others(
    tmp_path: Path, real: Path, held: list[str]
) -> None:
    commands = set_commands(runs_of(tmp_path, held), real, tmp_path / "sets", num=3, seed=0)
    assert list(commands) == ["cyclegan", "pix2pix", "magna", "blend", "pasted", "perlin"]
    assert commands["blend"][-6:] == ["--backgrounds", str(real), "--size", str(SIDE), "--seed", "0"]
    smaller = set_commands(runs_of(tmp_path, held), real, tmp_path / "sets", num=3, seed=0, size=SIDE // 2)
    assert all(words[words.index("--size") + 1] == str(SIDE // 2) for words in smaller.values())
    assert "--backgrounds" not in commands["magna"]
    assert commands["pasted"][commands["pasted"].index("--num") + 1] == str(3 * len(held))


def test_without_good_images_defects_are_inpainted(tmp_path: Path) -> None:
    real = folder(tmp_path / "defective", 8)
    held = [sample.name for sample in read_dataset(real).samples][:4]
    assert "--inpaint" in set_commands(runs_of(tmp_path, held), real, tmp_path / "sets", num=1, seed=0)["blend"]


def test_images_without_the_held_out_ones_are_refused(tmp_path: Path, real: Path) -> None:
    with raises("E-paper-no-masks"):
        set_commands(runs_of(tmp_path, ["elsewhere"]), real, tmp_path / "sets", num=1, seed=0)


class Commands:
    """Stands for the commands: leaves a folder and says how long that took."""

    def __init__(self) -> None:
        self.called: list[str] = []

    def refusing(self, flag: str) -> Callable[[Sequence[str]], str]:
        """The same where words with a flag are refused."""

        def call(words: Sequence[str]) -> str:
            if flag in words:
                self.called.append(Path(words[words.index("--out") + 1]).name)
                raise MagnaError("too few", code="E-test-few")
            return self(words)

        return call

    def __call__(self, words: Sequence[str]) -> str:
        out = Path(words[words.index("--out") + 1])
        self.called.append(out.name)
        if "--dry-run" in words:
            return "{}\n"
        out.mkdir(parents=True, exist_ok=True)
        (out / "there").touch()
        return json.dumps({"written": 10, "seconds": 2.0}) + "\n"


def test_sets_are_generated_once_and_say_how_fast(tmp_path: Path, real: Path, held: list[str]) -> None:
    runs, sets, commands = runs_of(tmp_path, held), tmp_path / "sets", Commands()
    words = set_commands(runs, real, sets, num=1, seed=0)
    generated = make_sets(words, runs, real, sets, call=commands)
    assert [one.speed for one in generated] == [5.0] * 6
    assert make_sets(words, runs, real, sets, call=commands) == generated
    assert commands.called == list(words)
    assert len(list((sets / "masks").rglob("*.png"))) == len(held)


def test_a_matched_set_is_tried_before_anything_is_generated(tmp_path: Path, real: Path, held: list[str]) -> None:
    runs, sets, commands = runs_of(tmp_path, held), tmp_path / "sets", Commands()
    words = set_commands(runs, real, sets, num=1, seed=0, matched=True)
    assert {"--match-difficulty", "--write-best", "--backgrounds"} < set(words["blend-matched"])
    with pytest.raises(MagnaError, match="too few"):
        make_sets(words, runs, real, sets, call=commands.refusing("--dry-run"))
    assert commands.called == ["blend-matched"]
    assert len(make_sets(words, runs, real, sets, call=commands)) == 7
    taken = [*runs, replace(runs[-1], name="blend-matched")]
    with raises("E-bench-set-name"):
        set_commands(taken, real, sets, num=1, seed=0, matched=True)


def test_a_set_that_was_begun_is_resumed_and_has_no_speed(tmp_path: Path, real: Path, held: list[str]) -> None:
    runs, sets, commands = runs_of(tmp_path, held), tmp_path / "sets", Commands()
    (sets / "magna").mkdir(parents=True)
    (sets / "magna" / "half").touch()
    generated = {
        one.name: one
        for one in make_sets(set_commands(runs, real, sets, num=1, seed=0), runs, real, sets, call=commands)
    }
    assert generated["magna"].speed is None
    assert generated["blend"].speed == 5.0


def test_a_set_of_another_command_is_not_taken_for_this_one(tmp_path: Path, real: Path, held: list[str]) -> None:
    runs, sets = runs_of(tmp_path, held), tmp_path / "sets"
    make_sets(set_commands(runs, real, sets, num=1, seed=0), runs, real, sets, call=Commands())
    with raises("E-resume-settings", "cyclegan: was generated by another command or generator; remove it"):
        make_sets(set_commands(runs, real, sets, num=2, seed=0), runs, real, sets, call=Commands())


def score(name: str, value: float | None, spread: float = 1.0, baseline: float | None = None) -> Score:
    low, high = (value - spread, value + spread) if value is not None else (None, None)
    return Score(name, value, low, high, baseline, 50, 100, "tiny", "", "lower")


def table_of(tmp_path: Path, held: Sequence[str], fids: dict[str, float], spread: float = 1.0) -> PaperTable:
    sources = [
        SourceResults(
            name,
            [
                score("fid_tiny", fid, spread, 5.0),
                score("fid_infinity_tiny", fid),
                score("kid_tiny", fid / 100),
                score("label_iou", 0.5, baseline=0.53),
            ],
        )
        for name, fid in fids.items()
    ]
    generated = [GeneratedSet(name, tmp_path, 4.0) for name in fids]
    return paper_table(Results("", [], [], {}, sources, [], {}), runs_of(tmp_path, held), generated, "tiny")


def test_the_table_says_whether_the_order_of_the_source_holds(tmp_path: Path, held: list[str]) -> None:
    fids = {"cyclegan": 90.0, "pix2pix": 60.0, "magna": 50.0, "blend": 15.0}
    found = table_of(tmp_path, held, fids)
    assert [row[0] for row in found.rows][:3] == ["fid_tiny", "kid_tiny", "label_iou"]
    assert found.findings[0].startswith(
        "The source's order of FID, CycleGAN > Pix2Pix > Magna, holds here: cyclegan 90"
    )
    assert "FID of blend is 0.25 times that of pix2pix." in found.findings
    assert any("0.530 on unseen real images" in finding for finding in found.findings)
    assert "| CycleGAN | 2.88 ± 0.25 | 91.56 |" in found.markdown()
    assert json.loads(json.dumps(found.to_dict()))["rows"][0]["cells"]["blend"]["value"] == 15.0


def test_an_order_that_does_not_hold_or_is_not_sure_has_a_note(tmp_path: Path, held: list[str]) -> None:
    turned = {"cyclegan": 40.0, "pix2pix": 60.0, "magna": 50.0, "blend": 15.0}
    assert "does not hold here" in table_of(tmp_path / "a", held, turned).findings[0]
    close = {"cyclegan": 62.0, "pix2pix": 61.0, "magna": 60.0, "blend": 15.0}
    assert "though the intervals overlap" in table_of(tmp_path / "b", held, close, 5.0).findings[0]


def test_a_table_takes_runs_and_no_training_images(tmp_path: Path, real: Path, held: list[str]) -> None:
    run = run_of(tmp_path / "run", "magna", held)
    with raises("E-paper-flags"):
        open_paper([], Request(real, ()), tmp_path / "out", 1)
    with raises("E-paper-flags"):
        open_paper([("magna", run)], Request(real, (), crop=64), tmp_path / "out", 1)
    with raises("E-bench-set-name"):
        open_paper([("magna", run)], Request(real, (("pasted", real),)), tmp_path / "out", 1)


@pytest.mark.parametrize(
    ("words", "code"),
    [
        (["--run", "a=b"], "E-bench-flags"),
        (["--table", "thesis"], "E-bench-flags"),
        ([], "E-bench-no-fakes"),
        (["--table", "paper"], "E-paper-flags"),
    ],
)
def test_wrong_use_is_one_line(
    words: list[str], code: str, tmp_path: Path, real: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    assert main(app, ["--real", str(real), "--out", str(out), *words], name="bench-fid") == 2
    errors = capsys.readouterr().err.splitlines()
    assert len(errors) == 1
    assert errors[0].endswith(f" [{code}]")
    assert not out.exists()


def test_the_whole_command_writes_the_table_next_to_the_report(
    tmp_path: Path, real: Path, held: list[str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    images = {sample.name: sample.image for sample in read_dataset(real).samples}
    training = [path for name, path in images.items() if name not in held]
    fakes = trained_on(folder(tmp_path / "fakes", 12, seed=3, source="synthetic"), *training)

    def call(words: Sequence[str]) -> str:
        out = Path(words[words.index("--out") + 1])
        shutil.copytree(fakes, out)
        if words[0] == "mix-defects":
            (out / "generator.json").unlink()
        return json.dumps({"written": 12, "seconds": 3.0})

    monkeypatch.setattr("metrics.paper.sets._run", call)
    words = ["--table", "paper", "--real", str(real), "--run", f"magna={run_of(tmp_path / 'run', 'magna', held)}"]
    words += ["--out", str(tmp_path / "out"), "--no-cache", "--workers", "1", "--resamples", "20"]
    words += ["--extractor", str(network(tmp_path / "net.onnx")), "--skip", "labels,tsne", "--json"]
    assert main(app, words, name="bench-fid") == 0
    table = (tmp_path / "out" / "table.md").read_text()
    assert "| score | better | real | magna | pasted | perlin |" in table
    assert "| images a second | higher | – | 4.00 | 4.00 | 4.00 |" in table
    content = json.loads((tmp_path / "out" / "results.json").read_text())
    memorized = [s for one in content["sources"] for s in one["scores"] if s["name"] == "copies"]
    assert all(one["value"] is not None for one in memorized)
    assert not any("no generator.json says" in line for line in content["warnings"])
    assert len(images_of(fakes)) == 12
    capsys.readouterr()
