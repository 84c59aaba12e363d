"""Our extractors in torch-fidelity: `calculate_metrics(feature_extractor=register(extractor))`."""

from __future__ import annotations

import hashlib

import torch
from torch import Tensor
from torch_fidelity.feature_extractor_base import FeatureExtractorBase
from torch_fidelity.registry import FEATURE_EXTRACTORS_REGISTRY, register_feature_extractor

from metrics.features.extraction import Extractor

_FEATURES = "features"
_LOGITS = "logits"


def register(extractor: Extractor) -> str:
    """Makes an extractor known to torch-fidelity.

    Returns:
        The name to give as `feature_extractor`; the same for an extractor of the same fingerprint.
    """
    digest = hashlib.sha256(extractor.fingerprint.encode("utf-8")).hexdigest()
    name = f"magna-{extractor.name}-{digest[:8]}"
    if name not in FEATURE_EXTRACTORS_REGISTRY:
        register_feature_extractor(name, _adapter(extractor))
    return name


def _adapter(extractor: Extractor) -> type[FeatureExtractorBase]:
    provided = (_FEATURES, _LOGITS) if extractor.has_logits else (_FEATURES,)

    class Adapter(FeatureExtractorBase):  # type: ignore[misc]
        """What torch-fidelity makes anew for every computation; the network behind it stays."""

        def __init__(self, name: str, features_list: list[str], **_: object) -> None:
            super().__init__(name, features_list)

        def forward(self, images: Tensor) -> tuple[Tensor, ...]:
            found = extractor(images.cpu())
            values = {_FEATURES: found.features, _LOGITS: found.logits}
            return tuple(torch.as_tensor(values[name], device=images.device) for name in self.features_list)

        @staticmethod
        def get_provided_features_list() -> tuple[str, ...]:
            return provided

        @staticmethod
        def get_default_feature_layer_for_metric(metric: str) -> str:
            return _LOGITS if metric == "isc" else _FEATURES

        @staticmethod
        def can_be_compiled() -> bool:
            return False

        @staticmethod
        def get_dummy_input_for_compile() -> Tensor:
            return torch.zeros(1, 3, 4, 4, dtype=torch.uint8)

    return Adapter
