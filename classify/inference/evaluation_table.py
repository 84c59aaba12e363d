"""The evaluation of one classifier or several, as lines of text; several are ranked as in the papers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from scipy.stats import rankdata

from classify.inference.evaluate import Evaluation, UnitScores
from engine.commands import aligned
from metrics.localization import Localization

COLUMNS = ("accuracy", "precision", "recall", "f1", "iou", "pointing", "weighting")
"""Of a map, higher is better; a table's rank is the mean of the ranks in them."""


def evaluation_lines(evaluation: Evaluation) -> list[str]:
    """One classifier: its classes, where its maps point, and how that changes with the threshold."""
    units = {"crops": evaluation.crops}
    if evaluation.images is not None:
        units = {"tiles": evaluation.crops, "images": evaluation.images}
    head = ("class", "number", "accuracy", "precision", "recall", "f1", "auroc")
    lines = aligned([head, *(_class_row(name, scores) for name, scores in units.items())])
    for name, scores in units.items():
        lines += ["", f"{name}: true (rows) and predicted (columns) classes", *_confusion(scores, evaluation.classes)]
    maps = [row for name, scores in units.items() for row in _map_rows(name, scores)]
    if maps:
        lines += ["", *aligned([("map", "accuracy", "precision", "recall", "f1", "iou"), *maps])]
        names = ("map", "number", "defective", "pointing", "weighting", "auroc", "average precision")
        localized = [(name, scores.localization) for name, scores in units.items() if scores.localization is not None]
        lines += ["", *aligned([names, *(_localization_row(name, one) for name, one in localized)])]
        last, scores = list(units.items())[-1]
        columns = ("threshold", "accuracy", "precision", "recall", "f1", "iou")
        rows = [(str(at), *(f"{value:.3f}" for value in vars(one).values())) for at, one in scores.sweep.items()]
        lines += [
            "",
            f"{last}: over all pixels by the map's threshold of 255 (127 is the papers')",
            *aligned([columns, *rows]),
        ]
    return lines


def comparison(evaluations: Mapping[str, Evaluation], *, images: bool, by: str) -> list[str]:
    """Several classifiers, the best first: by the mean of their ranks over the columns of the map.

    Args:
        evaluations: by name.
        images: whether of images rather than crops.
        by: `image`, averaged over images, or `pixel`, over all pixels.
    """
    units = {name: one.images if images else one.crops for name, one in evaluations.items()}
    localized = {name: scores for name, scores in units.items() if scores is not None and scores.localization}
    values = {name: _columns(scores, by) for name, scores in localized.items()}
    order = ranks(values)
    rows = [
        (
            name,
            f"{localized[name].classification.accuracy:.3f}",
            f"{localized[name].classification.f1:.3f}",
            *(_text(value) for value in values[name]),
            f"{rank:.2f}",
        )
        for name, rank in sorted(order.items(), key=lambda pair: pair[1])
    ]
    return aligned([("model", "class accuracy", "class f1", *COLUMNS, "mean rank"), *rows])


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


def _columns(scores: UnitScores, by: str) -> list[float | None]:
    one = scores.localization
    if one is None:
        return []
    pixels = one.by_pixel if by == "pixel" else one.by_image
    return [pixels.accuracy, pixels.precision, pixels.recall, pixels.f1, pixels.iou, one.pointing, one.weighting]


def _class_row(name: str, scores: UnitScores) -> tuple[str, ...]:
    one = scores.classification
    return (name, str(one.number), *(_text(v) for v in (one.accuracy, one.precision, one.recall, one.f1, one.auroc)))


def _map_rows(name: str, scores: UnitScores) -> list[tuple[str, ...]]:
    one = scores.localization
    if one is None:
        return []
    pairs = ((f"{name}, mean of images", one.by_image), (f"{name}, all pixels", one.by_pixel))
    return [(words, *(f"{value:.3f}" for value in vars(pixels).values())) for words, pixels in pairs]


def _localization_row(name: str, one: Localization) -> tuple[str, ...]:
    values = (one.pointing, one.weighting, one.auroc, one.average_precision)
    return (name, str(one.images), str(one.defective), *(_text(value) for value in values))


def _confusion(scores: UnitScores, classes: Sequence[str]) -> list[str]:
    rows = [
        (name, *(str(number) for number in row))
        for name, row in zip(classes, scores.classification.confusion, strict=True)
    ]
    return aligned([("", *classes), *rows])


def _text(value: float | None) -> str:
    return "–" if value is None else f"{value:.3f}"
