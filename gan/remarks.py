"""What a person should know of the images that were made: a line for each way in which they are out of the ordinary."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from defects.ground import Ground
from gan.blend.likely import Seen

FEW = 0.1
"""So small a share of images on strange grounds is not worth a line."""


def width_remarks(rows: Iterable[Mapping[str, Any]], widths: tuple[float, float], masks: int) -> list[str]:
    """Masks thinner or thicker than all that the generator was trained on; the images of a mask follow each other."""
    seen, outside = "", 0
    for row in rows:
        if row["mask_source"] != seen and not widths[0] <= row["guide"]["raw"]["thickness"] <= widths[1]:
            seen = row["mask_source"]
            outside += 1
    if not outside:
        return []
    return [
        f"{outside} of {masks} masks are thinner or thicker than the generator was trained on "
        f"({widths[0]:.1f}..{widths[1]:.1f} px); their labels stay as drawn, but the images may not: "
        "give --guide thickness=0..1"
    ]


def ground_remarks(rows: Iterable[Mapping[str, Any]], seen: Seen) -> list[str]:
    """Images whose defect lies on a ground that is darker, brighter, smoother or rougher than any in training."""
    if not seen:
        return []
    grounds = [Ground(*row["background"]["ground"]) for row in rows if "ground" in row["background"]]
    strange = sum(not seen.knows(ground) for ground in grounds)
    if strange <= FEW * len(grounds):
        return []
    levels = [ground.level for ground in seen.grounds]
    shown = sum(ground.level for ground in grounds) / len(grounds)
    return [
        f"{strange} of {len(grounds)} defects lie on grounds unlike all that the generator has seen (brightness "
        f"{min(levels):.2f}..{max(levels):.2f} there, {shown:.2f} on average here, or another grain); look at them "
        "before they are used, or train on photographs like these"
    ]
