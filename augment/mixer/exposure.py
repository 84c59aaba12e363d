"""How often an epoch sees each source, whatever the number of files, in an order that anyone can compute again."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from engine.errors import UsageError
from engine.seeding import numpy_generator, seed_for

__all__ = ["draws_of", "epoch_sequence", "parse_exposure", "rank_part"]


def parse_exposure(given: Mapping[str, str], there: Mapping[str, int]) -> dict[str, float]:
    """Shares by source from `real=0.5,synthetic=0.3,pasted=0.2`.

    Args:
        given: Name and text of every share.
        there: Training images of every source.

    Raises:
        UsageError: A name is unknown or missing, a share is no number, they do not sum to 1, or a source of which
            there is no image is asked for.
    """
    known = [name for name, count in there.items() if count]
    shares: dict[str, float] = {}
    for name, text in given.items():
        try:
            shares[name] = float(text)
        except ValueError:
            shares[name] = -1.0
        if not 0 <= shares[name] <= 1:
            raise UsageError(f"--exposure: {name}={text} is no share; give a number from 0 to 1")
        if shares[name] > 0 and not there.get(name):
            raise UsageError(f"--exposure: there is no {name} image to train on; there are {', '.join(known)}")
    missing = [name for name in known if name not in shares]
    if given and missing:
        raise UsageError(f"--exposure: {missing[0]} is not named; give {missing[0]}=0 to leave it out, or its share")
    if given and abs(sum(shares.values()) - 1) > 1e-6:
        raise UsageError(f"--exposure: the shares sum to {sum(shares.values()):g}; make them sum to 1")
    return shares


def draws_of(shares: Mapping[str, float], length: int) -> dict[str, int]:
    """Whole draws of an epoch for every source, by largest remainders.

    >>> draws_of({"real": 0.5, "synthetic": 0.3, "pasted": 0.2}, 9)
    {'real': 4, 'synthetic': 3, 'pasted': 2}
    """
    exact = {name: share * length for name, share in shares.items()}
    counts = {name: math.floor(value + 1e-9) for name, value in exact.items()}
    for name in sorted(exact, key=lambda name: (counts[name] - exact[name], list(exact).index(name))):
        if sum(counts.values()) >= length:
            break
        counts[name] += 1
    return counts


def epoch_sequence(
    members: Mapping[str, Sequence[int]],
    shares: Mapping[str, float],
    *,
    length: int,
    versions: int,
    seed: int,
    epoch: int,
) -> NDArray[np.int64]:
    """The training indices of one epoch, in order.

    Every source goes through its own images in shuffled passes that run on from epoch to epoch, so that no image of a
    source is seen twice before each was seen once; each pass shows another version (the image, or a copy) of it. The
    draws of all sources are then shuffled together.

    Args:
        members: Numbers of the images of each source.
        shares: How often each source is seen, summing to 1.
        length: Draws.
        versions: Of every image: 1 plus its augmented copies.
        seed: Another seed, another order.
        epoch: From 0.

    Returns:
        (length,) indices `image * versions + version`.
    """
    found = []
    for source, count in draws_of(shares, length).items():
        images = np.asarray(members.get(source, ()), np.int64)
        if not count:
            continue
        at = np.arange(epoch * count, (epoch + 1) * count)
        rounds = at // len(images)
        for number in np.unique(rounds):
            order = numpy_generator(seed, "pass", source, int(number)).permutation(len(images))
            chosen = images[order[at[rounds == number] % len(images)]]
            found.append(chosen * versions + (_first_version(chosen, versions, seed) + number) % versions)
    draws = np.concatenate(found) if found else np.empty(0, np.int64)
    shuffled: NDArray[np.int64] = draws[numpy_generator(seed, "epoch", epoch).permutation(len(draws))]
    return shuffled


def rank_part(sequence: NDArray[np.int64], rank: int, world: int) -> NDArray[np.int64]:
    """What one of several processes draws: every `world`-th, the sequence begun again so that all draw equally many."""
    if not 0 <= rank < world:
        raise ValueError(f"expected a rank from 0 to {world - 1}, got {rank}; ranks count from 0")
    each = math.ceil(len(sequence) / world)
    part: NDArray[np.int64] = np.resize(sequence, each * world)[rank::world]
    return part


def _first_version(images: NDArray[np.int64], versions: int, seed: int) -> NDArray[np.int64]:
    """The version an image begins with, so that a pass shows images and copies of all numbers."""
    return np.asarray([seed_for(seed, "version", int(image)) % versions for image in images], np.int64)
