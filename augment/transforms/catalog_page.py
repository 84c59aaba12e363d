"""The page of the catalog: each transform on sample images, at both ends of its settings and at random."""

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

from augment.transforms.catalog import CATALOG, Between, OneOf, PipelineConfig, Setting, StepConfig, Transform
from augment.transforms.geometry import Mask, Partner
from augment.transforms.pipeline import Pipeline, load_preset
from augment.transforms.plan import generator_for
from defects.images.crops import CropSpec, read_crop
from defects.images.decode import as_channels, encode_image, read_sample
from defects.sample import GOOD, Image, Sample
from defects.synthetic.mpi_dataset import MpiPlan
from engine.config import config_names
from engine.errors import DataError
from engine.files.atomic import write_bytes, write_text

Tile = tuple[Image, str]

_LINE = (255, 0, 200)
_TEXT = 16  # px of the line of text below an image
_MARGIN = 4


def strip_of_transform(entry: Transform, images: Sequence[Partner], draws: int, seed: int) -> list[Tile]:
    """The first image before, at both ends of its settings where they are ranges, and `draws` at random.

    The images take turns; `mixing` blends in the next one.
    """
    tiles = [tile(*images[0], "before")]
    ends = _ends(entry)
    for text, settings in ends.items():
        step = StepConfig(transform=entry.name, p=1.0, settings=settings)
        tiles.append(_sampled([step], images, 0, seed, text))
    step = StepConfig(transform=entry.name, p=1.0)
    more = draws + 2 - len(ends)
    return tiles + [_sampled([step], images, i + 1, seed + i, f"draw {i + 1}") for i in range(more)]


def strip_of_pipeline(pipeline: Pipeline, images: Sequence[Partner], draws: int, seed: int) -> list[Tile]:
    """The first image before, and augmented at random; below each the names that were applied, shortened."""
    steps = pipeline.config.steps
    return [
        tile(*images[0], "before"),
        *(_sampled(steps, images, i, seed + i, "") for i in range(draws)),
    ]


def tile(image: Image, mask: Mask, text: str, scale: int = 1) -> Tile:
    """A color image with the outline of its mask, just outside the defect, and its caption."""
    big = np.repeat(np.repeat(as_channels(image, 3), scale, 0), scale, 1)
    outline = np.repeat(np.repeat(mask, scale, 0), scale, 1).astype(np.uint8)
    contours, _ = cv2.findContours(cv2.dilate(outline, np.ones((3, 3), np.uint8)), cv2.RETR_LIST, cv2.CHAIN_APPROX_NONE)
    canvas = np.ascontiguousarray(big)
    cv2.drawContours(canvas, contours, -1, _LINE, 1)
    return canvas, text


def titled(tiles: Sequence[Tile], title: str = "", left: int = 0) -> Image:
    """Images side by side with captions below, and a title in `left` px on the left."""
    height, width = tiles[0][0].shape[:2]
    sheet = Pillow.new("RGB", (left + len(tiles) * (width + _MARGIN), height + _TEXT + _MARGIN), "white")
    draw, font = ImageDraw.Draw(sheet), ImageFont.load_default(11)
    for line, part in enumerate(title.split("\n") if left else []):
        draw.text((_MARGIN, 2 + 14 * line), part, fill="black", font=ImageFont.load_default(12) if not line else font)
    for i, (image, text) in enumerate(tiles):
        x = left + i * (width + _MARGIN)
        sheet.paste(Pillow.fromarray(image), (x, 0))
        caption = Pillow.new("RGB", (width, _TEXT), "white")  # of its own, so that a long one is cut off
        ImageDraw.Draw(caption).text((1, 1), text, fill="black", font=font)
        sheet.paste(caption, (x, height))
    return np.asarray(sheet)


def stacked(strips: Sequence[Image]) -> Image:
    """Strips below one another, on white."""
    width = max(strip.shape[1] for strip in strips)
    return np.concatenate([np.pad(s, ((0, 0), (0, width - s.shape[1]), (0, 0)), constant_values=255) for s in strips])


def _sampled(steps: Sequence[StepConfig], images: Sequence[Partner], index: int, seed: int, text: str) -> Tile:
    image, mask = images[index % len(images)]
    partner = images[(index + 1) % len(images)]
    pipeline = Pipeline(PipelineConfig(steps=list(steps)))
    augmented, label, applied = pipeline(image, mask, generator_for(seed), [partner] if len(images) > 1 else [])
    skipped = [name for name in applied if name.endswith(":skipped")]
    if len(steps) > 1:
        text = " ".join(_short(name) for name in applied) or "nothing"
    return tile(augmented, label, f"{text}, skipped" if skipped and len(steps) == 1 else text)


def _short(name: str) -> str:
    """At most four letters of each word; a skipped one is in brackets."""
    plain = name.removesuffix(":skipped")
    short = "".join(word[:1] for word in plain.split("_")) if "_" in plain else plain[:4]
    return short if plain == name else f"({short})"


def _ends(entry: Transform) -> dict[str, dict[str, Any]]:
    """Caption and settings; where a setting has several numbers, a third of the range and all of it."""
    ranges = {name: setting for name, setting in entry.settings.items() if isinstance(setting, Between)}
    if not ranges:
        return {}
    if any(setting.count > 1 for setting in ranges.values()):
        third = {name: tuple(end / 3 for end in setting.default) for name, setting in ranges.items()}
        return {"third of range": third, "full range": {}}
    return {
        "low end": {name: setting.default[0] for name, setting in ranges.items()},
        "high end": {name: setting.default[1] for name, setting in ranges.items()},
    }


_MAX_IMAGES, _MAX_CANDIDATES = 4, 20  # images, and candidates of each class
_LEFT = 110  # px for the names on the contact sheet
_STYLE = (
    "body{font:15px/1.45 system-ui,sans-serif;max-width:1180px;margin:2em auto;padding:0 1em;color:#222}"
    "h1,h2{font-weight:600}h3{margin:1.6em 0 .2em}img{max-width:100%}td{padding:0 1.2em 0 0;font-size:13px}"
    "p{margin:.2em 0}"
)


def catalog_page(
    samples: Sequence[Sample] | None, out: Path, *, size: int = 128, draws: int = 5, seed: int = 1, quality: int = 85
) -> Path:
    """Writes `index.html`, a strip of images for each transform and preset, and `catalog.jpg` with all of them.

    Args:
        samples: some with a defect, of different classes, are used. None for procedural magnetic-particle images.
        out: the folder.
        size: side of an image, px.
        draws: random results for each.
        seed: of the random results.
        quality: of `catalog.jpg`, 1 to 100.

    Returns:
        The page.

    Raises:
        DataError: No sample has a defect.
    """
    examples = _procedural(size) if samples is None else _selected(samples, size)
    sections: list[tuple[str, str, str, str, str]] = []
    sheet = []
    for name, entry in CATALOG.items():
        tiles = strip_of_transform(entry, examples, draws, seed)
        sections.append((entry.family, name, entry.about, _settings(entry), _write(out, name, titled(tiles))))
        sheet.append(titled(tiles, name.replace("_", "\n"), _LEFT))
    for name in config_names("augment"):
        pipeline = load_preset(name, of_features=True)
        tiles = strip_of_pipeline(pipeline, examples, draws + 2, seed)
        steps = ", ".join(f"{step.transform} (p {step.p:g})" for step in pipeline.config.steps)
        file = _write(out, f"preset_{name}", titled(tiles))
        sections.append(("preset", name, pipeline.config.description, steps, file))
        sheet.append(titled(tiles, f"preset\n{name}".replace("_", "\n"), _LEFT))
    write_bytes(out / "catalog.jpg", encode_image(stacked(sheet), "jpg", quality=quality))
    write_text(out / "index.html", _html(sections))
    return out / "index.html"


def _procedural(size: int) -> list[Partner]:
    plan = MpiPlan(size=size, good_fraction=0.0, classes=("crack", "scratch", "pit"), seed=3)
    rendered = [plan.render(plan.settings(3 * i)) for i in (1, 2, 3, 0)]  # three of one specimen follow one another
    return [(one.image, one.mask) for one in rendered]


def _selected(samples: Sequence[Sample], size: int) -> list[Partner]:
    """The crops of each class whose defects are nearest to the center, where a warp is most visible."""
    classes = sorted({sample.label for sample in samples if sample.label != GOOD})
    channels, best = 0, []
    for label in classes:
        candidates: list[tuple[float, int, Partner]] = []
        for i, sample in enumerate([one for one in samples if one.label == label][:_MAX_CANDIDATES]):
            channels = channels or read_sample(sample)[0].shape[2]
            image, mask = read_crop(sample, CropSpec(size, None, channels))
            if 0.002 < mask.mean() < 0.4:
                middle = np.mean(np.nonzero(mask), axis=1) / size - 0.5
                candidates.append((float(np.abs(middle).max()), i, (image, mask)))
        best += sorted(candidates, key=lambda one: one[:2])[: max(1, _MAX_IMAGES - len(classes) + 1)]
    if not best:
        what = f"none of {len(samples)} samples has a defect; give a folder with masks"
        raise DataError(what, code="E-catalog-no-defect")
    return [crop for _, _, crop in sorted(best, key=lambda one: one[:2])[:_MAX_IMAGES]]


def _settings(entry: Transform) -> str:
    return "; ".join(f"{name} {_range(setting)}" for name, setting in entry.settings.items() if name != "bank")


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
    heads = {"camera": "Camera position", "lighting": "Illumination and sensor", "preset": "Pipelines of papers"}
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
        "Image and mask are transformed together; the line is the outline of the mask. Low and high end: all settings "
        "at that end of their default range. Below a pipeline are the names of the transforms applied, shortened."
    )
    title = "Catalog of transforms"
    return (
        f"<!doctype html><html lang='en'><meta charset='utf-8'><title>{title}</title><style>{_STYLE}</style>"
        f"<h1>{title}</h1><p>{intro}</p>{''.join(parts)}</html>\n"
    )
