"""Files of weights: read without pickle's powers, fetched with an announcement, checked by hash, name and shape."""

from __future__ import annotations

import hashlib
import io
import logging
import warnings
from collections.abc import Mapping
from contextlib import redirect_stdout
from http.client import HTTPException
from pathlib import Path
from pickle import UnpicklingError
from typing import TYPE_CHECKING, Any

from engine.errors import WeightsError
from engine.files.atomic import sha256_bytes, sha256_file

if TYPE_CHECKING:
    import torch

logger = logging.getLogger(__name__)


def fetch(url: str, *, what: str, flag: str) -> tuple[dict[str, torch.Tensor], Path, str]:
    """Weights from the torch hub's cache; not there yet, they are announced and downloaded to it.

    Args:
        url: Of a file whose name ends in `-` and the first digits of its SHA-256.
        what: What is downloaded, and how large it is, for the announcement.
        flag: The flag by which a user gives a file instead.

    Returns:
        The tensors, the file in the cache, and its SHA-256.

    Raises:
        WeightsError: It cannot be fetched, or the file is not the one its name promises.
    """
    import torch

    file_name = url.rsplit("/", 1)[-1]
    file = Path(torch.hub.get_dir(), "checkpoints", file_name)
    if not file.is_file():
        logger.warning("downloading %s from %s to %s", what, url, file)
    try:
        with redirect_stdout(io.StringIO()):  # the hub announces once more, where a command writes its results
            tensors = torch.hub.load_state_dict_from_url(
                url, map_location="cpu", progress=False, check_hash=True, weights_only=True
            )
    except (OSError, RuntimeError, ValueError, EOFError, HTTPException, UnpicklingError) as error:
        line = f"{url}: cannot be had ({_line(error)}); give the weights by {flag} FILE"
        raise WeightsError(line, code="E-weights-download") from error
    digest = sha256_file(file)
    if not digest.startswith(file_name.rsplit("-", 1)[-1].removesuffix(".pth")):
        raise WeightsError(
            f"{file}: its sha256 is not that in its name; remove the file and run again", code="E-weights-hash"
        )
    return tensors, file, digest


def read_safetensors(path: Path, *, what: str, remedy: str) -> tuple[dict[str, torch.Tensor], str]:
    """The tensors of a safetensors file, and its SHA-256.

    Args:
        path: The file.
        what: Which weights it should hold, e.g. "style weights".
        remedy: The end of the error line.

    Raises:
        WeightsError: It is missing or no safetensors file.
    """
    from safetensors import SafetensorError
    from safetensors.torch import load

    if path.suffix != ".safetensors":
        raise WeightsError(
            f"{path}: {what} are read from .safetensors only; convert the file or give another", code="E-weights-format"
        )
    try:
        data = path.read_bytes()
        return load(data), sha256_bytes(data)
    except OSError as error:
        raise WeightsError(f"{path}: {error.strerror}; {remedy}", code="E-weights-unreadable") from error
    except (SafetensorError, KeyError, ValueError) as error:
        raise WeightsError(
            f"{path}: is no safetensors file ({_line(error)}); {remedy}", code="E-weights-format"
        ) from error


def read_pth(path: Path, *, remedy: str, sha256: str = "") -> dict[str, torch.Tensor]:
    """The tensors of a PyTorch file; nothing in it is run.

    Raises:
        WeightsError: It is missing, damaged, of another SHA-256 than `sha256`, or holds anything but named tensors.
    """
    import torch

    try:
        data = path.read_bytes()
    except OSError as error:
        raise WeightsError(
            f"{path}: {error.strerror or _line(error)}; {remedy}", code="E-weights-unreadable"
        ) from error
    if sha256 and hashlib.sha256(data).hexdigest() != sha256:
        raise WeightsError(f"{path}: its sha256 is not that of the published weights; {remedy}", code="E-weights-hash")
    try:
        with warnings.catch_warnings(action="ignore"):  # of pickles it does not know; it then fails
            tensors: Any = torch.load(io.BytesIO(data), map_location="cpu", weights_only=True)
    except (RuntimeError, ValueError, EOFError, KeyError, UnpicklingError) as error:
        raise WeightsError(f"{path}: is no file of PyTorch weights; {remedy}", code="E-weights-format") from error
    if not isinstance(tensors, Mapping) or not all(isinstance(value, torch.Tensor) for value in tensors.values()):
        raise WeightsError(f"{path}: holds no named tensors; {remedy}", code="E-weights-format")
    return dict(tensors)


def expect_shapes(
    tensors: Mapping[str, torch.Tensor], shapes: Mapping[str, tuple[int, ...]], *, name: str, remedy: str
) -> dict[str, torch.Tensor]:
    """Those of the tensors that are named in `shapes`, as float32.

    Raises:
        WeightsError: One is missing or of another shape.
    """
    checked = {}
    for key, shape in shapes.items():
        if key not in tensors:
            raise WeightsError(f"{name}: lacks {key}; {remedy}", code="E-weights-format")
        got = tuple(tensors[key].shape)
        if got != shape:
            raise WeightsError(f"{name}: expected {key} of shape {shape}, got {got}; {remedy}", code="E-weights-format")
        checked[key] = tensors[key].float()
    return checked


def _line(error: Exception) -> str:
    return " ".join(str(error).split())
