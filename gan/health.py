"""What a person should be told of a training's health."""

from __future__ import annotations

import logging
from collections.abc import Mapping

from gan.config import GanConfig

logger = logging.getLogger(__name__)


def loss_shares(config: GanConfig, means: dict[str, float]) -> str:
    """How much of the generator's loss each term is, in the first epoch."""
    terms = {
        n: getattr(config.loss, n) * means[n]
        for n in ("reconstruction", "adversarial", "style", "kl", "swap", "guide", "features")
        if n in means
    }
    total = sum(terms.values()) or 1.0
    return "shares of the generator's loss: " + ", ".join(f"{n} {100 * v / total:.0f} %" for n, v in terms.items())


class CollapseWatch:
    """Warns of a discriminator that has won and of noise without effect: once a spell, not at every look."""

    def __init__(self) -> None:
        self._won = False
        self._still = False

    def discriminator(self, means: Mapping[str, float], epoch: int) -> None:
        """Looks at the mean probabilities of an epoch, `d_real` and `d_fake`."""
        won = epoch >= 5 and means["d_real"] > 0.98 and means["d_fake"] < 0.02
        if won and not self._won:
            logger.warning(
                "epoch %d: the discriminator tells every patch apart (real %.3f, fake %.3f), so the adversarial term "
                "teaches nothing; lower its width or rate",
                epoch,
                means["d_real"],
                means["d_fake"],
            )
        self._won = won

    def modes(self, spread: float, usual: float, epoch: int) -> None:
        """Looks at a sheet of samples: another noise should change an image by a twentieth of `usual` at least."""
        still = spread < 0.05 * usual
        if still and not self._still:
            logger.warning(
                "epoch %d: mode collapse: another noise changes an image by %.2f grey levels, real images differ by "
                "%.1f",
                epoch,
                spread,
                usual,
            )
        self._still = still
