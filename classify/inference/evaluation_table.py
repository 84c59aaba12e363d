"""What was measured of one classifier or several, as lines of text; several are ranked as in the sources."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from scipy.stats import rankdata

from classify.inference.evaluate import Evaluation, Level
from metrics.localization import Localization

COLUMNS = ("accuracy", "precision", "recall", "f1", "iou", "pointing", "weighting")
"""Of a map, higher is better; a table's rank is the mean of the ranks in them."""


def evaluation_lines(evaluation: Evaluation) -> list[str]:
    """One classifier: what it says, where it points, and how that changes with the threshold."""
    levels = {"squares": evaluation.squares}
    if evaluation.photographs is not None:
        levels = {"tiles": evaluation.squares, "photographs": evaluation.photographs}
    lines = _grid(
        ("class", "number", "accuracy", "precision", "recall", "f1", "auroc"),
        [_called(name, level) for name, level in levels.items()],
    )
    for name, level in levels.items():
        lines += ["", f"{name}: what they are (rows) and are called (columns)", *_confusion(level, evaluation.classes)]
    maps = [row for name, level in levels.items() for row in _where(name, level)]
    if maps:
        lines += ["", *_grid(("map", "accuracy", "precision", "recall", "f1", "iou"), maps)]
        names = ("map", "number", "defective", "pointing", "weighting", "auroc", "average precision")
        found = [(name, level.localization) for name, level in levels.items() if level.localization is not None]
        lines += ["", *_grid(names, [_further(name, one) for name, one in found])]
        last, level = list(levels.items())[-1]
        head = ("threshold", "accuracy", "precision", "recall", "f1", "iou")
        rows = [(str(at), *(f"{value:.3f}" for value in vars(one).values())) for at, one in level.sweep.items()]
        lines += [
            "",
            f"{last}: over all pixels by the map's threshold of 255 (127 is the sources')",
            *_grid(head, rows),
        ]
    return lines


def comparison(evaluations: Mapping[str, Evaluation], *, photographs: bool, by: str) -> list[str]:
    """Several classifiers, the best first: by the mean of their ranks over the columns of the map.

    Args:
        evaluations: by name.
        photographs: whether of photographs rather than squares.
        by: `image`, averaged over images, or `pixel`, over all pixels.
    """
    levels = {name: one.photographs if photographs else one.squares for name, one in evaluations.items()}
    kept = {n: level for n, level in levels.items() if level is not None and level.localization is not None}
    values = {name: _columns(level, by) for name, level in kept.items()}
    order = ranks(values)
    rows = [
        (
            name,
            f"{kept[name].classification.accuracy:.3f}",
            f"{kept[name].classification.f1:.3f}",
            *(_shown(value) for value in values[name]),
            f"{rank:.2f}",
        )
        for name, rank in sorted(order.items(), key=lambda pair: pair[1])
    ]
    return _grid(("model", "class accuracy", "class f1", *COLUMNS, "mean rank"), rows)


def ranks(values: Mapping[str, Sequence[float | None]]) -> dict[str, float]:
    """The mean rank over columns in which higher is better; 1 is best, equals share a rank, None comes last.

    >>> ranks({"a": [0.9, 0.5], "b": [0.8, 0.7], "c": [0.1, 0.7]})
    {'a': 2.0, 'b': 1.75, 'c': 2.25}
    """
    if not values:
        return {}
    columns = zip(*values.values(), strict=True)
    each = [rankdata([-(value if value is not None else -1.0) for value in column]) for column in columns]
    return {name: float(sum(column[i] for column in each) / len(each)) for i, name in enumerate(values)}


def _columns(level: Level, by: str) -> list[float | None]:
    one = level.localization
    if one is None:
        return []
    scores = one.by_pixel if by == "pixel" else one.by_image
    return [scores.accuracy, scores.precision, scores.recall, scores.f1, scores.iou, one.pointing, one.weighting]


def _called(name: str, level: Level) -> tuple[str, ...]:
    one = level.classification
    return (name, str(one.number), *(_shown(v) for v in (one.accuracy, one.precision, one.recall, one.f1, one.auroc)))


def _where(name: str, level: Level) -> list[tuple[str, ...]]:
    one = level.localization
    if one is None:
        return []
    pairs = ((f"{name}, mean of images", one.by_image), (f"{name}, all pixels", one.by_pixel))
    return [(words, *(f"{value:.3f}" for value in vars(scores).values())) for words, scores in pairs]


def _further(name: str, one: Localization) -> tuple[str, ...]:
    shown = (one.pointing, one.weighting, one.auroc, one.average_precision)
    return (name, str(one.images), str(one.defective), *(_shown(value) for value in shown))


def _confusion(level: Level, classes: Sequence[str]) -> list[str]:
    rows = [
        (name, *(str(number) for number in row))
        for name, row in zip(classes, level.classification.confusion, strict=True)
    ]
    return _grid(("", *classes), rows)


def _shown(value: float | None) -> str:
    return "–" if value is None else f"{value:.3f}"


def _grid(head: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    """Aligned columns, the first to the left."""
    every = [head, *rows]
    widths = [max(len(row[column]) for row in every) for column in range(len(head))]
    return [
        "  ".join(
            c.ljust(w) if i == 0 else c.rjust(w) for i, (c, w) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in every
    ]
