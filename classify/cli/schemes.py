"""`bench-utility schemes`: the paper's six training schemes on these images."""

from __future__ import annotations

import json as json_text
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from classify.cli.options import Crop, Json, Real, Resume, Size, Threads

if TYPE_CHECKING:
    from classify.utility.design.bench import Bench
    from classify.utility.runners.schemes import Scheme, SchemeTrial

app = typer.Typer(add_completion=False)

RATES = (1e-3, 5e-4)  # from scratch, and from ImageNet

Synthetic = Annotated[list[str], typer.Option(metavar="[NAME=]DIR", help="Synthetic images; repeatable.")]
Networks = Annotated[str, typer.Option(help="Of train-classifier.")]
Seeds = Annotated[int, typer.Option(min=1, max=1000, help="Trainings of each scheme and network.")]
Epochs = Annotated[
    int, typer.Option(min=1, max=100_000, help="Passes over the real images; the same steps in every scheme.")
]
Preset = Annotated[str, typer.Option(help="Classical augmentation of schemes b, d, f.")]
Batch = Annotated[int, typer.Option(min=2, max=4096, help="Images a step.")]
Files = Annotated[
    list[str] | None,
    typer.Option(metavar="NETWORK=FILE", help="ImageNet weights (safetensors), or NETWORK=imagenet to download."),
]
Out = Annotated[Path | None, typer.Option(help="Folder to write.  [default: runs/schemes-<folder>]")]


@app.command()
def main(
    real: Real,
    synthetic: Synthetic,
    networks: Networks = "resnet18,efficientnet_lite0",
    seeds: Seeds = 3,
    epochs: Epochs = 5,
    size: Size = 128,
    crop: Crop = None,
    preset: Preset = "gan_paper_schemes",
    batch: Batch = 16,
    weights: Files = None,
    out: Out = None,
    threads: Threads = None,
    resume: Resume = False,
    json: Json = False,
) -> None:
    """Train schemes a to f for each network and seed; precision, recall, F1 and accuracy next to the paper's."""
    from augment.transforms.pipeline import load_preset
    from classify.utility.design.bench import Request, open_bench
    from classify.utility.design.trials import Settings
    from classify.utility.launch import compute
    from classify.utility.runners.schemes import SchemeRunner, load_schemes, summary_rows, table_lines
    from engine.commands import Progress
    from engine.files.atomic import check_apart, write_json
    from engine.run.folder import RunFolder

    names = _networks(networks)
    sets = tuple(_named(text) for text in synthetic)
    load_preset(preset)
    path = out or Path("runs") / f"schemes-{real.resolve().name}"
    check_apart(path, {"REAL": real} | {f"--synthetic {name}": folder for name, folder in sets})
    settings = Settings(mode="schemes", size=size, crop=crop, channels=0, preset=preset, batch=batch)
    bench = open_bench(Request(real, sets, None, (0.0, 1.0), (None,), seeds, settings))
    schemes, given = load_schemes(), _weights(weights or [])
    steps = max(8, epochs * len(bench.division.train) // batch)
    trials, missing = _trials(schemes, names, seeds, given)
    with RunFolder.create(path, resume) as folder:
        folder.write_environment()
        identities = _identities(bench, schemes, trials, given, {"steps": steps, "rates": RATES})
        with Progress(len(trials), "trainings", json=json, unit="training") as progress:
            rows = compute(
                folder,
                identities,
                lambda: (
                    SchemeRunner(
                        bench, schemes, weights=given, steps=steps, batch=batch, rates=RATES, threads=threads
                    ).run
                ),
                on_trials=progress.update,
            )
        entries = summary_rows(rows, missing, schemes, names)
        notes = [*bench.notes, *_notes(steps, batch)]
        write_json(folder.path / "schemes.json", {"schemes": entries, "notes": notes})
    lines = [*table_lines(entries), "", *(f"note: {note}" for note in notes)]
    result = {"schemes": entries, "notes": notes}
    typer.echo(json_text.dumps(result, ensure_ascii=False) if json else "\n".join(lines))


def _notes(steps: int, batch: int) -> list[str]:
    return [
        f"{steps} optimizer steps of {batch} images in every scheme; c divides them between its two stages",
        "weights and threshold are selected on validation, the threshold by F1; the paper's weights on its test",
        "the paper's images are of magnetic-particle inspection and its second network is EfficientNet-B7: its "
        "numbers say how large the differences between schemes were there",
    ]


def _networks(text: str) -> list[str]:
    from classify.config import CNNS
    from engine.errors import UsageError

    names = [name.strip() for name in text.split(",") if name.strip()]
    unknown = next((name for name in names if name not in CNNS), None)
    if unknown is not None or not names:
        raise UsageError(
            f"--networks: {unknown or text!r} is unknown; use of {', '.join(CNNS)}", code="E-utility-network"
        )
    return names


def _named(text: str) -> tuple[str, Path]:
    from classify.utility.design.sources import is_template
    from engine.errors import UsageError

    name, sign, folder = text.partition("=")
    path = Path(folder if sign else text)
    if is_template(path):
        raise UsageError(
            f"--synthetic: {path} stands for folders of few-shot splits, and schemes have none; give a folder",
            code="E-utility-template",
        )
    return (name if sign else path.name), path


def _weights(texts: list[str]) -> dict[str, Path | Literal["imagenet"]]:
    """NETWORK=FILE of every --weights.

    Raises:
        UsageError: One cannot be read, or there is no such network or file.
    """
    from classify.config import CNNS
    from engine.errors import UsageError

    given: dict[str, Path | Literal["imagenet"]] = {}
    for text in texts:
        name, sign, file = text.partition("=")
        if not sign or name not in CNNS:
            raise UsageError(
                f"--weights: expected NETWORK=FILE, got {text!r}; write such as --weights resnet18=FILE",
                code="E-utility-network",
            )
        if file != "imagenet" and not Path(file).is_file():
            raise UsageError(f"--weights: {file}: no such file; give a safetensors file", code="E-utility-network")
        given[name] = "imagenet" if file == "imagenet" else Path(file)
    return given


def _trials(
    schemes: dict[str, Scheme], networks: list[str], seeds: int, given: dict[str, Path | Literal["imagenet"]]
) -> tuple[list[SchemeTrial], dict[tuple[str, str], str]]:
    """What can be trained, and why other rows cannot."""
    from classify.utility.runners.schemes import LITE0, SchemeTrial

    trials: list[SchemeTrial] = []
    missing: dict[tuple[str, str], str] = {}
    for network in networks:
        for letter, scheme in schemes.items():
            if scheme.imagenet and network != LITE0 and network not in given:
                missing[letter, network] = (
                    f"ImageNet weights of {network} are not in a package; give --weights {network}=FILE, "
                    f"or --weights {network}=imagenet to download them"
                )
                continue
            trials += [SchemeTrial(letter, network, seed) for seed in range(seeds)]
    return trials, missing


def _identities(
    bench: Bench,
    schemes: dict[str, Scheme],
    trials: list[SchemeTrial],
    given: dict[str, Path | Literal["imagenet"]],
    more: dict[str, Any],
) -> dict[SchemeTrial, str]:
    from hashlib import sha256

    from engine.files.atomic import sha256_file

    hashes = {name: sha256_file(file) if isinstance(file, Path) else file for name, file in given.items()}
    synthetic = [each.fingerprint for each in bench.synthetic]
    common = bench.common(**more)

    def name(trial: SchemeTrial) -> str:
        scheme = schemes[trial.scheme]
        uses = any("synthetic" in stage.defects for stage in scheme.stages)
        content = {
            **trial.to_dict(),
            "recipe": scheme.model_dump(exclude={"published", "title"}),
            "weights": hashes.get(trial.network, "package") if scheme.imagenet else "none",
            "made": synthetic if uses else [],
            "common": common,
        }
        return sha256(json_text.dumps(content, sort_keys=True).encode()).hexdigest()[:24]

    return {trial: name(trial) for trial in trials}
