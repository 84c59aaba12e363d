"""The results of a task in words: table, comparisons, and the page."""

from __future__ import annotations

from base64 import b64encode
from collections import Counter
from collections.abc import Mapping, Sequence
from importlib.resources import files
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined

from classify.utility.analysis.scores import Resamples, least_p
from classify.utility.analysis.verdict import CLASSIFY, HELPS, HURTS, Comparison, Table, Task, compare_all
from classify.utility.design.bench import Bench
from classify.utility.design.sources import generator_saw, masks_from
from classify.utility.design.trials import ALL, PASTED, stored_unit
from classify.utility.report import plots
from defects.sample import GOOD, Sample
from engine.commands import aligned

_MARKS = {HELPS: "good", HURTS: "poor"}
_RULE = (
    "An arm helps when the 95 % interval of its gain (over seeds and tested groups) lies above 0 and the signed-rank "
    "test over all shots and seeds, corrected over the arms, is below 0.05; it hurts when both say so below 0. The "
    "ratio is the one that validation prefers; the test is scored once."
)


class TaskResult:
    """The table, the comparisons and the plots of a task's trials.

    Args:
        bench: What was compared.
        rows: Its results lines.
        task: The task.
    """

    def __init__(self, bench: Bench, rows: Sequence[Mapping[str, Any]], task: Task = CLASSIFY) -> None:
        self.bench = bench
        classify = task.name == CLASSIFY.name
        self.task = task.of(bench.settings.eval_on)
        self.arms = bench.arms if classify else [arm for arm in bench.arms if not arm.classical]
        resamples = Resamples(bench.scored.test)
        measure = resamples.precision_of if classify else resamples.mean_of
        self.table = Table(rows, resamples, measure, task.primary)
        self.comparisons = compare_all(self.table, self.arms, resamples)
        self.counts = {shots: len(bench.defective) if shots == ALL else int(shots) for shots in self.table.shots}

    @property
    def main(self) -> list[Comparison]:
        """The comparisons that decide: each source next to the arm to beat, against that arm alone."""
        return [one for one in self.comparisons if one.role == "without" and one.other == self.task.base]

    @property
    def first_line(self) -> str:
        """The verdict on every source in one line."""
        single = [one for one in self.main if len(one.sources) == 1]
        synthetic = [one for one in single if one.sources != (PASTED,)]
        return " ".join(self._short(one) for one in (synthetic or single)) or "No arm could be compared."

    @property
    def notes(self) -> list[str]:
        """A warning where the arm to beat is worse than real images alone."""
        base = next((one for one in self.comparisons if one.arm == self.task.base and one.role == "real"), None)
        worse = [own.shots for own in base.by_shots if own.use_none] if base is not None else []
        if not worse:
            return []
        return [
            f"{self.task.base} is no better than real alone on validation at {', '.join(worse)} {self.task.shots}: "
            "there it is easier to beat than it should be; compare the gains against real too, or use another --preset"
        ]

    def plots(self) -> dict[str, bytes]:
        """File name and PNG of every plot."""
        arms = [arm.name for arm in self.arms if not arm.sources or arm.name in {one.arm for one in self.main}]
        pairs = [(one.arm, one.other) for one in self.main]
        ending = "" if self.task.name == CLASSIFY.name else f"-{self.task.name}"
        return {
            f"gains{ending}.png": plots.gains(self.main, self.task),
            f"learning{ending}.png": plots.learning_curves(self.table, arms, self.counts, self.task),
            f"ratios{ending}.png": plots.ratio_curves(self.table, pairs, self.counts, self.task),
        }

    def to_dict(self) -> dict[str, Any]:
        """For `summary.json` and `--json`."""
        names = [name for name, _ in self.task.scores]
        return {
            "first_line": self.first_line,
            "primary": self.task.primary,
            "unit": stored_unit(self.task.unit),
            "notes": self.notes,
            "comparisons": [{**one.to_dict(), "caveats": self.caveats(one)} for one in self.comparisons],
            "scores": [
                {
                    "arm": entry.arm,
                    "shots": entry.shots,
                    "ratio": entry.ratio,
                    "seeds": len(entry.seeds),
                    "validation": entry.val,
                    "low": entry.low,
                    "high": entry.high,
                    "test": {name: entry.test(name)[0] for name in names},
                    "sd": {name: entry.test(name)[1] for name in names},
                }
                for entry in self.table.entries.values()
            ],
        }

    @property
    def columns(self) -> list[str]:
        """Of `rows`."""
        first, *others = [title for _, title in self.task.scores]
        return ["Arm", "Defective", "Best ratio", f"{first} of {self.task.unit}s", *others, f"{first}, validation"]

    def rows(self) -> list[list[str]]:
        """Every arm at its best ratio and every number of shots, as words."""
        lines = []
        for shots in self.table.shots:
            for arm in self.arms:
                entry = self.table.best(arm.name, shots)
                if entry is not None:
                    values = [f"{entry.test(name)[0]:.3f}" for name, _ in self.task.scores]
                    ratio = f"{entry.ratio:g}" if entry.ratio else "–"
                    lines.append([arm.name, self._shots(shots), ratio, *values, f"{entry.val:.3f}"])
        return lines

    def lines(self) -> list[str]:
        """The verdict and the table as text, with a sentence on every source."""
        words = []
        for one in self.main:
            words += [self.sentence(one), *(f"  {caveat}" for caveat in self.caveats(one))]
        table, notes = aligned([self.columns, *self.rows()]), [f"note: {note}" for note in self.notes]
        return [self.first_line, "", *table, "", *words, *notes]

    def sentence(self, one: Comparison) -> str:
        """A comparison in a sentence."""
        p_value = "below 0.001" if one.p_value < 0.001 else f"{one.p_value:.3f}"
        test = f"signed-rank p {p_value} over {len(one.gain.pairs)} pairs, after Holm"
        interval = f"95 % interval {signed(one.gain.low)} to {signed(one.gain.high)}"
        gain = f"{signed(one.gain.value)} {self.task.words} ({interval}; {test})"
        return f"{one.arm} against {one.other}: {gain}: {one.verdict}."

    def caveats(self, one: Comparison) -> list[str]:
        """What makes a verdict less certain than it reads."""
        caveats = [self._split_caveat(name) for name in self.bench.split_sets if name in one.sources]
        for synthetic in self.bench.synthetic:
            if synthetic.name not in one.sources:
                continue
            name, saw = synthetic.name, generator_saw(synthetic, self.bench.real, self.bench.hashes)
            fewer = ", ".join(self._shots(own.shots) for own in one.by_shots if self.counts[own.shots] < (saw or 0))
            if saw is None:
                caveats.append(
                    f"How many real defective images the generator of {name} was trained on is not known; where they "
                    "are more than a few-shot split has, its result is optimistic."
                )
            elif fewer:
                caveats.append(
                    f"The generator of {name} was trained on {saw} real defective images, more than the {fewer} that "
                    "the classifier trains with there: a generator trained on as few would do worse, so these gains "
                    "are optimistic."
                )
            else:
                caveats.append(
                    f"The generator of {name} was trained on {saw} real defective images, no more than any split has."
                )
            origins = masks_from(synthetic, self.bench.real)
            known = [origin for origin in origins if origin is not None]
            if known:
                caveats.append(
                    f"{len(known)} of the {len(origins)} images of {name} have the masks of {len(set(known))} real "
                    "images; in the smaller splits the classifier does not get most of these, and learns their shapes "
                    "through the synthetic ones."
                )
        least = least_p(len(one.gain.pairs))
        if one.p_value >= 0.05 and least >= 0.05:
            caveats.append(
                f"{len(one.gain.pairs)} pairs cannot reach p below {least:.4g} two-sided: more seeds or shots are "
                "needed before any difference can count."
            )
        return caveats

    def section(self) -> dict[str, Any]:
        """The section of the page."""
        gains, learning, ratios = (b64encode(data).decode("ascii") for data in self.plots().values())
        return {
            "title": self.task.title,
            "rule": f"{_RULE} {self.task.why}",
            "cards": [self._card(one) for one in self.main],
            "plots": [
                ("Gains", f"Gain over {self.task.base}; diamonds over all shots. Lines: 95 % intervals.", gains),
                ("Learning curves", "Each arm at the ratio that validation prefers, with 95 % intervals.", learning),
                ("Ratio curves", f"0 is {self.task.base}; rings mark the ratio that validation prefers.", ratios),
            ],
            "others": [
                [one.arm, one.other, signed(one.gain.value), f"{signed(one.gain.low)} to {signed(one.gain.high)}",
                 f"{one.p_value:.4f}", one.verdict]
                for one in self.comparisons
            ],
            "columns": self.columns,
            "rows": self.rows(),
        }  # fmt: skip

    def _card(self, one: Comparison) -> dict[str, Any]:
        rows = [
            [self._shots(own.shots), own.verdict, f"{own.arm.ratio:g}", f"{own.arm.mean:.3f}", f"{own.other.mean:.3f}",
             signed(own.gain.value), f"{signed(own.gain.low)} to {signed(own.gain.high)}",
             "use none" if own.use_none else f"ratio {own.arm.ratio:g}"]
            for own in one.by_shots
        ]  # fmt: skip
        return {
            "name": one.arm, "other": one.other, "verdict": one.verdict, "mark": _MARKS.get(one.verdict, "unknown"),
            "sentence": self.sentence(one), "rows": rows, "caveats": self.caveats(one),
        }  # fmt: skip

    def _split_caveat(self, name: str) -> str:
        """What the generators of a source were trained on of which every few-shot split has its own."""
        good = {self.bench.hashes[sample.name] for sample in self.bench.good}
        inside = all(
            synthetic.trained_on
            and synthetic.trained_on <= good | {self.bench.hashes[sample.name] for sample in self.bench.subset(split)}
            for split, synthetic in self.bench.split_sets[name].items()
        )
        known = "their generators were trained on" if inside else "not every folder states that its generator saw"
        return f"Every few-shot split has its own images of {name}; {known} no image outside the split."

    def _shots(self, shots: str) -> str:
        """A number of shots as words: `all 169`."""
        return f"{ALL} {self.counts[ALL]}" if shots == ALL else shots

    def _short(self, one: Comparison) -> str:
        name, task = "+".join(one.sources), self.task
        interval = f"{signed(one.gain.value)} {task.words}, 95 % {signed(one.gain.low)} to {signed(one.gain.high)}"
        helped = [own for own in one.by_shots if own.verdict == HELPS]
        if one.verdict == HELPS:
            where = ", ".join(f"{own.arm.ratio:g} at {own.shots}" for own in helped)
            return f"{name}: helps {task.against} ({interval}{f'; best ratio {where} {task.shots}' if where else ''})."
        if one.verdict == HURTS:
            return f"{name}: hurts {task.against} ({interval}); use none."
        some = f"; it helps at {', '.join(own.shots for own in helped)} {task.shots} only" if helped else "; use none"
        return f"{name}: no evidence that it helps {task.against} ({interval}{some})."


def signed(value: float) -> str:
    """A difference with its sign."""
    text = f"{value:+.3f}"
    return "0.000" if float(text) == 0 else text.replace("-", "\u2212")


def first_lines(results: Sequence[TaskResult]) -> str:
    """The verdicts of all tasks."""
    names = [f"{result.task.title.partition(':')[0]}: " if len(results) > 1 else "" for result in results]
    return " ".join(f"{name}{result.first_line}" for name, result in zip(names, results, strict=True))


def groups_note(bench: Bench) -> str:
    """How much the test can say."""
    groups = [sample.part for sample in bench.scored.test if sample.label != GOOD]
    return (
        f"the test has {len(groups)} defective {bench.settings.eval_on}s of {len(set(groups))} groups: the verdicts "
        "hold for groups like these, and with few groups the intervals are somewhat too narrow"
    )


def render_page(bench: Bench, results: Sequence[TaskResult], settings: Sequence[tuple[str, str]]) -> bytes:
    """The report as one HTML file, UTF-8."""
    splits = {"training": "train", "validation": "val", "test": "test"}
    sets = [(f"real, {name}", getattr(bench.division, key)) for name, key in splits.items()]
    if bench.crops is not None:
        sets += [(f"crops, {name}", getattr(bench.crops.items, key)) for name, key in splits.items()]
    sets += [(synthetic.name, synthetic.samples) for synthetic in bench.synthetic]
    for name, own in bench.split_sets.items():
        sets.append((f"{name}, {len(own)} folders", [sample for each in own.values() for sample in each.samples]))
    if bench.pasted is not None:
        sets.append(("pasted, given", bench.pasted.samples))
    page = {
        "title": f"Does it help? {bench.request.real.resolve().name}",
        "first_line": first_lines(results),
        "notes": [*bench.notes, *(note for result in results for note in result.notes), groups_note(bench)],
        "tasks": [result.section() for result in results],
        "skipped": bench.skipped,
        "sets": [_set_row(name, samples) for name, samples in sets],
        "settings": settings,
    }
    style = files("metrics.report").joinpath("templates/report.css").read_text(encoding="utf-8")
    loader = PackageLoader("classify.utility.report")
    pages = Environment(loader=loader, autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    return pages.get_template("utility.html.j2").render(page=page, style=style).encode("utf-8")


def _set_row(name: str, samples: Sequence[Sample]) -> list[str]:
    classes = ", ".join(f"{label} {n}" for label, n in Counter(sample.label for sample in samples).most_common())
    return [name, str(len(samples)), str(len({sample.part for sample in samples})), classes]
