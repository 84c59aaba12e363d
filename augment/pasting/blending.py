"""Poisson blending: a defect put into a background by its gradients."""

from __future__ import annotations

import cv2
import numpy as np

from augment.pasting.placement import MARGIN, alpha_blend
from defects.masks.width import Mask
from defects.sample import Floats, Image


def poisson_blend(background: Image, patch: Floats, mask: Mask, fade: float) -> Image:
    """The background with the patch's gradients in it (Perez et al., Poisson image editing, 2003, section 2).

    The patch is corrected by the membrane that equals the background along the edge of the region (solving for
    the correction is the same as importing the gradients). Along the border of the image, where there is no background,
    the membrane is free, so that a defect may reach it; `cv2.seamlessClone` cannot.

    Args:
        background: (H, W, C) uint8.
        patch: (H, W, C) gray values.
        mask: (H, W) the defect; the region is the mask and `MARGIN + fade` px around it, and beyond it the background
            comes back bit for bit.
        fade: px.
    """
    away = cv2.distanceTransform((~mask).astype(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_PRECISE)
    region: Mask = away < MARGIN + fade
    if region.all():
        return alpha_blend(background, patch, mask, fade)
    correction = membrane(background.astype(np.float32) - patch, region)
    mixed = np.clip(np.rint(patch + correction), 0, 255).astype(np.uint8)
    result: Image = np.where(region[..., None], mixed, background)
    return result


def membrane(values: Floats, region: Mask) -> Floats:
    """`values` outside the region; inside, the solution of Laplace's equation that meets them.

    Args:
        values: (H, W, C).
        region: (H, W) bool; every 4-connected part of it must touch a pixel outside.

    Returns:
        (H, W, C) float32.
    """
    from scipy.sparse import coo_matrix
    from scipy.sparse.linalg import splu

    number = np.full(region.shape, -1, np.int64)
    count = int(region.sum())
    result = np.array(values, np.float32)
    if not count:
        return result
    number[region] = np.arange(count)
    ys, xs = np.nonzero(region)
    height, width = region.shape
    degree = np.zeros(count)
    known = np.zeros((count, values.shape[2]))
    rows, columns = [], []
    for dy, dx in ((0, 1), (0, -1), (1, 0), (-1, 0)):
        y, x = ys + dy, xs + dx
        here = np.flatnonzero((y >= 0) & (y < height) & (x >= 0) & (x < width))
        degree[here] += 1
        neighbor = number[y[here], x[here]]
        inner = neighbor >= 0
        rows.append(here[inner])
        columns.append(neighbor[inner])
        outer = here[~inner]
        known[outer] += values[y[outer], x[outer]]
    row, column = np.concatenate([*rows, np.arange(count)]), np.concatenate([*columns, np.arange(count)])
    entries = np.concatenate([-np.ones(row.size - count), degree])
    system = coo_matrix((entries, (row, column)), shape=(count, count)).tocsc()
    result[region] = splu(system).solve(known)
    return result
