"""Inception score: are the classes of the images sure one by one, and many together?"""

from __future__ import annotations

import torch
from torch import Tensor

from engine.seeding import numpy_generator
from metrics.scores.score import Array, Spread, checked


def inception_score(logits: Array, *, splits: int = 10, seed: int | None = 0) -> Spread:
    """Inception score of a set of images, mean and deviation over equal splits.

    Salimans et al., Improved Techniques for Training GANs, 2016, section 4: exp of the mean over a split's images of
    KL(p(y | x) || p(y)), p(y) being the split's mean. Split i of S holds rows i * N // S up to (i + 1) * N // S, as
    torch-fidelity cuts them; with `seed=None` the rows stay in the given order and the numbers are its numbers.

    Args:
        logits: Class logits (N, K).
        splits: Number of splits.
        seed: Seed of the random order of the rows, or None for the given order.

    Raises:
        ValueError: Fewer than two rows, fewer rows than splits, or logits that are not finite.
    """
    rows = checked(logits, "logit", varied=False)
    if splits < 1 or splits > len(rows):
        raise ValueError(f"expected between 1 and {len(rows)} splits for {len(rows)} rows, got {splits}; take fewer")
    if seed is not None:
        rows = rows[torch.from_numpy(numpy_generator(seed, "inception score").permutation(len(rows)))]
    scores = split_scores(rows.softmax(1), rows.log_softmax(1), splits)
    return Spread(float(scores.mean()), float(scores.std(correction=0)))


def split_scores(chances: Tensor, logs: Tensor, splits: int) -> Tensor:
    """Scores (S,) of consecutive splits of class probabilities (N, K) and their logarithms (N, K)."""
    count = len(chances)
    scores = []
    for split in range(splits):
        part = slice(split * count // splits, (split + 1) * count // splits)
        mixed = chances[part].mean(0)
        # One row's entropy and the split's own, each summed once: sum p (log p - log q), averaged.
        own = (chances[part] * logs[part]).sum(1).mean()
        shared = torch.special.xlogy(mixed, mixed).sum()
        scores.append((own - shared).exp())
    return torch.stack(scores)
