"""A classifier in training: network, optimizer, running average, one batch at a time.

All randomness comes from (seed, step), so that a resumed run ends in the same bytes as an undisturbed one.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional as F

from classify.config import TrainConfig
from classify.models.cam import CamClassifier
from classify.models.checkpoint import to_pixels
from classify.models.depthwise import quick_depthwise
from classify.models.weights import Classifier
from engine.errors import CheckpointError
from engine.runtime.device import native_bf16
from engine.seeding import seed_for

_OPTIMIZER = "optimiser"  # in the names of stored tensors


def training_dtype(precision: str, device: torch.device) -> torch.dtype:
    """bfloat16 where requested or, with `auto`, where the hardware multiplies it; weights stay float32."""
    if precision == "auto":
        return torch.bfloat16 if native_bf16(device) else torch.float32
    return torch.bfloat16 if precision == "bf16" else torch.float32


@contextmanager
def autocast(device: torch.device, dtype: torch.dtype) -> Iterator[None]:
    """Multiplications in `dtype`; nothing changes for float32."""
    with torch.autocast(device.type, dtype=torch.bfloat16, enabled=dtype == torch.bfloat16):
        yield


def losses(logits: Tensor, labels: Tensor, weights: Tensor | None = None) -> Tensor:
    """Cross-entropy (N,) of logits (N, K) and classes (N,); of one neuron, binary with class 1 as defective."""
    if logits.shape[1] == 1:
        each = F.binary_cross_entropy_with_logits(logits[:, 0].float(), labels.float(), reduction="none")
    else:
        each = F.cross_entropy(logits.float(), labels, reduction="none")
    return each if weights is None else each * weights[labels]


class Learner:
    """Trains a network in place.

    Args:
        network: as `build_network` gives it; moved to the device.
        settings: of the training.
        mean: of RGB in 0..1.
        std: of RGB in 0..1.
        weights: of the classes in the loss, (K,), or None.
        fabric: launched, or None for this process on the CPU.
    """

    def __init__(
        self,
        network: Classifier,
        settings: TrainConfig,
        *,
        mean: tuple[float, float, float],
        std: tuple[float, float, float],
        weights: NDArray[np.float64] | None = None,
        fabric: Any = None,
    ) -> None:
        self.network, self.settings, self.mean, self.std, self.fabric = network, settings, mean, std, fabric
        self.device = torch.device(fabric.device if fabric is not None else "cpu")
        self.dtype = training_dtype(settings.precision, self.device)
        network.requires_grad_(True)
        network.to(device=self.device, memory_format=torch.channels_last)  # type: ignore[call-overload]
        if settings.freeze:
            network.requires_grad_(False)
            _head(network).requires_grad_(True)
        self.named = [(name, p) for name, p in network.named_parameters() if p.requires_grad]
        parameters = [parameter for _, parameter in self.named]
        if settings.optimizer == "adamw":
            decayed = [p for p in parameters if p.ndim > 1]  # neither biases nor norms, as is usual
            plain = [p for p in parameters if p.ndim <= 1]
            groups = [{"params": decayed, "weight_decay": settings.weight_decay}, {"params": plain, "weight_decay": 0}]
            self.optimizer: torch.optim.Optimizer = torch.optim.AdamW(groups, lr=settings.learning_rate)
        else:
            self.optimizer = torch.optim.Adam(parameters, lr=settings.learning_rate)
        self.weights = None if weights is None else torch.tensor(weights, dtype=torch.float32, device=self.device)
        self.average = {k: v.detach().clone() for k, v in network.state_dict().items()} if settings.ema else None
        self.steps = 0
        several = fabric is not None and fabric.world_size > 1
        self.module: Any = fabric.setup_module(_Logits(network)) if several else _Logits(network)

    def step(self, images: NDArray[np.uint8], labels: NDArray[np.int64], rate: float) -> float:
        """One optimizer step on images uint8 (B, S, S, C) and classes (B,); returns the loss."""
        for group in self.optimizer.param_groups:
            group["lr"] = rate
        self.network.train()
        if self.settings.freeze:
            self.network.eval()
            _head(self.network).train()
        pixels = to_pixels(images, self.mean, self.std, self.device)
        truth = torch.from_numpy(labels).to(self.device)
        rank = self.fabric.global_rank if self.fabric is not None else 0
        with torch.random.fork_rng(devices=[self.device] if self.device.type == "cuda" else []):
            torch.manual_seed(seed_for(self.settings.seed, "classifier", "dropout", rank, self.steps))
            with autocast(self.device, self.dtype), quick_depthwise(self.network, self.device):
                logits = self.module(pixels)
            loss = losses(logits, truth, self.weights).mean()
            if self.fabric is not None:
                self.fabric.backward(loss)
            else:
                loss.backward()  # type: ignore[no-untyped-call]
        self.optimizer.step()
        self.optimizer.zero_grad(set_to_none=True)
        self.steps += 1
        self._follow()
        return loss.item()

    @torch.no_grad()
    def _follow(self) -> None:
        """Moves the average, running statistics included, towards the network; fast in the first steps."""
        if self.average is None:
            return
        decay = min(self.settings.ema, (1 + self.steps) / (10 + self.steps))
        now = self.network.state_dict()
        floating = [name for name, value in self.average.items() if value.is_floating_point()]
        torch._foreach_lerp_([self.average[n] for n in floating], [now[n] for n in floating], 1 - decay)
        for name in self.average.keys() - set(floating):
            self.average[name].copy_(now[name])

    @contextmanager
    def averaged(self) -> Iterator[None]:
        """The network with its averaged weights while the block runs; nothing changes without an average."""
        if self.average is None:
            yield
            return
        current = {k: v.detach().clone() for k, v in self.network.state_dict().items()}
        self.network.load_state_dict(self.average)
        try:
            yield
        finally:
            self.network.load_state_dict(current)

    def result(self) -> dict[str, Tensor]:
        """A copy of the weights, averaged ones where there are any, on the CPU."""
        source = self.average if self.average is not None else self.network.state_dict()
        return {name: value.detach().cpu().clone() for name, value in source.items()}

    def finite(self) -> bool:
        """Whether every weight is a number: a loss may be one and its gradient not."""
        return all(bool(torch.isfinite(parameter).all()) for _, parameter in self.named)

    def state(self) -> dict[str, Tensor]:
        """Everything that a resumed run needs, as named tensors."""
        tensors = {f"network.{name}": value for name, value in self.network.state_dict().items()}
        tensors["steps"] = torch.tensor(self.steps)
        if self.average is not None:
            tensors |= {f"average.{name}": value for name, value in self.average.items()}
        for name, parameter in self.named:
            for key, value in self.optimizer.state.get(parameter, {}).items():
                tensors[f"{_OPTIMIZER}.{key}.{name}"] = value
        return tensors

    @torch.no_grad()
    def load(self, tensors: Mapping[str, Tensor]) -> None:
        """Reads what `state` wrote.

        Raises:
            CheckpointError: it is the state of another network.
        """
        try:
            self.network.load_state_dict(_under(tensors, "network."))
            if self.average is not None:
                for name, value in self.average.items():
                    value.copy_(tensors[f"average.{name}"])
            self.steps = int(tensors["steps"])
            for name, parameter in self.named:
                if self.steps:
                    keys = ("step", "exp_avg", "exp_avg_sq")
                    state = {key: tensors[f"{_OPTIMIZER}.{key}.{name}"].clone() for key in keys}
                    for key in keys[1:]:
                        state[key] = torch.empty_like(parameter).copy_(state[key])  # laid out as the parameter is
                    self.optimizer.state[parameter] = state
        except (KeyError, RuntimeError) as error:
            raise CheckpointError(
                f"the saved state does not fit this run ({' '.join(str(error).split())[:200]}); "
                "train anew into another --out",
                code="E-classify-state",
            ) from None


class _Logits(nn.Module):
    """The logits alone: no map is computed in training."""

    def __init__(self, network: Classifier) -> None:
        super().__init__()
        self.network = network

    def forward(self, pixels: Tensor) -> Tensor:
        if isinstance(self.network, CamClassifier):
            return self.network.classify(self.network.features(pixels))
        logits: Tensor = self.network(pixels).logits
        return logits


def _head(network: Classifier) -> nn.Module:
    """The last neurons."""
    head: nn.Module = network.head if isinstance(network, CamClassifier) else network.network.head
    return head


def _under(tensors: Mapping[str, Tensor], prefix: str) -> dict[str, Tensor]:
    return {name.removeprefix(prefix): value for name, value in tensors.items() if name.startswith(prefix)}
