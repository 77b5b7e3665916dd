"""bce in NumPy. Contract: `__init__.py`."""

from __future__ import annotations

import numpy as np

__all__ = ["bce"]


def bce(scores, labels):
    """(loss, d_scores) of logits and labels."""
    s, y = scores.astype(np.float64), labels.astype(np.float64)
    factor = 1 / max(len(s), 1)
    with np.errstate(invalid="ignore"):  # NaN goes through, and stops the run by its loss
        loss = np.sum(np.maximum(s, 0) - y * s + np.log1p(np.exp(-np.abs(s)))) * factor
        yes, no = np.exp(-np.logaddexp(0, -s)), np.exp(-np.logaddexp(0, s))
    return np.asarray(loss), (factor * (yes * (1 - y) - no * y)).astype(scores.dtype)
