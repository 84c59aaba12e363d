"""The configuration of a generator and its training, as read from `configs/gan/*.yaml`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, ClassVar, Literal

from pydantic import Field, model_validator

from engine.config import Section

Weight = Annotated[float, Field(ge=0, allow_inf_nan=False)]


class NetworkConfig(Section):
    """Shapes of the networks; the baselines pix2pix and cyclegan use sizes, widths and `critic_width` only."""

    RENAMED: ClassVar[Mapping[str, str]] = {"normalisation": "normalization"}

    architecture: Literal["magna", "blend", "pix2pix", "cyclegan"] = Field(
        "magna", description="blend draws into the photograph of a good part, the others draw the whole image"
    )
    size: Literal[32, 64, 128, 256, 512] = Field(128, description="side of the generated image, px")
    crop: Literal[32, 64, 96, 128, 192, 256, 512] | None = Field(
        None, description="blend: side of the crops it is trained on, px, at most `size`; null for `size`"
    )
    reach: int = Field(6, ge=2, le=16, description="blend: from so many px around the mask on nothing is changed")
    channels: Literal[1, 3] = Field(3, description="1 for grey, 3 for RGB")
    width: int = Field(24, ge=4, le=128, description="channels at full resolution")
    max_width: int = Field(192, ge=8, le=512, description="most channels at any scale")
    latent: int = Field(132, ge=1, description="length of the noise vector (source: 132)")
    embedding: int = Field(32, ge=1, description="length of the mask embedding (source: 32)")
    normalization: Literal["batch", "pixel"] = "pixel"
    modulation: bool = Field(True, description="noise and guide scale and shift every decoder stage")
    texture: bool = Field(True, description="spatial noise at every decoder stage (as in StyleGAN)")
    lay: bool = Field(
        False, description="blend: noise that is equal down columns or along rows, for ground or rolled surfaces"
    )
    posterior: bool = Field(True, description="an encoder gives the noise of the paired image (as in BicycleGAN)")
    padding: Literal["zeros", "reflect"] = Field(
        "zeros", description="beyond the border of the generator's maps; zeros leave a faint frame of one pixel"
    )
    start: Literal[1, 4, 8] = Field(8, description="side of the map that the latent vector is projected to")
    critic_width: int = Field(32, ge=4, le=256)
    critic_scales: int = Field(2, ge=1, le=4, description="16 x 16 patches on the image and its halved copies")
    spectral: bool = Field(True, description="spectral normalisation in the discriminator")
    init_std: float | None = Field(
        None, gt=0, allow_inf_nan=False, description="std of N(0, s) initialisation; null for He's"
    )

    @property
    def side(self) -> int:
        """Side of the images that a training step sees, px."""
        return self.crop or self.size


class LossConfig(Section):
    """Weights of the loss terms (source: 10 / 0.1 / 0.1 and no others)."""

    reconstruction: Weight = 10.0
    adversarial: Weight = 0.1
    style: Weight = 0.1
    kl: Weight = 0.0
    features: Weight = Field(0.0, description="blend: agreement with the real image inside the discriminator")
    texture: Weight = Field(
        0.0, description="blend: strength of the grain near the defect, see gan.losses.gradient_energy"
    )
    swap: Weight = Field(0.0, description="reconstruction of a ground under another image's defect")
    guide: Weight = Field(0.0, description="measured against requested brightness, on images of a swapped ground")
    style_every: int = Field(1, ge=1, description="steps between style terms, which then weigh as many times more")
    style_size: int | None = Field(None, ge=16, description="side of the copy that the VGG sees; null for full size")
    defect_weight: float = Field(
        1.0, ge=1.0, allow_inf_nan=False, description="weight of a pixel in or near the defect in the reconstruction"
    )


class DataConfig(Section):
    """How images become training windows."""

    RENAMED: ClassVar[Mapping[str, str]] = {"colour": "color", "licence": "license"}

    window: int | None = Field(
        None, ge=16, description="side of the square window in image px; null for the short side"
    )
    license: str = Field("not stated", description="of the data; it goes into every checkpoint")
    columns: tuple[str, ...] = Field((), description="metadata columns declared guide entries")
    kinds: bool = Field(True, description="the defect kind is a guide entry where there are several")
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
    light: float = Field(
        0.0, ge=0, le=2, description="blend: largest relative change of the light, by a quarter as much of its colour"
    )
    color: float = Field(0.0, ge=0, le=1, description="blend: largest share of the picture's colour that is taken away")
    jitter_share: float = Field(0.5, ge=0, le=1, description="share of the windows whose conditioning mask is changed")


class TrainConfig(Section):
    """The schedule. The rate is constant for the first half, then decays exponentially (source)."""

    epochs: int = Field(200, ge=1)
    batch_size: int = Field(8, ge=1)
    learning_rate: float = Field(2e-4, gt=0, allow_inf_nan=False)
    final_rate: float = Field(0.02, gt=0, le=1, description="last learning rate relative to the first")
    ema: float = Field(0.999, ge=0, lt=1)
    precision: Literal["auto", "bf16", "fp32"] = "auto"
    checkpoint_every: int = Field(10, ge=1, description="epochs between checkpoints")
    sample_every: int = Field(10, ge=1, description="epochs between sample grids")
    jolts: bool = Field(True, description="blend: differentiable augmentation of what the discriminator sees")
    seed: int = Field(0, ge=0, lt=2**32)


_NOT_USED = {
    "magna": ("features", "texture"),
    "blend": ("style", "swap"),
    "pix2pix": ("style", "kl", "swap", "guide", "features", "texture"),
    "cyclegan": ("style", "kl", "swap", "guide", "features", "texture"),
}


class GanConfig(Section):
    """Everything that `train-gan` needs besides the data."""

    name: str = Field("magna", pattern=r"^[^/\\\x00-\x1f]+$", description="a part of the run folder's name")
    network: NetworkConfig = NetworkConfig()
    loss: LossConfig = LossConfig()
    data: DataConfig = DataConfig()
    train: TrainConfig = TrainConfig()

    @model_validator(mode="after")
    def _fits_together(self) -> GanConfig:
        """Refuses what would be ignored in silence or break in the first step."""
        without = [f"loss.{n}" for n in _NOT_USED[self.network.architecture] if getattr(self.loss, n)]
        if self.network.architecture != "blend":
            without += [f"data.{name}" for name in ("light", "color") if getattr(self.data, name)]
            without += [] if self.train.jolts else ["train.jolts"]
            without += ["network.lay"] if self.network.lay else []
        if self.network.lay and not self.network.texture:
            raise ValueError("network.lay is a part of the spatial noise, and network.texture is false; set it to true")
        if self.data.color and self.network.channels == 1:
            raise ValueError("data.color would do nothing with network.channels 1, grey pictures; set to 0")
        baseline = self.network.architecture in ("pix2pix", "cyclegan")
        without += ["network.posterior"] if self.network.posterior and baseline else []
        if without:
            raise ValueError(
                f"{' and '.join(without)} would do nothing with network.architecture {self.network.architecture}; "
                "set to 0 or false"
            )
        if self.network.architecture == "blend" and not self.network.posterior:
            raise ValueError("network.posterior false, but blend learns the noise by its encoder; set it to true")
        if self.network.side > self.network.size:
            raise ValueError(f"network.crop {self.network.crop} exceeds network.size {self.network.size}; lower it")
        if self.network.normalization == "batch" and self.train.batch_size == 1:
            raise ValueError("train.batch_size 1 leaves batch normalisation nothing to average; give at least 2")
        idle = [name for name in ("kl", "swap", "guide") if getattr(self.loss, name) and not self.network.posterior]
        if idle:
            names = " and ".join(f"loss.{name}" for name in idle)
            raise ValueError(f"{names} without network.posterior would do nothing; set to 0, or the posterior to true")
        return self
