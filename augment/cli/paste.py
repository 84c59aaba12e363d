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

    from augment.mixing.mixture import paste as paste_defects
    from engine.commands import Progress

    with Progress(num, "paste", json=json, quiet=dry_run, unit="image") as progress:
        run = paste_defects(
            real, out, num=num, method=method, label=label, size=size, crop=crop, val=val, test=test,
            split_from=split_from, layout=layout, seed=seed, resume=resume, dry_run=dry_run,
            on_progress=progress.update,
        )  # fmt: skip
    result: dict[str, Any] = {
        "out": str(out), "images": num, "method": method, "kinds": list(run.classes),
        "from": run.training, "held_out": run.held_out, "split_by": run.split_by, "dry_run": dry_run,
    }  # fmt: skip
    if not dry_run:
        same = "" if split_from in ("none", "auto") else f" --split-from {split_from}"
        result |= {"written": run.written, "seconds": round(run.seconds, 3)}
        result["next"] = f"mix-defects --real {real} --pasted {out}{same} --seed {seed}"
    if json:
        typer.echo(json_text.dumps(result, ensure_ascii=False))
        return
    verb = "would write" if dry_run else "wrote"
    typer.echo(f"{verb} {num} images of {', '.join(run.classes)} by {method} to {out}")
    typer.echo(f"from {run.training} training images; {run.held_out} held out ({run.split_by})")
    if not dry_run:
        typer.echo(f"next: {result['next']}")
