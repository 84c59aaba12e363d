"""`bench-utility schemes`: the source's six training schemes on these images."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

if TYPE_CHECKING:
    from classify.utility.design.bench import Bench
    from classify.utility.runners.schemes import Scheme, SchemeCell, SchemeRunner

app = typer.Typer(add_completion=False)


@app.command()
def main(
    real: Annotated[Path, typer.Argument(metavar="REAL", help="Real images, in any layout that check-data reads.")],
    synthetic: Annotated[list[str], typer.Option(metavar="[NAME=]DIR", help="Synthetic images; may be given again.")],
    networks: Annotated[str, typer.Option(help="Of train-classifier.")] = "resnet18,efficientnet_lite0",
    seeds: Annotated[int, typer.Option(min=1, max=1000, help="Trainings of each scheme and network.")] = 3,
    epochs: Annotated[
        int, typer.Option(min=1, max=100_000, help="Passes over the real images; the same steps in every scheme.")
    ] = 5,
    size: Annotated[int, typer.Option(min=32, max=1024, help="Side of the squares the network sees, px.")] = 128,
    window: Annotated[
        int | None, typer.Option(min=16, max=65_536, help="Side of the squares in a photograph, px.")
    ] = None,
    preset: Annotated[str, typer.Option(help="Classical augmentation of schemes b, d, f.")] = "gan_paper_schemes",
    batch: Annotated[int, typer.Option(min=2, max=4096, help="Images a step.")] = 16,
    weights: Annotated[
        list[str] | None,
        typer.Option(metavar="NETWORK=FILE", help="ImageNet weights (safetensors), or NETWORK=imagenet to download."),
    ] = None,
    out: Annotated[Path | None, typer.Option(help="Folder to write.  [default: runs/schemes-<folder>]")] = None,
    threads: Annotated[int | None, typer.Option(min=1, max=1024, help="CPU threads; torch's own without it.")] = None,
    resume: Annotated[bool, typer.Option(help="Go on with a folder; trainings of the same settings are kept.")] = False,
    json: Annotated[bool, typer.Option("--json", help="Progress and result as JSON.")] = False,
) -> None:
    """Train schemes a to f for each network and seed; precision, recall, F1 and accuracy beside the source's."""
    import json as json_text

    from augment.mixing.output import check_apart
    from augment.transforms.pipeline import preset as named_preset
    from classify.models.backbones import BACKBONES
    from classify.utility.design.bench import Request, open_bench
    from classify.utility.design.few_shot_splits import is_template
    from classify.utility.design.settings import Settings
    from classify.utility.launch import compute
    from classify.utility.runners.schemes import SchemeRunner, load_schemes, summary_rows, table_lines
    from engine.commands import Progress
    from engine.errors import UsageError
    from engine.files.atomic import write_json
    from engine.run.folder import RunFolder

    names = [name.strip() for name in networks.split(",") if name.strip()]
    unknown = next((name for name in names if name not in BACKBONES), None)
    if unknown is not None or not names:
        raise UsageError(f"--networks: {unknown or networks!r} is unknown; choose of {', '.join(BACKBONES)}")
    sets = tuple(_named(text) for text in synthetic)
    one = next((folder for _, folder in sets if is_template(folder)), None)
    if one is not None:
        raise UsageError(f"--synthetic: {one} stands for folders of levels, and schemes have one level; give a folder")
    named_preset(preset)
    folder_name = out or Path("runs") / f"schemes-{real.resolve().name}"
    check_apart(folder_name, {"REAL": real} | {f"--synthetic {name}": folder for name, folder in sets})
    settings = Settings(mode="schemes", size=size, window=window, channels=0, preset=preset, batch=batch)
    bench = open_bench(Request(real, sets, None, (0.0, 1.0), (None,), seeds, settings))
    schemes = load_schemes()
    given = _weights(weights or [])
    steps = max(8, epochs * len(bench.division.train) // batch)
    cells, missing, hashes = _cells(schemes, names, seeds, given)
    rates = (1e-3, 5e-4)
    with RunFolder.create(folder_name, resume) as folder:
        folder.write_environment()
        identities = _identities(bench, schemes, cells, hashes, {"steps": steps, "rates": rates})
        with Progress(len(cells), "trainings", json=json, unit="training") as progress:

            def runner() -> SchemeRunner:
                return SchemeRunner(
                    bench, schemes, weights=given, steps=steps, batch=batch, rates=rates, threads=threads
                )

            rows = compute(folder, identities, runner, on_cells=progress.update)
        entries = summary_rows(rows, missing, schemes, names)
        notes = [
            *bench.notes,
            f"{steps} optimiser steps of {batch} images in every scheme; c divides them between its two stages",
            "weights and threshold are chosen on validation, the threshold by F1; the source's weights on its test",
            "the source's images are of magnetic-particle inspection and its second network is EfficientNet-B7: its "
            "numbers say how large the differences between schemes were there",
        ]
        write_json(folder.path / "schemes.json", {"schemes": entries, "notes": notes})
    if json:
        typer.echo(json_text.dumps({"schemes": entries, "notes": notes}, ensure_ascii=False))
        return
    for line in [*table_lines(entries), "", *(f"note: {note}" for note in notes)]:
        typer.echo(line)


def _named(text: str) -> tuple[str, Path]:
    name, sign, folder = text.partition("=")
    return (name, Path(folder)) if sign else (Path(text).name, Path(text))


def _weights(texts: list[str]) -> dict[str, Path | Literal["imagenet"]]:
    """NETWORK=FILE of every --weights.

    Raises:
        UsageError: One cannot be read, or there is no such network or file.
    """
    from classify.models.backbones import BACKBONES
    from engine.errors import UsageError

    found: dict[str, Path | Literal["imagenet"]] = {}
    for text in texts:
        name, sign, file = text.partition("=")
        if not sign or name not in BACKBONES:
            raise UsageError(f"--weights: expected NETWORK=FILE, got {text!r}; write such as --weights resnet18=FILE")
        if file != "imagenet" and not Path(file).is_file():
            raise UsageError(f"--weights: {file}: no such file; give a safetensors file")
        found[name] = "imagenet" if file == "imagenet" else Path(file)
    return found


def _cells(
    schemes: dict[str, Scheme], networks: list[str], seeds: int, given: dict[str, Path | Literal["imagenet"]]
) -> tuple[list[SchemeCell], dict[tuple[str, str], str], dict[str, str]]:
    """What can be trained, why other rows cannot, and the hash of every weights file."""
    from classify.utility.runners.schemes import LITE0, SchemeCell
    from engine.files.atomic import sha256_file

    cells: list[SchemeCell] = []
    missing: dict[tuple[str, str], str] = {}
    for network in networks:
        for letter, scheme in schemes.items():
            if scheme.imagenet and network != LITE0 and network not in given:
                missing[letter, network] = (
                    f"ImageNet weights of {network} are not in a package; give --weights {network}=FILE, "
                    f"or --weights {network}=imagenet to download them"
                )
                continue
            cells += [SchemeCell(letter, network, seed) for seed in range(seeds)]
    hashes = {name: sha256_file(file) if isinstance(file, Path) else file for name, file in given.items()}
    return cells, missing, hashes


def _identities(
    bench: Bench,
    schemes: dict[str, Scheme],
    cells: list[SchemeCell],
    hashes: dict[str, str],
    more: dict[str, Any],
) -> dict[SchemeCell, str]:
    from hashlib import sha256
    from json import dumps

    from classify.utility.design.sources import fingerprint

    made = [fingerprint(each.hashes, [sample.label for sample in each.samples]) for each in bench.made]
    common = bench.common(**more)

    def name(cell: SchemeCell) -> str:
        scheme = schemes[cell.scheme]
        uses = any("synthetic" in stage.defects for stage in scheme.stages)
        content = {
            **cell.to_dict(),
            "recipe": scheme.model_dump(exclude={"published", "title"}),
            "weights": hashes.get(cell.network, "package") if scheme.imagenet else "none",
            "made": made if uses else [],
            "common": common,
        }
        return sha256(dumps(content, sort_keys=True).encode()).hexdigest()[:24]

    return {cell: name(cell) for cell in cells}
