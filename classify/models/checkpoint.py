"""A trained classifier on disk: weights, configuration, classes, and its training images."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from classify.config import DEFECT, ClassifierConfig, Task
from classify.models.cam import ClassifierOutput
from classify.models.weights import Classifier, build_network, normalization
from defects.sample import GOOD
from engine.checkpoint import find_checkpoint, load_checkpoint, save_checkpoint, stated_sha256
from engine.errors import CheckpointError

FORMAT = "classifier-1"
_DAMAGED = "E-classify-checkpoint"
# One shape of batch, padded: a kernel's rounding depends on the batch size, and a probability must not.
_BATCH = 8


class CropPredictions(NamedTuple):
    """Probabilities (N, K) of the K classes, and maps (N, h, w) of the defect, float32, as the network gives them."""

    probabilities: NDArray[np.float32]
    maps: NDArray[np.float32]


def neurons(task: Task, classes: Sequence[str]) -> int:
    """Last neurons of a network: one for good or defective, else one a class."""
    return 1 if task == "binary" else len(classes)


def to_pixels(
    images: NDArray[np.uint8] | Tensor, mean: Sequence[float], std: Sequence[float], device: torch.device | str = "cpu"
) -> Tensor:
    """uint8 (N, S, S, C) to float32 (N, 3, S, S), normalized, channels last; gray is repeated."""
    given = images if isinstance(images, Tensor) else torch.from_numpy(np.array(images, order="C"))
    pixels = given.to(device).permute(0, 3, 1, 2).float()
    scale = torch.tensor([1 / (255 * s) for s in std], device=device).reshape(1, 3, 1, 1)
    shift = torch.tensor([-m / s for m, s in zip(mean, std, strict=True)], device=device).reshape(1, 3, 1, 1)
    return torch.addcmul(shift, pixels, scale).contiguous(memory_format=torch.channels_last)


@dataclass(frozen=True)
class LoadedClassifier:
    """A classifier for inference.

    Attributes:
        network: in evaluation mode, without gradients.
        config: it was trained with.
        classes: names by number; binary: `good` and `defect`.
        size: side S of its input, px.
        channels: 1 or 3, of its input before gray is repeated.
        mean: of RGB in 0..1.
        std: of RGB in 0..1.
        meta: of the checkpoint.
        sha256: of the weights file.
    """

    network: Classifier
    config: ClassifierConfig
    classes: tuple[str, ...]
    size: int
    channels: int
    mean: tuple[float, float, float]
    std: tuple[float, float, float]
    meta: dict[str, Any]
    sha256: str

    @torch.inference_mode()
    def predict(self, images: NDArray[np.uint8]) -> CropPredictions:
        """Probabilities and maps of crops uint8 (N, S, S, C).

        The map is the defect's: that of the single neuron, or of the most probable defect class.

        Raises:
            ValueError: the images are of another shape.
        """
        expected = (self.size, self.size, self.channels)
        if images.dtype != np.uint8 or images.shape[1:] != expected:
            raise ValueError(f"expected uint8 images (N, {expected}), got {images.dtype} {images.shape}")
        parts = [self._batch(images[start : start + _BATCH]) for start in range(0, len(images), _BATCH)]
        if not parts:
            return CropPredictions(np.zeros((0, len(self.classes)), np.float32), np.zeros((0, 1, 1), np.float32))
        return CropPredictions(np.concatenate([p for p, _ in parts]), np.concatenate([m for _, m in parts]))

    def _batch(self, images: NDArray[np.uint8]) -> CropPredictions:
        filled = np.concatenate([images, np.zeros((_BATCH - len(images), *images.shape[1:]), np.uint8)])
        device = next(self.network.parameters()).device
        output: ClassifierOutput = self.network(to_pixels(filled, self.mean, self.std, device))
        probabilities = probabilities_of(output.logits.float())
        maps = output.maps.float()
        if maps.shape[1] == 1:
            defect_maps = maps[:, 0]
        else:
            first = 1 if self.classes[0] == GOOD else 0
            best = probabilities[:, first:].argmax(dim=1) + first
            defect_maps = maps[torch.arange(len(maps), device=maps.device), best]
        return CropPredictions(
            probabilities[: len(images)].cpu().numpy().astype(np.float32),
            np.ascontiguousarray(defect_maps[: len(images)].cpu().numpy()),
        )


def probabilities_of(logits: Tensor) -> Tensor:
    """Probabilities (N, K) of logits (N, K), or (N, 2), good and defective, of one neuron's (N, 1)."""
    if logits.shape[1] == 1:
        defective = torch.sigmoid(logits)
        return torch.cat([torch.sigmoid(-logits), defective], dim=1)
    return torch.softmax(logits, dim=1)


def save_classifier(
    stem: Path,
    network: Classifier | Mapping[str, Tensor],
    config: ClassifierConfig,
    classes: Sequence[str],
    meta: Mapping[str, Any],
) -> Path:
    """Writes `<stem>.safetensors` and `<stem>.json`.

    Args:
        stem: path without extension.
        network: or its state dict.
        config: it was trained with.
        classes: names by number.
        meta: the rest of the checkpoint's description, such as `data` and `weights`.

    Raises:
        OutputError: it cannot be written.
    """
    tensors = network if isinstance(network, Mapping) else network.state_dict()
    own = {"kind": FORMAT, "config": config.model_dump(mode="json"), "classes": list(classes)}
    return save_checkpoint(stem, tensors, dict(meta) | own)


def load_classifier(path: str | Path, device: torch.device | str = "cpu") -> LoadedClassifier:
    """Reads a classifier back.

    Args:
        path: a run folder of train-classifier, or a checkpoint in it.
        device: where it runs.

    Raises:
        CheckpointError: there is none, it is damaged, or of another network.
    """
    file = find_checkpoint(path)
    tensors, meta = load_checkpoint(file)
    if meta.get("kind") != FORMAT:
        raise CheckpointError(
            f"{file}: is no classifier of this version; give a run folder of train-classifier", code=_DAMAGED
        )
    try:
        config = ClassifierConfig.model_validate(meta["config"])
        classes = _classes(meta["classes"], config.task)
        _check_data(meta.get("data", {}))
    except (KeyError, TypeError, ValueError):
        raise CheckpointError(
            f"{file}: its configuration is damaged or of another version; train anew", code=_DAMAGED
        ) from None
    network = build_network(config.network, neurons(config.task, classes))
    try:
        network.load_state_dict(tensors)
    except RuntimeError:
        raise CheckpointError(
            f"{file}: its weights are not those of {config.network.name}; give another checkpoint", code=_DAMAGED
        ) from None
    if not all(bool(torch.isfinite(tensor).all()) for tensor in network.state_dict().values()):
        raise CheckpointError(
            f"{file}: holds weights that are no numbers; train anew, or give another checkpoint", code=_DAMAGED
        )
    network.eval().requires_grad_(False)
    network.to(device=device, memory_format=torch.channels_last)  # type: ignore[call-overload]
    mean, std = normalization(config.network.name)
    return LoadedClassifier(
        network, config, classes, config.data.size, config.data.channels, mean, std, meta, stated_sha256(file)
    )


def _classes(names: Any, task: Task) -> tuple[str, ...]:
    """The names of the classes.

    Raises:
        ValueError: they are not those of the task.
    """
    named = isinstance(names, list) and all(isinstance(name, str) for name in names)
    if not named or len(set(names)) < max(2, len(names)) or (task == "binary" and names != [GOOD, DEFECT]):
        raise ValueError(f"expected the names of two classes or more, got {names!r:.80}; train anew")
    return tuple(names)


def _check_data(data: Any) -> None:
    """Makes sure that the images that a checkpoint lists can be compared with others.

    Raises:
        ValueError: it cannot.
    """
    lists = [data.get(key, []) for key in ("train_sha256", "test", "val")] if isinstance(data, dict) else [None]
    if not all(isinstance(names, list) and all(isinstance(name, str) for name in names) for names in lists):
        raise ValueError("expected lists of image names, got others; train anew")
