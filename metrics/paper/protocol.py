"""`bench-fid --table paper`: from training runs to sets that are compared, and from the results to the table."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from engine.errors import UsageError
from metrics.bench.comparison import Request
from metrics.bench.results import Results
from metrics.paper.sets import BASELINES, Call, GeneratedSet, Run, make_sets, open_runs, set_commands
from metrics.paper.table import PaperTable, paper_table

PAPER_TABLE = "table.md"
PAPER_JSON = "table.json"


@dataclass
class Paper:
    """The table in progress.

    Attributes:
        runs: What was trained.
        real: The images.
        sets: Where masks and images lie: next to the report, so that this can be written anew.
        commands: That make the images.
        generated: The sets that they generated.
    """

    runs: list[Run]
    real: Path
    sets: Path
    commands: dict[str, list[str]]
    generated: list[GeneratedSet] = field(default_factory=list)

    def make(self, request: Request, call: Call | None = None) -> Request:
        """Makes the sets; what is to be compared then."""
        self.generated = make_sets(self.commands, self.runs, self.real, self.sets, call=call)
        fakes = (*((one.name, one.folder) for one in self.generated), *request.fakes)
        return replace(request, fakes=fakes, held_out=True, derived=frozenset(BASELINES) & set(self.commands))

    def table(self, results: Results, extractor: str) -> PaperTable:
        """What was measured, as the source has it."""
        return paper_table(results, self.runs, self.generated, extractor)

    def lines(self) -> list[str]:
        """What would be generated."""
        return [
            f"would make {name}: {shlex.join(words)} --out {self.sets / name}" for name, words in self.commands.items()
        ]

    def to_dict(self) -> dict[str, Any]:
        """The same as JSON takes it."""
        return {"dry_run": True, "sets": {name: shlex.join(words) for name, words in self.commands.items()}}


def open_paper(
    named: Sequence[tuple[str, Path]], request: Request, out: Path, num: int, *, matched: bool = False
) -> Paper:
    """Checks everything that can be checked before images are generated.

    Args:
        named: Runs under their names.
        request: What else is compared.
        out: Of the report.
        num: Images of every held-out mask.
        matched: See `metrics.paper.sets.set_commands`.

    Raises:
        MagnaError: There is no run, runs do not belong together, or a set has the name of a run.
    """
    if not named:
        raise UsageError("--table paper: compares training runs; give --run NAME=RUN", code="E-paper-flags")
    if request.train is not None or request.allow_trained or request.crop:
        raise UsageError(
            "--table paper: takes held-out images and crop from the runs; "
            "leave --train, --allow-trained and --crop out",
            code="E-paper-flags",
        )
    runs = open_runs(named)
    sets = out.with_name(f"{out.name}-sets")
    commands = set_commands(runs, request.real, sets, num=num, seed=request.seed, size=request.size, matched=matched)
    twice = next((name for name, _ in request.fakes if name in commands), None)
    if twice is not None:
        raise UsageError(f"--fake {twice}: a set of the table has that name; choose another", code="E-bench-set-name")
    return Paper(runs, request.real, sets, commands)
