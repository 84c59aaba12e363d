"""gen-defects --filter-with: what is scored, written and counted, whatever the order."""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from defects.images.crops import CropSpec, crop_of, read_crop
from defects.images.decode import encode_image, read_image, read_mask_image
from defects.provenance import Provenance
from defects.sample import Sample
from engine.checkpoint import load_checkpoint, save_checkpoint
from engine.errors import OutputError
from engine.files.json_lines import LineLog
from gan.filtering import difficulty as difficulty_module
from gan.filtering import scorer as scorer_module
from gan.filtering import setup as opening
from gan.filtering.candidates import FilteredPlan, filtered
from gan.filtering.realism import open_references
from gan.filtering.report import filter_result
from gan.filtering.rule import Rule, Scores
from gan.filtering.scorer import Scorer, scored_crop_spec, train_scorer
from gan.generation.jobs import Request
from gan.generation.plan import GeneratedImage, Plan, Sampler, make_plan
from gan.generation.run import RunResult, generate
from metrics.data.image_set import ImageSet
from metrics.labels.network import SegmenterSettings
from tests.builders.blend import save_blender, save_images, save_masks_of
from tests.builders.errors import error_codes, raises
from tests.builders.gan import part
from tests.builders.generate import SIDE, files, gen_defects, save_masks, save_tiny_generator, tree_hash

NAMES = ("crack/a.png", "crack/b.png", "pit/c.png", "pit/d.png", "e.png")
NUM = 6


class Strict:
    """Lets a share of the images pass, by nothing but their pixels."""

    digest = "strict"

    def __init__(self, share: float) -> None:
        self.share = share

    def scores(self, images: Sequence[GeneratedImage], draws: Sequence[float]) -> list[Scores]:
        values = [hashlib.sha256(image.pixels.tobytes()).digest()[0] / 256 for image in images]
        return [Scores(1.0 if value < self.share else round(value / 4, 4), None) for value in values]


class Bright:
    """Finds what is nearly white."""

    def probabilities(self, crops: NDArray[np.uint8]) -> NDArray[np.float32]:
        return (crops.mean(axis=3) > 200).astype(np.float32)


RULE = Rule(min_label_iou=0.5, min_realism=0, max_attempts=3)


@pytest.fixture(scope="module")
def masks(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_masks(tmp_path_factory.mktemp("masks"), NAMES)


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_tiny_generator(tmp_path_factory.mktemp("checkpoint") / "tiny")


def _plan(masks: Path, checkpoint: Path, share: float, rule: Rule = RULE, **request: Any) -> FilteredPlan:
    plan = make_plan(Request(num=NUM, **request), masks, checkpoint, device="cpu")
    return filtered(plan, Strict(share), rule)  # type: ignore[arg-type]


def _rows(out: Path, name: str = "metadata.jsonl") -> list[dict[str, Any]]:
    return [json.loads(line) for line in (out / name).read_text(encoding="utf-8").splitlines()]


def _make(plan: Plan, out: Path, **options: Any) -> RunResult:
    return generate(plan, out, **options)


def test_a_scorer_that_rejects_all_makes_nothing_and_says_so(masks: Path, checkpoint: Path, tmp_path: Path) -> None:
    with raises("E-filter-no-image", r"all 90 candidates of 30 images were rejected \(100 %; the best label IoU"):
        _make(_plan(masks, checkpoint, 0.0), tmp_path / "out")
    assert list(files(tmp_path / "out")) == []


def test_a_scorer_that_rejects_none_changes_no_byte_but_the_column(
    masks: Path, checkpoint: Path, tmp_path: Path
) -> None:
    labels = ("mask", "coco", "yolo", "labelme")
    plan = _plan(masks, checkpoint, 1.0, labels=labels)
    done = _make(plan, tmp_path / "filtered")
    _make(plan.plan, tmp_path / "plain")
    assert done.images == done.written == len(NAMES) * NUM
    plain, retained = _rows(tmp_path / "plain"), _rows(tmp_path / "filtered")
    assert [row.pop("filter") for row in retained] == [{"label_iou": 1.0, "realism": None, "candidate": 0}] * len(plain)
    assert retained == plain
    assert (tmp_path / "filtered" / "rejected.jsonl").read_bytes() == b""
    for path in files(tmp_path / "plain"):
        if path.name not in ("metadata.jsonl", "request.json"):
            assert path.read_bytes() == (tmp_path / "filtered" / path.relative_to(tmp_path / "plain")).read_bytes()


def test_the_first_candidate_that_passes_is_written_and_all_are_counted(
    masks: Path, checkpoint: Path, tmp_path: Path
) -> None:
    plan, out = _plan(masks, checkpoint, 0.4), tmp_path / "out"
    done = _make(plan, out)
    rows, rejected = _rows(out), _rows(out, "rejected.jsonl")
    tried: dict[str, list[int]] = {}
    for row in rejected:
        tried.setdefault(row["name"], []).append(row["candidate"])
    names = {row["file_name"].removeprefix("images/").removesuffix(".png"): row for row in rows}
    left_out = {job.name for job in plan.jobs} - names.keys()
    assert 0 < len(left_out) < len(plan.jobs)
    assert all(tried[name] == [0, 1, 2] for name in left_out)
    for name, row in names.items():
        assert tried.get(name, []) == list(range(row["filter"]["candidate"]))
    assert {row["filter"]["candidate"] for row in rows} == {0, 1, 2}
    found = filter_result(out, RULE)
    assert found["kept"] == len(rows) == done.images == len(plan.jobs) - found["left_out"]
    assert found["rejected"] == len(rejected) == found["candidates"] - len(rows)
    assert found["rejection_rate"] == pytest.approx(0.6, abs=0.15)
    assert found["failed"] == {"label_iou": len(rejected)}
    assert sum(label["left_out"] for label in found["kinds"].values()) == len(left_out)
    assert f"{done.images} synthetic images" in (out / "README.md").read_text()
    assert sorted(path.name for path in files(out) if path.suffix == ".tmp") == []


def test_the_best_is_written_and_marked_where_none_passes(masks: Path, checkpoint: Path, tmp_path: Path) -> None:
    rule = replace(RULE, write_best=True)
    plan, out = _plan(masks, checkpoint, 0.2, rule), tmp_path / "out"
    assert _make(plan, out).images == len(plan.jobs)
    values: dict[str, list[float]] = {}
    for row in _rows(out, "rejected.jsonl"):
        values.setdefault(row["name"], []).append(row["label_iou"])
    marked = [row for row in _rows(out) if not row["filter"]["passed"]]
    assert marked
    for row in marked:
        tried = values[row["file_name"].removeprefix("images/").removesuffix(".png")]
        assert len(tried) == 3
        assert row["filter"]["label_iou"] == max(tried) == tried[row["filter"]["candidate"]]
    found = filter_result(out, rule)
    assert found["best_kept"] == len(marked)
    assert found["left_out"] == 0


def test_an_image_whose_defect_was_erased_is_rejected_and_the_next_candidate_written(
    masks: Path, checkpoint: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def sample(
        sampler: Sampler, conditions: Sequence[NDArray[np.bool_]], vectors: object, keys: Sequence[tuple[object, ...]]
    ) -> NDArray[np.uint8]:
        images = np.full((len(keys), SIDE, SIDE, 3), 90, np.uint8)
        for image, condition, key in zip(images, conditions, keys, strict=True):
            if len(key) > 4:  # the noise of candidate 0 has no number
                image[condition] = 250
        return images

    monkeypatch.setattr(Sampler, "sample", sample)
    scorer = Scorer(CropSpec(SIDE), (Bright(),), None, "bright")
    plan = filtered(make_plan(Request(), masks, checkpoint, device="cpu"), scorer, RULE)
    _make(plan, tmp_path / "out")
    rows = _rows(tmp_path / "out")
    assert [row["filter"] for row in rows] == [{"label_iou": 1.0, "realism": None, "candidate": 1}] * len(NAMES)
    assert {row["label_iou"] for row in _rows(tmp_path / "out", "rejected.jsonl")} == {0.0}
    for row in rows:
        image, label = read_image(tmp_path / "out" / row["file_name"]), read_mask_image(tmp_path / "out" / row["mask"])
        assert ((image > 200).all(axis=2) == label[0]).all()


@pytest.fixture(scope="module")
def reference(masks: Path, checkpoint: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("reference") / "out"
    _make(_plan(masks, checkpoint, 0.4), out, workers=1)
    return out


@pytest.mark.parametrize(("retained", "rejected"), [(0, 0), (0, 9), (4, 12), (7, 25), (7, None), (None, None)])
def test_resume_ends_in_the_tree_of_an_undisturbed_run(
    masks: Path, checkpoint: Path, reference: Path, tmp_path: Path, retained: int | None, rejected: int | None
) -> None:
    out = tmp_path / "out"
    shutil.copytree(reference, out)
    rows = _rows(out)
    least = 0
    if retained:  # what was rejected before a recorded image is on disk before it is
        names = [row["name"] for row in _rows(out, "rejected.jsonl")]
        before = [row["file_name"].removeprefix("images/").removesuffix(".png") for row in rows[retained:]]
        least = next((at for at, name in enumerate(names) if name in before), len(names))
    for name, count in (("metadata.jsonl", retained), ("rejected.jsonl", rejected)):
        lines = (out / name).read_bytes().splitlines(keepends=True)
        count = len(lines) if count is None else max(count, least if name == "rejected.jsonl" else 0)
        (out / name).write_bytes(b"".join(lines[:count]) + (b'{"torn' if count < len(lines) else b""))
    for path in ((out / rows[1]["file_name"]), (out / "preview.png")):
        path.unlink()
    _make(_plan(masks, checkpoint, 0.4), out, resume=True, batch_size=3)
    assert tree_hash(out) == tree_hash(reference)


@pytest.mark.parametrize("call", [3, 4, 5, 8])
def test_an_append_that_fails_leaves_no_gap_and_resume_goes_on(
    masks: Path, checkpoint: Path, reference: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, call: int
) -> None:
    out, real, calls = tmp_path / "out", LineLog.append, 0

    def once(log: LineLog, rows: Sequence[Mapping[str, Any]]) -> None:
        nonlocal calls
        calls += 1
        if calls == call:
            raise OutputError("no space; free some", code="E-test-full")
        real(log, rows)

    with monkeypatch.context() as patched:
        patched.setattr(LineLog, "append", once)
        with pytest.raises(OutputError):
            _make(_plan(masks, checkpoint, 0.4), out, batch_size=4)
    assert calls == call
    _make(_plan(masks, checkpoint, 0.4), out, resume=True)
    assert tree_hash(out) == tree_hash(reference)


def test_resume_with_another_rule_is_refused(masks: Path, checkpoint: Path, reference: Path) -> None:
    with raises("E-resume-settings"):
        _make(_plan(masks, checkpoint, 0.4, replace(RULE, max_attempts=2)), reference, resume=True)
    with raises("E-resume-settings"):
        _make(_plan(masks, checkpoint, 0.4).plan, reference, resume=True)


def test_candidates_differ_in_noise_and_sampled_values_but_not_in_class(masks: Path, checkpoint: Path) -> None:
    jobs = make_plan(Request(num=3, guide="thickness=0..1"), masks, checkpoint, device="cpu").jobs
    for job in jobs:
        tried = [replace(job, candidate=candidate) for candidate in range(4)]
        guides = [jobs.sample_guide(one, lambda: 3.0) for one in tried]
        assert len({guide.label for guide in guides}) == 1
        assert len({guide.scaled["thickness"] for guide in guides}) == len({jobs.noise_key(one) for one in tried}) == 4


def save_reals(folder: Path, count: int = 8) -> list[str]:
    """Parts with bright bars and blocks, some good ones; the SHA-256 of each image, in order of names."""
    hashes = []
    for what in ("images", "masks"):
        (folder / what).mkdir(parents=True)
    for number in range(count):
        image, mask = part(number, label=("crack", "pit")[number % 2], channels=3)
        data = encode_image(image)
        (folder / "images" / f"{number}.png").write_bytes(data)
        (folder / "masks" / f"{number}.png").write_bytes(encode_image(mask))
        hashes.append(hashlib.sha256(data).hexdigest())
    return hashes


def _provenance(hashes: Sequence[str], test: tuple[str, ...] = ()) -> Provenance:
    return Provenance("0" * 64, SIDE, 3, test=test, train_sha256=frozenset(hashes))


def test_only_images_that_the_generator_was_trained_on_are_used(tmp_path: Path) -> None:
    hashes = save_reals(tmp_path / "real")
    found = open_references(tmp_path / "real", _provenance(hashes[:6]), Rule())
    assert [sample.image.stem for sample in found.samples] == ["0", "1", "2", "3", "4", "5"]
    assert found.left_out == 2
    held = found.samples[2].name
    assert held not in [
        sample.name
        for sample in open_references(tmp_path / "real", _provenance(hashes, (held,)), Rule()).samples
    ]  # fmt: skip
    with raises("E-filter-few-images"):
        open_references(tmp_path / "real", _provenance(["1" * 64]), Rule())
    with raises("E-filter-no-training-images"):
        open_references(tmp_path / "real", _provenance([]), Rule())


def test_a_image_is_scored_by_the_crop_that_training_would_cut(tmp_path: Path) -> None:
    image, mask = part(3, label="pit", side=90)
    for name, data in (("image.png", encode_image(image)), ("mask.png", encode_image(mask))):
        (tmp_path / name).write_bytes(data)
    crop_spec = CropSpec(SIDE, 60, 3)
    expected = read_crop(Sample("a", tmp_path / "image.png", tmp_path / "mask.png", label="pit"), crop_spec)
    whole = GeneratedImage(image, mask, "pit", {}, {})
    crop, label = crop_of(whole.pixels, whole.mask, scored_crop_spec(crop_spec, whole_images=True))
    assert np.array_equal(crop, expected[0])
    assert np.array_equal(label, expected[1])
    written = GeneratedImage(crop, label, "pit", {}, {})
    assert np.array_equal(
        crop_of(written.pixels, written.mask, scored_crop_spec(crop_spec, whole_images=False))[0], crop
    )


SHORT = SegmenterSettings(steps=60, batch=4, pretrained=False)


@pytest.mark.slow
def test_a_trained_scorer_separates_defects_from_erased_ones_and_is_the_same_again(tmp_path: Path) -> None:
    hashes = save_reals(tmp_path / "real", 24)
    references = open_references(tmp_path / "real", _provenance(hashes), Rule())
    crop_spec = CropSpec(SIDE, None, 3)
    generated, erased = [], []
    for number in range(100, 108):
        image, mask = part(number, label=("crack", "pit")[number % 2], side=SIDE, channels=3)
        generated.append(GeneratedImage(image, mask, "crack", {}, {}))
        erased.append(replace(generated[-1], pixels=cv2.medianBlur(np.where(mask[..., None], image[0, 0], image), 3)))

    def trained(folder: Path | None) -> Scorer:
        return train_scorer(references, crop_spec, Rule(), whole_images=False, folder=folder, settings=SHORT)

    draws = [0.5] * len(generated)
    scorer = trained(tmp_path / "cache")
    good, bad = scorer.scores(generated, draws), scorer.scores(erased, draws)
    assert np.mean([each.label_iou for each in good]) > np.mean([each.label_iou for each in bad]) + 0.3  # type: ignore[misc]
    again, anew = trained(tmp_path / "cache"), trained(None)
    assert scorer.digest == again.digest == anew.digest
    alone = [again.scores([image], [0.5])[0] for image in reversed(generated)]
    assert alone[::-1] == good


class Steps:
    """Finds the upper left part of every label, more of it in some images than in others, by their pixels."""

    digest = "steps"
    target = 0.6

    def scores(self, images: Sequence[GeneratedImage], draws: Sequence[float]) -> list[Scores]:
        values = [hashlib.sha256(image.pixels.tobytes()).digest()[0] / 255 for image in images]
        return [Scores(round(value, 4), None, self.target) for value in values]


def test_a_label_is_to_be_found_as_well_as_a_real_one_and_not_better(
    masks: Path, checkpoint: Path, tmp_path: Path
) -> None:
    rule = Rule(min_realism=0, max_attempts=3, write_best=True, match_difficulty=True)
    plan = filtered(make_plan(Request(num=NUM), masks, checkpoint, device="cpu"), Steps(), rule)  # type: ignore[arg-type]
    _make(plan, tmp_path / "out")
    rows = [row["filter"] for row in _rows(tmp_path / "out")]
    rejected = _rows(tmp_path / "out", "rejected.jsonl")
    assert {row["aim"] for row in (*rows, *rejected)} == {0.6}
    assert all(row["passed"] == (0.5 <= row["label_iou"] <= 0.7) for row in rows)
    assert any(row["label_iou"] > 0.7 for row in rejected)
    assert any(row["label_iou"] < 0.5 for row in rejected)
    missed: dict[str, list[float]] = {}
    for row in rejected:
        missed.setdefault(row["name"], []).append(abs(row["label_iou"] - 0.6))
    for row in _rows(tmp_path / "out"):
        if not row["filter"]["passed"]:
            tried = missed[row["file_name"].removeprefix("images/").removesuffix(".png")]
            assert abs(row["filter"]["label_iou"] - 0.6) == min(tried)
    found = filter_result(tmp_path / "out", rule)
    assert found["kept"] == len(NAMES) * NUM
    assert found["failed"] == {"label_iou": len(rejected)}
    never = replace(rule, write_best=False, max_attempts=1)
    far = Steps()
    far.target = 9.0
    plan = filtered(make_plan(Request(num=2), masks, checkpoint, device="cpu"), far, never)  # type: ignore[arg-type]
    with raises("E-filter-no-image", r"the nearest label IoU missed its target by 8\.\d\d, and 0\.1 passes"):
        _make(plan, tmp_path / "none")


def test_the_difficulty_of_a_real_defect_is_named_by_who_has_not_known_its_part(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    hashes = save_reals(tmp_path / "real", 12)
    references = open_references(tmp_path / "real", _provenance(hashes), Rule())
    known: list[set[str]] = []

    class Untrained:
        def __init__(self, known: set[str]) -> None:
            self.known, self.network = known, torch.nn.Linear(1, 1)

        def predict(self, images: ImageSet) -> NDArray[np.bool_]:
            assert not self.known & {sample.name for sample in images.samples}
            return images.masks() if len(self.known) % 2 else np.zeros_like(images.masks())

    def trained(train: ImageSet, *_: object, **__: object) -> Untrained:
        known.append({sample.name for sample in train.samples})
        return Untrained(known[-1])

    monkeypatch.setattr(difficulty_module, "load_or_train", trained)
    rule = Rule(match_difficulty=True, min_realism=0)
    scorer = train_scorer(references, CropSpec(SIDE, None, 3), rule, whole_images=False, folder=None)
    everyone = {sample.name for sample in references.samples}
    assert len(known) == len(scorer.segmenters) == difficulty_module.FOLDS
    assert all(set() < names < everyone for names in known)
    assert all(sum(name in names for names in known) == difficulty_module.FOLDS - 1 for name in everyone)
    difficulty = scorer.difficulty
    assert difficulty is not None
    assert sorted(difficulty.classes.tolist()) == sorted(sample.label for sample in references.samples)
    targets = {difficulty.target("crack", 40, share)[0] for share in np.linspace(0, 1, 50)}
    assert all(scorer.unseen[digest] == next(i for i in range(3) if sample.name not in known[i])
               for sample, digest in zip(references.samples, references.hashes, strict=True))  # fmt: skip
    assert targets <= set(difficulty.overlaps.tolist()) <= {0.0, 1.0}
    few = replace(references, samples=[replace(sample, group="one") for sample in references.samples])
    with raises("E-filter-training"):
        train_scorer(few, CropSpec(SIDE, None, 3), rule, whole_images=False, folder=None)


def test_an_image_is_scored_by_who_has_not_known_its_background() -> None:
    class Number:
        def __init__(self, share: int) -> None:
            self.share = share

        def probabilities(self, crops: NDArray[np.uint8]) -> NDArray[np.float32]:
            found = np.zeros(crops.shape[:3], np.float32)
            found[:, : self.share] = 1
            return found

    difficulty = difficulty_module.Difficulty(
        np.array(["pit"] * 6), np.full(6, 64.0), np.linspace(0, 1, 6), np.full(6, 2)
    )
    scorer = Scorer(
        CropSpec(SIDE), tuple(Number(SIDE * i // 4) for i in (1, 2, 3)), None, "three", difficulty, {"aa": 0, "bb": 1}
    )
    whole = GeneratedImage(np.zeros((SIDE, SIDE, 3), np.uint8), np.ones((SIDE, SIDE), bool), "pit", {}, {})
    images = [replace(whole, columns={"background": {"sha256": name}}) for name in ("bb", "aa", "unknown")]
    scores = scorer.scores([*images, whole], [0.0, 0.0, 0.99, 0.99])
    assert [each.label_iou for each in scores] == [0.5, 0.25, 0.75, 0.75]
    assert [each.target for each in scores] == [0.0, 0.0, 1.0, 1.0]


def _command(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, share: float = 0.4) -> list[object]:
    """Arguments of a run with a filter, its scorer replaced by one that needs no training."""
    hashes = save_reals(tmp_path / "real")
    save_tiny_generator(tmp_path / "untold")
    tensors, meta = load_checkpoint(tmp_path / "untold")
    save_checkpoint(tmp_path / "net", tensors, meta | {"data": {"train_sha256": hashes, "test": []}})
    save_masks(tmp_path / "masks", NAMES)
    monkeypatch.setattr(scorer_module, "train_scorer", lambda *_, **__: Strict(share))
    assert opening.open_filter
    return ["--masks", tmp_path / "masks", "--checkpoint", tmp_path / "net", "--filter-with", tmp_path / "real",
            "--num", NUM, "--min-realism", 0, "--out", tmp_path / "out"]  # fmt: skip


def test_the_command_reports_the_rate_overall_and_by_class(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = _command(tmp_path, monkeypatch)
    assert gen_defects(*arguments, "--dry-run") == 0
    assert "trained on 8 real images, 8 of them with a defect; 0 that" in capsys.readouterr().out
    assert not (tmp_path / "out").exists()
    assert gen_defects(*arguments, "--max-attempts", 2, "--json") == 0
    result = json.loads(capsys.readouterr().out.splitlines()[-1])
    found = result["filter"]
    assert result["images"] == found["kept"] == len(_rows(tmp_path / "out"))
    assert found["left_out"] + found["kept"] == len(NAMES) * NUM
    assert set(found["kinds"]) == {"crack", "pit"}
    assert 0 < found["rejection_rate"] < 1
    assert gen_defects(*arguments, "--out", tmp_path / "text") == 0
    lines = capsys.readouterr().out.splitlines()
    assert sum("candidates rejected (" in line for line in lines) == 3
    assert gen_defects(*arguments) == 1
    assert error_codes(capsys) == ["E-out-not-empty"]


def test_the_command_ends_with_one_line_where_nothing_passes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert gen_defects(*_command(tmp_path, monkeypatch, 0.0)) == 1
    assert error_codes(capsys) == ["E-filter-no-image"]
    assert list(files(tmp_path / "out")) == []


@pytest.mark.parametrize(
    ("extra", "error"),
    [
        (("--min-label-iou", 1.5), "E-filter-range"),
        (("--min-label-iou", "nan"), "E-filter-range"),
        (("--min-realism", -1), "E-filter-range"),
        (("--min-realism", "inf"), "E-filter-range"),
        (("--max-attempts", 0), "E-filter-range"),
        (("--min-label-iou", 0), "E-filter-nothing-required"),
        (("--filter-with", "nowhere"), "E-dataset-no-folder"),
        (("--match-difficulty", "--min-label-iou", 0.4), "E-filter-two-rules"),
    ],
)
def test_bad_options_are_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], extra: tuple[object, ...],
    error: str,
) -> None:  # fmt: skip
    assert gen_defects(*_command(tmp_path, monkeypatch), *extra) in (1, 2)
    assert error_codes(capsys) == [error]
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    "extra",
    [("--min-label-iou", 0.5), ("--min-realism", 1), ("--max-attempts", 2), ("--write-best",), ("--match-difficulty",)],
)
def test_options_without_real_images_are_one_line(
    masks: Path, checkpoint: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], extra: tuple[object, ...]
) -> None:
    assert gen_defects("--masks", masks, "--checkpoint", checkpoint, "--out", tmp_path / "out", *extra) == 2
    assert error_codes(capsys) == ["E-filter-no-images"]


def test_images_with_sampled_defects_are_filtered_too_and_resume_gives_the_same_tree(tmp_path: Path) -> None:
    from gan.blending.plan import make_blend_plan

    backgrounds = save_images(tmp_path / "backgrounds")
    masks = save_masks_of(tmp_path / "masks", 60, 80)
    blender = save_blender(tmp_path / "net")

    def plan() -> FilteredPlan:
        result = make_blend_plan(Request(num=5), masks, backgrounds, blender, device="cpu")
        return filtered(result, Strict(0.4), RULE)  # type: ignore[arg-type]

    one, two = tmp_path / "one", tmp_path / "two"
    _make(plan(), one, workers=1)
    _make(plan().plan, tmp_path / "plain")
    _make(plan(), two, workers=3, batch_size=1)
    assert tree_hash(one) == tree_hash(two)
    rows = _rows(two)
    lines = (two / "metadata.jsonl").read_bytes().splitlines(keepends=True)
    (two / "metadata.jsonl").write_bytes(b"".join(lines[:2]))
    (two / rows[0]["file_name"]).unlink()
    _make(plan(), two, resume=True)
    assert tree_hash(one) == tree_hash(two)
    firsts = [row for row in rows if not row["filter"]["candidate"]]
    assert 0 < len(firsts) < len(rows) < 10
    for row in firsts:
        assert (one / row["file_name"]).read_bytes() == (tmp_path / "plain" / row["file_name"]).read_bytes()
    assert all(row["background"] for row in rows)


def test_values_out_of_range_are_refused() -> None:
    for wrong in ({"min_label_iou": -0.1}, {"min_realism": float("nan")}, {"max_attempts": 101}):
        with raises("E-filter-range"):
            Rule(**wrong)  # type: ignore[arg-type]
