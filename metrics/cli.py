"""`bench-fid`: synthetic images measured against real ones, and a report."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from metrics.bench.comparison import Request
    from metrics.features.extraction import Extractor
    from metrics.paper.protocol import Paper

app = typer.Typer(add_completion=False)

PARTS = ("control", "labels", "memorisation", "tsne")
"""Which `--skip` can leave out."""


@app.command()
def main(
    real: Annotated[Path, typer.Option(metavar="DIR", help="Real images, in any layout that check-data reads.")],
    fake: Annotated[
        list[str] | None, typer.Option(metavar="NAME=DIR", help="Synthetic images under a name; may be repeated.")
    ] = None,
    table: Annotated[
        str, typer.Option(help="paper: have every --run draw the held-out masks, and compare as the source does.")
    ] = "",
    run: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME=RUN", help="A run of train-gan, for --table; may be repeated."),
    ] = None,
    num: Annotated[int, typer.Option(min=1, help="Images of every held-out mask, for --table.")] = 4,
    matched: Annotated[
        bool,
        typer.Option(
            "--matched",
            help="For --table: a Magna-Blend's images once more, as hard to find as real defects (gen-defects "
            "--match-difficulty); three segmenters are trained for it.",
        ),
    ] = False,
    extractor: Annotated[
        list[str] | None,
        typer.Option(help="efficientnet_lite0 (the default), inception or an .onnx file; may be repeated."),
    ] = None,
    inception_weights: Annotated[
        Path | None, typer.Option(help="Weights of Inception; adds that extractor where none is named.")
    ] = None,
    held_out: Annotated[
        bool,
        typer.Option("--held-out", help="Leave the generator's training images out of --real and learn from them."),
    ] = False,
    allow_trained: Annotated[
        bool, typer.Option("--allow-trained", help="Compare with training images too; the report says so.")
    ] = False,
    train: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Real images the generator was trained on, given apart.")
    ] = None,
    crop: Annotated[
        int | None,
        typer.Option(min=8, help="Side of the crop in an image, px; the generator's own without it."),
    ] = None,
    size: Annotated[
        int | None, typer.Option(min=8, help="Side of the crops after resizing, px; the fakes' own without it.")
    ] = None,
    channels: Annotated[int | None, typer.Option(help="1 or 3; the fakes' own without it.")] = None,
    good: Annotated[
        bool, typer.Option("--good", help="Compare good images too; without it those of defects only.")
    ] = False,
    out: Annotated[Path, typer.Option(metavar="DIR", help="Folder of the report.")] = Path("runs/bench-fid"),
    force: Annotated[bool, typer.Option("--force", help="Replace a report that is there already.")] = False,
    gate: Annotated[
        str, typer.Option(help="Such as fid_efficientnet_lite0<40,magna.label_iou>0.6; exit 3 where one fails.")
    ] = "",
    seed: Annotated[int, typer.Option(help="Same seed, same scores.")] = 0,
    resamples: Annotated[int, typer.Option(min=20, help="Resamples of each interval.")] = 200,
    skip: Annotated[str, typer.Option(help="control,labels,memorization,tsne: any of them, to be left out.")] = "",
    cache: Annotated[
        Path | None,
        typer.Option(metavar="DIR", help="Where features and segmenters are cached; else the user's cache."),
    ] = None,
    no_cache: Annotated[bool, typer.Option("--no-cache", help="Keep nothing.")] = False,
    workers: Annotated[int | None, typer.Option(min=1, help="Threads; one for each core without it.")] = None,
    device: Annotated[str, typer.Option(help="auto, cpu or cuda.")] = "auto",
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Check everything, say what would be compared.")] = False,
    json: Annotated[bool, typer.Option("--json", help="Results as one JSON object on stdout.")] = False,
) -> None:
    """Measure synthetic images against real ones: quality, labels, control, memorization; a table and a report."""
    import json as json_text

    from engine.commands import parse_named
    from engine.errors import GateError, UsageError
    from metrics.bench.comparison import Request, open_comparison
    from metrics.bench.output import check_out

    _check(channels, cache, no_cache)
    fakes = parse_named(fake or [], "--fake")
    if not (fakes or table or run):
        raise UsageError(
            "--fake: no synthetic images to compare; give --fake NAME=DIR, or --table paper --run NAME=RUN",
            code="E-bench-no-fakes",
        )
    left_out = _parts(skip)
    check_out(out, force=force)
    request = Request(real, fakes, train, held_out, allow_trained, good, crop, size, channels, seed)
    paper = _paper(table, run or [], request, out, num, matched)
    if paper is not None:
        if dry_run:
            typer.echo(json_text.dumps(paper.to_dict(), ensure_ascii=False) if json else "\n".join(paper.lines()))
            return
        request = paper.make(request)
    comparison = open_comparison(request)
    extractors = _extractors(extractor, inception_weights, device, workers)

    from metrics.bench.derived_scores import score_names
    from metrics.bench.gate import failures, parse_gate
    from metrics.bench.output import next_command, plan_lines, plan_of, settings_of

    names = score_names([one.name for one in extractors], [source.schema for source in comparison.sources])
    conditions = parse_gate(gate, names, [source.name for source in comparison.sources]) if gate else []
    if dry_run:
        plan = plan_of(comparison, extractors, out)
        typer.echo(json_text.dumps(plan, ensure_ascii=False) if json else "\n".join(plan_lines(plan)))
        return

    from engine.commands import Progress
    from engine.files.atomic import to_json
    from metrics.bench.output import REPORT, RESULTS, lines, write_out
    from metrics.bench.run import Options, measure
    from metrics.bench.summary import SCORES, results_of, sample_rows
    from metrics.features.cache import user_cache
    from metrics.paper.protocol import PAPER_JSON, PAPER_TABLE
    from metrics.report.build import build_page, render

    retained = None if no_cache else cache or user_cache()
    options = Options(resamples, left_out, retained, workers)
    evidence = measure(
        comparison,
        extractors,
        options,
        progress=lambda total, label, unit: Progress(total, label, json=json, unit=unit),
    )
    results = results_of(comparison, evidence, settings_of(comparison, extractors, resamples))
    page = render(build_page(comparison, evidence, results))
    more = {}
    if paper is not None:
        found = paper.table(results, extractors[0].name)
        more = {PAPER_TABLE: found.markdown().encode(), PAPER_JSON: to_json(found.to_dict(), indent=2)}
    write_out(out, results, sample_rows(comparison, evidence), page, force=force, more=more)
    failed = failures(conditions, results.values(), results.reasons())
    after = next_command(comparison, results, out)
    if json:
        files = {"report": str(out / REPORT), "results": str(out / RESULTS), "scores": str(out / SCORES)}
        if more:
            files["table"] = str(out / PAPER_TABLE)
        content = {**results.to_dict(), "files": files, "gate": {"asked": gate, "failed": failed}, "next": after}
        typer.echo(json_text.dumps(content, ensure_ascii=False))
    else:
        if more:
            typer.echo(more[PAPER_TABLE].decode())
        for line in [*lines(results), "", f"report: {out / REPORT}", f"scores of single images: {out / SCORES}"]:
            typer.echo(line)
        typer.echo(f"next: {after}")
    if failed:
        raise GateError("\n".join(failed), code="E-gate-failed")


def _check(channels: int | None, cache: Path | None, no_cache: bool) -> None:
    from engine.errors import UsageError

    if channels not in (None, 1, 3):
        raise UsageError(
            f"--channels: expected 1 or 3, got {channels}; give 1 for gray or 3 for RGB", code="E-bench-flags"
        )
    if cache is not None and no_cache:
        raise UsageError("--cache and --no-cache: exclude one another; give one of them", code="E-bench-flags")
    if cache is not None and cache.exists() and not cache.is_dir():
        raise UsageError(f"--cache: {cache} is a file; give a folder", code="E-bench-flags")


def _paper(table: str, runs: list[str], request: Request, out: Path, num: int, matched: bool) -> Paper | None:
    """What `--table` asks for; None without it."""
    from engine.errors import UsageError

    if table not in ("", "paper"):
        raise UsageError(f"--table: {table!r} is unknown; the only one is paper", code="E-bench-flags")
    if not table:
        if runs:
            raise UsageError(
                "--run: is for the source's table; add --table paper, or give images by --fake NAME=DIR",
                code="E-bench-flags",
            )
        if matched:
            raise UsageError(
                "--matched: is for the source's table; add --table paper, or leave it out", code="E-bench-flags"
            )
        return None
    from engine.commands import parse_named
    from metrics.paper.protocol import open_paper

    return open_paper(parse_named(runs, "--run"), request, out, num, matched=matched)


def _parts(skip: str) -> frozenset[str]:
    from engine.errors import UsageError

    parts = frozenset(part.strip() for part in skip.split(",") if part.strip())
    unknown = sorted(parts - set(PARTS))
    if unknown:
        raise UsageError(
            f"--skip: {unknown[0]!r} is no part; choose of {', '.join(PARTS)}", code="E-bench-unknown-part"
        )
    return parts


def _extractors(
    names: list[str] | None, inception_weights: Path | None, device: str, workers: int | None
) -> list[Extractor]:
    """Opened in the order given; Inception comes along where its weights are given."""
    from engine.errors import UsageError
    from metrics.features.registry import open_extractor

    texts = list(names or ["efficientnet_lite0"])
    if inception_weights is not None and "inception" not in texts:
        texts.append("inception")
    opened = [
        open_extractor(
            text,
            inception_weights=inception_weights if text == "inception" else None,
            device=device,
            workers=workers,
        )
        for text in texts
    ]
    called = [one.name for one in opened]
    twice = next((name for name in called if called.count(name) > 1), None)
    if twice is not None:
        raise UsageError(
            f"--extractor: two are called {twice}; leave one out, or rename its file", code="E-extractor-duplicate"
        )
    return opened


def bench_fid() -> None:
    """Entry point."""
    from engine.commands import run

    run(app, renamed={"--window": "--crop"})
