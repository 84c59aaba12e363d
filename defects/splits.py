"""Splits that keep the images of one specimen together, and the search for images of the same specimen."""

from __future__ import annotations

import hashlib
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING

from defects.sample import Sample
from engine.errors import DataError

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt


def split(samples: Sequence[Sample], fractions: Mapping[str, float], seed: int) -> dict[str, list[Sample]]:
    """Divides samples so that no group is in two splits and every split has its share of every class.

    Groups are assigned one by one, those of the rarest classes and the largest first, each to the split that it brings
    nearest to its share of the group's classes; ties in an order that follows from the seed. A split that still lacks a
    class goes first for the last groups of that class. The order of the samples does not matter.

    Args:
        samples: With groups; one without a group is its own.
        fractions: Share of every split, such as `{"train": 0.8, "test": 0.2}`; positive, summing to 1.
        seed: Another seed, another split.

    Raises:
        ValueError: The fractions are not positive or do not sum to 1.
    """
    if not fractions or min(fractions.values()) <= 0 or abs(sum(fractions.values()) - 1) > 1e-6:
        raise ValueError(f"expected positive fractions that sum to 1, got {dict(fractions)}")
    members: dict[str, list[Sample]] = defaultdict(list)
    for sample in sorted(samples, key=lambda sample: sample.name):
        members[sample.part].append(sample)
    totals = Counter(sample.label for sample in samples)
    counts = {part: Counter(sample.label for sample in group) for part, group in members.items()}
    order = sorted(
        members, key=lambda part: (min(totals[label] for label in counts[part]), -len(members[part]), _draw(seed, part))
    )
    names = list(fractions)
    filled: dict[str, Counter[str]] = {name: Counter() for name in names}
    result: dict[str, list[Sample]] = {name: [] for name in names}
    left = Counter(label for count in counts.values() for label in count)
    for part in order:
        best = max(
            names,
            key=lambda name: (
                _last_chance(counts[part], name, filled, left),
                _gain(counts[part], filled[name], totals, fractions[name]),
            ),
        )
        filled[best] += counts[part]
        result[best] += members[part]
        left -= Counter(set(counts[part]))
    return {name: sorted(selected, key=lambda sample: sample.name) for name, selected in result.items()}


def check_no_leak(a: Iterable[Sample], b: Iterable[Sample]) -> None:
    """Checks that two sets share no group and no image file.

    Raises:
        DataError: They do; the message names the first groups.
    """
    left, right = list(a), list(b)
    shared = sorted({sample.part for sample in left} & {sample.part for sample in right})
    hashes = {sample.metadata.get("sha256"): sample.name for sample in left if sample.metadata.get("sha256")}
    files = {sample.image.resolve() for sample in left}
    same = [
        sample.name for sample in right if sample.image.resolve() in files or sample.metadata.get("sha256") in hashes
    ]
    if shared or same:
        named = [part.partition(":")[2] for part in shared] or sorted(same)
        raise DataError(
            f"the two sets share {len(named)} groups, such as {', '.join(named[:3])}; "
            "split again by group so that the score is of specimens that training lacks",
            code="E-split-leak",
        )


def near_duplicate_groups(
    samples: Sequence[Sample], *, threshold: float = 0.95, mask_threshold: float = 0.7
) -> list[str]:
    """Group images that look alike, for sets whose names do not tell the part.

    Two images belong together when their normalized thumbnails correlate by `threshold` or more, and, where both
    have a defect, their masks by `mask_threshold` or more; groups are chained. Sides that differ by over a tenth
    in aspect are never together. Images that already share a group stay together.

    Args:
        samples: Opened one by one.
        threshold: Correlation of the images, -1 to 1.
        mask_threshold: Correlation of the masks.

    Returns:
        A group for every sample, in order; the name of its first sample.

    Raises:
        DataError: An image or mask does not open.
    """
    import numpy as np

    from defects.images.decode import read_sample

    thumbnails, masks, aspects = [], [], []
    for sample in samples:
        image, mask = read_sample(sample)
        thumbnails.append(thumbnail(image.mean(axis=2)))
        masks.append(thumbnail(mask.astype(np.float32), detail=False))
        aspects.append(image.shape[1] / image.shape[0])
    parent = list(range(len(samples)))
    first: dict[str, int] = {}
    for index, sample in enumerate(samples):
        _join(parent, index, first.setdefault(sample.part, index))
    if samples:
        details, marks, ratios = np.stack(thumbnails), np.stack(masks), np.log(np.asarray(aspects))
        marked: npt.NDArray[np.bool_] = np.asarray(marks.any(axis=1))
        for row in range(len(samples)):
            alike: npt.NDArray[np.bool_] = np.asarray(details @ details[row] >= threshold)
            if marked[row]:
                alike &= (marks @ marks[row] >= mask_threshold) | ~marked
            alike &= np.abs(ratios - ratios[row]) < 0.1
            for column in np.flatnonzero(alike[:row]):
                _join(parent, row, int(column))
    return [samples[_top(parent, index)].name for index in range(len(samples))]


def thumbnail(image: npt.NDArray[np.floating], *, side: int = 32, detail: bool = True) -> npt.NDArray[np.float32]:
    """A small image as a vector of mean 0 and length 1, so that the product of two is their correlation.

    Args:
        image: (H, W).
        side: Of the thumbnail, px.
        detail: Whether to take out the coarse course of brightness first, which repeated shots of a specimen share.

    Returns:
        (side * side,), all zeros for an image without contrast.
    """
    import cv2
    import numpy as np

    small = cv2.resize(image.astype(np.float32), (side, side), interpolation=cv2.INTER_AREA)
    if detail:
        small = small - cv2.GaussianBlur(small, (0, 0), side / 8)
    vector = (small - small.mean()).ravel()
    length = float(np.linalg.norm(vector))
    return np.asarray(vector / length if length > 1e-4 * side else np.zeros_like(vector), dtype=np.float32)


def _gain(count: Counter[str], filled: Counter[str], totals: Counter[str], fraction: float) -> float:
    """How much nearer, in squared error over the classes, a group brings a split to its share."""
    return sum(
        (fraction - filled[label] / totals[label]) ** 2 - (fraction - (filled[label] + number) / totals[label]) ** 2
        for label, number in count.items()
    )


def _last_chance(count: Counter[str], name: str, filled: Mapping[str, Counter[str]], left: Counter[str]) -> bool:
    """Whether a split lacks a class of which no more groups are left than splits that lack it."""
    return any(
        not filled[name][label] and left[label] <= sum(not other[label] for other in filled.values()) for label in count
    )


def _draw(seed: int, part: str) -> str:
    return hashlib.sha256(f"{seed}|{part}".encode()).hexdigest()


def _top(parent: list[int], index: int) -> int:
    while parent[index] != index:
        parent[index] = parent[parent[index]]
        index = parent[index]
    return index


def _join(parent: list[int], a: int, b: int) -> None:
    a, b = _top(parent, a), _top(parent, b)
    parent[max(a, b)] = min(a, b)
