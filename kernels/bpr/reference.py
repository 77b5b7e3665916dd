"""bpr in NumPy. Contract: `__init__.py`."""

from __future__ import annotations

import itertools

import numpy as np

__all__ = ["bpr", "hinge", "softmax"]


def _pairwise(difference, factor):
    """(factor · Σ softplus(−difference), factor · σ(−difference))."""
    with np.errstate(invalid="ignore"):  # NaN goes through, and stops the run by its loss
        loss = np.asarray(np.sum(np.logaddexp(0, -difference)) * factor)
        return loss, factor * np.exp(-np.logaddexp(0, difference))


def bpr(scores, reduction="mean", negatives=1):
    """(loss, d_scores) of rows [positives; negatives]."""
    rows = scores.reshape(1 + negatives, -1)
    difference = (rows[0] - rows[1:]).astype(np.float64)
    factor = 1 / max(difference.size, 1) if reduction == "mean" else 1.0
    loss, weight = _pairwise(difference, factor)
    d_scores = np.concatenate([-weight.sum(axis=0), weight.reshape(-1)])
    return loss, d_scores.astype(scores.dtype)


def hinge(scores, count, negatives=1):
    """(loss, d_scores) of rows [positives; negatives], the sum over `count`."""
    rows = scores.reshape(1 + negatives, -1)
    missed = 1 - (rows[0] - rows[1:]).astype(np.float64)
    factor = 1 / max(count, 1)
    weight = factor * (missed > 0)
    d_scores = np.concatenate([-weight.sum(axis=0), weight.reshape(-1)])
    return np.asarray(np.maximum(missed, 0).sum() * factor), d_scores.astype(scores.dtype)


def softmax(scores, groups, reduction="mean", negatives=1):
    """(loss, d_scores) of rows [positives; negatives], each group's against its soft maximum."""
    rows = scores.astype(np.float64).reshape(1 + negatives, -1)
    n = rows.shape[1]
    factor = 1 / max(n, 1) if reduction == "mean" else 1.0
    d_scores, total = np.zeros_like(rows), 0.0
    for start, stop in itertools.pairwise(groups):
        if start == stop:
            continue
        group, others = slice(start, stop), rows[1:, start:stop]
        maximum = others.max()
        with np.errstate(invalid="ignore"):
            powers = np.exp(others - maximum)
            difference = rows[0, group] - (maximum + np.log(powers.sum()))
            loss, weight = _pairwise(difference, factor)
            d_scores[1:, group] = powers / powers.sum() * weight.sum()
        d_scores[0, group] = -weight
        total += loss
    return np.asarray(total, np.float64), d_scores.reshape(-1).astype(scores.dtype)
