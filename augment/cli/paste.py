"""`mix-defects paste`: real defects pasted into good photographs."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer


def paste(
    real: Annotated[Path, typer.Option(help="Folder of photographs, in any layout.")],
    num: Annotated[int, typer.Option(min=1, help="Images to make.")] = 100,
    method: Annotated[str, typer.Option(help="alpha or poisson blend a real defect in; perlin draws a texture.")] = (
        "alpha"
    ),
    out: Annotated[Path, typer.Option(help="Sample folder to write.")] = Path("runs/pasted"),
    kind: Annotated[str, typer.Option(help="What perlin's defects are called; one of the real kinds to mix them.")] = (
        "texture"
    ),
    size: Annotated[int | None, typer.Option(min=16, help="Cut squares of that side, px; whole pictures else.")] = None,
    window: Annotated[int | None, typer.Option(min=8, help="Px of a photograph in a square's side.")] = None,
    val: Annotated[float, typer.Option(help="Share of the photographs kept for validation.")] = 0.1,
    test: Annotated[float, typer.Option(help="Share of the photographs kept for the test.")] = 0.2,
    split_from: Annotated[
        str, typer.Option(help="none; column; or the generator.json whose split is kept to, as in the mixture.")
    ] = "none",
    layout: Annotated[str, typer.Option(help="Of --real; auto finds it.")] = "auto",
    seed: Annotated[int, typer.Option(help="Same seed, same bytes; that of the mixture, for the same split.")] = 0,
    resume: Annotated[bool, typer.Option("--resume", help="Go on with an interrupted run.")] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Check everything, write nothing.")] = False,
    json: Annotated[bool, typer.Option("--json", help="Result as one JSON object on stdout.")] = False,
) -> None:
    """Paste real defects into good training photographs, with true labels; held-out photographs are not touched."""
    import json as json_text
    import time

    from augment.mixing.output import check_apart
    from augment.mixing.splits import training_part
    from augment.pasting.folder import write_pasted
    from augment.pasting.paster import METHODS, Paster
    from defects.images.crops import CropSpec
    from defects.images.header import image_info
    from defects.sample import GOOD
    from engine.commands import Progress
    from engine.config import nearest
    from engine.errors import UsageError

    if method not in METHODS:
        raise UsageError(f"--method: unknown {method!r}; {nearest(method, METHODS)}")
    if window is not None and size is None:
        raise UsageError("--window: how many px the squares get is not known; give --size too")
    check_apart(out, {"--real": real})
    part = training_part(real, layout=layout, val=val, test=test, split_from=split_from, seed=seed)
    crop_spec = None
    if size is not None:
        crop_spec = CropSpec(size, window, 3 if image_info(part.samples[0].image).channels >= 3 else 1)
    paster = Paster(
        [s for s in part.samples if s.label != GOOD],
        [s for s in part.samples if s.label == GOOD],
        method=method,
        seed=seed,
        crop_spec=crop_spec,
        texture_label=kind,
    )
    result: dict[str, Any] = {
        "out": str(out), "images": num, "method": method, "kinds": list(paster.kinds),
        "from": len(part.samples), "held_out": part.held, "split_by": part.how, "dry_run": dry_run,
    }  # fmt: skip
    if not dry_run:
        began = time.perf_counter()
        with Progress(num, "paste", json=json, unit="image") as progress:
            result["written"] = write_pasted(out, paster, num, resume=resume, on_progress=progress.update)
        result["seconds"] = round(time.perf_counter() - began, 3)
        same = "" if split_from in ("none", "auto") else f" --split-from {split_from}"
        result["next"] = f"mix-defects --real {real} --pasted {out}{same} --seed {seed}"
    if json:
        typer.echo(json_text.dumps(result, ensure_ascii=False))
        return
    verb = "would write" if dry_run else "wrote"
    typer.echo(f"{verb} {num} images of {', '.join(paster.kinds)} by {method} to {out}")
    typer.echo(f"from {len(part.samples)} training photographs; {part.held} held out ({part.how})")
    if not dry_run:
        typer.echo(f"next: {result['next']}")
