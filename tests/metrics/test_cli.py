"""`bench-fid` as a user calls it: what it writes, what it refuses, and in how many words."""

from __future__ import annotations

import json
import shutil
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from engine.commands import main
from metrics.bench import evaluation
from metrics.cli import app
from metrics.labels.network import SegmenterSettings
from metrics.labels.segmenter import load_or_train
from tests.builders.bench import folder, images_of, network, trained_on

FILES = ["report.html", "results.json", "scores.jsonl"]


def sample_scores(folder: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (folder / "scores.jsonl").read_text(encoding="utf-8").splitlines()]


@dataclass
class Bench:
    """A command line with its folders, run in this process."""

    root: Path
    capsys: pytest.CaptureFixture[str]
    real: Path
    fake: Path
    net: Path

    @property
    def out(self) -> Path:
        return self.root / "out"

    def __call__(self, *more: str, fake: str | None = None, labels: bool = False) -> tuple[int, str, list[str]]:
        """Exit code, stdout, and the lines of stderr that begin with `error:`."""
        words = ["--real", str(self.real), "--fake", fake if fake is not None else f"magna={self.fake}"]
        words += ["--out", str(self.out), "--no-cache", "--workers", "1", "--resamples", "20", *more]
        if "--extractor" not in more:
            words += ["--extractor", str(self.net)]
        if not labels and "--skip" not in more:
            words += ["--skip", "labels"]
        code = main(app, words, name="bench-fid")
        captured = self.capsys.readouterr()
        return code, captured.out, [line for line in captured.err.splitlines() if line.startswith("error:")]

    def fails(self, error: str, *more: str, code: int = 2, fake: str | None = None) -> str:
        """One line that ends with the code of the error; nothing may be written."""
        got, out, errors = self(*more, fake=fake)
        assert (got, out) == (code, "")
        assert len(errors) == 1
        assert errors[0].endswith(f" [{error}]"), errors[0]
        assert not self.out.exists()
        return errors[0]


@pytest.fixture
def bench(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Bench:
    real = folder(tmp_path / "real", 16, good=2)
    fake = trained_on(folder(tmp_path / "fake", 14, seed=1, source="synthetic"), *images_of(real)[:8])
    return Bench(tmp_path, capsys, real, fake, network(tmp_path / "net.onnx"))


def test_a_report_results_and_scores_of_single_images_are_written(bench: Bench) -> None:
    code, out, errors = bench("--held-out")
    assert (code, errors) == (0, [])
    assert sorted(path.name for path in bench.out.iterdir()) == FILES
    assert out.startswith("magna (14 images) against 8 real images, 32 x 32 px gray, none of them trained on.\n")
    assert "fid_onnx_net" in out
    assert "control_brightness" in out
    assert "next: mix-defects --real" in out
    results = json.loads((bench.out / "results.json").read_text(encoding="utf-8"))
    scores = {score["name"]: score for score in results["sources"][0]["scores"]}
    assert scores["fid_onnx_net"]["n_real"] == 8
    assert scores["label_iou"]["value"] is None
    assert scores["control_brightness"]["value"] > 0.8
    assert scores["c_t"]["value"] is not None
    rows = sample_scores(bench.out)
    assert [row["file_name"] for row in rows] == [f"images/{path.name}" for path in images_of(bench.fake)]
    assert all(row["nearest"] is not None and row["realism"] is not None and row["label_iou"] is None for row in rows)


def test_json_holds_all_that_the_table_says(bench: Bench) -> None:
    code, out, _ = bench("--held-out", "--json", "--gate", "copies<0.9")
    content = json.loads(out)
    assert code == 0
    assert content["gate"] == {"asked": "copies<0.9", "failed": []}
    assert content["files"]["report"] == str(bench.out / "report.html")
    assert content["settings"]["seed"] == 0


def test_the_same_seed_gives_the_same_scores(bench: Bench) -> None:
    first = json.loads(bench("--held-out", "--json", "--seed", "3")[1])
    second = json.loads(bench("--held-out", "--json", "--seed", "3", "--force")[1])
    assert first["sources"] == second["sources"]


def test_real_images_of_the_training_are_refused(bench: Bench) -> None:
    line = bench.fails("E-held-out-leak")
    assert "its 18 images hold 8 that magna was trained on; leave them out by --held-out" in line


def test_a_copy_of_the_training_images_in_another_folder_is_refused_too(bench: Bench) -> None:
    copy = bench.root / "copy"
    shutil.copytree(bench.real, copy)
    (copy / "images" / "real-0-00.png").rename(copy / "images" / "renamed.png")
    manifest = (copy / "metadata.jsonl").read_text(encoding="utf-8")
    manifest = manifest.replace("images/real-0-00.png", "images/renamed.png")
    rows = [{**json.loads(line), "sha256": None} for line in manifest.splitlines()]
    (copy / "metadata.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    bench.real = copy
    assert "hold 8 that magna was trained on" in bench.fails("E-held-out-leak")


def test_allowed_training_images_stand_in_the_first_line(bench: Bench) -> None:
    code, out, _ = bench("--allow-trained")
    assert code == 0
    assert out.startswith("Not a fair comparison: 8 of the 18 real images were training images")
    page = (bench.out / "report.html").read_text(encoding="utf-8")
    assert page.index("Not a fair comparison: 8 of the 18") < page.index("<h1>")


def test_without_known_training_images_memorization_is_listed_as_missing(bench: Bench) -> None:
    (bench.fake / "generator.json").unlink()
    code, out, _ = bench()
    assert code == 0
    assert "it cannot be checked that the real images are new to it" in out
    assert "give them by --train DIR" in out
    page = (bench.out / "report.html").read_text(encoding="utf-8")
    assert "its training images are not known (no generator.json)" in page[page.index('id="missing"') :]


def test_training_images_can_be_given_apart(bench: Bench) -> None:
    (bench.fake / "generator.json").unlink()
    train = folder(bench.root / "train", 8, seed=5)
    code, out, _ = bench("--train", str(train))
    assert code == 0
    assert "c_t" in out
    assert {row["nearest"] for row in sample_scores(bench.out)} <= {path.stem for path in images_of(train)}


def test_a_failed_gate_exits_with_3_and_a_line_each(bench: Bench) -> None:
    code, _, errors = bench("--held-out", "--gate", "fid_onnx_net<0,magna.label_iou>0.1,copies<=1")
    assert code == 3
    assert len(errors) == 2
    assert errors[0].startswith("error: gate: magna: fid_onnx_net is ")
    assert errors[1] == (
        "error: gate: magna: label_iou could not be computed (left out by --skip); expected > 0.1 [E-gate-failed]"
    )
    assert sorted(path.name for path in bench.out.iterdir()) == FILES


def test_an_unknown_score_in_a_gate_is_refused_before_anything_is_computed(bench: Bench) -> None:
    line = bench.fails("E-gate-unknown-score", "--held-out", "--gate", "fid<40")
    assert "unknown score 'fid'; use one of fid_onnx_net, " in line
    assert "control_kind" in line


def test_a_dry_run_writes_nothing(bench: Bench) -> None:
    code, out, _ = bench("--held-out", "--dry-run")
    assert code == 0
    assert out.startswith("would compare magna (14 images) against 8 real images")
    assert not bench.out.exists()


def test_a_folder_with_something_in_it_is_not_overwritten(bench: Bench) -> None:
    bench.out.mkdir()
    (bench.out / "notes.txt").write_text("mine", encoding="utf-8")
    code, _, errors = bench("--held-out")
    assert code == 1
    assert errors[0].endswith("; add --force to replace the report in it, or choose another --out [E-out-not-empty]")
    assert bench("--held-out", "--force")[0] == 0
    assert sorted(path.name for path in bench.out.iterdir()) == ["notes.txt", *FILES]
    assert (bench.out / "notes.txt").read_text(encoding="utf-8") == "mine"


@pytest.mark.parametrize(
    ("given", "error"),
    [
        ("fakes", "E-set-name"),
        ("magna=", "E-set-name"),
        ("ma gna=x", "E-set-name"),
        ("<b>=x", "E-set-name"),
        ("a.b=x", "E-set-name"),
        ("=x", "E-set-name"),
        ("magna=nowhere", "E-dataset-no-folder"),
    ],
)
def test_a_wrong_fake_is_refused(bench: Bench, given: str, error: str) -> None:
    bench.fails(error, "--held-out", fake=given, code=1 if "nowhere" in given else 2)


def test_one_name_for_two_sets_is_refused(bench: Bench) -> None:
    bench.fails("E-set-name", "--fake", f"magna={bench.fake}")


def test_an_empty_folder_is_refused(bench: Bench) -> None:
    (bench.root / "empty").mkdir()
    bench.fails("E-dataset-empty", fake=f"magna={bench.root / 'empty'}", code=1)


def test_one_image_is_too_few(bench: Bench) -> None:
    one = folder(bench.root / "one", 1, seed=2, source="synthetic")
    bench.fails("E-bench-too-few-images", fake=f"magna={one}", code=1)


def test_real_images_without_a_defect_are_too_few(bench: Bench) -> None:
    bench.real = folder(bench.root / "good", 0, good=4, seed=3)
    assert "compare good ones too by --good" in bench.fails("E-bench-too-few-images", code=1)


def test_sets_of_several_sizes_need_a_size(bench: Bench) -> None:
    other = folder(bench.root / "other", 6, seed=4, source="synthetic", size=48)
    line = bench.fails("E-bench-sizes", "--fake", f"other={other}", "--held-out")
    assert "images of 2 sizes (32 x 32 px in magna, 48 x 48 px in other); give one --size" in line
    assert bench("--fake", f"other={other}", "--held-out", "--size", "32")[0] == 0


def test_gray_images_against_rgb_ones_need_a_number_of_channels(bench: Bench) -> None:
    color = folder(bench.root / "color", 6, seed=4, source="synthetic", channels=3)
    bench.fails("E-bench-channels", "--fake", f"color={color}", "--held-out")
    bench.fails("E-bench-channels", fake=f"color={color}")
    assert bench("--channels", "1", fake=f"color={color}")[0] == 0


def test_generators_of_several_crops_need_a_crop(bench: Bench) -> None:
    other = trained_on(folder(bench.root / "other", 6, seed=4, source="synthetic"), crop=16)
    line = bench.fails("E-bench-crops", "--fake", f"other={other}", "--held-out")
    assert "the shorter side for magna, 16 for other, px); give one --crop" in line


@pytest.mark.parametrize("which", ["real", "fake"])
def test_images_of_one_flat_color_are_refused(bench: Bench, which: str) -> None:
    flat = folder(bench.root / "flat", 4, seed=6, source="real" if which == "real" else "synthetic", value=127)
    if which == "real":
        bench.real = flat
    bench.fails("E-bench-flat-images", fake=f"flat={flat}" if which == "fake" else None, code=1)


def test_features_that_are_no_numbers_are_refused(bench: Bench) -> None:
    broken = network(bench.root / "broken.onnx", broken=True)
    bench.fails("E-features-not-finite", "--held-out", "--extractor", str(broken), code=1)


@pytest.mark.parametrize("words", [("--extractor", "nowhere.onnx"), ("--inception-weights", "nowhere.safetensors")])
def test_missing_weights_are_refused_by_name(bench: Bench, words: tuple[str, str]) -> None:
    assert words[1] in bench.fails("E-weights-unreadable", "--held-out", *words, code=1)


def test_weights_that_cannot_be_reached_can_be_given(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(bench.root / "cache"))
    monkeypatch.setenv("TORCH_HOME", str(bench.root / "torch"))
    for name in ("http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    line = bench.fails("E-weights-download", "--held-out", "--extractor", "inception", code=1)
    assert "--inception-weights" in line


@pytest.mark.parametrize(
    ("words", "error"),
    [
        (("--channels", "2"), "E-bench-flags"),
        (("--skip", "all"), "E-bench-unknown-part"),
        (("--held-out", "--allow-trained"), "E-bench-flags"),
        (("--cache", "x"), "E-bench-flags"),
        (("--held-out", "--extractor", "vgg"), "E-extractor-unknown"),
        (("--held-out", "--device", "tpu"), "E-device"),
    ],
)
def test_a_wrong_flag_is_refused(bench: Bench, words: tuple[str, ...], error: str) -> None:
    bench.fails(error, *words)


def test_a_damaged_image_is_named(bench: Bench) -> None:
    images_of(bench.fake)[2].write_bytes(images_of(bench.fake)[2].read_bytes()[:60])
    assert "synthetic-1-02.png" in bench.fails("E-image-damaged", "--held-out", code=1)


def test_a_run_that_dies_in_between_leaves_nothing(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    def dies(*_: object, **__: object) -> bytes:
        raise KeyboardInterrupt

    monkeypatch.setattr("metrics.report.build.render", dies)
    code, _, _ = bench("--held-out")
    assert code == 130
    assert not bench.out.exists()


def test_what_a_killed_run_left_is_no_obstacle(bench: Bench) -> None:
    bench.out.mkdir()
    (bench.out / ".report.html.4242.tmp").write_text("<!doc", encoding="utf-8")
    (bench.out / ".lock").write_text("4242", encoding="utf-8")
    assert bench("--held-out")[0] == 0
    assert sorted(path.name for path in bench.out.iterdir()) == FILES


def test_labels_and_the_whole_report(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    short = SegmenterSettings(steps=12, batch=4, pretrained=False)
    monkeypatch.setattr(evaluation, "load_or_train", partial(load_or_train, settings=short))
    code, _, errors = bench("--held-out", labels=True)
    assert (code, errors) == (0, [])
    results = json.loads((bench.out / "results.json").read_text(encoding="utf-8"))
    assert {score["name"]: score["value"] for score in results["sources"][0]["scores"]}["label_iou"] is not None
    assert all(row["label_iou"] is not None for row in sample_scores(bench.out))
