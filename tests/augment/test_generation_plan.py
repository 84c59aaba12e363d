"""Plans: the emptiest strata first, masks of the target size, commands that a generator understands."""

from __future__ import annotations

import json
import shlex
from pathlib import Path

import numpy as np
import pytest

from augment.balancing.output import write_plan
from augment.balancing.plan import GenerationPlan, make_generation_plan
from augment.balancing.plan_commands import Generator, folder_name, guide_of, read_generator
from augment.balancing.plan_masks import Donor, real_mask, shape_class, shaped_mask
from defects.attributes.guide import CategoricalEntry, GuideSchema, NumericEntry
from defects.attributes.request import Interval, parse_guide
from defects.images.crops import CropSpec
from defects.images.decode import read_mask_image
from defects.provenance import Provenance, file_name
from defects.sample import Sample
from engine.errors import CheckpointError, DataError, OutputError
from tests.builders import write_json
from tests.builders.surfaces import blob, defective, good

SCHEMA = GuideSchema(
    (
        NumericEntry("thickness", 2.0, 12.0, "px"),
        NumericEntry("brightness", -0.6, 0.4),
        CategoricalEntry("kind", ("glint", "pit")),
    )
)


@pytest.fixture(scope="module")
def samples(tmp_path_factory: pytest.TempPathFactory) -> list[Sample]:
    root = tmp_path_factory.mktemp("real")
    return good(root) + defective(root, count=9) + defective(root, "glint", change=60)


@pytest.fixture(scope="module")
def plan(samples: list[Sample]) -> GenerationPlan:
    return make_generation_plan(samples, generator=Generator(SCHEMA, CropSpec(64, None, 1), "abc", Path("runs/my run")))


def test_the_emptiest_strata_come_first(plan: GenerationPlan) -> None:
    counts = [stratum.stratum.count for stratum in plan.strata]
    assert counts == sorted(counts)
    assert counts[0] == 0
    assert all(stratum.missing == plan.target - stratum.stratum.count for stratum in plan.strata)
    assert all(stratum.images >= stratum.missing for stratum in plan.requested)


def test_every_mask_has_the_size_of_its_stratum(plan: GenerationPlan) -> None:
    low, high = plan.terciles.size
    assert plan.requested
    for stratum in plan.requested:
        for mask in stratum.masks:
            share = float(mask.mask.mean())
            ranges = {"small": (0, low), "medium": (low, high), "large": (high, 1)}
            least, most = ranges[stratum.stratum.size]
            assert mask.mask.shape == (64, 64)
            assert mask.mask.any()
            assert least <= share <= most


def test_commands_parse_and_request_the_brightness_of_their_stratum(plan: GenerationPlan) -> None:
    edges = plan.terciles.brightness
    for stratum in plan.requested:
        arguments = shlex.split(stratum.line)
        assert arguments[0] == "gen-defects"
        guide = arguments[arguments.index("--guide") + 1]
        (found,) = parse_guide(guide, SCHEMA).grid_points()
        assert found["kind"] == stratum.stratum.class_name
        requested = found["brightness"]
        assert isinstance(requested, Interval)
        entry = SCHEMA["brightness"]
        assert isinstance(entry, NumericEntry)
        raw = entry.unscale(requested.low), entry.unscale(requested.high)
        ranges = {"dark": (-0.6, edges[0]), "neutral": edges, "bright": (edges[1], 0.4)}
        least, most = ranges[stratum.stratum.brightness]
        assert least - 1e-6 <= raw[0] < raw[1] <= most + 1e-6


def test_the_folder_holds_masks_script_and_sources(tmp_path: Path, plan: GenerationPlan) -> None:
    out = tmp_path / "plan"
    write_plan(plan, out)
    script = (out / "commands.sh").read_text()
    described = json.loads((out / "plan.json").read_text())
    assert "/runs/my run'" in script
    for stratum in plan.requested:
        files = sorted((out / stratum.folder).glob("*.png"))
        assert len(files) == len(stratum.masks)
        assert np.array_equal(read_mask_image(files[0])[0], stratum.masks[0].mask)
        assert stratum.line in script
    assert described["target"] == plan.target
    sources = {mask["source"] for stratum in described["cells"] for mask in stratum["masks"]}
    assert sources <= {*(f"pit_{i}" for i in range(9)), *(f"glint_{i}" for i in range(4)), "procedural pit"} | {
        "procedural spot"
    }
    with pytest.raises(OutputError, match="not empty"):
        write_plan(plan, out)


def test_the_same_seed_gives_the_same_plan(samples: list[Sample]) -> None:
    one, two = (make_generation_plan(order, CropSpec(48, None, 1), seed=3) for order in (samples, samples[::-1]))
    assert one.to_dict() == two.to_dict()
    for a, b in zip(one.requested, two.requested, strict=True):
        assert all(np.array_equal(x.mask, y.mask) for x, y in zip(a.masks, b.masks, strict=True))


def test_without_a_generator_the_script_needs_one(tmp_path: Path, samples: list[Sample]) -> None:
    plan = make_generation_plan(samples, CropSpec(48, None, 1), target=2)
    write_plan(plan, tmp_path / "plan")
    assert "${CHECKPOINT:?" in (tmp_path / "plan" / "commands.sh").read_text()
    assert plan.to_dict()["checkpoint"] is None


def test_a_generator_without_classes_gets_a_label(samples: list[Sample]) -> None:
    schema = GuideSchema((NumericEntry("brightness", -0.6, 0.4),))
    plan = make_generation_plan(samples, generator=Generator(schema, CropSpec(48, None, 1), "abc"))
    assert all(
        stratum.arguments[stratum.arguments.index("--label") + 1] == stratum.stratum.class_name
        for stratum in plan.requested
    )


def test_what_the_generator_cannot_do_is_left_out_with_the_reason(samples: list[Sample]) -> None:
    schema = GuideSchema((NumericEntry("brightness", 0.3, 0.4), CategoricalEntry("kind", ("pit", "spot"))))
    plan = make_generation_plan(samples, generator=Generator(schema, CropSpec(48, None, 1), "abc"))
    reason = {stratum.stratum.name: stratum.reason for stratum in plan.strata if not stratum.arguments}
    assert any("knows no 'glint'" in text for text in reason.values())
    assert any("lies outside the brightness" in text for text in reason.values())
    assert any("left out" in line for line in plan.lines())


def test_a_stratum_far_from_every_real_defect_is_left_out(tmp_path: Path) -> None:
    from tests.builders import save
    from tests.builders.surfaces import surface, with_defect

    mixed = []
    for class_name, axes in (("dot", (2, 2)), ("stain", (40, 30))):
        for i in range(3):
            mask = blob((64, 48), (axes[0] + i // 2, axes[1]))
            image = save(tmp_path / f"{class_name}{i}.png", with_defect(surface(i), mask))
            mask_file = save(tmp_path / "masks" / f"{class_name}{i}.png", mask)
            mixed.append(Sample(f"{class_name}{i}", image, mask_file, label=class_name))
    plan = make_generation_plan(mixed, CropSpec(96, None, 1), target=3)
    assert any(
        "would have to be scaled" in c.reason
        for c in plan.strata
        if c.stratum.class_name == "dot" and c.stratum.size == "large"
    )


def test_a_scaled_mask_keeps_to_the_border_it_reaches() -> None:
    mask = np.ascontiguousarray(blob((0, 40), (10, 8))[:, :96])
    for seed in range(10):
        planned = real_mask(Donor("x", mask), (0.02, 0.03), np.random.default_rng(seed))
        assert planned is not None
        assert planned.mask[:, 0].any() or planned.mask[:, -1].any()
        assert 0.02 <= planned.mask.mean() <= 0.03


def test_a_mask_is_not_scaled_beyond_the_limit() -> None:
    donor = Donor("x", np.ascontiguousarray(blob((50, 40), (5, 4))[:, :96]))
    assert real_mask(donor, (0.4, 0.5), np.random.default_rng(0)) is None
    planned = real_mask(donor, (1e-4, 0.5), np.random.default_rng(0))
    assert planned is not None
    assert 0.5 <= planned.factor <= 2


@pytest.mark.parametrize("class_name", ["crack", "scratch", "pit", "spot"])
def test_procedural_masks_have_the_target_size(class_name: str) -> None:
    for seed in range(4):
        planned = shaped_mask(class_name, 96, (0.02, 0.04), np.random.default_rng(seed))
        assert planned is not None
        assert 0.02 <= planned.mask.mean() <= 0.04


def test_classes_of_other_names_get_a_shape() -> None:
    assert shape_class("Blowhole", []) == "spot"
    assert shape_class("hairline crack", []) == "crack"
    assert shape_class("unknown", []) == "pit"
    assert folder_name("a b/c,d") == "a_b_c_d"


def test_a_generator_is_read_from_its_images_folder(tmp_path: Path) -> None:
    known = Provenance("f" * 64, 64, 1, 256, SCHEMA, train_sha256=frozenset({"a"}))
    write_json(tmp_path / file_name, known.to_dict())
    for path in (tmp_path, tmp_path / file_name):
        found = read_generator(path)
        assert (found.schema, found.crop_spec, found.sha256) == (SCHEMA, CropSpec(64, 256, 1), "f" * 64)
        assert found.train_sha256 == {"a"}
    with pytest.raises(CheckpointError, match="no valid checkpoint"):
        read_generator(tmp_path / "..")


def test_a_generator_is_read_from_its_checkpoint(tmp_path: Path) -> None:
    from engine.checkpoint import save_checkpoint

    meta = {"network": {"size": 64, "channels": 3}, "guides": SCHEMA.to_dict(), "config": {"data": {"window": 128}}}
    save_checkpoint(tmp_path / "run" / "checkpoints" / "epoch-0001", {}, meta)
    found = read_generator(tmp_path / "run")
    assert (found.schema, found.crop_spec, found.checkpoint) == (SCHEMA, CropSpec(64, 128, 3), tmp_path / "run")
    save_checkpoint(tmp_path / "other", {}, {"network": {}})
    with pytest.raises(DataError, match="does not describe a generator"):
        read_generator(tmp_path / "other.safetensors")


def test_bad_requests_are_refused(samples: list[Sample]) -> None:
    with pytest.raises(ValueError, match="at least 1"):
        make_generation_plan(samples, target=0)
    with pytest.raises(DataError, match="no image has a marked defect"):
        make_generation_plan([s for s in samples if s.label == "good"])
    from augment.balancing.strata import Terciles

    with pytest.raises(ValueError, match="knows no 'a,b'"):
        guide_of("a,b", "dark", Terciles((0.1, 0.2), (-0.2, 0.0)), SCHEMA)
