"""The configuration of a generator and its training, as read from `configs/gan/*.yaml`.

Every architecture has its own sections: a key of another architecture would do nothing and is refused.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, ClassVar, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationInfo, field_validator, model_validator

from engine.config import Section

Weight = Annotated[float, Field(ge=0, allow_inf_nan=False)]
Std = Annotated[float, Field(gt=0, allow_inf_nan=False)]


class _Part(BaseModel):
    """A section of one architecture; `GanConfig` and the checkpoint reader map its former keys."""

    model_config = ConfigDict(extra="forbid", frozen=True)
    RENAMED: ClassVar[Mapping[str, str]] = {}


class _Network(_Part):
    RENAMED: ClassVar[Mapping[str, str]] = {
        "normalisation": "normalization",
        "texture": "noise_injection",
        "lay": "directional_noise",
        "posterior": "encoder",
        "reach": "blend_radius",
        "critic_width": "discriminator_width",
        "critic_scales": "discriminator_scales",
    }

    size: Literal[32, 64, 128, 256, 512] = Field(128, description="side of the generated image, px")
    channels: Literal[1, 3] = Field(3, description="1 for gray, 3 for RGB")
    width: int = Field(24, ge=4, le=128, description="channels at full resolution")
    discriminator_width: int = Field(32, ge=4, le=256)

    @property
    def side(self) -> int:
        """Side of the images that a training step sees, px."""
        return self.size


class _OwnNetwork(_Network):
    max_width: int = Field(192, ge=8, le=512, description="most channels at any scale")
    latent: int = Field(132, ge=1, description="length of the noise vector (paper: 132)")
    modulation: bool = Field(True, description="noise and guide scale and shift every decoder stage")
    noise_injection: bool = Field(True, description="spatial noise at every decoder stage (as in StyleGAN)")
    padding: Literal["zeros", "reflect"] = Field(
        "zeros", description="beyond the border of the generator's maps; zeros leave a faint frame of one pixel"
    )
    discriminator_scales: int = Field(2, ge=1, le=4, description="16 x 16 patches at full and halved sizes")
    spectral: bool = Field(True, description="spectral normalization in the discriminator")
    init_std: Std | None = Field(None, description="std of N(0, s) initialization; null for He's")


class MagnaNetwork(_OwnNetwork):
    """Generates whole images from masks."""

    architecture: Literal["magna"] = "magna"
    embedding: int = Field(32, ge=1, description="length of the mask embedding (paper: 32)")
    normalization: Literal["batch", "pixel"] = "pixel"
    encoder: bool = Field(True, description="an encoder gives the noise of the paired image (as in BicycleGAN)")
    start: Literal[1, 4, 8] = Field(8, description="side of the map that the latent vector is projected to")


class BlendNetwork(_OwnNetwork):
    """Blends defects into images of good parts."""

    architecture: Literal["blend"] = "blend"
    crop: Literal[32, 64, 96, 128, 192, 256, 512] | None = Field(
        None, description="side of the crops it is trained on, px, at most `size`; null for `size`"
    )
    blend_radius: int = Field(6, ge=2, le=16, description="px around the mask from which on nothing is changed")
    directional_noise: bool = Field(
        False, description="noise that is equal down columns or along rows, for polished or rolled surfaces"
    )

    @property
    def side(self) -> int:
        """Side of the crops that a training step sees, px."""
        return self.crop or self.size


class Pix2PixNetwork(_Network):
    """Generates whole images from masks, a baseline."""

    architecture: Literal["pix2pix"] = "pix2pix"
    max_width: int = Field(192, ge=8, le=512, description="most channels at any scale")


class CycleGanNetwork(_Network):
    """Generates whole images from masks without pairs, a baseline."""

    architecture: Literal["cyclegan"] = "cyclegan"


NetworkConfig = MagnaNetwork | BlendNetwork | Pix2PixNetwork | CycleGanNetwork


class BaselineLossConfig(_Part):
    """Weights of the loss terms of the baselines."""

    RENAMED: ClassVar[Mapping[str, str]] = {"texture": "gradient_energy"}

    reconstruction: Weight = 10.0
    adversarial: Weight = 0.1


class MagnaLossConfig(BaselineLossConfig):
    """Weights of the loss terms (paper: 10 / 0.1 / 0.1 and no others)."""

    style: Weight = 0.1
    kl: Weight = 0.0
    swap: Weight = Field(0.0, description="reconstruction of a background under another image's defect")
    guide: Weight = Field(0.0, description="measured against requested brightness, on images of a swapped background")
    style_every: int = Field(1, ge=1, description="steps between style terms, which then weigh as many times more")
    style_size: int | None = Field(None, ge=16, description="side of the copy that the VGG sees; null for full size")
    defect_weight: float = Field(
        1.0, ge=1.0, allow_inf_nan=False, description="weight of a pixel in or near the defect in the reconstruction"
    )


class BlendLossConfig(BaselineLossConfig):
    """Weights of the loss terms of blend."""

    kl: Weight = 0.0
    features: Weight = Field(0.0, description="agreement with the real image inside the discriminator")
    gradient_energy: Weight = Field(0.0, description="strength of the grain near the defect, see gan.losses.blend")
    guide: Weight = Field(0.0, description="measured against requested brightness, on other backgrounds")


LossConfig = MagnaLossConfig | BlendLossConfig | BaselineLossConfig


class DataConfig(_Part):
    """How images become training crops."""

    RENAMED: ClassVar[Mapping[str, str]] = {
        "colour": "color_jitter",
        "color": "color_jitter",
        "light": "brightness_jitter",
        "licence": "license",
        "window": "crop",
        "kinds": "classes",
    }

    crop: int | None = Field(None, ge=16, description="side of the crop in image px; null for the short side")
    license: str = Field("not stated", description="of the data; it goes into every checkpoint")
    columns: tuple[str, ...] = Field((), description="metadata columns declared guide entries")
    classes: bool = Field(True, description="the defect class is a guide entry where there are several")
    backgrounds: int = Field(4, ge=1, le=16, description="k-means clusters when no background column exists")
    good_per_defect: float = Field(
        0.25, ge=0, allow_inf_nan=False, description="good images in an epoch for each defective one"
    )
    test_fraction: float = Field(0.2, ge=0, lt=1)
    horizontal_flip: bool = True
    vertical_flip: bool = True
    rotation: float = Field(5.0, ge=0, le=180, description="largest rotation, degrees")
    zoom: float = Field(0.1, ge=0, lt=0.9, description="largest relative change of scale")
    shear: float = Field(3.0, ge=0, le=30, description="largest shear, degrees")
    width_jitter: float = Field(
        1.6, ge=1, le=2.5, description="largest factor by which the conditioning mask's width is changed"
    )
    jitter_share: float = Field(0.5, ge=0, le=1, description="share of the crops whose conditioning mask is changed")


class BlendDataConfig(DataConfig):
    """How images become training pairs of blend."""

    brightness_jitter: float = Field(
        0.0, ge=0, le=2, description="largest relative change of brightness, by a quarter as much of a channel"
    )
    color_jitter: float = Field(0.0, ge=0, le=1, description="largest share of the image's color that is taken away")


class TrainConfig(_Part):
    """The schedule. The rate is constant for the first half, then decays exponentially (paper)."""

    RENAMED: ClassVar[Mapping[str, str]] = {"jolts": "diff_augment"}

    epochs: int = Field(200, ge=1)
    batch_size: int = Field(8, ge=1)
    learning_rate: float = Field(2e-4, gt=0, allow_inf_nan=False)
    final_rate: float = Field(0.02, gt=0, le=1, description="last learning rate relative to the first")
    ema: float = Field(0.999, ge=0, lt=1)
    precision: Literal["auto", "bf16", "fp32"] = "auto"
    checkpoint_every: int = Field(10, ge=1, description="epochs between checkpoints")
    sample_every: int = Field(10, ge=1, description="epochs between sample grids")
    seed: int = Field(0, ge=0, lt=2**32)


class BlendTrainConfig(TrainConfig):
    """The schedule of blend."""

    diff_augment: bool = Field(True, description="differentiable augmentation of what the discriminator sees")


_WHOLE: dict[str, type[_Part]] = {"data": DataConfig, "train": TrainConfig}
SECTIONS: dict[str, dict[str, type[_Part]]] = {
    "magna": {"network": MagnaNetwork, "loss": MagnaLossConfig, **_WHOLE},
    "blend": {
        "network": BlendNetwork,
        "loss": BlendLossConfig,
        "data": BlendDataConfig,
        "train": BlendTrainConfig,
    },
    "pix2pix": {"network": Pix2PixNetwork, "loss": BaselineLossConfig, **_WHOLE},
    "cyclegan": {"network": CycleGanNetwork, "loss": BaselineLossConfig, **_WHOLE},
}
"""The sections of every architecture, by its name."""
_FORMER_DUMP = frozenset({"embedding", "posterior", "critic_scales", "start"})
"""Keys of every architecture's section as former versions wrote it, with all keys of all architectures."""


def idle_keys(values: Mapping[str, Any], section: str, architecture: str) -> list[str]:
    """The keys that another architecture has, under their present or former names."""
    known = SECTIONS[architecture][section]
    others = {name for sections in SECTIONS.values() for name in sections[section].model_fields}
    return [key for key in values if known.RENAMED.get(key, key) in others - known.model_fields.keys()]


class GanConfig(Section):
    """Everything that `train-gan` needs besides the data; `network.architecture` decides which sections it has."""

    name: str = Field("magna", pattern=r"^[^/\\\x00-\x1f]+$", description="a part of the run folder's name")
    network: NetworkConfig = Field(default_factory=MagnaNetwork, validate_default=True)
    loss: LossConfig = Field(default_factory=dict, validate_default=True)
    data: BlendDataConfig | DataConfig = Field(default_factory=dict, validate_default=True)
    train: BlendTrainConfig | TrainConfig = Field(default_factory=dict, validate_default=True)

    @model_validator(mode="before")
    @classmethod
    def _read_former_dump(cls, values: Any) -> Any:
        """Drops the keys of other architectures from the `config.yaml` of a former version."""
        network = values.get("network") if isinstance(values, Mapping) else None
        if not isinstance(network, Mapping) or not network.keys() >= _FORMER_DUMP:
            return values
        architecture = network.get("architecture", "magna")
        if architecture not in SECTIONS:
            return values
        dumped = {name: values[name] for name in SECTIONS[architecture] if isinstance(values.get(name), Mapping)}
        return dict(values) | {
            name: {key: value for key, value in section.items() if key not in idle_keys(section, name, architecture)}
            for name, section in dumped.items()
        }

    @field_validator("network", "loss", "data", "train", mode="before")
    @classmethod
    def _of_the_architecture(cls, value: Any, info: ValidationInfo) -> Any:
        """Builds a section of the architecture's class."""
        section = str(info.field_name)
        if section == "network":
            architecture = getattr(value, "architecture", None) or dict(value).get("architecture", "magna")
        elif "network" in info.data:
            architecture = info.data["network"].architecture
        else:  # its own error is reported
            return value
        if architecture not in SECTIONS:
            raise ValueError(f"network.architecture {architecture!r} is unknown; choose from {', '.join(SECTIONS)}")
        model = SECTIONS[architecture][section]
        if isinstance(value, _Part):
            value = value.model_dump(exclude_unset=True)
        if isinstance(value, Mapping):
            if idle := idle_keys(value, section, architecture):
                names = " and ".join(f"{section}.{key}" for key in idle)
                raise ValueError(f"{names} would do nothing with network.architecture {architecture}; leave it out")
            value = {model.RENAMED.get(key, key): value[key] for key in value}  # of two spellings the later one counts
        return model.model_validate(value)

    @model_validator(mode="after")
    def _fits_together(self) -> GanConfig:
        """Refuses what would be ignored in silence or break in the first step."""
        network = self.network
        if isinstance(network, BlendNetwork):
            if network.directional_noise and not network.noise_injection:
                raise ValueError(
                    "network.directional_noise is a part of the spatial noise, and network.noise_injection is false; "
                    "set it to true"
                )
            if isinstance(self.data, BlendDataConfig) and self.data.color_jitter and network.channels == 1:
                raise ValueError("data.color_jitter would do nothing with network.channels 1, gray images; set to 0")
            if network.side > network.size:
                raise ValueError(f"network.crop {network.crop} exceeds network.size {network.size}; lower it")
        if isinstance(network, MagnaNetwork):
            if network.normalization == "batch" and self.train.batch_size == 1:
                raise ValueError("train.batch_size 1 leaves batch normalization nothing to average; give at least 2")
            idle = [name for name in ("kl", "swap", "guide") if getattr(self.loss, name) and not network.encoder]
            if idle:
                names = " and ".join(f"loss.{name}" for name in idle)
                raise ValueError(f"{names} without network.encoder would do nothing; set to 0, or the encoder to true")
        return self
