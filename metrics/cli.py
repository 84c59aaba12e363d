"""`bench-fid`: synthetic images measured against real ones, and a report."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from metrics.bench.comparison import Comparison, Request
    from metrics.bench.gate import Condition
    from metrics.bench.run import Options
    from metrics.features.extraction import Extractor
    from metrics.paper.protocol import Paper

app = typer.Typer(add_completion=False)

PARTS = ("control", "labels", "memorization", "tsne")
"""Which `--skip` can leave out."""
_FORMER_PARTS = {"memorisation": "memorization"}


_Real = Annotated[Path, typer.Option(metavar="DIR", help="Real images, in any layout that check-data reads.")]
_Fake = Annotated[
    list[str] | None, typer.Option(metavar="NAME=DIR", help="Synthetic images under a name; may be repeated.")
]
_Table = Annotated[
    str, typer.Option(help="paper: have every --run draw the held-out masks, and compare as the source does.")
]
_Run = Annotated[
    list[str] | None, typer.Option(metavar="NAME=RUN", help="A run of train-gan, for --table; may be repeated.")
]
_Num = Annotated[int, typer.Option(min=1, help="Images of every held-out mask, for --table.")]
_Matched = Annotated[
    bool,
    typer.Option(
        "--matched",
        help="For --table: a Magna-Blend's images once more, as hard to find as real defects (gen-defects "
        "--match-difficulty); three segmenters are trained for it.",
    ),
]
_Extractor = Annotated[
    list[str] | None,
    typer.Option(help="efficientnet_lite0 (the default), inception or an .onnx file; may be repeated."),
]
_InceptionWeights = Annotated[
    Path | None, typer.Option(help="Weights of Inception; adds that extractor where none is named.")
]
_HeldOut = Annotated[
    bool, typer.Option("--held-out", help="Leave the generator's training images out of --real and learn from them.")
]
_AllowTrained = Annotated[
    bool, typer.Option("--allow-trained", help="Compare with training images too; the report says so.")
]
_Train = Annotated[
    Path | None, typer.Option(metavar="DIR", help="Real images the generator was trained on, given apart.")
]
_Crop = Annotated[
    int | None, typer.Option(min=8, help="Side of the crop in an image, px; the generator's own without it.")
]
_Size = Annotated[
    int | None, typer.Option(min=8, help="Side of the crops after resizing, px; the fakes' own without it.")
]
_Channels = Annotated[int | None, typer.Option(help="1 or 3; the fakes' own without it.")]
_Good = Annotated[bool, typer.Option("--good", help="Compare good images too; without it those of defects only.")]
_Out = Annotated[Path, typer.Option(metavar="DIR", help="Folder of the report.")]
_Force = Annotated[bool, typer.Option("--force", help="Replace a report that is there already.")]
_Gate = Annotated[
    str, typer.Option(help="Such as fid_efficientnet_lite0<40,magna.label_iou>0.6; exit 3 where one fails.")
]
_Seed = Annotated[int, typer.Option(help="Same seed, same scores.")]
_Resamples = Annotated[int, typer.Option(min=20, help="Resamples of each interval.")]
_Skip = Annotated[str, typer.Option(help="control,labels,memorization,tsne: any of them, to be left out.")]
_Cache = Annotated[
    Path | None, typer.Option(metavar="DIR", help="Where features and segmenters are cached; else the user's cache.")
]
_NoCache = Annotated[bool, typer.Option("--no-cache", help="Keep nothing.")]
_Workers = Annotated[int | None, typer.Option(min=1, help="Threads; one for each core without it.")]
_Device = Annotated[str, typer.Option(help="auto, cpu or cuda.")]
_DryRun = Annotated[bool, typer.Option("--dry-run", help="Check everything, say what would be compared.")]
_Json = Annotated[bool, typer.Option("--json", help="Results as one JSON object on stdout.")]


@app.command()
def main(
    real: _Real,
    fake: _Fake = None,
    table: _Table = "",
    run: _Run = None,
    num: _Num = 4,
    matched: _Matched = False,
    extractor: _Extractor = None,
    inception_weights: _InceptionWeights = None,
    held_out: _HeldOut = False,
    allow_trained: _AllowTrained = False,
    train: _Train = None,
    crop: _Crop = None,
    size: _Size = None,
    channels: _Channels = None,
    good: _Good = False,
    out: _Out = Path("runs/bench-fid"),
    force: _Force = False,
    gate: _Gate = "",
    seed: _Seed = 0,
    resamples: _Resamples = 200,
    skip: _Skip = "",
    cache: _Cache = None,
    no_cache: _NoCache = False,
    workers: _Workers = None,
    device: _Device = "auto",
    dry_run: _DryRun = False,
    json: _Json = False,
) -> None:
    """Measure synthetic images against real ones: quality, labels, control, memorization; a table and a report."""
    from engine.commands import parse_named
    from metrics.bench.comparison import Request, open_comparison
    from metrics.bench.output import check_out, plan_lines, plan_of

    _check(channels, cache, no_cache, given=bool(fake or table or run))
    fakes = parse_named(fake or [], "--fake")
    left_out = _parts(skip)
    check_out(out, force=force)
    request = Request(real, fakes, train, held_out, allow_trained, good, crop, size, channels, seed)
    paper = _paper(table, run or [], request, out, num, matched)
    if paper is not None:
        if dry_run:
            _print(paper.to_dict(), paper.lines(), json=json)
            return
        request = paper.make(request)
    comparison = open_comparison(request)
    extractors = _extractors(extractor, inception_weights, device, workers)
    conditions = _conditions(gate, comparison, extractors)
    if dry_run:
        plan = plan_of(comparison, extractors, out)
        _print(plan, plan_lines(plan), json=json)
        return

    from metrics.bench.run import Options
    from metrics.features.cache import user_cache

    options = Options(resamples, left_out, None if no_cache else cache or user_cache(), workers)
    _measure(comparison, extractors, options, conditions, paper, gate=gate, out=out, force=force, json=json)


def _measure(
    comparison: Comparison,
    extractors: Sequence[Extractor],
    options: Options,
    conditions: Sequence[Condition],
    paper: Paper | None,
    *,
    gate: str,
    out: Path,
    force: bool,
    json: bool,
) -> None:
    """Measures, writes the report and prints it.

    Raises:
        GateError: A condition does not hold; the report is written all the same.
    """
    from engine.commands import Progress
    from engine.errors import GateError
    from engine.files.atomic import to_json
    from metrics.bench.gate import failures
    from metrics.bench.output import REPORT, RESULTS, lines, next_command, settings_of, write_out
    from metrics.bench.run import measure
    from metrics.bench.summary import SCORES, results_of, sample_rows
    from metrics.paper.protocol import PAPER_JSON, PAPER_TABLE
    from metrics.report.build import build_page, render

    def progress(total: int, label: str, unit: str) -> Progress:
        return Progress(total, label, json=json, unit=unit)

    evidence = measure(comparison, extractors, options, progress=progress)
    results = results_of(comparison, evidence, settings_of(comparison, extractors, options.resamples))
    page = render(build_page(comparison, evidence, results))
    more = {}
    if paper is not None:
        found = paper.table(results, extractors[0].name)
        more = {PAPER_TABLE: found.markdown().encode(), PAPER_JSON: to_json(found.to_dict(), indent=2)}
    write_out(out, results, sample_rows(comparison, evidence), page, force=force, more=more)
    failed = failures(conditions, results.values(), results.reasons())
    after = next_command(comparison, results, out)
    files = {"report": str(out / REPORT), "results": str(out / RESULTS), "scores": str(out / SCORES)}
    table = more[PAPER_TABLE].decode().splitlines() if more else []
    if more:
        files["table"] = str(out / PAPER_TABLE)
    content = {**results.to_dict(), "files": files, "gate": {"asked": gate, "failed": failed}, "next": after}
    where = ["", f"report: {out / REPORT}", f"scores of single images: {out / SCORES}", f"next: {after}"]
    _print(content, [*table, *lines(results), *where], json=json)
    if failed:
        raise GateError("\n".join(failed), code="E-gate-failed")


def _print(content: Mapping[str, Any], lines: Iterable[str], *, json: bool) -> None:
    import json as json_text

    typer.echo(json_text.dumps(content, ensure_ascii=False) if json else "\n".join(lines))


def _conditions(gate: str, comparison: Comparison, extractors: Sequence[Extractor]) -> list[Condition]:
    from metrics.bench.derived_scores import score_names
    from metrics.bench.gate import parse_gate

    names = score_names([one.name for one in extractors], [source.schema for source in comparison.sources])
    return parse_gate(gate, names, [source.name for source in comparison.sources]) if gate else []


def _check(channels: int | None, cache: Path | None, no_cache: bool, *, given: bool) -> None:
    from engine.errors import UsageError

    if not given:
        raise UsageError(
            "--fake: no synthetic images to compare; give --fake NAME=DIR, or --table paper --run NAME=RUN",
            code="E-bench-no-fakes",
        )
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

    parts = frozenset(_FORMER_PARTS.get(part.strip(), part.strip()) for part in skip.split(",") if part.strip())
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
