"""Photographs of any size and layout in; rows, maps, overlays and a page out, killed or not."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from classify.config import DataConfig
from classify.data.examples import examples_of
from classify.inference.figures import overlay
from classify.inference.findings import enlarged, find, squares, whole
from classify.inference.inputs import open_inputs
from classify.inference.predict import PREDICTIONS, predict_folder
from classify.models.checkpoint import LoadedClassifier
from defects.images.decode import read_image
from defects.sample import Sample
from engine.errors import DataError, OutputError, UsageError
from tests import builders
from tests.classify.checkpoints import loaded

TILE = {"side": 32, "overlap": 8}


@pytest.fixture(scope="module")
def sure(tmp_path_factory: pytest.TempPathFactory) -> LoadedClassifier:
    return loaded(tmp_path_factory.mktemp("sure"), bias=4.0)


@pytest.fixture(scope="module")
def tiled(tmp_path_factory: pytest.TempPathFactory) -> LoadedClassifier:
    return loaded(tmp_path_factory.mktemp("tiled"), bias=4.0, data={"tile": TILE})


def plain(root: Path) -> Path:
    for number, (size, channels) in enumerate([((24, 32), 3), ((50, 70), 1), ((40, 40), 3)]):
        builders.save(root / "line" / f"part {number}.png", builders.picture(number, size=size, channels=channels))
    return root


def tree(out: Path) -> dict[str, bytes]:
    return {path.relative_to(out).as_posix(): path.read_bytes() for path in sorted(out.rglob("*")) if path.is_file()}


def rows(out: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (out / PREDICTIONS).read_text().splitlines()]


def test_plain_pictures_of_any_size_get_a_row_a_map_and_an_overlay_each(tmp_path: Path, sure: LoadedClassifier) -> None:
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
    assert "3 of 3 photographs look defective" in (out / "index.html").read_text()
    assert 'src="overlays/line/part%200.jpg"' in (out / "index.html").read_text()


@pytest.mark.parametrize("layout", builders.LAYOUTS)
def test_every_layout_is_read_with_its_kinds(tmp_path: Path, layout: str, sure: LoadedClassifier) -> None:
    inputs = open_inputs(builders.LAYOUTS[layout](tmp_path / "in"))
    assert inputs.known
    predict_folder(sure, inputs, tmp_path / "out", truth=True)
    assert {row["label"] for row in rows(tmp_path / "out")} > {"good"}


def test_a_single_picture_will_do(tmp_path: Path, sure: LoadedClassifier) -> None:
    picture = builders.save(tmp_path / "in" / "one.jpg", builders.picture())
    predict_folder(sure, open_inputs(picture), tmp_path / "out")
    assert [row["file_name"] for row in rows(tmp_path / "out")] == ["one.jpg"]


def test_where_the_classifier_says_good_the_map_is_empty_and_there_are_no_boxes(tmp_path: Path) -> None:
    [finding] = find(loaded(tmp_path, bias=-9.0), [builders.picture()])
    assert (finding.label, finding.found) == ("good", ())
    assert finding.probability == pytest.approx(1 - finding.defect)
    assert not finding.map.any()


def test_findings_do_not_depend_on_what_else_is_asked(sure: LoadedClassifier, tiled: LoadedClassifier) -> None:
    pictures = [builders.picture(n, size=(40 + 9 * n, 70)) for n in range(4)]
    for classifier in (sure, tiled):
        alone = [find(classifier, [picture])[0] for picture in pictures]
        for one, other in zip(alone, find(classifier, pictures), strict=True):
            np.testing.assert_array_equal(one.map, other.map)
            assert (one.defect, one.found, one.tiles) == (other.defect, other.found, other.tiles)


def test_every_tile_has_its_own_gate_and_overlaps_are_averaged() -> None:
    from classify.models.checkpoint import Predicted

    maps = np.tile(np.array([[0.0, 1.0]], np.float32), (2, 1, 1))
    seen = Predicted(np.array([[0.1, 0.9], [0.6, 0.4]], np.float32), maps)
    finding = whole(seen, [(0, 0, 4, 4), (2, 0, 4, 4)], (4, 6), ("good", "defect"), tiled=True)
    first = enlarged(maps[0], (4, 4))
    np.testing.assert_allclose(finding.map[:, :2], first[:, :2])
    np.testing.assert_allclose(finding.map[:, 2:4], first[:, 2:] / 2)
    assert not finding.map[:, 4:].any()
    assert (finding.defect, finding.label) == (pytest.approx(0.9), "defect")


def test_a_defective_part_is_called_by_its_likeliest_kind_even_if_good_is_likelier_than_each() -> None:
    from classify.models.checkpoint import Predicted

    seen = Predicted(np.array([[0.4, 0.25, 0.35]], np.float32), np.zeros((1, 2, 2), np.float32))
    finding = whole(seen, [(0, 0, 4, 4)], (4, 4), ("good", "crack", "pit"), tiled=False)
    assert (finding.label, finding.probability, finding.defect) == ("pit", pytest.approx(0.35), pytest.approx(0.6))


@pytest.mark.parametrize(
    "data",
    [
        {"size": 48},
        {"size": 32, "channels": 3, "tile": TILE},
        {"size": 32, "fit": "window"},
        {"size": 48, "fit": "window", "window": 40},
    ],
)
def test_squares_are_cut_as_in_training(tmp_path: Path, data: dict[str, Any]) -> None:
    picture = builders.save(tmp_path / "a.png", builders.picture(size=(50, 70), defect=False))
    config = DataConfig.model_validate(data)
    examples = examples_of([Sample("a", picture)], config)
    places, cut = squares(read_image(picture), config)
    made = list(cut)
    assert len(made) == len(places) == len(examples)
    for number, one in enumerate(made):
        np.testing.assert_array_equal(one, examples.read(number)[0])


def test_a_photograph_smaller_than_a_tile_is_mirrored(tiled: LoadedClassifier) -> None:
    [finding] = find(tiled, [builders.picture(size=(10, 50))])
    assert finding.map.shape == (10, 50)
    assert [box for box, _ in finding.tiles] == [(0, 0, 32, 32), (18, 0, 32, 32)]


@pytest.mark.parametrize("calls", [1, 2])
def test_killed_and_resumed_leaves_what_an_undisturbed_run_leaves(
    tmp_path: Path, tiled: LoadedClassifier, monkeypatch: pytest.MonkeyPatch, calls: int
) -> None:
    inputs = open_inputs(plain(tmp_path / "in"))
    predict_folder(tiled, inputs, tmp_path / "whole")
    monkeypatch.setattr("classify.inference.predict._IMAGES", 1)
    left = iter(range(calls))
    real: Callable[..., Any] = find

    def killed(*given: Any) -> Any:
        if next(left, None) is None:
            raise KeyboardInterrupt
        return real(*given)

    monkeypatch.setattr("classify.inference.predict.find", killed)
    with pytest.raises(KeyboardInterrupt):
        predict_folder(tiled, inputs, tmp_path / "torn")
    assert len(rows(tmp_path / "torn")) == calls
    (tmp_path / "torn" / "maps" / "line" / "part 0.png").unlink()
    with (tmp_path / "torn" / PREDICTIONS).open("ab") as file:
        file.write(b'{"file_name": "li')
    monkeypatch.setattr("classify.inference.predict.find", real)
    predict_folder(tiled, inputs, tmp_path / "torn", resume=True)
    assert tree(tmp_path / "torn") == tree(tmp_path / "whole")


def test_a_picture_that_does_not_open_does_not_stop_the_others(tmp_path: Path, sure: LoadedClassifier) -> None:
    plain(tmp_path / "in")
    (tmp_path / "in" / "line" / "part 1.png").write_bytes(b"")
    done = predict_folder(sure, open_inputs(tmp_path / "in"), tmp_path / "out")
    assert len(done.issues) == 1
    assert "part 1.png" in done.issues[0]
    assert ["error" in row for row in rows(tmp_path / "out")] == [False, True, False]


def test_another_classifier_or_other_photographs_do_not_go_on_with_a_run(
    tmp_path: Path, sure: LoadedClassifier, tiled: LoadedClassifier
) -> None:
    inputs = open_inputs(plain(tmp_path / "in"))
    predict_folder(sure, inputs, tmp_path / "out")
    with pytest.raises(OutputError, match="is not empty; add --resume"):
        predict_folder(sure, inputs, tmp_path / "out")
    with pytest.raises(UsageError, match="was started with another classifier"):
        predict_folder(tiled, inputs, tmp_path / "out", resume=True)
    builders.save(tmp_path / "in" / "new.png", builders.picture())
    with pytest.raises(UsageError, match="was started with other photographs"):
        predict_folder(sure, open_inputs(tmp_path / "in"), tmp_path / "out", resume=True)


def test_nothing_to_ask_about_is_told(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no such file or folder"):
        open_inputs(tmp_path / "gone")
    (tmp_path / "empty").mkdir()
    with pytest.raises(DataError, match="holds no pictures"):
        open_inputs(tmp_path / "empty")
    (tmp_path / "a.txt").touch()
    with pytest.raises(DataError, match="is no picture"):
        open_inputs(tmp_path / "a.txt")


@pytest.mark.parametrize("size", [(6, 9), (40, 1000), (2000, 500)])
def test_overlays_are_of_a_size_to_look_at(sure: LoadedClassifier, size: tuple[int, int]) -> None:
    image = builders.picture(size=size, defect=False)
    drawn = overlay(image, find(sure, [image])[0], np.ones(size, bool))
    assert max(drawn.shape) <= 1700
    assert drawn.shape[1] >= 200
