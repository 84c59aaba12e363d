"""What a person should be told of a training's health."""

from __future__ import annotations

import logging

from gan.config import GanConfig

logger = logging.getLogger(__name__)


def loss_shares(config: GanConfig, means: dict[str, float]) -> str:
    """How much of the generator's loss each term is, in the first epoch."""
    terms = {
        n: getattr(config.loss, n) * means[n]
        for n in ("reconstruction", "adversarial", "style", "kl", "swap", "guide")
        if n in means
    }
    total = sum(terms.values()) or 1.0
    return "shares of the generator's loss: " + ", ".join(f"{n} {100 * v / total:.0f} %" for n, v in terms.items())


def warn_of_collapse(means: dict[str, float], epoch: int) -> None:
    if epoch >= 5 and means["d_real"] > 0.98 and means["d_fake"] < 0.02:
        logger.warning(
            "epoch %d: the discriminator tells every patch apart (real %.3f, fake %.3f), so the adversarial term "
            "teaches nothing; lower its width or rate",
            epoch,
            means["d_real"],
            means["d_fake"],
        )
