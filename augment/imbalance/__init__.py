"""Which imbalance a data set suffers from, and what to ask a generator for against it.

What a command calls:

- `imbalance_report(samples, framing=None, on_progress=None) -> Report`, with `to_dict()` and `lines()`.
- `write_report(report, out) -> list[Path]`: `report.html`, `report.json` and the pictures.
- `cells(samples, framing=None) -> list[Cell]`: kind x size x brightness with counts, empty ones included.
- `make_plan(samples, framing=None, *, target=None, generator=None, seed=0, ...) -> Plan`, with `to_dict()`, `lines()`.
- `write_plan(plan, out) -> list[Path]`: `masks/<kind>/<size>-<brightness>/*.png`, `commands.sh` and `plan.json`.
- `read_generator(path) -> Generator`: schema and framing out of a `generator.json`, a checkpoint or a run folder.
"""

from __future__ import annotations

from augment.imbalance.cells import BRIGHTNESSES, SIZES, Cell, Terciles, cell_of, cells, cells_of
from augment.imbalance.generator import Generator, read_generator
from augment.imbalance.measures import Measure, measure_image, measure_samples
from augment.imbalance.page import write_report
from augment.imbalance.plan import Plan, PlanCell, make_plan
from augment.imbalance.plan_folder import write_plan
from augment.imbalance.report import Report, imbalance_report
from augment.imbalance.verdicts import Verdict, verdicts

__all__ = [
    "BRIGHTNESSES",
    "SIZES",
    "Cell",
    "Generator",
    "Measure",
    "Plan",
    "PlanCell",
    "Report",
    "Terciles",
    "Verdict",
    "cell_of",
    "cells",
    "cells_of",
    "imbalance_report",
    "make_plan",
    "measure_image",
    "measure_samples",
    "read_generator",
    "verdicts",
    "write_plan",
    "write_report",
]
