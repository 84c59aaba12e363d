"""The configuration of a classifier and its training, as read from `configs/classify/*.yaml`."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, field_validator, model_validator

from engine.config import Section

MOST_IMAGES = 4096
"""Largest batch: a larger one is a slip of the keyboard that fills the memory."""

Rate = Annotated[float, Field(gt=0, le=1, allow_inf_nan=False)]
Share = Annotated[float, Field(ge=0, lt=1, allow_inf_nan=False)]


class NetworkConfig(Section):
    """Which network, and how its map is made."""

    name: str = Field(
        "efficientnet_lite0", description="of classify.models.backbones.BACKBONES, or vit_tiny or deit_tiny"
    )
    short: bool = Field(False, description="one feature stage fewer: the map is 1/16 of the image, not 1/32")
    dropout: Share = Field(0.0, description="share of the pooled features dropped in training")
    fusion: Literal["mean", "min", "max"] = Field("max", description="of attention heads, transformers only")
    discard: Share = Field(0.0, description="share of the attention set to zero in the map, transformers only")

    @field_validator("name")
    @classmethod
    def _is_known(cls, name: str) -> str:
        from classify.models.backbones import BACKBONES
        from classify.models.rollout import TRANSFORMERS

        if name not in BACKBONES and name not in TRANSFORMERS:
            raise ValueError(f"unknown network; use one of {', '.join([*BACKBONES, *TRANSFORMERS])}")
        return name

    @model_validator(mode="after")
    def _fits_together(self) -> NetworkConfig:
        """Refuses what a network would ignore in silence."""
        from classify.models.rollout import TRANSFORMERS

        if self.name in TRANSFORMERS and (self.short or self.dropout):
            raise ValueError(f"{self.name} has no shortened form and no dropout; leave network.short and dropout out")
        if self.name not in TRANSFORMERS and self.discard:
            raise ValueError("network.discard is of a transformer's attention; leave it out")
        return self


class TileConfig(Section):
    """How photographs are cut and when a tile counts as defective; see `defects.images.crops.TileRule`."""

    side: int = Field(ge=16, description="of a tile, px of the photograph")
    overlap: int = Field(0, ge=0, description="of neighbouring tiles, px")
    pixels: int = Field(1, ge=1, description="a tile is defective from so many defective px on")
    share: float = Field(0.0, ge=0, le=1, description="and from this share of its px on")

    @model_validator(mode="after")
    def _steps_forward(self) -> TileConfig:
        if self.overlap >= self.side:
            raise ValueError(f"the overlap {self.overlap} must be below the side {self.side}")
        return self


class DataConfig(Section):
    """How photographs become squares, and which of them are held out."""

    size: int = Field(128, ge=16, le=2048, description="side of the square that the network sees, px")
    channels: Literal[1, 3] = Field(3, description="1 for grey (repeated three times at the network), 3 for RGB")
    fit: Literal["stretch", "window"] = Field(
        "stretch",
        description="without tiles: the whole image pressed into the square, or the window that generators learn from",
    )
    window: int | None = Field(None, ge=16, description="with fit window: px of the image in the square's side")
    tile: TileConfig | None = Field(None, description="cut photographs into tiles; null takes them whole")
    test_fraction: Share = Field(0.2, description="share of the photographs held out for the test")
    val_fraction: Share = Field(0.1, description="share of the photographs on which the best epoch is chosen")
    split_seed: int = Field(0, ge=0, lt=2**32, description="another seed, other photographs are held out")
    preset: str | None = Field(None, description="classical augmentation: a preset of mix-defects or a YAML file")

    @model_validator(mode="after")
    def _fits_together(self) -> DataConfig:
        if self.test_fraction + self.val_fraction >= 1:
            raise ValueError("test_fraction and val_fraction leave nothing to train on; lower them")
        if self.tile is not None and self.fit != "stretch":
            raise ValueError("fit window cuts one square out of an image, tiles cut many; give one of them")
        if self.window is not None and self.fit != "window":
            raise ValueError("window needs fit window; leave it out")
        return self


class TrainConfig(Section):
    """The optimiser and its schedule."""

    optimizer: Literal["adamw", "adam"] = "adamw"
    learning_rate: Rate = 1e-3
    weight_decay: float = Field(1e-2, ge=0, allow_inf_nan=False, description="of adamw")
    schedule: Literal["cosine", "plateau", "constant"] = "cosine"
    warm_up_epochs: float = Field(0.0, ge=0, allow_inf_nan=False, description="epochs in which the rate rises")
    plateau_patience: int = Field(3, ge=1, description="epochs without a lower validation loss before the rate falls")
    plateau_factor: float = Field(0.1, gt=0, lt=1, description="what the rate falls to")
    epochs: int = Field(15, ge=1, le=100_000)
    batch_size: int = Field(16, ge=2, le=MOST_IMAGES)
    ema: Share = Field(0.0, description="decay of the running average of the weights; 0 keeps none")
    balance: Literal["none", "weights", "sampler"] = Field("none", description="what evens out rare classes")
    patience: int | None = Field(None, ge=1, description="epochs without a better validation before training stops")
    precision: Literal["auto", "fp32", "bf16"] = "auto"
    freeze: bool = Field(False, description="train the last neurons only, on features that stay as they are")
    seed: int = Field(0, ge=0, lt=2**32)


class ClassifierConfig(Section):
    """Everything that `train-classifier` needs besides the data."""

    name: str = Field("classifier", pattern=r"^[^/\\\x00-\x1f]+$", description="a part of the run folder's name")
    task: Literal["binary", "kinds"] = Field("binary", description="defective or good; or which kind of defect")
    network: NetworkConfig = NetworkConfig()
    data: DataConfig = DataConfig()
    train: TrainConfig = TrainConfig()

    @model_validator(mode="after")
    def _fits_together(self) -> ClassifierConfig:
        """Refuses what would break in the first step, or be ignored in silence."""
        from classify.models.rollout import TRANSFORMERS

        if self.network.name in TRANSFORMERS and self.data.size != 224:
            raise ValueError(f"data.size: {self.network.name} sees 224 px only; set it to 224")
        if self.data.val_fraction == 0 and (self.train.patience or self.train.schedule == "plateau"):
            raise ValueError("train.patience and schedule plateau need validation images; raise data.val_fraction")
        return self
