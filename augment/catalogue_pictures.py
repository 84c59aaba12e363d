"""Pictures of what a transform does: before, at both ends of its settings, and some draws, with the mask's outline."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image as Pillow
from PIL import ImageDraw, ImageFont

from augment.catalogue import Pipeline, PipelineConfig, StepConfig, Transform, generator_for
from augment.catalogue.operations import Mask, Partner
from augment.catalogue.parameters import Between
from defects.windows import as_channels

__all__ = ["Cell", "cell", "stacked", "strip_of_pipeline", "strip_of_transform", "titled"]

Image = NDArray[np.uint8]
Cell = tuple[Image, str]

_LINE = (255, 0, 200)
_TEXT = 16  # px of the line of text below a picture
_MARGIN = 4


def strip_of_transform(kind: Transform, pictures: Sequence[Partner], draws: int, seed: int) -> list[Cell]:
    """The first picture before, at both ends of its settings where they are ranges, and `draws` at random.

    Draws go round the pictures, so that more than one defect is seen; `mixing` takes the next picture.
    """
    cells = [cell(*pictures[0], "before")]
    ends = _ends(kind)
    for text, settings in ends.items():
        step = StepConfig(transform=kind.name, p=1.0, settings=settings)
        cells.append(_drawn([step], pictures, 0, seed, text))
    step = StepConfig(transform=kind.name, p=1.0)
    more = draws + 2 - len(ends)
    return cells + [_drawn([step], pictures, i + 1, seed + i, f"draw {i + 1}") for i in range(more)]


def strip_of_pipeline(pipeline: Pipeline, pictures: Sequence[Partner], draws: int, seed: int) -> list[Cell]:
    """The first picture before, and drawn at random; below each what was applied, shortened."""
    steps = pipeline.config.steps
    return [
        cell(*pictures[0], "before"),
        *(_drawn(steps, pictures, i, seed + i, "") for i in range(draws)),
    ]


def cell(image: Image, mask: Mask, text: str, scale: int = 1) -> Cell:
    """A colour picture with the outline of its mask, just outside the defect, and its caption."""
    big = np.repeat(np.repeat(as_channels(image, 3), scale, 0), scale, 1)
    outline = np.repeat(np.repeat(mask, scale, 0), scale, 1).astype(np.uint8)
    contours, _ = cv2.findContours(cv2.dilate(outline, np.ones((3, 3), np.uint8)), cv2.RETR_LIST, cv2.CHAIN_APPROX_NONE)
    shown = np.ascontiguousarray(big)
    cv2.drawContours(shown, contours, -1, _LINE, 1)
    return shown, text


def titled(cells: Sequence[Cell], title: str = "", left: int = 0) -> Image:
    """Pictures side by side with their captions below, and a title on the left where `left` px are given for it."""
    height, width = cells[0][0].shape[:2]
    sheet = Pillow.new("RGB", (left + len(cells) * (width + _MARGIN), height + _TEXT + _MARGIN), "white")
    draw, font = ImageDraw.Draw(sheet), ImageFont.load_default(11)
    for line, part in enumerate(title.split("\n") if left else []):
        draw.text((_MARGIN, 2 + 14 * line), part, fill="black", font=ImageFont.load_default(12) if not line else font)
    for i, (picture, text) in enumerate(cells):
        x = left + i * (width + _MARGIN)
        sheet.paste(Pillow.fromarray(picture), (x, 0))
        caption = Pillow.new("RGB", (width, _TEXT), "white")  # of its own, so that a long one is cut off
        ImageDraw.Draw(caption).text((1, 1), text, fill="black", font=font)
        sheet.paste(caption, (x, height))
    return np.asarray(sheet)


def stacked(strips: Sequence[Image]) -> Image:
    """Strips below one another, on white."""
    width = max(strip.shape[1] for strip in strips)
    return np.concatenate([np.pad(s, ((0, 0), (0, width - s.shape[1]), (0, 0)), constant_values=255) for s in strips])


def _drawn(steps: Sequence[StepConfig], pictures: Sequence[Partner], index: int, seed: int, text: str) -> Cell:
    image, mask = pictures[index % len(pictures)]
    partner = pictures[(index + 1) % len(pictures)]
    pipeline = Pipeline(PipelineConfig(steps=list(steps)))
    made, label, applied = pipeline(image, mask, generator_for(seed), [partner] if len(pictures) > 1 else [])
    passed_over = [name for name in applied if name.endswith(":skipped")]
    if len(steps) > 1:
        text = " ".join(_short(name) for name in applied) or "nothing"
    return cell(made, label, f"{text}, passed over" if passed_over and len(steps) == 1 else text)


def _short(name: str) -> str:
    """At most four letters of each word; one that was passed over stands in brackets."""
    plain = name.removesuffix(":skipped")
    short = "".join(word[:1] for word in plain.split("_")) if "_" in plain else plain[:4]
    return short if plain == name else f"({short})"


def _ends(kind: Transform) -> dict[str, dict[str, Any]]:
    """Caption and settings; where several numbers are drawn from one range, a third of the range and all of it."""
    ranges = {name: setting for name, setting in kind.settings.items() if isinstance(setting, Between)}
    if not ranges:
        return {}
    if any(setting.count > 1 for setting in ranges.values()):
        third = {name: tuple(end / 3 for end in setting.default) for name, setting in ranges.items()}
        return {"third of range": third, "full range": {}}
    return {
        "low end": {name: setting.default[0] for name, setting in ranges.items()},
        "high end": {name: setting.default[1] for name, setting in ranges.items()},
    }
