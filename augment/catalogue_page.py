"""The catalogue as a page: every transform with its settings and pictures, and every preset."""

from __future__ import annotations

import html
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from augment.catalogue import CATALOGUE, Transform
from augment.catalogue.operations import Partner
from augment.catalogue.parameters import Between, OneOf, Setting
from augment.catalogue_pictures import stacked, strip_of_pipeline, strip_of_transform, titled
from augment.presets import preset, preset_names
from defects.images import encode_image, read_sample
from defects.mpi import MpiPlan
from defects.sample import GOOD, Sample
from defects.windows import Framing, read_window
from engine.errors import DataError
from engine.files import write_bytes, write_text

__all__ = ["catalogue_page"]

_SHOWN, _TRIED = 4, 20  # pictures, and samples of each kind that are looked at for them
_LEFT = 110  # px for the names on the contact sheet
_STYLE = (
    "body{font:15px/1.45 system-ui,sans-serif;max-width:1180px;margin:2em auto;padding:0 1em;color:#222}"
    "h1,h2{font-weight:600}h3{margin:1.6em 0 .2em}img{max-width:100%}td{padding:0 1.2em 0 0;font-size:13px}"
    "p{margin:.2em 0}"
)


def catalogue_page(
    samples: Sequence[Sample] | None, out: Path, *, size: int = 128, draws: int = 5, seed: int = 1, quality: int = 85
) -> Path:
    """Writes `index.html`, a strip of pictures for each transform and preset, and `catalogue.jpg` with all of them.

    Args:
        samples: what to show it on; of these some with a defect, of different kinds, are taken. None for procedural
            magnetic-particle images.
        out: the folder.
        size: side of a picture, px.
        draws: random draws shown for each.
        seed: of the draws.
        quality: of `catalogue.jpg`, 1 to 100.

    Returns:
        The page.

    Raises:
        DataError: no sample shows a defect.
    """
    shown = _procedural(size) if samples is None else _chosen(samples, size)
    sections: list[tuple[str, str, str, str, str]] = []
    sheet = []
    for name, kind in CATALOGUE.items():
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
    plan = MpiPlan(size=size, good_fraction=0.0, kinds=("crack", "scratch", "pit"), seed=3)
    made = [plan.render(plan.choice(3 * i)) for i in (1, 2, 3, 0)]  # three of one part follow one another
    return [(one.image, one.mask) for one in made]


def _chosen(samples: Sequence[Sample], size: int) -> list[Partner]:
    """The window of each kind whose defect lies nearest to the middle, where a move shows best."""
    kinds = sorted({sample.label for sample in samples if sample.label != GOOD})
    channels, best = 0, []
    for kind in kinds:
        own: list[tuple[float, int, Partner]] = []
        for i, sample in enumerate([one for one in samples if one.label == kind][:_TRIED]):
            channels = channels or read_sample(sample)[0].shape[2]
            image, mask = read_window(sample, Framing(size, None, channels))
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
