"""The configuration of a classifier and its training, as read from `configs/classify/*.yaml`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, ClassVar, Literal

from pydantic import BeforeValidator, Field, field_validator, model_validator

from engine.config import Section

CNNS = (
    "convnext_tiny", "efficientnetv2_b0", "efficientnetv2_s", "mobilenetv3_large", "efficientnet_lite0",
    "efficientnet_b7", "resnet18", "resnet50",
)  # fmt: skip
"""Their layers are in `classify.models.backbones`."""
TRANSFORMERS = {"vit_tiny": "vit_tiny_patch16_224", "deit_tiny": "deit_tiny_patch16_224"}
"""By name in a configuration, the name in timm."""

DEFECT = "defect"
"""The second class of the binary task; the first is `good`."""

MOST_IMAGES = 4096
"""Largest batch: a larger one is a typing error that fills the memory."""


def _present(former: str, present: str) -> BeforeValidator:
    """Reads a former value, which checkpoints may still hold."""
    return BeforeValidator(lambda value: present if value == former else value)


Task = Annotated[Literal["binary", "classes"], _present("kinds", "classes")]
Rate = Annotated[float, Field(gt=0, le=1, allow_inf_nan=False)]
Share = Annotated[float, Field(ge=0, lt=1, allow_inf_nan=False)]


class NetworkConfig(Section):
    """The network, and how its map is computed."""

    name: str = Field("efficientnet_lite0", description=", ".join([*CNNS, *TRANSFORMERS]))
    short: bool = Field(False, description="one feature stage fewer: the map is 1/16 of the image, not 1/32")
    dropout: Share = Field(0.0, description="share of the pooled features dropped in training")
    fusion: Literal["mean", "min", "max"] = Field("max", description="of attention heads, transformers only")
    discard: Share = Field(0.0, description="share of the attention set to zero in the map, transformers only")

    @field_validator("name")
    @classmethod
    def _is_known(cls, name: str) -> str:
        if name not in CNNS and name not in TRANSFORMERS:
            raise ValueError(f"unknown network; use one of {', '.join([*CNNS, *TRANSFORMERS])}")
        return name

    @model_validator(mode="after")
    def _fits_together(self) -> NetworkConfig:
        """Rejects what a network would ignore in silence."""
        if self.name in TRANSFORMERS and (self.short or self.dropout):
            raise ValueError(f"{self.name} has no shortened form and no dropout; leave network.short and dropout out")
        if self.name not in TRANSFORMERS and self.discard:
            raise ValueError("network.discard is of a transformer's attention; leave it out")
        return self


class TileConfig(Section):
    """How images are tiled and when a tile counts as defective; see `defects.images.crops.TileRule`."""

    side: int = Field(ge=16, description="of a tile, px of the image")
    overlap: int = Field(0, ge=0, description="of neighboring tiles, px")
    pixels: int = Field(1, ge=1, description="a tile with so many defective px is defective")
    share: float = Field(0.0, ge=0, le=1, description="and with this share of its px")

    @model_validator(mode="after")
    def _steps_forward(self) -> TileConfig:
        if self.overlap >= self.side:
            raise ValueError(f"the overlap {self.overlap} must be below the side {self.side}")
        return self


class DataConfig(Section):
    """How images become crops, and which of them are held out."""

    RENAMED: ClassVar[Mapping[str, str]] = {"window": "crop"}

    size: int = Field(128, ge=16, le=2048, description="side of the network's input, px")
    channels: Literal[1, 3] = Field(3, description="1 for gray (repeated three times at the network), 3 for RGB")
    fit: Annotated[Literal["stretch", "crop"], _present("window", "crop")] = Field(
        "stretch",
        description="without tiles: the whole image resized to the input, or the crop that generators are trained on",
    )
    crop: int | None = Field(None, ge=16, description="with fit crop: side of the crop in the image, px")
    tile: TileConfig | None = Field(None, description="images are tiled; null takes them whole")
    test_fraction: Share = Field(0.2, description="share of the images held out for the test")
    val_fraction: Share = Field(0.1, description="share of the images that select the best epoch")
    split_seed: int = Field(0, ge=0, lt=2**32, description="another seed, other images are held out")
    preset: str | None = Field(None, description="classical augmentation: a preset of mix-defects or a YAML file")

    @model_validator(mode="after")
    def _fits_together(self) -> DataConfig:
        if self.test_fraction + self.val_fraction >= 1:
            raise ValueError("test_fraction and val_fraction leave nothing to train on; lower them")
        if self.tile is not None and self.fit != "stretch":
            raise ValueError("fit crop takes one crop of an image, tiles are many; give one of them")
        if self.crop is not None and self.fit != "crop":
            raise ValueError("data.crop needs fit crop; leave it out")
        return self


class TrainConfig(Section):
    """The optimizer and its schedule."""

    RENAMED: ClassVar[Mapping[str, str]] = {"optimiser": "optimizer"}

    optimizer: Literal["adamw", "adam"] = "adamw"
    learning_rate: Rate = 1e-3
    weight_decay: float = Field(1e-2, ge=0, allow_inf_nan=False, description="of adamw")
    schedule: Literal["cosine", "plateau", "constant"] = "cosine"
    warm_up_epochs: float = Field(0.0, ge=0, allow_inf_nan=False, description="epochs in which the rate rises")
    plateau_patience: int = Field(3, ge=1, description="epochs without a lower validation loss before the rate falls")
    plateau_factor: float = Field(0.1, gt=0, lt=1, description="by which the rate falls")
    epochs: int = Field(15, ge=1, le=100_000)
    batch_size: int = Field(16, ge=2, le=MOST_IMAGES)
    ema: Share = Field(0.0, description="decay of the running average of the weights; 0 for none")
    balance: Literal["none", "weights", "sampler"] = Field("none", description="how rare classes are balanced")
    patience: int | None = Field(None, ge=1, description="epochs without a better validation before training stops")
    precision: Literal["auto", "fp32", "bf16"] = "auto"
    augment_on: Literal["cpu", "device"] = Field(
        "cpu", description="where data.preset is applied: image by image on the CPU, or a batch at once on the device"
    )
    freeze: bool = Field(False, description="train the last neurons only, on frozen features")
    seed: int = Field(0, ge=0, lt=2**32)


class ClassifierConfig(Section):
    """Everything that `train-classifier` needs besides the data."""

    name: str = Field("classifier", pattern=r"^[^/\\\x00-\x1f]+$", description="for the name of the run folder")
    task: Task = Field("binary", description="defective or good; or the defect classes")
    network: NetworkConfig = NetworkConfig()
    data: DataConfig = DataConfig()
    train: TrainConfig = TrainConfig()

    @model_validator(mode="after")
    def _fits_together(self) -> ClassifierConfig:
        """Rejects what would fail in the first step, or be ignored in silence."""
        if self.network.name in TRANSFORMERS and self.data.size != 224:
            raise ValueError(f"data.size: {self.network.name} takes 224 px only; set it to 224")
        if self.data.val_fraction == 0 and (self.train.patience or self.train.schedule == "plateau"):
            raise ValueError("train.patience and schedule plateau need validation images; raise data.val_fraction")
        return self
