"""No training image may be a near-duplicate of a held-out image, however it was changed."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

from augment.leakage.near_duplicates import (
    MIN_SIMILARITY,
    ReferenceImages,
    calibrated_threshold,
    find_keypoints,
    small_gray,
)
from augment.mixing.planning import make_plan
from augment.mixing.request import Request
from defects.images.decode import encode_image, read_image
from defects.sample import Sample
from tests.builders.errors import raises
from tests.builders.mixing import mix, provenance, real_images, rows_of, synthetic_images, texture, write_samples

SIZE = (160, 200)


def _jpeg(image: np.ndarray, quality: int = 60) -> np.ndarray:
    data = cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, quality])[1]
    return np.atleast_3d(cv2.imdecode(data, cv2.IMREAD_UNCHANGED))


CHANGES = {
    "as it is": lambda i: i,
    "mirrored": lambda i: i[:, ::-1],
    "upside down": lambda i: i[::-1],
    "turned": lambda i: np.rot90(i),
    "turned twice": lambda i: np.rot90(i, 2),
    "mirrored and turned": lambda i: np.rot90(i[:, ::-1], 3),
    "cropped": lambda i: i[20:140, 30:170],
    "cropped and mirrored": lambda i: i[10:110, 60:180][:, ::-1],
    "re-encoded": _jpeg,
    "brighter": lambda i: np.clip(i * 1.2 + 15, 0, 255).astype(np.uint8),
    "darker": lambda i: (i * 0.6).astype(np.uint8),
    "smaller": lambda i: np.atleast_3d(cv2.resize(i, (128, 102), interpolation=cv2.INTER_AREA)),
    "all at once": lambda i: _jpeg(np.ascontiguousarray(np.rot90(np.clip(i[15:145, 20:180] * 0.8 + 10, 0, 255), 1)
                                                        [:, ::-1]).astype(np.uint8)),
}  # fmt: skip


@pytest.fixture(scope="module")
def references(tmp_path_factory: pytest.TempPathFactory) -> ReferenceImages:
    root = tmp_path_factory.mktemp("held")
    samples = []
    for seed in range(8):
        path = root / f"{seed}.png"
        path.write_bytes(encode_image(texture(seed, SIZE)))
        samples.append(Sample(str(seed), path))
    return ReferenceImages(samples)


@pytest.mark.parametrize("change", CHANGES)
def test_a_planted_near_duplicate_is_found(references: ReferenceImages, change: str) -> None:
    for seed in (0, 5):
        found = references.nearest(
            find_keypoints(small_gray(np.ascontiguousarray(CHANGES[change](texture(seed, SIZE)))))
        )
        assert found.name == str(seed)
        assert found.value > MIN_SIMILARITY


def test_other_textures_are_no_near_duplicates(references: ReferenceImages) -> None:
    for seed in range(100, 110):
        assert references.nearest(find_keypoints(small_gray(texture(seed, SIZE)))).value < MIN_SIMILARITY


def test_images_without_structure_are_compared_without_error(references: ReferenceImages) -> None:
    for shape in ((1, 1, 1), (5, 200, 3), (64, 64, 1)):
        assert references.nearest(find_keypoints(small_gray(np.full(shape, 90, np.uint8)))).value < MIN_SIMILARITY


def test_what_other_specimens_share_is_no_sign_of_a_near_duplicate() -> None:
    assert calibrated_threshold([0.1] * 50) == MIN_SIMILARITY
    assert calibrated_threshold([]) == MIN_SIMILARITY
    fixed_camera = [0.7 + 0.2 * i / 99 for i in range(100)]
    assert 0.9 < calibrated_threshold(fixed_camera) < 0.95
    assert calibrated_threshold([*fixed_camera, *[0.99] * 5]) < 0.95


def _sizes(root: Path) -> Path:
    return real_images(root, groups=5, each=1, size=(96, 112))


def test_a_near_duplicate_among_synthetic_images_is_an_error_and_can_be_dropped(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    real = _sizes(tmp_path / "real")
    held_out = make_plan(Request(real, check="files")).items["test"]
    planted = next(item.sample for item in held_out if item.sample.label == "crack")
    image = np.ascontiguousarray(read_image(planted.image)[:, ::-1])
    duplicate = Sample("stolen", Path(), None, (), "crack", "", "synthetic")
    other = Sample("own", Path(), None, (), "crack", "", "synthetic")
    mask = np.zeros(image.shape[:2], bool)
    mask[10:20, 10:20] = True
    pasted = write_samples(tmp_path / "gan", [(duplicate, image, mask), (other, texture(77, (96, 112)), mask)])
    request = Request(real, {"gan": pasted}, native=True)
    with raises("E-mix-leak", rf"1 training images leak held-out.*gan/stolen.*{planted.name}.*--drop-near-duplicates"):
        make_plan(request)
    out = tmp_path / "out"
    assert mix("--real", real, "--synthetic", f"gan={pasted}", "--native", "--drop-near-duplicates", "--out", out) == 0
    assert [row["original"] for row in rows_of(out) if row["source"] == "synthetic"] == ["own"]
    assert '"reason": "held-out"' in (out / "dropped.jsonl").read_text()
    assert "left out of gan: 1 held-out" in capsys.readouterr().out


def test_a_generator_trained_on_held_out_images_is_an_error_with_what_to_do(tmp_path: Path) -> None:
    real, synthetic = real_images(tmp_path / "real"), synthetic_images(tmp_path / "gan")
    held_out = make_plan(Request(real, check="files")).items["test"]
    provenance(synthetic, trained=[held_out[0].sample.image])
    request = Request(real, {"gan": synthetic}, split_from="none", check="files")
    with raises("E-mix-generator-leak", rf"was trained on 1 of .*{held_out[0].sample.name}.*train it again"):
        make_plan(request)
    plan = make_plan(Request(real, {"gan": synthetic}, check="files"))
    assert held_out[0].sample.name in {item.sample.name for item in plan.items["train"]}


def test_the_generators_test_images_are_the_test_images(tmp_path: Path) -> None:
    real, synthetic = real_images(tmp_path / "real"), synthetic_images(tmp_path / "gan")
    names = [
        f"{class_name}/g{group}_{i}" for class_name in ("good", "crack", "pit") for group in (0, 3) for i in (0, 1)
    ]
    trained = [real / "images" / f"{class_name}/g1_0.png" for class_name in ("good", "crack", "pit")]
    provenance(synthetic, test=names, trained=trained)
    for request in (
        Request(real, {"gan": synthetic}, val=0, check="files"),
        Request(real, val=0, split_from=str(synthetic / "generator.json"), check="files"),
    ):
        assert {item.sample.name for item in make_plan(request).items["test"]} == set(names)


def test_a_pasted_image_on_a_held_out_background_is_an_error(tmp_path: Path) -> None:
    real = real_images(tmp_path / "real")
    item = make_plan(Request(real, check="files")).items["test"][0]
    columns = {"ground": {"name": item.sample.name, "sha256": item.sha256}}
    sample = Sample("p", Path(), None, (), "crack", "", "pasted", columns)
    mask = np.zeros((32, 32), bool)
    mask[3:9, 3:9] = True
    pasted = write_samples(tmp_path / "pasted", [(sample, texture(5, (32, 32)), mask)])
    with raises("E-mix-leak", "its background is the held-out"):
        make_plan(Request(real, pasted=pasted, check="files"))


def test_a_resumed_check_is_not_repeated(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real, out = _sizes(tmp_path / "real"), tmp_path / "out"
    assert mix("--real", real, "--out", out) == 0
    monkeypatch.setattr("augment.mixing.holdout.ReferenceImages", None)
    assert mix("--real", real, "--out", out, "--resume") == 0
