"""`mix-defects catalog`: every transform and preset, with sample images."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer


def catalog(
    real: Annotated[Path | None, typer.Option(help="Folder of sample images; procedural ones without it.")] = None,
    out: Annotated[Path, typer.Option(help="Folder of the page.")] = Path("runs/catalog"),
    size: Annotated[int, typer.Option(min=16, help="Side of a sample image, px.")] = 128,
    draws: Annotated[int, typer.Option(min=1, help="Random results of each transform.")] = 5,
    seed: Annotated[int, typer.Option(help="Same seed, same images.")] = 1,
    layout: Annotated[str, typer.Option(help="Of --real; auto detects it.")] = "auto",
    only_list: Annotated[bool, typer.Option("--list", help="Print transforms and presets, without a page.")] = False,
    json: Annotated[bool, typer.Option("--json", help="Result as one JSON object on stdout.")] = False,
) -> None:
    """Write a page with sample images of every transform and preset, and list them."""
    import json as json_text

    from augment.transforms.catalog import CATALOG
    from augment.transforms.pipeline import load_preset
    from engine.commands import aligned
    from engine.config import config_names

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
    presets = {name: load_preset(name, of_features=True).config.description for name in config_names("augment")}
    result: dict[str, Any] = {"transforms": transforms, "presets": presets}
    if not only_list:
        from augment.transforms.catalog_page import catalog_page
        from defects.formats.dataset import open_dataset
        from engine.files.atomic import check_apart

        check_apart(out, {"--real": real})
        samples = open_dataset(real, layout).samples if real is not None else None
        result["page"] = str(catalog_page(samples, out, size=size, draws=draws, seed=seed))
    if json:
        typer.echo(json_text.dumps(result, ensure_ascii=False))
        return
    rows: list[tuple[str, str, str]] = [(one.family, one.name, one.about) for one in CATALOG.values()]
    rows += [("preset", name, " ".join(about.split())) for name, about in presets.items()]
    typer.echo("\n".join(aligned(rows, left=(0, 1, 2))))
    if "page" in result:
        typer.echo(f"page: {result['page']}")
