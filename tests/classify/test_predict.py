"""Images of any size and layout in; rows, maps, overlays and a page out, killed or not."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import classify
from classify.config import DataConfig
from classify.data.examples import examples_of
from classify.inference.figures import overlay
from classify.inference.inputs import open_inputs
from classify.inference.predict_folder import PREDICTIONS, predict_folder
from classify.inference.prediction import enlarged, image_crops, merge_crops, predict_images
from classify.models.checkpoint import LoadedClassifier
from defects.images.decode import read_image
from defects.sample import Sample
from tests import builders
from tests.builders.classifiers import loaded
from tests.builders.errors import raises

TILE = {"side": 32, "overlap": 8}


@pytest.fixture(scope="module")
def sure(tmp_path_factory: pytest.TempPathFactory) -> LoadedClassifier:
    return loaded(tmp_path_factory.mktemp("sure"), bias=4.0)


@pytest.fixture(scope="module")
def tiled(tmp_path_factory: pytest.TempPathFactory) -> LoadedClassifier:
    return loaded(tmp_path_factory.mktemp("tiled"), bias=4.0, data={"tile": TILE})


def plain(root: Path) -> Path:
    for number, (size, channels) in enumerate([((24, 32), 3), ((50, 70), 1), ((40, 40), 3)]):
        builders.save(root / "line" / f"part {number}.png", builders.noise_image(number, size=size, channels=channels))
    return root


def tree(out: Path) -> dict[str, bytes]:
    return {path.relative_to(out).as_posix(): path.read_bytes() for path in sorted(out.rglob("*")) if path.is_file()}


def rows(out: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (out / PREDICTIONS).read_text().splitlines()]


def test_plain_images_of_any_size_get_a_row_a_map_and_an_overlay_each(tmp_path: Path, sure: LoadedClassifier) -> None:
    out = tmp_path / "out"
    done = predict_folder(sure, open_inputs(plain(tmp_path / "in")), out)
    assert (done.images, done.written, done.defective, done.issues) == (3, 3, 3, ())
    found = rows(out)
    assert [row["file_name"] for row in found] == [f"line/part {n}.png" for n in range(3)]
    for row in found:
        assert row["class"] == "defect"
        assert row["probability"] == row["defect_probability"] > 0.5
        assert read_image(out / row["map"]).shape == (row["height"], row["width"], 1)
        assert read_image(out / row["overlay"]).shape[2] == 3
        assert row["boxes"]
        assert row["boxes"][0]["score"] <= row["probability"]
        assert "label" not in row
    assert "3 of 3 images are predicted defective" in (out / "index.html").read_text()
    assert 'src="overlays/line/part%200.jpg"' in (out / "index.html").read_text()


@pytest.mark.parametrize("layout", builders.LAYOUTS)
def test_every_layout_is_read_with_its_labels(tmp_path: Path, layout: str, sure: LoadedClassifier) -> None:
    inputs = open_inputs(builders.LAYOUTS[layout](tmp_path / "in"))
    assert inputs.known
    predict_folder(sure, inputs, tmp_path / "out", truth=True)
    assert {row["label"] for row in rows(tmp_path / "out")} > {"good"}


def test_a_single_image_will_do(tmp_path: Path, sure: LoadedClassifier) -> None:
    file = builders.save(tmp_path / "in" / "one.jpg", builders.noise_image())
    predict_folder(sure, open_inputs(file), tmp_path / "out")
    assert [row["file_name"] for row in rows(tmp_path / "out")] == ["one.jpg"]


def test_where_the_prediction_is_good_the_map_is_empty_and_there_are_no_boxes(tmp_path: Path) -> None:
    [prediction] = predict_images(loaded(tmp_path, bias=-9.0), [builders.noise_image()])
    assert (prediction.label, prediction.regions) == ("good", ())
    assert prediction.probability == pytest.approx(1 - prediction.defect_probability)
    assert not prediction.map.any()


def test_predictions_do_not_depend_on_other_images(sure: LoadedClassifier, tiled: LoadedClassifier) -> None:
    images = [builders.noise_image(n, size=(40 + 9 * n, 70)) for n in range(4)]
    for classifier in (sure, tiled):
        alone = [predict_images(classifier, [image])[0] for image in images]
        for one, other in zip(alone, predict_images(classifier, images), strict=True):
            np.testing.assert_array_equal(one.map, other.map)
            assert (one.defect_probability, one.regions, one.tiles) == (
                other.defect_probability,
                other.regions,
                other.tiles,
            )


def test_every_tile_has_its_own_gate_and_overlaps_are_averaged() -> None:
    from classify.models.checkpoint import CropPredictions

    maps = np.tile(np.array([[0.0, 1.0]], np.float32), (2, 1, 1))
    output = CropPredictions(np.array([[0.1, 0.9], [0.6, 0.4]], np.float32), maps)
    prediction = merge_crops(output, [(0, 0, 4, 4), (2, 0, 4, 4)], (4, 6), ("good", "defect"), tiled=True)
    first = enlarged(maps[0], (4, 4))
    np.testing.assert_allclose(prediction.map[:, :2], first[:, :2])
    np.testing.assert_allclose(prediction.map[:, 2:4], first[:, 2:] / 2)
    assert not prediction.map[:, 4:].any()
    assert (prediction.defect_probability, prediction.label) == (pytest.approx(0.9), "defect")


def test_a_defective_part_is_called_by_its_most_probable_class_even_if_good_is_more_probable_than_each() -> None:
    from classify.models.checkpoint import CropPredictions

    output = CropPredictions(np.array([[0.4, 0.25, 0.35]], np.float32), np.zeros((1, 2, 2), np.float32))
    prediction = merge_crops(output, [(0, 0, 4, 4)], (4, 4), ("good", "crack", "pit"), tiled=False)
    assert (prediction.label, prediction.probability, prediction.defect_probability) == (
        "pit",
        pytest.approx(0.35),
        pytest.approx(0.6),
    )


@pytest.mark.parametrize(
    "data",
    [
        {"size": 48},
        {"size": 32, "channels": 3, "tile": TILE},
        {"size": 32, "fit": "crop"},
        {"size": 48, "fit": "crop", "crop": 40},
    ],
)
def test_crops_are_cut_as_in_training(tmp_path: Path, data: dict[str, Any]) -> None:
    file = builders.save(tmp_path / "a.png", builders.noise_image(size=(50, 70), defect=False))
    config = DataConfig.model_validate(data)
    examples = examples_of([Sample("a", file)], config)
    places, cut = image_crops(read_image(file), config)
    images = list(cut)
    assert len(images) == len(places) == len(examples)
    for number, one in enumerate(images):
        np.testing.assert_array_equal(one, examples.read(number)[0])


def test_an_image_smaller_than_a_tile_is_mirrored(tiled: LoadedClassifier) -> None:
    [prediction] = predict_images(tiled, [builders.noise_image(size=(10, 50))])
    assert prediction.map.shape == (10, 50)
    assert [box for box, _ in prediction.tiles] == [(0, 0, 32, 32), (18, 0, 32, 32)]


@pytest.mark.parametrize("calls", [1, 2])
def test_killed_and_resumed_leaves_what_an_undisturbed_run_leaves(
    tmp_path: Path, tiled: LoadedClassifier, monkeypatch: pytest.MonkeyPatch, calls: int
) -> None:
    inputs = open_inputs(plain(tmp_path / "in"))
    predict_folder(tiled, inputs, tmp_path / "whole")
    monkeypatch.setattr("classify.inference.predict_folder._IMAGES", 1)
    left = iter(range(calls))
    real: Callable[..., Any] = predict_images

    def killed(*given: Any) -> Any:
        if next(left, None) is None:
            raise KeyboardInterrupt
        return real(*given)

    monkeypatch.setattr("classify.inference.predict_folder.predict_images", killed)
    with pytest.raises(KeyboardInterrupt):
        predict_folder(tiled, inputs, tmp_path / "torn")
    assert len(rows(tmp_path / "torn")) == calls
    (tmp_path / "torn" / "maps" / "line" / "part 0.png").unlink()
    with (tmp_path / "torn" / PREDICTIONS).open("ab") as file:
        file.write(b'{"file_name": "li')
    monkeypatch.setattr("classify.inference.predict_folder.predict_images", real)
    predict_folder(tiled, inputs, tmp_path / "torn", resume=True)
    assert tree(tmp_path / "torn") == tree(tmp_path / "whole")


def test_an_image_that_does_not_open_does_not_stop_the_others(tmp_path: Path, sure: LoadedClassifier) -> None:
    plain(tmp_path / "in")
    (tmp_path / "in" / "line" / "part 1.png").write_bytes(b"")
    done = predict_folder(sure, open_inputs(tmp_path / "in"), tmp_path / "out")
    assert len(done.issues) == 1
    assert "part 1.png" in done.issues[0]
    assert ["error" in row for row in rows(tmp_path / "out")] == [False, True, False]


def test_another_classifier_or_other_images_do_not_resume_a_run(
    tmp_path: Path, sure: LoadedClassifier, tiled: LoadedClassifier
) -> None:
    inputs = open_inputs(plain(tmp_path / "in"))
    predict_folder(sure, inputs, tmp_path / "out")
    with raises("E-out-not-empty"):
        predict_folder(sure, inputs, tmp_path / "out")
    with raises("E-out-other-run", "was started with another classifier"):
        predict_folder(tiled, inputs, tmp_path / "out", resume=True)
    builders.save(tmp_path / "in" / "new.png", builders.noise_image())
    with raises("E-out-other-run", "was started with other images"):
        predict_folder(sure, open_inputs(tmp_path / "in"), tmp_path / "out", resume=True)


def test_nothing_to_predict_is_reported(tmp_path: Path) -> None:
    with raises("E-classify-no-images", "no such file or folder"):
        open_inputs(tmp_path / "gone")
    (tmp_path / "empty").mkdir()
    with raises("E-classify-no-images", "holds no images"):
        open_inputs(tmp_path / "empty")
    (tmp_path / "a.txt").touch()
    with raises("E-classify-no-images", "is no image"):
        open_inputs(tmp_path / "a.txt")


@pytest.mark.parametrize("size", [(6, 9), (40, 1000), (2000, 500)])
def test_overlays_are_of_a_size_to_look_at(sure: LoadedClassifier, size: tuple[int, int]) -> None:
    image = builders.noise_image(size=size, defect=False)
    figure = overlay(image, predict_images(sure, [image])[0], np.ones(size, bool))
    assert max(figure.shape) <= 1700
    assert figure.shape[1] >= 200


def test_the_api_predicts_what_the_command_writes(tmp_path: Path, sure: LoadedClassifier) -> None:
    root = plain(tmp_path / "in")
    predict_folder(sure, open_inputs(root), tmp_path / "out")
    files = sorted((root / "line").iterdir())
    model = classify.Classifier(sure)
    for row, prediction in zip(rows(tmp_path / "out"), model.predict(files), strict=True):
        assert (row["class"], row["probability"]) == (prediction.label, round(prediction.probability, 6))
        boxes = [tuple(box[key] for key in ("x", "y", "width", "height")) for box in row["boxes"]]
        assert boxes == prediction.boxes
        stored = read_image(tmp_path / "out" / row["map"])[..., 0]
        np.testing.assert_array_equal(stored, np.rint(prediction.map * 255).astype(np.uint8))
        assert prediction.mask.shape == prediction.map.shape == (row["height"], row["width"])
        assert prediction.mask.dtype == bool
    image = read_image(files[1])
    one = model.predict(image)
    assert (one.label, one.boxes) == (model.predict(files[1]).label, model.predict(image[..., 0]).boxes)
    with pytest.raises(ValueError, match="expected uint8"):
        model.predict(image.astype(float))
