"""bpr in NumPy. Contract: `__init__.py`."""

from __future__ import annotations

import numpy as np

__all__ = ["bpr"]


def bpr(scores, reduction="mean"):
    """(loss, d_scores) of rows [positives; negatives]."""
    n = len(scores) // 2
    difference = (scores[:n] - scores[n:]).astype(np.float64)
    factor = 1 / max(n, 1) if reduction == "mean" else 1.0
    with np.errstate(invalid="ignore"):  # NaN goes through, and stops the run by its loss
        loss = np.asarray(np.sum(np.logaddexp(0, -difference)) * factor)
        d_positive = -factor * np.exp(-np.logaddexp(0, difference))  # −σ(−difference)
    return loss, np.concatenate([d_positive, -d_positive]).astype(scores.dtype)
