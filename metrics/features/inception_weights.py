"""The Inception weights of torch-fidelity: a pickle when published, safetensors from the first use on."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import safetensors.torch
import torch
from torch import Tensor

from engine.errors import OutputError, WeightsError
from engine.files.atomic import from_json, sha256_bytes, sha256_file, to_json, write_many
from engine.weights.download import expect_shapes, fetch, read_pth, read_safetensors
from metrics.features.cache import user_cache
from metrics.features.inception_network import CLASSES, CONVOLUTIONS, FEATURES

logger = logging.getLogger(__name__)

URL = "https://github.com/toshas/torch-fidelity/releases/download/v0.2.0/weights-inception-2015-12-05-6726825d.pth"
SHA256_PREFIX = "6726825d"  # the publisher states no more of it

_FLAG = "--inception-weights"
_REMEDY = (
    f"give torch-fidelity's weights-inception-2015-12-05-{SHA256_PREFIX}.pth, or their safetensors, by {_FLAG} FILE"
)
_NORM = ("weight", "bias", "running_mean", "running_var")
_EPSILON = 1e-3  # of the batch norms


@dataclass(frozen=True)
class InceptionWeights:
    """Weights that are there, not yet in memory.

    Attributes:
        sha256: Of the file they were published or given as.
        read: Reads the tensors, float32, named as in torch-fidelity.
    """

    sha256: str
    read: Callable[[], dict[str, Tensor]]


def find_inception_weights(path: Path | None = None) -> InceptionWeights:
    """Finds, and where needed fetches and converts, the weights.

    Args:
        path: torch-fidelity's .pth, or a .safetensors of the same names and shapes; None for what an earlier run
            converted or else an announced download.

    Raises:
        WeightsError: The file is missing, damaged or of another network, or cannot be fetched.
    """
    if path is not None and path.suffix == ".safetensors":
        return _given_safetensors(path)
    if path is None:
        source = None
    else:
        source = _sha256(path)
        if not source.startswith(SHA256_PREFIX):
            raise WeightsError(
                f"{path}: its sha256 begins with {source[:8]}, not {SHA256_PREFIX}; {_REMEDY}", code="E-weights-hash"
            )
    known = _converted()
    if known is not None and source in (None, known.sha256):
        return known
    if path is not None and source is not None:
        tensors, name = read_pth(path, remedy=_REMEDY), str(path)
    else:
        tensors, file, source = fetch(URL, what="the weights of Inception for FID (91 MB)", flag=_FLAG)
        name = str(file)
    return _convert(expect_shapes(tensors, tensor_shapes(), name=name, remedy=_REMEDY), source)


def tensor_shapes() -> dict[str, tuple[int, ...]]:
    """Name and shape of every tensor that is needed."""
    shapes: dict[str, tuple[int, ...]] = {"fc.weight": (CLASSES, FEATURES)}
    for name, shape in CONVOLUTIONS.items():
        shapes[f"{name}.conv.weight"] = shape
        shapes.update({f"{name}.bn.{part}": shape[:1] for part in _NORM})
    return shapes


def folded(tensors: dict[str, Tensor]) -> dict[str, tuple[Tensor, Tensor]]:
    """Weight and bias of every convolution with its batch norm in it, computed in float64."""
    result = {}
    for name in CONVOLUTIONS:
        scale, shift, mean, variance = (tensors[f"{name}.bn.{part}"].double() for part in _NORM)
        factor = scale / torch.sqrt(variance + _EPSILON)
        weight = tensors[f"{name}.conv.weight"].double() * factor[:, None, None, None]
        result[name] = weight.float(), (shift - mean * factor).float()
    return result


def _given_safetensors(path: Path) -> InceptionWeights:
    def read() -> dict[str, Tensor]:
        tensors, digest = read_safetensors(path, what="Inception weights", remedy=_REMEDY)
        if digest != source:
            raise WeightsError(f"{path}: was changed while it was in use; run again", code="E-weights-hash")
        return expect_shapes(tensors, tensor_shapes(), name=str(path), remedy=_REMEDY)

    source = _sha256(path)
    return InceptionWeights(source, read)


def _sha256(path: Path) -> str:
    try:
        return sha256_file(path)
    except OSError as error:
        raise WeightsError(f"{path}: {error.strerror}; {_REMEDY}", code="E-weights-unreadable") from error


def _cache_files() -> tuple[Path, Path]:
    folder = user_cache("weights")
    return folder / "inception-v3-compat.safetensors", folder / "inception-v3-compat.json"


def _converted() -> InceptionWeights | None:
    """What an earlier run converted, if it is whole."""
    file, note = _cache_files()
    try:
        said = from_json(note.read_bytes())
        source, digest = str(said["source"]), str(said["sha256"])
        whole = sha256_file(file) == digest and source.startswith(SHA256_PREFIX)
    except (OSError, ValueError, KeyError, TypeError):
        return None
    if not whole:
        logger.warning("%s: is damaged and is converted again", file)
        return None
    return InceptionWeights(source, lambda: read_safetensors(file, what="Inception weights", remedy=_REMEDY)[0])


def _convert(tensors: dict[str, Tensor], source: str) -> InceptionWeights:
    file, note = _cache_files()
    data = safetensors.torch.save({name: value.contiguous() for name, value in tensors.items()})
    try:
        write_many([(file, data), (note, to_json({"source": source, "sha256": sha256_bytes(data)}))])
    except OutputError as error:
        logger.warning("the converted weights are not cached: %s", error)
    return InceptionWeights(source, lambda: tensors)
