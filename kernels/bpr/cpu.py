"""bpr in Numba. Contract: `__init__.py`."""

import math

import numba as nb
import numpy as np

from ..jit import parallel

__all__ = ["bpr"]

ROWS = 1024  # of a piece: a partial sum of its own, whatever the number of threads


@parallel()
def _bpr(scores, factor, d_scores, partial):
    n = len(scores) // 2
    for piece in nb.prange(len(partial)):
        total = 0.0
        for i in range(piece * ROWS, min(n, (piece + 1) * ROWS)):
            difference = np.float64(scores[i] - scores[n + i])
            small = math.exp(-abs(difference))
            total += max(-difference, 0.0) + math.log1p(small)
            # σ(−difference), by the exponential that cannot overflow
            weight = (small if difference > 0 else 1.0) / (1.0 + small)
            d_scores[i] = -factor * weight
            d_scores[n + i] = factor * weight
        partial[piece] = total


def bpr(scores, reduction="mean"):
    """(loss, d_scores) of rows [positives; negatives]."""
    n = len(scores) // 2
    factor = 1 / max(n, 1) if reduction == "mean" else 1.0
    d_scores = np.empty_like(scores)
    partial = np.zeros(-(-n // ROWS))
    _bpr(scores, factor, d_scores, partial)
    return np.asarray(partial.sum() * factor), d_scores
