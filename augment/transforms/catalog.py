"""The catalog of transforms with their settings, and a pipeline of them as written in YAML."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar, Literal

from pydantic import BaseModel, ConfigDict, Field, model_serializer, model_validator

from augment.transforms.geometry import Border
from engine.config import Section, nearest

Draw = Callable[[], float]


@dataclass(frozen=True)
class Between:
    """A uniform random number between two bounds.

    Attributes:
        default: (low, high).
        limits: the widest bounds allowed.
        unit: in words.
        count: how many independent numbers are sampled; above 1 the value is a tuple.
    """

    default: tuple[float, float]
    limits: tuple[float, float]
    unit: str
    count: int = 1

    def parse(self, value: Any) -> tuple[float, float]:
        """A number or a pair of numbers as (low, high).

        Raises:
            ValueError: The value is no number or pair, not finite, not in order, or outside the limits.
        """
        pair = value if isinstance(value, Sequence) and not isinstance(value, str) else (value, value)
        if len(pair) != 2 or any(isinstance(v, bool) or not isinstance(v, (int, float)) for v in pair):
            raise ValueError(f"expected a number or [low, high], got {value!r}")
        low, high = float(pair[0]), float(pair[1])
        if low > high:
            raise ValueError(f"expected [low, high], got [{low:g}, {high:g}]; write [{high:g}, {low:g}]")
        if not (self.limits[0] <= low and high <= self.limits[1]):
            raise ValueError(
                f"expected {self.unit} within {self.limits[0]:g} to {self.limits[1]:g}, got [{low:g}, {high:g}]"
            )
        return low, high

    def draw(self, setting: tuple[float, float], draw: Draw) -> float | tuple[float, ...]:
        """One value, or `count` of them."""
        low, span = setting[0], setting[1] - setting[0]
        if self.count == 1:
            return low + span * draw()
        return tuple(low + span * draw() for _ in range(self.count))


@dataclass(frozen=True)
class OneOf:
    """A random choice of several words."""

    default: tuple[str, ...]
    known: tuple[str, ...]

    def parse(self, value: Any) -> tuple[str, ...]:
        """A word or a list of words as a tuple.

        Raises:
            ValueError: No word is given, or one is unknown.
        """
        words = (value,) if isinstance(value, str) else value
        if not isinstance(words, Sequence) or not words:
            raise ValueError(f"expected one or more of {', '.join(self.known)}, got {value!r}")
        for word in words:
            if word not in self.known:
                raise ValueError(f"unknown value {word!r}; {nearest(str(word), self.known)}")
        return tuple(words)

    def draw(self, setting: tuple[str, ...], draw: Draw) -> str:
        """One of the words."""
        return setting[0] if len(setting) == 1 else setting[int(draw() * len(setting))]


@dataclass(frozen=True)
class Switch:
    """True or false; not random."""

    default: bool

    def parse(self, value: Any) -> bool:
        """The value itself.

        Raises:
            ValueError: The value is neither true nor false.
        """
        if not isinstance(value, bool):
            raise ValueError(f"expected true or false, got {value!r}")
        return value

    def draw(self, setting: bool, draw: Draw) -> bool:  # noqa: ARG002 - one way to call all settings
        """The setting."""
        return setting


Setting = Between | OneOf | Switch


@dataclass(frozen=True)
class Transform:
    """One transform.

    Attributes:
        name: as written in a pipeline.
        family: `camera` (position of the camera) or `lighting` (illumination and sensor).
        about: its effect, in one line.
        settings: by name.
        moves: whether it warps the image, and the mask with it.
        loses: whether part of the defect may leave the image or be covered.
        color: whether it needs three channels; skipped on gray images.
        field: whether it needs a random number per pixel.
    """

    name: str
    family: Literal["camera", "lighting"]
    about: str
    settings: Mapping[str, Setting] = field(default_factory=dict)
    moves: bool = False
    loses: bool = False
    color: bool = False
    field: bool = False

    def parse(self, given: Mapping[str, Any]) -> dict[str, Any]:
        """All settings, those not given at their defaults.

        Raises:
            ValueError: A setting is unknown or its value is not allowed.
        """
        for name in given:
            if name not in self.settings:
                known = f"unknown setting {name} of {self.name}"
                raise ValueError(f"{known}; {nearest(str(name), [*self.settings, 'p'])}")
        parsed = {}
        for name, setting in self.settings.items():
            try:
                parsed[name] = setting.parse(given.get(name, setting.default))
            except ValueError as error:
                raise ValueError(f"{self.name}.{name}: {error}") from None
        return parsed

    def draw(self, settings: Mapping[str, Any], draw: Draw) -> dict[str, Any]:
        """One value of each setting; `field` is the seed of the random numbers per pixel."""
        values = {name: setting.draw(settings[name], draw) for name, setting in self.settings.items()}
        if self.field:
            values["field"] = int(draw() * 2.0**53)
        return values


def _camera(name: str, about: str, *, loses: bool = True, **settings: Setting) -> Transform:
    return Transform(name, "camera", about, settings, moves=True, loses=loses)


def _lighting(name: str, about: str, *, color: bool = False, field: bool = False, **settings: Setting) -> Transform:
    return Transform(name, "lighting", about, settings, color=color, field=field, loses=name == "random_erasing")


_DEGREES = "degrees"
_SIDE = "a share of the side"
_WHITE = "a share of white"

_ALL = (
    _camera("centre_crop", "The center is cropped and resized to the old size.",
            keep=Between((0.7, 1.0), (0.1, 1.0), _SIDE)),
    _camera("horizontal_flip", "Mirrored left to right.", loses=False),
    _camera("vertical_flip", "Mirrored top to bottom.", loses=False),
    _camera("flip", "A flip along one axis or both.", loses=False,
            axis=OneOf(("horizontal", "vertical", "both"), ("horizontal", "vertical", "both"))),
    _camera("rotation", "Rotated about the center, counterclockwise.",
            degrees=Between((-15.0, 15.0), (-180.0, 180.0), _DEGREES)),
    _camera("shear", "Sheared by an angle in x and y.",
            x=Between((-10.0, 10.0), (-60.0, 60.0), _DEGREES), y=Between((-10.0, 10.0), (-60.0, 60.0), _DEGREES)),
    _camera("translation", "Translated right and down.",
            x=Between((-0.1, 0.1), (-0.9, 0.9), _SIDE), y=Between((-0.1, 0.1), (-0.9, 0.9), _SIDE)),
    _camera("zoom", "Scaled about the center, enlarged above 1.",
            factor=Between((0.9, 1.1), (0.25, 8.0), "a factor")),
    _camera("perspective", "Each corner moves on its own: a homography of 8 degrees of freedom.",
            corner=Between((-0.08, 0.08), (-0.3, 0.3), _SIDE, count=8)),
    _lighting("gaussian_noise", "Normal noise is added to every channel of every pixel.", field=True,
              sigma=Between((0.02, 0.06), (0.0, 1.0), _WHITE), bank=Switch(True)),
    _lighting("poisson_noise", "Shot noise: white is that many photons.", field=True,
              photons=Between((40.0, 250.0), (1.0, 1e6), "photons"), bank=Switch(True)),
    _lighting("salt_and_pepper", "Some pixels become white or black.", field=True,
              amount=Between((0.002, 0.02), (0.0, 1.0), "a share of the pixels"),
              salt=Between((0.4, 0.6), (0.0, 1.0), "a share of white among them"), bank=Switch(True)),
    _lighting("colour_space", "Red, green and blue are replaced by hue, saturation and value.", color=True),
    _lighting("hue_saturation", "Hue, saturation and value are shifted.", color=True,
              hue=Between((-15.0, 15.0), (-180.0, 180.0), _DEGREES),
              saturation=Between((-0.12, 0.12), (-1.0, 1.0), "a share of full saturation"),
              value=Between((-0.08, 0.08), (-1.0, 1.0), _WHITE)),
    _lighting("channel_shift", "Each channel is brightened or darkened on its own.",
              by=Between((-0.08, 0.08), (-1.0, 1.0), _WHITE, count=3)),
    _lighting("mixing", "Another image is blended in; its defects are added to the mask.",
              weight=Between((0.2, 0.4), (0.0, 0.5), "the other image's weight")),
    _lighting("random_erasing", "A box is covered; the defect is avoided, or the mask is cleared with it.", field=True,
              area=Between((0.02, 0.1), (0.001, 0.9), "a share of the image"),
              aspect=Between((0.4, 2.5), (0.05, 20.0), "height by width"),
              fill=OneOf(("noise",), ("noise", "mean", "black")), defect=OneOf(("spare",), ("spare", "follow")),
              bank=Switch(True)),
    _lighting("sharpness", "Blended with a smoothed copy: 0 is smooth, 1 unchanged, 2 sharper.",
              factor=Between((0.5, 2.0), (0.0, 10.0), "a factor")),
    _lighting("brightness", "A constant is added to all gray levels.", by=Between((-0.1, 0.1), (-1.0, 1.0), _WHITE)),
    _lighting("contrast", "Gray levels move away from the image's mean (above 1) or towards it.",
              factor=Between((0.75, 1.25), (0.0, 10.0), "a factor")),
    _lighting("gamma", "Gray levels are raised to a power; below 1 is brighter.",
              gamma=Between((0.75, 1.33), (0.05, 20.0), "an exponent")),
    _lighting("gaussian_blur", "Smoothed with a Gaussian kernel.", sigma=Between((0.3, 1.5), (0.05, 20.0), "px")),
)  # fmt: skip

CATALOG: dict[str, Transform] = {one.name: one for one in _ALL}


def transform(name: object) -> Transform:
    """A transform by its name.

    Raises:
        ValueError: No transform has that name.
    """
    if not isinstance(name, str) or name not in CATALOG:
        raise ValueError(f"unknown transform {name}; {nearest(str(name), CATALOG)}")
    return CATALOG[name]


class StepConfig(BaseModel):
    """One step, written `rotation: {p: 0.5, degrees: [-5, 5]}` or just `rotation`.

    Attributes:
        transform: a name of the catalog.
        p: probability.
        settings: all settings of the transform; the catalog's defaults where none are given.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    transform: str
    p: float = Field(0.5, ge=0.0, le=1.0)
    settings: dict[str, Any] = Field(default_factory=dict)

    @model_validator(mode="before")
    @classmethod
    def _read(cls, data: Any) -> Any:
        if isinstance(data, str):
            data = {data: None}
        if not isinstance(data, Mapping) or ("transform" not in data and len(data) != 1):
            raise ValueError("expected one transform with its settings, as in `- rotation: {degrees: [-5, 5]}`")
        if "transform" in data:
            return {**data, "settings": transform(data["transform"]).parse(data.get("settings", {}))}
        ((name, settings),) = data.items()
        if settings is not None and not isinstance(settings, Mapping):
            raise ValueError(f"expected settings of {name}, as in `{{p: 0.5}}`, got {settings!r}")
        given = dict(settings or {})
        step = {"p": given.pop("p")} if "p" in given else {}
        return {"transform": name, **step, "settings": transform(name).parse(given)}

    @model_serializer
    def _write(self) -> dict[str, Any]:
        plain = {name: list(value) if isinstance(value, tuple) else value for name, value in self.settings.items()}
        return {self.transform: {"p": self.p, **plain}}

    @property
    def entry(self) -> Transform:
        """The catalog's entry."""
        return transform(self.transform)


class FeatureSpace(Section):
    """Points that are added to the features of training images; see `augment.transforms.feature_space`."""

    method: Literal["interpolate", "extrapolate", "perturb"] = "interpolate"
    factor: float = Field(1.0, ge=0.0, le=100.0, description="points per training image")


class PipelineConfig(Section):
    """A pipeline.

    Attributes:
        description: origin of the numbers, and which ones were chosen here.
        min_defect_share: share of the defect's pixels that must stay in the image and uncovered, over all steps
            together; a transform that would leave less is sampled again, and skipped if that does not help. 0 allows
            any loss.
        redraws: how often a transform is sampled again.
        border: padding of warped images and masks: reflection, replication of the edge, or black.
        steps: in order; camera transforms that follow one another are applied as one warp.
        feature_space: for a classifier on the features of a frozen backbone only.
    """

    RENAMED: ClassVar[Mapping[str, str]] = {"min_defect_kept": "min_defect_share"}

    description: str = ""
    min_defect_share: float = Field(0.5, ge=0.0, le=1.0)
    redraws: int = Field(8, ge=0, le=100)
    border: Border = "reflect"
    steps: list[StepConfig] = Field(default_factory=list)
    feature_space: FeatureSpace | None = None
