"""Where in the latent space real images lie: standard noise is brought there before it is decoded.

The encoder's codes do not fill N(0, I) evenly. After Ghosh et al. (*From variational to deterministic autoencoders*,
2020) a Gaussian is fitted to the codes of the training images once they are learnt, here one for each background class,
and noise is drawn from that: `z = mean + factor @ noise`.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

PRIOR_IMAGES = 32
"""A class of n images trusts its own covariance with weight n / (n + PRIOR_IMAGES), that of all images for the rest."""


class LatentPlacement(nn.Module):
    """Standard noise and guides to codes.

    Args:
        latent: length L of a code.
        ground: columns (first, end) of the guide vector with the one-hot background class; equal when there is none.
    """

    mean: Tensor
    factor: Tensor

    def __init__(self, latent: int, ground: tuple[int, int]) -> None:
        super().__init__()
        self.ground = ground
        classes = ground[1] - ground[0] + 1
        self.register_buffer("mean", torch.zeros(classes, latent))
        self.register_buffer("factor", torch.eye(latent).repeat(classes, 1, 1))

    def forward(self, noise: Tensor, guides: Tensor) -> Tensor:
        """`noise` (N, L) standard normal, `guides` (N, G) -> codes (N, L)."""
        known = guides[:, self.ground[0] : self.ground[1]]
        weights = torch.cat([known, 1 - known.sum(dim=1, keepdim=True)], dim=1)
        placed = torch.einsum("nk,klm,nm->nl", weights, self.factor, noise)
        return weights @ self.mean + placed

    @torch.no_grad()
    def fit(self, means: Tensor, variances: Tensor, guides: Tensor) -> dict[str, Tensor]:
        """The buffers for the codes of real images; this module itself is not changed.

        Args:
            means: (N, L) means of the encoder.
            variances: (N, L) its variances.
            guides: (N, G) guide vectors of the images.

        Returns:
            `mean` (K + 1, L) and lower triangular `factor` (K + 1, L, L); the last class stands for all images.
        """
        centre, spread = _moments(means, variances)
        rows = [(centre, spread)]
        for column in range(self.ground[1] - 1, self.ground[0] - 1, -1):
            own = guides[:, column] > 0.5
            share = float(own.sum()) / (float(own.sum()) + PRIOR_IMAGES)
            mean, covariance = _moments(means[own], variances[own]) if own.any() else (centre, spread)
            rows.append((mean, share * covariance + (1 - share) * spread))
        rows.reverse()
        factors = [torch.linalg.cholesky(c.double() + 1e-6 * torch.eye(len(c))).float() for _, c in rows]
        return {"mean": torch.stack([m for m, _ in rows]), "factor": torch.stack(factors)}


def _moments(means: Tensor, variances: Tensor) -> tuple[Tensor, Tensor]:
    centre = means.mean(dim=0)
    off = means - centre
    return centre, off.T @ off / max(len(means), 1) + torch.diag(variances.mean(dim=0))
