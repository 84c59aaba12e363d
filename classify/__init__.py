"""Classifiers of defects: train on a folder, predict class, map, mask and boxes, evaluate, export, compare.

>>> import classify
>>> sorted(classify.__all__)
['Classifier', 'Evaluation', 'Prediction', 'compare', 'load', 'train']

`m = classify.train("real/", model="efficientnet_lite0")` trains and `p = m.predict(image)` predicts: `p.label`,
`p.probability`, `p.map` (H, W) float in 0..1, `p.mask` (H, W) bool, `p.boxes` [(x, y, width, height)] in px.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from importlib.metadata import version
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Any, overload

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from classify.inference.evaluate import Evaluation
    from classify.inference.prediction import Prediction
    from classify.models.checkpoint import LoadedClassifier

    Image = NDArray[np.uint8] | str | PathLike[str]

__version__ = version("magna-defect")

__all__ = ["Classifier", "Evaluation", "Prediction", "compare", "load", "train"]


def __getattr__(name: str) -> Any:
    """The result types, imported when they are used."""
    places = {"Evaluation": "classify.inference.evaluate", "Prediction": "classify.inference.prediction"}
    if name not in places:
        raise AttributeError(f"module 'classify' has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(places[name]), name)


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])


class Classifier:
    """A trained classifier, as `train` and `load` return it.

    Attributes:
        loaded: Network, configuration, classes and checkpoint data.
    """

    def __init__(self, loaded: LoadedClassifier) -> None:
        self.loaded = loaded

    @property
    def classes(self) -> tuple[str, ...]:
        """Names of the classes by number; binary: `good` and `defect`."""
        return self.loaded.classes

    @overload
    def predict(self, image: Image) -> Prediction: ...
    @overload
    def predict(self, image: list[Any]) -> list[Prediction]: ...
    def predict(self, image: Image | list[Any]) -> Prediction | list[Prediction]:
        """Class, map, mask and boxes of an image of any size, or of each of a list.

        Args:
            image: uint8 (H, W), (H, W, 1) or (H, W, 3), or a path, or a list of these.

        Raises:
            DataError: A file does not open.
            ValueError: An array is of another shape or number format.
        """
        from classify.inference.prediction import predict_images

        if isinstance(image, list):
            return predict_images(self.loaded, [_read(one) for one in image])
        return predict_images(self.loaded, [_read(image)])[0]

    def evaluate(self, data: str | PathLike[str], *, split: str = "test", layout: str = "auto") -> Evaluation:
        """Scores on the held-out images of the training folder, or on all images of another one.

        Args:
            data: The folder that it was trained on, or with `split="all"` a new one.
            split: `test` or `val`, as its checkpoint lists them, or `all`.
            layout: Of the folder; `auto` detects it.

        Raises:
            DataError: Images are missing, were trained on, or do not open.
            CheckpointError: The checkpoint does not list its training images.
        """
        from classify.data.dataset import open_data
        from classify.inference.evaluate import evaluate
        from classify.inference.inputs import examples_for

        root = Path(data)
        return evaluate(self.loaded, examples_for(self.loaded, open_data(root, layout), root, split))

    def export(self, path: str | PathLike[str]) -> Path:
        """Writes it as ONNX with the outputs `logits`, `map` and `features`, checked against PyTorch.

        Raises:
            OutputError: The file cannot be written, or its outputs differ from PyTorch's.
        """
        from classify.inference.export import export_classifier

        return export_classifier(self.loaded, Path(path)).path


def train(
    data: str | PathLike[str],
    *,
    model: str | None = None,
    out: str | PathLike[str] | None = None,
    config: str | PathLike[str] | None = None,
    overrides: Mapping[str, Any] | None = None,
    weights: str | PathLike[str] = "imagenet",
    device: str = "auto",
    resume: bool = False,
) -> Classifier:
    """Trains on a folder and returns the classifier of the epoch that validation selects.

    Args:
        data: A folder of images in any layout that `check-data` reads, or of `mix-defects`.
        model: A network such as `efficientnet_lite0`; that of the configuration by default.
        out: The run folder; `runs/<config>-<folder>` by default.
        config: A packaged configuration or a YAML file; `quick` by default.
        overrides: Values by key, such as `{"train.epochs": 10}`.
        weights: `imagenet`, `none`, or a safetensors file.
        device: auto, cpu, cuda or mps.
        resume: Continue an interrupted run.

    Raises:
        UsageError: A key or a value is unknown, or the device is not there.
        DataError: The images cannot be trained on.
        OutputError: The run folder is not empty, or cannot be written.
        WeightsError: The weights cannot be loaded.
    """
    import json

    from classify.config import ClassifierConfig
    from classify.data.dataset import open_data
    from classify.training.launch import start
    from engine.config import load_config
    from engine.files.atomic import check_apart

    values = {**({} if model is None else {"network.name": model}), **(overrides or {})}
    sets = [f"{key}={json.dumps(value)}" for key, value in values.items()]
    resolved = load_config(str(config or "quick"), ClassifierConfig, sets, folder="classify")
    root = Path(data)
    folder = Path(out) if out is not None else Path("runs") / f"{resolved.name}-{root.resolve().name}"
    check_apart(folder, {"the folder of images": root})
    start(open_data(root), resolved, folder, weights=str(weights), device=device, resume=resume)
    return load(folder, device="cpu" if device == "mps" else device)


def load(path: str | PathLike[str], *, device: str = "auto") -> Classifier:
    """A trained classifier.

    Args:
        path: A run folder of `train-classifier`, or a checkpoint in it.
        device: auto, cpu or cuda.

    Raises:
        CheckpointError: There is none, or it is damaged or of another network.
    """
    from classify.models.checkpoint import load_classifier
    from engine.runtime.device import select_device

    return Classifier(load_classifier(Path(path), select_device(device)))


def compare(
    real: str | PathLike[str],
    synthetic: Mapping[str, str | PathLike[str]],
    *,
    out: str | PathLike[str] | None = None,
    pasted: str | None = "alpha",
    ratios: Sequence[float] = (0, 0.5, 1, 2, 5, 10),
    shots: Sequence[int | None] = (5, 10, 25, None),
    seeds: int = 5,
    mode: str = "frozen",
    resume: bool = False,
    **settings: Any,
) -> dict[str, Any]:
    """Whether training with synthetic images gives a better classifier of real ones: `bench-utility`.

    Args:
        real: Folder of real images.
        synthetic: Folder of each synthetic set by name.
        out: The folder of results; `runs/utility-<folder>` by default.
        pasted: alpha, poisson or perlin, a folder of pasted images, or None.
        ratios: Synthetic images per real defective image.
        shots: Real defective images trained with; None for all.
        seeds: Trainings of each arm.
        mode: `frozen`, a linear probe on cached features, or `finetune`.
        resume: Continue in an existing folder.
        settings: Further ones of `classify.utility.design.trials.Settings`, such as `size` or `steps`.

    Returns:
        The content of `summary.json`; `first_line` is the verdict.

    Raises:
        DataError: A folder is missing or invalid, or too few images are left.
        UsageError: The sets do not fit one another, or more is requested than there is.
        OutputError: The folder of results is not empty, or cannot be written.
    """
    from classify.utility.design.bench import Request, open_bench
    from classify.utility.design.trials import AUTO, Settings
    from classify.utility.launch import RunOptions
    from classify.utility.launch import compare as run_comparison
    from engine.commands import Progress
    from engine.files.atomic import check_apart
    from metrics.features.cache import user_cache

    root = Path(real)
    values = Settings.for_mode(mode, **{"channels": 0, "eval_on": AUTO, **settings})
    sets = tuple((name, Path(folder)) for name, folder in synthetic.items())
    request = Request(root, sets, pasted, tuple(sorted(ratios)), tuple(shots), seeds, values)
    folder = Path(out) if out is not None else Path("runs") / f"utility-{root.resolve().name}"
    check_apart(folder, {"REAL": root} | request.folders())
    options = RunOptions(resume=resume, cache=user_cache() / "utility")
    return run_comparison(
        open_bench(request), folder, options, lambda total, label, unit: Progress(total, label, unit=unit)
    )


def _read(image: Image) -> NDArray[np.uint8]:
    """(H, W, C) of an array or a file."""
    import numpy as np

    from defects.images.decode import read_image

    if isinstance(image, str | PathLike):
        return read_image(Path(image))
    pixels = image[..., None] if image.ndim == 2 else image
    if pixels.dtype != np.uint8 or pixels.ndim != 3 or pixels.shape[2] not in (1, 3):
        raise ValueError(f"expected uint8 (H, W), (H, W, 1) or (H, W, 3), got {pixels.dtype} {image.shape}")
    return pixels
