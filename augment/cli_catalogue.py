"""`mix-defects catalogue`: every classical transform, and pictures of them."""

from __future__ import annotations

from typing import Annotated

import typer


def catalogue(
    json: Annotated[bool, typer.Option("--json", help="Result as one JSON object on stdout.")] = False,
) -> None:
    """List the transforms and the presets."""
    import json as json_text

    from augment.catalogue import CATALOGUE
    from augment.presets import preset, preset_names

    rows = [
        {
            "name": one.name,
            "family": one.family,
            "about": one.about,
            "settings": sorted(one.settings),
            "moves": one.moves,
            "may_lose_the_defect": one.loses,
        }
        for one in CATALOGUE.values()
    ]
    presets = {name: preset(name).config.description for name in preset_names()}
    if json:
        typer.echo(json_text.dumps({"transforms": rows, "presets": presets}, ensure_ascii=False))
        return
    wide = max(len(str(row["name"])) for row in rows)
    for row in rows:
        typer.echo(f"{row['family']:9} {row['name']:{wide}}  {row['about']}")
    for name, about in presets.items():
        typer.echo(f"preset    {name:{wide}}  {' '.join(about.split())}")
