"""The evaluator: a defect segmenter trained on real images, which tests whether a label is true of its image."""

from __future__ import annotations

import hashlib
import json
import logging
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from engine.checkpoint import load_checkpoint, save_checkpoint
from engine.errors import CheckpointError, OutputError
from engine.runtime.threads import threads_set
from metrics.data.image_set import ImageSet
from metrics.labels.network import SegmenterSettings, build_network
from metrics.labels.training import half_precision, to_images, train_network

logger = logging.getLogger(__name__)

_VERSION = "segmenter-3"  # raised with every change of network, loss or variation: cached ones from before do not count
# One shape of batch, padded: a kernel's rounding depends on the batch size, and a label's IoU must not.
_BATCH = 8


class Predictor(Protocol):
    """What finds defects in images."""

    def predict(self, images: ImageSet) -> NDArray[np.bool_]:
        """Where the defects are, (N, S, S)."""
        ...


class Segmenter:
    """A trained segmentation network.

    Args:
        network: From images (N, 3, S, S) in [0, 1] to logits (N, 1, S, S).
        fingerprint: Names the training images and the settings.
        threads: Of PyTorch while it predicts; None leaves them as they are.
    """

    def __init__(self, network: nn.Module, fingerprint: str, *, threads: int | None = None) -> None:
        self.network = network.eval().requires_grad_(False)
        self.network.to(memory_format=torch.channels_last)
        self.fingerprint = fingerprint
        self.threads = threads

    @torch.inference_mode()
    def probabilities(self, crops: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Chance of a defect at every pixel, (N, S, S), of crops (N, S, S, C)."""
        parts: list[NDArray[np.float32]] = []
        with threads_set(self.threads), half_precision():
            for start in range(0, len(crops), _BATCH):
                part = crops[start : start + _BATCH]
                filled = np.concatenate([part, np.zeros((_BATCH - len(part), *part.shape[1:]), np.uint8)])
                shares = torch.sigmoid(self.network(to_images(filled)).float())
                parts.append(shares[: len(part), 0].numpy())
        return np.concatenate(parts) if parts else np.zeros(crops.shape[:3], np.float32)

    def predict(self, images: ImageSet) -> NDArray[np.bool_]:
        """Where the defects are, (N, S, S).

        Raises:
            DataError: An image does not open.
        """
        side = images.crop_spec.size
        found = [self.probabilities(crops) >= 0.5 for crops in images.batches(_BATCH)]
        return np.concatenate(found) if found else np.zeros((0, side, side), np.bool_)


def train_segmenter(
    train: ImageSet,
    *,
    settings: SegmenterSettings | None = None,
    seed: int = 0,
    threads: int | None = None,
    on_progress: Callable[[int], object] | None = None,
) -> Segmenter:
    """Trains a segmenter on real images, good ones included as negatives.

    Args:
        train: Real images only; none of those that it will be measured on.
        settings: How; `seed` takes the place of its seed.
        seed: Of weights, order and variation.
        threads: Of PyTorch, here and when it predicts; None leaves them as they are.
        on_progress: Called with 1 after each of `settings.steps` steps.

    Raises:
        ValueError: No image shows a defect.
        DataError: An image does not open.
        WeightsError: The ImageNet weights cannot be had.
    """
    selected = replace(settings or SegmenterSettings(), seed=seed)
    network = build_network(seed, _encoder_weights(selected))
    train_network(network, train, selected, threads=threads, on_progress=on_progress)
    return Segmenter(network, fingerprint(train, selected), threads=threads)


def load_or_train(
    train: ImageSet,
    folder: Path | None,
    *,
    settings: SegmenterSettings | None = None,
    seed: int = 0,
    threads: int | None = None,
    on_progress: Callable[[int], object] | None = None,
) -> Segmenter:
    """The segmenter of these images and settings, from the cache folder, else trained and cached there.

    A damaged file is passed over and the segmenter trained again; a folder that cannot be written costs a warning only.

    Args:
        train: As for `train_segmenter`.
        folder: Cache of trained segmenters; None for no cache.
        settings: As for `train_segmenter`.
        seed: As for `train_segmenter`.
        threads: As for `train_segmenter`.
        on_progress: As for `train_segmenter`; not called when nothing is trained.

    Raises:
        ValueError: No image shows a defect.
        DataError: An image does not open.
        WeightsError: The ImageNet weights cannot be had.
    """
    selected = replace(settings or SegmenterSettings(), seed=seed)
    name = fingerprint(train, selected)
    stem = folder / f"segmenter-{name[:16]}" if folder is not None else None
    if stem is not None and (found := _stored(stem, name)) is not None:
        return Segmenter(found, name, threads=threads)
    segmenter = train_segmenter(train, settings=selected, seed=seed, threads=threads, on_progress=on_progress)
    if stem is not None:
        meta = {"kind": _VERSION, "fingerprint": name, "settings": selected.to_dict(), "images": len(train)}
        try:
            save_checkpoint(stem, segmenter.network.state_dict(), meta)
        except OutputError as error:
            logger.warning("the trained segmenter is not cached: %s", error)
    return segmenter


def fingerprint(train: ImageSet, settings: SegmenterSettings) -> str:
    """SHA-256 of all that decides a segmenter: the pixels and masks of its images, in order, and the settings."""
    digest = hashlib.sha256(json.dumps([_VERSION, settings.to_dict()], sort_keys=True).encode())
    for index in range(len(train)):
        image, mask = train.read(index)
        digest.update(json.dumps(image.shape).encode())
        digest.update(image.tobytes())
        digest.update(np.packbits(mask).tobytes())
    return digest.hexdigest()


def _encoder_weights(settings: SegmenterSettings) -> dict[str, torch.Tensor] | None:
    if not settings.pretrained:
        return None
    from engine.weights.imagenet import lite0_weights

    return lite0_weights()[0]


def _stored(stem: Path, name: str) -> nn.Module | None:
    """The cached network of a name; None where there is none that can be used."""
    if not stem.with_name(f"{stem.name}.safetensors").is_file():
        return None
    try:
        tensors, meta = load_checkpoint(stem)
        if meta.get("fingerprint") != name:
            raise CheckpointError(
                f"{stem}: is of other images or settings; it is trained again", code="E-segmenter-other"
            )
        network = build_network(0, None)
        network.load_state_dict(tensors)
    except (CheckpointError, RuntimeError) as error:
        logger.warning("the cached segmenter cannot be used and is trained again: %s", " ".join(str(error).split()))
        return None
    return network
