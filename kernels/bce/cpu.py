"""bce in Numba. Contract: `__init__.py`."""

import math

import numba as nb
import numpy as np

from ..jit import parallel

__all__ = ["bce"]

ROWS = 1024  # of a piece: a partial sum of its own, whatever the number of threads


@parallel()
def _bce(scores, labels, factor, d_scores, partial):
    for piece in nb.prange(len(partial)):
        total = 0.0
        for r in range(piece * ROWS, min(len(scores), (piece + 1) * ROWS)):
            s, y = np.float64(scores[r]), np.float64(labels[r])
            small = math.exp(-abs(s))  # the exponential that cannot overflow
            total += max(s, 0.0) - y * s + math.log1p(small)
            large, little = 1.0 / (1.0 + small), small / (1.0 + small)
            yes, no = (large, little) if s >= 0 else (little, large)
            d_scores[r] = factor * (yes * (1.0 - y) - no * y)
        partial[piece] = total


def bce(scores, labels):
    """(loss, d_scores) of logits and labels."""
    factor = 1 / max(len(scores), 1)
    d_scores = np.empty_like(scores)
    partial = np.zeros(-(-len(scores) // ROWS))
    _bce(scores, labels, factor, d_scores, partial)
    return np.asarray(partial.sum() * factor), d_scores
