"""Where a classifier's weights start: ImageNet from the package, a file, an announced download, or random."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any, Literal

import timm
import torch
from timm.models import get_pretrained_cfg
from torch import Tensor, nn

from classify.config import TRANSFORMERS, NetworkConfig
from classify.models.backbones import BACKBONES
from classify.models.cam import CamClassifier, build_classifier
from classify.models.rollout import RolloutClassifier, build_transformer
from engine.errors import UsageError, WeightsError
from engine.files.atomic import sha256_file
from engine.seeding import seed_for
from engine.weights.download import read_safetensors
from engine.weights.imagenet import lite0_weights

logger = logging.getLogger(__name__)

Classifier = CamClassifier | RolloutClassifier
_FLAG = "--weights"
_HUB_FILE = "model.safetensors"
_OTHER = "E-classify-weights-of-another"


def build_network(config: NetworkConfig, neurons: int, seed: int = 0) -> Classifier:
    """A classifier with random weights from the seed.

    Args:
        config: of the network.
        neurons: 1 for defective or good, else one a class.
        seed: of the weights.
    """
    # Layers initialize from PyTorch's global generator: its state is restored afterwards.
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed_for(seed, "classifier", "weights"))
        if config.name in TRANSFORMERS:
            return build_transformer(config.name, classes=neurons, fusion=config.fusion, discard=config.discard)
        return build_classifier(config.name, classes=neurons, short=config.short, dropout=config.dropout)


def normalization(name: str) -> tuple[tuple[float, float, float], tuple[float, float, float]]:
    """Mean and standard deviation of RGB in 0..1 that a network's ImageNet weights require.

    Raises:
        UsageError: there is no such network.
    """
    known = get_pretrained_cfg(_timm_name(name))
    if known is None:
        raise UsageError(
            f"{name}: timm has no input statistics of it; use another network", code="E-classify-unknown-network"
        )
    (red, green, blue), deviation = known.mean, known.std
    return (red, green, blue), (deviation[0], deviation[1], deviation[2])


def pretrained(
    network: Classifier, config: NetworkConfig, source: Literal["imagenet", "none"] | Path = "imagenet"
) -> str:
    """Loads weights in place; the last neurons stay random unless the file holds as many.

    Args:
        network: as `build_network` gives it.
        config: of the network.
        source: `imagenet`, `none` to leave it random, or a safetensors file with timm's names or of a classifier
            trained here.

    Returns:
        The weights' name and SHA-256, for the record.

    Raises:
        WeightsError: they cannot be loaded, or are of another network.
    """
    if source == "none":
        return "none"
    if source == "imagenet":
        tensors, name = lite0_weights() if config.name == "efficientnet_lite0" else _downloaded(config.name)
    else:
        path = Path(source)
        tensors, digest = read_safetensors(path, what="weights", remedy=f"give a safetensors file by {_FLAG} FILE")
        if not all(bool(torch.isfinite(tensor).all()) for tensor in tensors.values()):
            raise WeightsError(
                f"{path}: holds weights that are no numbers; give another file by {_FLAG} FILE",
                code="E-classify-weights-damaged",
            )
        name = f"{path.name} sha256:{digest}"
    if any(key.startswith(("features.", "network.")) for key in tensors) and not _of_timm(tensors):
        _load(network, tensors, name)
    else:
        _load_timm(network, config, tensors, name)
    return name


def _of_timm(tensors: dict[str, Tensor]) -> bool:
    """Whether names are timm's, which begin with a stem, a stage or a token."""
    return any(key.startswith(("conv_stem.", "conv1.", "stem.", "cls_token")) for key in tensors)


def _load_timm(network: Classifier, config: NetworkConfig, tensors: dict[str, Tensor], name: str) -> None:
    """Weights with timm's names, cut as the network is."""
    if isinstance(network, RolloutClassifier):
        own = {f"network.{key}": value for key, value in tensors.items() if not key.startswith("head.")}
        _load(network, own, name)
        return
    backbone = BACKBONES[config.name]
    full: Any = timm.create_model(backbone.timm_name, pretrained=False)
    _fill(full, {key: value for key, value in tensors.items() if not _of_head(full, key)}, name)
    features, _ = backbone.cut(full, config.short)
    network.features.load_state_dict(features.state_dict())
    if network.norm is not None:
        network.norm.load_state_dict(full.head.norm.state_dict())


def _of_head(full: Any, key: str) -> bool:
    """Whether a tensor belongs to the 1,000 neurons of ImageNet."""
    return key.rpartition(".")[0] == str(full.default_cfg["classifier"])


def _fill(network: nn.Module, tensors: dict[str, Tensor], name: str) -> None:
    """Loads all that is not of the head.

    Raises:
        WeightsError: a tensor is missing, unknown or of another shape.
    """
    own = network.state_dict()
    known = {key for key in own if not _of_head(network, key)} if hasattr(network, "default_cfg") else set(own)
    for key in sorted(known - set(tensors)):
        if not key.endswith("num_batches_tracked"):
            raise WeightsError(
                f"{name}: lacks {key}, so it is of another network; give the weights of this one", code=_OTHER
            )
    for key, value in tensors.items():
        if key not in own or own[key].shape != value.shape:
            shape = f"of shape {tuple(value.shape)}" if key in own else "not known"
            raise WeightsError(
                f"{name}: {key} is {shape} in this network; give the weights of this network", code=_OTHER
            )
    network.load_state_dict(tensors, strict=False)


def _load(network: Classifier, tensors: dict[str, Tensor], name: str) -> None:
    """Loads all weights; the last neurons stay random where the file has another number of them, or none."""
    own = network.state_dict()
    other = {key for key, value in tensors.items() if _last(key) and key in own and own[key].shape != value.shape}
    head = {key: value for key, value in own.items() if _last(key)}
    _fill(network, head | {key: value for key, value in tensors.items() if key not in other}, name)


def _last(key: str) -> bool:
    """Whether a tensor belongs to a classifier's last neurons."""
    return key.startswith(("head.", "network.head."))


def _downloaded(name: str) -> tuple[dict[str, Tensor], str]:
    """ImageNet weights of timm, in the Hugging Face cache under their SHA-256."""
    from huggingface_hub import hf_hub_download
    from huggingface_hub.errors import LocalEntryNotFoundError

    known = get_pretrained_cfg(_timm_name(name))
    place = getattr(known, "hf_hub_id", None)
    if not place:
        raise WeightsError(
            f"{name}: timm has no ImageNet weights of it; give a file by {_FLAG} FILE or {_FLAG} none",
            code="E-classify-weights-unavailable",
        )
    try:
        file = Path(hf_hub_download(repo_id=place, filename=_HUB_FILE, local_files_only=True))
    except LocalEntryNotFoundError:
        logger.warning("downloading ImageNet weights of %s from huggingface.co/%s", name, place)
        file = _fetched(place)
    stored = file.resolve().name
    digest = sha256_file(file)
    if len(stored) == len(digest) and stored != digest:
        raise WeightsError(
            f"{file}: its sha256 is not that in its name; remove the file and run again",
            code="E-classify-weights-damaged",
        )
    tensors, _ = read_safetensors(file, what="weights", remedy=f"give a safetensors file by {_FLAG} FILE")
    return tensors, f"timm {known.architecture}.{known.tag} sha256:{digest}" if known else digest


def _fetched(place: str) -> Path:
    """The file of a repository, downloaded.

    Raises:
        WeightsError: it cannot be downloaded.
    """
    from huggingface_hub import hf_hub_download

    own = logging.getLogger("huggingface_hub")
    before = own.level
    own.setLevel(logging.ERROR)  # it reports each of its five attempts
    try:
        return Path(hf_hub_download(repo_id=place, filename=_HUB_FILE))
    except Exception as error:  # errors of the hub, of HTTP and of the disk have no common base
        raise WeightsError(
            f"{place}: cannot be downloaded ({type(error).__name__}); give the weights by {_FLAG} FILE, or "
            f"{_FLAG} none to train from scratch",
            code="E-classify-weights-unavailable",
        ) from None
    finally:
        own.setLevel(before)


def _timm_name(name: str) -> str:
    if name in TRANSFORMERS:
        return TRANSFORMERS[name]
    if name not in BACKBONES:
        raise UsageError(
            f"unknown network {name!r}; use one of {', '.join([*BACKBONES, *TRANSFORMERS])}",
            code="E-classify-unknown-network",
        )
    return BACKBONES[name].timm_name
