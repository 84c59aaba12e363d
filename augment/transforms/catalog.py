"""What a setting of a transform may be, and how a value is drawn from it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np

from engine.config import nearest

Draw = Callable[[], float]


class Uniforms:
    """Numbers in [0, 1) from a generator, drawn in blocks: a tenth of the time of single draws."""

    __slots__ = ("_block", "_rng")

    def __init__(self, rng: np.random.Generator) -> None:
        self._rng = rng
        self._block: list[float] = []

    def __call__(self) -> float:
        if not self._block:
            self._block = self._rng.random(32).tolist()
        return self._block.pop()


@dataclass(frozen=True)
class Between:
    """A number drawn evenly between two bounds.

    Attributes:
        default: (low, high).
        limits: the widest bounds allowed.
        unit: in words.
        count: how many numbers are drawn, each on its own; above 1 the value is a tuple.
    """

    default: tuple[float, float]
    limits: tuple[float, float]
    unit: str
    count: int = 1

    def parse(self, value: Any) -> tuple[float, float]:
        """A number or a pair of numbers as (low, high).

        Raises:
            ValueError: not a number or a pair, not finite, the wrong way round, or outside the limits.
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
    """One of several words, drawn evenly among those allowed."""

    default: tuple[str, ...]
    known: tuple[str, ...]

    def parse(self, value: Any) -> tuple[str, ...]:
        """A word or a list of words as a tuple.

        Raises:
            ValueError: none given, or a word that is not known.
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
    """Yes or no; nothing is drawn."""

    default: bool

    def parse(self, value: Any) -> bool:
        """The value itself.

        Raises:
            ValueError: neither true nor false.
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
        family: `camera` (where the camera stands) or `lighting` (how the light falls and the sensor answers).
        about: what it does, in one line.
        settings: name to what may be written there.
        moves: pixels change place, and the mask's with them.
        loses: part of the defect may leave the picture or be covered.
        color: works on three channels only, and is passed over on grey pictures.
        field: needs a field of random numbers, one for each pixel.
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
            ValueError: an unknown setting, named with the nearest known one, or a refused value.
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
        """One value of each setting; `field` is a key that stands for the whole field of random numbers."""
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
    _camera("centre_crop", "The middle is cut out and enlarged to the old size.",
            keep=Between((0.7, 1.0), (0.1, 1.0), _SIDE)),
    _camera("horizontal_flip", "Left and right change places.", loses=False),
    _camera("vertical_flip", "Top and bottom change places.", loses=False),
    _camera("flip", "One flip, along one axis or both.", loses=False,
            axis=OneOf(("horizontal", "vertical", "both"), ("horizontal", "vertical", "both"))),
    _camera("rotation", "Turned about the middle, anticlockwise.",
            degrees=Between((-15.0, 15.0), (-180.0, 180.0), _DEGREES)),
    _camera("shear", "Rows and columns slide by an angle.",
            x=Between((-10.0, 10.0), (-60.0, 60.0), _DEGREES), y=Between((-10.0, 10.0), (-60.0, 60.0), _DEGREES)),
    _camera("translation", "Moved right and down.",
            x=Between((-0.1, 0.1), (-0.9, 0.9), _SIDE), y=Between((-0.1, 0.1), (-0.9, 0.9), _SIDE)),
    _camera("zoom", "Enlarged (above 1) or reduced about the middle.",
            factor=Between((0.9, 1.1), (0.25, 8.0), "a factor")),
    _camera("perspective", "Each corner moves by itself: all 8 degrees of freedom of a camera's position.",
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
    _lighting("channel_shift", "Each channel is brightened or darkened by itself.",
              by=Between((-0.08, 0.08), (-1.0, 1.0), _WHITE, count=3)),
    _lighting("mixing", "Another picture shines through; its defects join the mask.",
              weight=Between((0.2, 0.4), (0.0, 0.5), "the other picture's weight")),
    _lighting("random_erasing", "A box is covered; the defect is spared, or the label follows.", field=True,
              area=Between((0.02, 0.1), (0.001, 0.9), "a share of the picture"),
              aspect=Between((0.4, 2.5), (0.05, 20.0), "height by width"),
              fill=OneOf(("noise",), ("noise", "mean", "black")), defect=OneOf(("spare",), ("spare", "follow")),
              bank=Switch(True)),
    _lighting("sharpness", "Blended with its smoothed self: 0 is smooth, 1 unchanged, 2 sharper.",
              factor=Between((0.5, 2.0), (0.0, 10.0), "a factor")),
    _lighting("brightness", "All levels are raised or lowered.", by=Between((-0.1, 0.1), (-1.0, 1.0), _WHITE)),
    _lighting("contrast", "Levels move away from the picture's mean (above 1) or towards it.",
              factor=Between((0.75, 1.25), (0.0, 10.0), "a factor")),
    _lighting("gamma", "Levels are raised to a power; below 1 is brighter.",
              gamma=Between((0.75, 1.33), (0.05, 20.0), "an exponent")),
    _lighting("gaussian_blur", "Smoothed with a Gaussian.", sigma=Between((0.3, 1.5), (0.05, 20.0), "px")),
)  # fmt: skip

CATALOG: dict[str, Transform] = {one.name: one for one in _ALL}


def transform(name: object) -> Transform:
    """A transform by its name.

    Raises:
        ValueError: no transform has that name; the nearest known one is named.
    """
    if not isinstance(name, str) or name not in CATALOG:
        raise ValueError(f"unknown transform {name}; {nearest(str(name), CATALOG)}")
    return CATALOG[name]
