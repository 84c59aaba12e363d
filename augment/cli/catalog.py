"""`mix-defects catalog`: every classical transform, and pictures of them."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer


def catalog(
    real: Annotated[Path | None, typer.Option(help="Folder of pictures to show; procedural ones without it.")] = None,
    out: Annotated[Path, typer.Option(help="Folder to write the page to.")] = Path("runs/catalogue"),
    size: Annotated[int, typer.Option(min=16, help="Side of a picture, px.")] = 128,
    draws: Annotated[int, typer.Option(min=1, help="Pictures of a transform for each picture shown.")] = 5,
    seed: Annotated[int, typer.Option(help="Same seed, same pictures.")] = 1,
    layout: Annotated[str, typer.Option(help="Of --real; auto finds it.")] = "auto",
    only_list: Annotated[bool, typer.Option("--list", help="Print the transforms and presets, draw nothing.")] = False,
    json: Annotated[bool, typer.Option("--json", help="Result as one JSON object on stdout.")] = False,
) -> None:
    """Draw a page of pictures of every transform and preset, and list them."""
    import json as json_text

    from augment.transforms.catalog import CATALOG
    from augment.transforms.pipeline import preset, preset_names

    transforms = [
        {
            "name": one.name,
            "family": one.family,
            "about": one.about,
            "settings": sorted(one.settings),
            "moves": one.moves,
            "may_lose_the_defect": one.loses,
        }
        for one in CATALOG.values()
    ]
    presets = {name: preset(name).config.description for name in preset_names()}
    result: dict[str, Any] = {"transforms": transforms, "presets": presets}
    if not only_list:
        from augment.mixing.output import check_apart
        from augment.transforms.catalog_page import catalog_page
        from defects.formats.dataset import open_dataset

        check_apart(out, {"--real": real})
        samples = open_dataset(real, layout).samples if real is not None else None
        result["page"] = str(catalog_page(samples, out, size=size, draws=draws, seed=seed))
    if json:
        typer.echo(json_text.dumps(result, ensure_ascii=False))
        return
    wide = max(len(name) for name in (*CATALOG, *presets))
    for one in CATALOG.values():
        typer.echo(f"{one.family:9} {one.name:{wide}}  {one.about}")
    for name, about in presets.items():
        typer.echo(f"preset    {name:{wide}}  {' '.join(about.split())}")
    if "page" in result:
        typer.echo(f"page: {result['page']}")
