"""`mix-defects paste`: real defects pasted into good images."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer


def paste(
    real: Annotated[Path, typer.Option(help="Folder of real images, in any layout.")],
    num: Annotated[int, typer.Option(min=1, help="Number of images.")] = 100,
    method: Annotated[str, typer.Option(help="alpha or poisson blend a real defect in; perlin a texture.")] = "alpha",
    out: Annotated[Path, typer.Option(help="Sample folder to write.")] = Path("runs/pasted"),
    label: Annotated[str, typer.Option(help="Class of perlin's defects; one of the real classes to mix them.")] = (
        "texture"
    ),
    size: Annotated[int | None, typer.Option(min=16, help="Side of the resized crops, px; whole images else.")] = None,
    crop: Annotated[int | None, typer.Option(min=8, help="Side of the crops in the image, px.")] = None,
    val: Annotated[float, typer.Option(help="Share of the real images for validation.")] = 0.1,
    test: Annotated[float, typer.Option(help="Share of the real images for the test.")] = 0.2,
    split_from: Annotated[
        str, typer.Option(help="none; column; or the generator.json whose split is used, as in the mixture.")
    ] = "none",
    layout: Annotated[str, typer.Option(help="Of --real; auto detects it.")] = "auto",
    seed: Annotated[int, typer.Option(help="Same seed, same bytes; that of the mixture, for the same split.")] = 0,
    resume: Annotated[bool, typer.Option("--resume", help="Continue an interrupted run.")] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Check everything, write nothing.")] = False,
    json: Annotated[bool, typer.Option("--json", help="Result as one JSON object on stdout.")] = False,
) -> None:
    """Paste real defects into good training images, with exact masks; held-out images are not used."""
    import json as json_text
    import time

    from augment.mixing.mixture import paster_for
    from augment.pasting.folder import write_pasted
    from engine.commands import Progress
    from engine.run.sample_folder import check_apart

    check_apart(out, {"--real": real})
    paster, split = paster_for(
        real, method=method, label=label, size=size, crop=crop, val=val, test=test, split_from=split_from,
        layout=layout, seed=seed,
    )  # fmt: skip
    train, held_out = len(split.samples["train"]), len(split.held_out)
    result: dict[str, Any] = {
        "out": str(out), "images": num, "method": method, "kinds": list(paster.classes),
        "from": train, "held_out": held_out, "split_by": split.method, "dry_run": dry_run,
    }  # fmt: skip
    if not dry_run:
        start = time.perf_counter()
        with Progress(num, "paste", json=json, unit="image") as progress:
            result["written"] = write_pasted(out, paster, num, resume=resume, on_progress=progress.update)
        result["seconds"] = round(time.perf_counter() - start, 3)
        same = "" if split_from in ("none", "auto") else f" --split-from {split_from}"
        result["next"] = f"mix-defects --real {real} --pasted {out}{same} --seed {seed}"
    if json:
        typer.echo(json_text.dumps(result, ensure_ascii=False))
        return
    verb = "would write" if dry_run else "wrote"
    typer.echo(f"{verb} {num} images of {', '.join(paster.classes)} by {method} to {out}")
    typer.echo(f"from {train} training images; {held_out} held out ({split.method})")
    if not dry_run:
        typer.echo(f"next: {result['next']}")
