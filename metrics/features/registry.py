"""Extractors by name or file."""

from __future__ import annotations

from pathlib import Path

from engine.errors import UsageError
from engine.runtime.device import select_device
from metrics.features.extraction import Extractor
from metrics.features.inception import Inception
from metrics.features.lite0 import Lite0
from metrics.features.onnx_network import FEATURES_OUTPUT, LOGITS_OUTPUT, Network

EXTRACTORS = ("efficientnet_lite0", "inception")


def open_extractor(
    text: str,
    *,
    inception_weights: Path | None = None,
    device: str = "auto",
    workers: int | None = None,
    features_output: str = FEATURES_OUTPUT,
    logits_output: str = LOGITS_OUTPUT,
) -> Extractor:
    """Opens an extractor by its name, or a network by its file.

    Args:
        text: `efficientnet_lite0`, `inception`, or the path of an .onnx file.
        inception_weights: A file instead of the download.
        device: auto, cpu or cuda.
        workers: CPU threads of an ONNX network and of Inception; None for one a core.
        features_output: Which output of an .onnx file are its features.
        logits_output: Which are its logits; they may be missing.

    Raises:
        UsageError: There is no such extractor or device, or Inception's weights were given to another.
        WeightsError: The weights or the network cannot be had.
    """
    place = select_device(device)
    name = text.replace("-", "_").lower()
    if inception_weights is not None and name != "inception":
        raise UsageError(
            f"--inception-weights: is of no use to {text!r}; leave it out, or choose inception", code="E-bench-flags"
        )
    if name == "efficientnet_lite0":
        return Lite0(place)
    if name == "inception":
        return Inception(inception_weights, place, threads=workers)
    if text.lower().endswith(".onnx"):
        return Network(Path(text), place, features=features_output, logits=logits_output, threads=workers)
    raise UsageError(
        f"--extractor: {text!r} is unknown; choose {', '.join(EXTRACTORS)}, or give an .onnx file",
        code="E-extractor-unknown",
    )
