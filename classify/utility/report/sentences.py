"""The verdicts in words, each with what makes it less sure than it looks."""

from __future__ import annotations

from collections.abc import Sequence

from classify.utility.analysis.scores import CLASSIFY, TaskKind
from classify.utility.analysis.statistics import least_p
from classify.utility.analysis.verdict import HELPS, HURTS, Comparison
from classify.utility.design.bench import Bench
from classify.utility.design.settings import ALL
from classify.utility.design.sources import generator_saw, masks_from
from classify.utility.design.trials import PASTED


def main_comparisons(comparisons: Sequence[Comparison], kind: TaskKind = CLASSIFY) -> list[Comparison]:
    """What decides: each source beside the arm to beat, against that arm alone."""
    return [one for one in comparisons if one.role == "without" and one.other == kind.base]


def first_line(comparisons: Sequence[Comparison], kind: TaskKind = CLASSIFY) -> str:
    """The verdict on every source in one line."""
    main = [one for one in main_comparisons(comparisons, kind) if len(one.made) == 1]
    synthetic = [one for one in main if one.made != (PASTED,)]
    return " ".join(_short(one, kind) for one in (synthetic or main)) or "No arm could be compared."


def sentence(one: Comparison, kind: TaskKind = CLASSIFY) -> str:
    """A comparison in a sentence."""
    interval = f"95 % interval {signed(one.gain.low)} to {signed(one.gain.high)}"
    test = f"signed-rank p {_p(one.p_value)} over {len(one.gain.pairs)} pairs, after Holm"
    gain = f"{signed(one.gain.value)} {kind.words} ({interval}; {test})"
    return f"{one.arm} against {one.other}: {gain}: {one.verdict}."


def base_note(comparisons: Sequence[Comparison], kind: TaskKind) -> str:
    """A warning where the arm to beat is worse than real images alone; empty where it is not."""
    base = next((one for one in comparisons if one.arm == kind.base and one.role == "real"), None)
    if base is None or all(not level.use_none for level in base.levels):
        return ""
    worse = [level.level for level in base.levels if level.use_none]
    return (
        f"{kind.base} is no better than real alone on validation at {', '.join(worse)} {kind.shots}: there it is "
        "easier to beat than it should be; look at the gains against real too, or choose another --preset"
    )


def caveats(one: Comparison, bench: Bench) -> list[str]:
    """What the reader has to know beside a verdict."""
    said = [_own_levels(name, bench) for name in bench.own if name in one.made]
    for made in bench.made:
        if made.name not in one.made:
            continue
        saw = generator_saw(made, bench.real, bench.hashes)
        levels = [each for each in one.levels if _count(each.level, bench) < (saw or 0)]
        if saw is None:
            said.append(
                f"How many real defective images the generator of {made.name} has seen is not known; where they are "
                "more than a level trains with, its result is optimistic."
            )
        elif levels:
            shown = ", ".join(level_words(each.level, bench) for each in levels)
            said.append(
                f"The generator of {made.name} has seen {saw} real defective images, more than the {shown} that the "
                "classifier trains with there: a generator trained on as few would do worse, so these gains are "
                "optimistic."
            )
        else:
            said.append(f"The generator of {made.name} has seen {saw} real defective images, no more than any level.")
        origins = masks_from(made, bench.real)
        known = {origin for origin in origins if origin is not None}
        if known:
            said.append(
                f"{sum(origin is not None for origin in origins)} of the {len(origins)} images of {made.name} are "
                f"painted from the masks of {len(known)} real images; at the lower levels the classifier is not given "
                "most of these, and learns their shapes through the synthetic ones."
            )
    if one.p_value >= 0.05 and least_p(len(one.gain.pairs)) >= 0.05:
        said.append(
            f"{len(one.gain.pairs)} pairs cannot reach p below {least_p(len(one.gain.pairs)):.4g} two-sided: more "
            "seeds or levels are needed before any difference can count."
        )
    return said


def _own_levels(name: str, bench: Bench) -> str:
    """What the generators of a source have seen of which every level and seed has its own."""
    each = f"Every level and seed has its own images of {name}"
    good = {bench.hashes[sample.name] for sample in bench.good}
    told = True
    for level, made in bench.own[name].items():
        seen = made.provenance.train_sha256 if made.provenance is not None else frozenset()
        told &= bool(seen) and seen <= good | {bench.hashes[sample.name] for sample in bench.chosen(level)}
    if told:
        return f"{each}; their generators have seen no photograph that is not trained with there."
    return f"{each}; not every folder tells that its generator has seen no other photographs than those trained with."


def level_words(level: str, bench: Bench) -> str:
    """A level as a count: `all (169)`."""
    return f"{ALL} {len(bench.defective)}" if level == ALL else level


def signed(value: float) -> str:
    """A difference with its sign."""
    text = f"{value:+.3f}"
    return "0.000" if float(text) == 0 else text.replace("-", "\u2212")


def _short(one: Comparison, kind: TaskKind) -> str:
    name = "+".join(one.made)
    interval = f"{signed(one.gain.value)} {kind.words}, 95 % {signed(one.gain.low)} to {signed(one.gain.high)}"
    if one.verdict == HELPS:
        where = [f"{each.arm.ratio:g} at {each.level}" for each in one.levels if each.verdict == HELPS]
        best = f"; best ratio {', '.join(where)} {kind.shots}" if where else ""
        return f"{name}: helps {kind.beside} ({interval}{best})."
    if one.verdict == HURTS:
        return f"{name}: hurts {kind.beside} ({interval}); use none."
    helped = [each.level for each in one.levels if each.verdict == HELPS]
    some = f"; only at {', '.join(helped)} {kind.shots} it helps" if helped else "; use none"
    return f"{name}: no evidence that it helps {kind.beside} ({interval}{some})."


def _p(value: float) -> str:
    return "below 0.001" if value < 0.001 else f"{value:.3f}"


def _count(level: str, bench: Bench) -> int:
    return len(bench.defective) if level == ALL else int(level)
