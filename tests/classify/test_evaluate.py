"""Held-out images only; classes and maps evaluated crop by crop and put together; several ranked."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from classify.data.dataset import open_data
from classify.data.examples import examples_of
from classify.inference.evaluate import classification, evaluate
from classify.inference.evaluation_table import comparison, evaluation_lines, ranks
from classify.inference.inputs import examples_for
from classify.models.checkpoint import LoadedClassifier
from defects.formats.dataset import open_dataset
from defects.provenance import image_hashes
from metrics.localization import localization
from tests import builders
from tests.builders.classifiers import loaded
from tests.builders.errors import raises


def meta(root: Path, test: list[str], trained: list[str]) -> dict[str, Any]:
    """The description in a checkpoint trained on some images and tested on others."""
    samples = {sample.name: sample for sample in open_dataset(root).samples}
    digests = image_hashes([samples[name] for name in trained])
    return {"data": {"test": test, "val": [], "train_sha256": digests}}


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return builders.folders(tmp_path_factory.mktemp("data"), count=5)


@pytest.fixture(scope="module")
def classifier(tmp_path_factory: pytest.TempPathFactory, root: Path) -> LoadedClassifier:
    data = meta(root, ["part_2", "part_3", "part_4"], ["part_0", "part_1"])
    return loaded(tmp_path_factory.mktemp("run"), bias=0.5, meta=data)


def test_only_the_held_out_are_evaluated(root: Path, classifier: LoadedClassifier) -> None:
    examples = examples_for(classifier, open_data(root), root, "test")
    assert [example.sample.name for example in examples.examples] == ["part_2", "part_3", "part_4"]
    found = evaluate(classifier, examples)
    assert found.crops.classification.number == 3
    assert found.images is None


def test_images_that_were_trained_on_are_rejected_by_their_bytes(
    tmp_path: Path, root: Path, classifier: LoadedClassifier
) -> None:
    with raises("E-classify-leak", r"was trained on 2 of 5 images, such as part_0, part_1; evaluate"):
        examples_for(classifier, open_data(root), root, "all")
    data = meta(root, ["part_1", "part_4"], ["part_1"])
    with raises("E-classify-leak", "was trained on 1 of 2 images"):
        examples_for(loaded(tmp_path, meta=data), open_data(root), root, "test")


def test_another_folder_is_named(tmp_path: Path, classifier: LoadedClassifier) -> None:
    other = builders.folders(tmp_path / "other", count=2)
    with raises("E-classify-other-folder"):
        examples_for(classifier, open_data(other), other, "test")
    (tmp_path / "run").mkdir()
    with raises("E-classify-checkpoint-data"):
        examples_for(loaded(tmp_path / "run"), open_data(other), other, "all")


def test_untiled_scores_are_those_of_all_maps_at_once(root: Path, classifier: LoadedClassifier) -> None:
    from classify.inference.prediction import enlarged

    examples = examples_for(classifier, open_data(root), root, "test")
    output = classifier.predict(examples.batch(range(3)))
    maps = np.stack([enlarged(one, (32, 32)) for one in output.maps])
    masks = np.stack([examples.read(i)[1] for i in range(3)])
    expected = localization(maps, masks, output.probabilities[:, 1])
    found = evaluate(classifier, examples).crops
    assert found.localization is not None
    assert vars(found.localization.by_pixel) == pytest.approx(vars(expected.by_pixel))
    assert found.localization.pointing == expected.pointing
    assert len(found.sweep) == 15


def test_tiles_are_evaluated_alone_and_put_together(tmp_path: Path, root: Path) -> None:
    tiled = loaded(tmp_path, bias=2.0, data={"tile": {"side": 16, "overlap": 4}})
    samples = open_dataset(root).samples
    examples = examples_of(samples, tiled.config.data, "binary", tiled.classes)
    steps: list[int] = []
    found = evaluate(tiled, examples, steps.append)
    assert found.images is not None
    assert found.crops.classification.number == len(examples) > len(samples)
    assert found.images.classification.number == len(samples) == sum(steps)
    assert np.sum(found.images.classification.confusion, axis=1).tolist() == [1, 4]
    assert found.images.localization is not None
    assert found.images.localization.images == len(samples)
    lines = evaluation_lines(found)
    assert any(line.startswith("images, all pixels") for line in lines)
    json.dumps(found.to_dict(), allow_nan=False)


def test_classes_without_masks_are_classified_and_not_localized(tmp_path: Path) -> None:
    from defects.sample import Sample

    files = [builders.save(tmp_path / f"{n}.png", builders.noise_image(n)) for n in range(3)]
    samples = [Sample(p.stem, p, label=name) for p, name in zip(files, ("crack", "pit", "pit"), strict=True)]
    classes = loaded(tmp_path, classes=("crack", "pit"))
    found = evaluate(classes, examples_of(samples, classes.config.data, "classes", classes.classes))
    assert found.crops.localization is None
    assert found.crops.classification.auroc is None
    assert np.sum(found.crops.classification.confusion) == 3
    assert not any("map" in line for line in evaluation_lines(found))


def test_scores_of_classes_by_hand() -> None:
    found = classification([1, 1, 1, 0], [1, 1, 0, 1], [0.9, 0.8, 0.1, 0.7], ("good", "defect"))
    assert (found.accuracy, found.precision, found.recall) == (0.5, pytest.approx(2 / 3), pytest.approx(2 / 3))
    assert found.confusion == [[0, 1], [1, 2]]
    assert found.auroc == pytest.approx(2 / 3)
    several = classification([0, 1, 2, 2], [0, 2, 2, 2], [0.1, 0.9, 0.9, 0.9], ("good", "crack", "pit"))
    assert several.recall == pytest.approx(2 / 3)


def test_models_are_ranked_by_the_mean_rank_over_the_columns(root: Path, classifier: LoadedClassifier) -> None:
    one = evaluate(classifier, examples_for(classifier, open_data(root), root, "test"))
    lines = comparison({"a": one, "b": one}, images=False, by="pixel")
    assert len(lines) == 3
    assert all(line.endswith("1.50") for line in lines[1:])
    assert ranks({"a": [None, 0.4], "b": [0.1, 0.3]}) == {"a": 1.5, "b": 1.5}
