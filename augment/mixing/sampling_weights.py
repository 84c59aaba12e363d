"""How often an epoch sees each source, whatever the number of files, in an order that anyone can compute again."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from engine.errors import UsageError
from engine.seeding import numpy_generator, seed_for


def check_exposure(given: Mapping[str, float], there: Mapping[str, int]) -> dict[str, float]:
    """Shares of an epoch by source, such as real 0.5, synthetic 0.3, pasted 0.2.

    Args:
        given: As asked for; empty for no wish.
        there: Training images of every source.

    Raises:
        UsageError: A name is unknown or missing, a share is out of range, they do not sum to 1, or a source of which
            there is no image is asked for.
    """
    known = [name for name, count in there.items() if count]
    for name, share in given.items():
        if not 0 <= share <= 1:
            raise UsageError(f"--exposure: {name}={share:g} is no share; give a number from 0 to 1")
        if share > 0 and not there.get(name):
            raise UsageError(f"--exposure: there is no {name} image to train on; there are {', '.join(known)}")
    missing = [name for name in known if name not in given]
    if given and missing:
        raise UsageError(f"--exposure: {missing[0]} is not named; give {missing[0]}=0 to leave it out, or its share")
    if given and abs(sum(given.values()) - 1) > 1e-6:
        raise UsageError(f"--exposure: the shares sum to {sum(given.values()):g}; make them sum to 1")
    return dict(given)


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


@dataclass(frozen=True)
class Exposure:
    """What the epochs of a training see.

    Attributes:
        members: Numbers of the training images of each source.
        shares: How often each source is seen, summing to 1.
        length: Draws of an epoch.
        versions: Of every image: 1 plus its augmented copies.
        seed: Another seed, another order.
    """

    members: Mapping[str, Sequence[int]]
    shares: Mapping[str, float]
    length: int
    versions: int = 1
    seed: int = 0

    @property
    def draws(self) -> dict[str, int]:
        """Whole draws of an epoch for every source."""
        return draws_of(self.shares, self.length)

    def epoch(self, number: int) -> NDArray[np.int64]:
        """The training indices of one epoch, in order.

        Every source goes through its own images in shuffled passes that run on from epoch to epoch, so that no image
        of a source is seen twice before each was seen once; each pass shows another version (the image, or a copy) of
        it. The draws of all sources are then shuffled together.

        Args:
            number: From 0.

        Returns:
            (length,) indices `image * versions + version`.
        """
        found = [self._draw(source, count, number) for source, count in self.draws.items() if count]
        draws = np.concatenate(found) if found else np.empty(0, np.int64)
        shuffled: NDArray[np.int64] = draws[numpy_generator(self.seed, "epoch", number).permutation(len(draws))]
        return shuffled

    def _draw(self, source: str, count: int, epoch: int) -> NDArray[np.int64]:
        images = np.asarray(self.members[source], np.int64)
        at = np.arange(epoch * count, (epoch + 1) * count)
        rounds = at // len(images)
        found = []
        for number in np.unique(rounds):
            order = numpy_generator(self.seed, "pass", source, int(number)).permutation(len(images))
            chosen = images[order[at[rounds == number] % len(images)]]
            version = (_first_version(chosen, self.versions, self.seed) + number) % self.versions
            found.append(chosen * self.versions + version)
        return np.concatenate(found)


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
