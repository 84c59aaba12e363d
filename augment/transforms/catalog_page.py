"""Pictures of what a transform does: before, at both ends of its settings, and some draws, with the mask's outline."""

from __future__ import annotations

import html
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image as Pillow
from PIL import ImageDraw, ImageFont

from augment.transforms.catalog import CATALOG, Between, OneOf, Setting, Transform
from augment.transforms.config import PipelineConfig, StepConfig
from augment.transforms.operations import Mask, Partner
from augment.transforms.pipeline import Pipeline, generator_for, preset, preset_names
from defects.images.crops import CropSpec, as_channels, read_crop
from defects.images.decode import encode_image, read_sample
from defects.sample import GOOD, Sample
from defects.synthetic.mpi_dataset import MpiPlan
from engine.errors import DataError
from engine.files.atomic import write_bytes, write_text

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


_SHOWN, _TRIED = 4, 20  # pictures, and samples of each kind that are looked at for them
_LEFT = 110  # px for the names on the contact sheet
_STYLE = (
    "body{font:15px/1.45 system-ui,sans-serif;max-width:1180px;margin:2em auto;padding:0 1em;color:#222}"
    "h1,h2{font-weight:600}h3{margin:1.6em 0 .2em}img{max-width:100%}td{padding:0 1.2em 0 0;font-size:13px}"
    "p{margin:.2em 0}"
)


def catalog_page(
    samples: Sequence[Sample] | None, out: Path, *, size: int = 128, draws: int = 5, seed: int = 1, quality: int = 85
) -> Path:
    """Writes `index.html`, a strip of pictures for each transform and preset, and `catalog.jpg` with all of them.

    Args:
        samples: what to show it on; of these some with a defect, of different kinds, are taken. None for procedural
            magnetic-particle images.
        out: the folder.
        size: side of a picture, px.
        draws: random draws shown for each.
        seed: of the draws.
        quality: of `catalog.jpg`, 1 to 100.

    Returns:
        The page.

    Raises:
        DataError: no sample shows a defect.
    """
    shown = _procedural(size) if samples is None else _chosen(samples, size)
    sections: list[tuple[str, str, str, str, str]] = []
    sheet = []
    for name, kind in CATALOG.items():
        cells = strip_of_transform(kind, shown, draws, seed)
        sections.append((kind.family, name, kind.about, _settings(kind), _write(out, name, titled(cells))))
        sheet.append(titled(cells, name.replace("_", "\n"), _LEFT))
    for name in preset_names():
        pipeline = preset(name)
        cells = strip_of_pipeline(pipeline, shown, draws + 2, seed)
        steps = ", ".join(f"{step.transform} (p {step.p:g})" for step in pipeline.config.steps)
        file = _write(out, f"preset_{name}", titled(cells))
        sections.append(("preset", name, pipeline.config.description, steps, file))
        sheet.append(titled(cells, f"preset\n{name}".replace("_", "\n"), _LEFT))
    write_bytes(out / "catalogue.jpg", encode_image(stacked(sheet), "jpg", quality=quality))
    write_text(out / "index.html", _html(sections))
    return out / "index.html"


def _procedural(size: int) -> list[Partner]:
    plan = MpiPlan(size=size, good_fraction=0.0, classes=("crack", "scratch", "pit"), seed=3)
    made = [plan.render(plan.settings(3 * i)) for i in (1, 2, 3, 0)]  # three of one part follow one another
    return [(one.image, one.mask) for one in made]


def _chosen(samples: Sequence[Sample], size: int) -> list[Partner]:
    """The window of each kind whose defect lies nearest to the middle, where a move shows best."""
    kinds = sorted({sample.label for sample in samples if sample.label != GOOD})
    channels, best = 0, []
    for kind in kinds:
        own: list[tuple[float, int, Partner]] = []
        for i, sample in enumerate([one for one in samples if one.label == kind][:_TRIED]):
            channels = channels or read_sample(sample)[0].shape[2]
            image, mask = read_crop(sample, CropSpec(size, None, channels))
            if 0.002 < mask.mean() < 0.4:
                middle = np.mean(np.nonzero(mask), axis=1) / size - 0.5
                own.append((float(np.abs(middle).max()), i, (image, mask)))
        best += sorted(own, key=lambda one: one[:2])[: max(1, _SHOWN - len(kinds) + 1)]
    if not best:
        raise DataError(f"none of {len(samples)} samples shows a defect; give a folder with masks")
    return [window for _, _, window in sorted(best, key=lambda one: one[:2])[:_SHOWN]]


def _settings(kind: Transform) -> str:
    return "; ".join(f"{name} {_range(setting)}" for name, setting in kind.settings.items() if name != "bank")


def _range(setting: Setting) -> str:
    if isinstance(setting, Between):
        each = f", {setting.count} of them" if setting.count > 1 else ""
        (low, high), (least, most) = setting.default, setting.limits
        return f"{low:g} to {high:g} ({setting.unit}{each}; {least:g} to {most:g} allowed)"
    if isinstance(setting, OneOf):
        return f"{', '.join(setting.default)} (of {', '.join(setting.known)})"
    return str(setting.default).lower()


def _write(out: Path, name: str, strip: NDArray[np.uint8]) -> str:
    write_bytes(out / "images" / f"{name}.jpg", encode_image(strip, "jpg", quality=90))
    return f"images/{name}.jpg"


def _html(sections: Sequence[tuple[str, str, str, str, str]]) -> str:
    heads = {"camera": "Where the camera stands", "lighting": "Light and sensor", "preset": "The papers' pipelines"}
    parts, before = [], ""
    for family, name, about, settings, file in sections:
        if family != before:
            parts.append(f"<h2>{heads[family]}</h2>")
            before = family
        parts.append(
            f"<h3><code>{html.escape(name)}</code></h3><p>{html.escape(about)}</p>"
            f"<p><small>{html.escape(settings)}</small></p><img src='{file}' alt='{html.escape(name)}'>"
        )
    intro = (
        "Image and mask go together; the line is the outline of the mask. Low and high end: all settings at that end "
        "of their usual range. What is drawn in a pipeline is written below it, shortened."
    )
    title = "Catalogue of transforms"
    return (
        f"<!doctype html><html lang='en'><meta charset='utf-8'><title>{title}</title><style>{_STYLE}</style>"
        f"<h1>{title}</h1><p>{intro}</p>{''.join(parts)}</html>\n"
    )
