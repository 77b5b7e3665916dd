"""bpr in Numba. Contract: `__init__.py`."""

import math

import numba as nb
import numpy as np

from ..jit import inlined, parallel

__all__ = ["bpr", "hinge", "softmax"]

ROWS = 1024  # of a piece: a partial sum of its own, whatever the number of threads
GROUPS = 32


@inlined()
def _pair(difference):
    """(softplus(−difference), σ(−difference)), by the exponential that cannot overflow."""
    small = math.exp(-abs(difference))
    weight = (small if difference > 0 else 1.0) / (1.0 + small)
    return max(-difference, 0.0) + math.log1p(small), weight


@parallel()
def _bpr(scores, negatives, factor, d_scores, partial):
    n = len(scores) // (1 + negatives)
    for piece in nb.prange(len(partial)):
        total = 0.0
        for i in range(piece * ROWS, min(n, (piece + 1) * ROWS)):
            slope = 0.0
            for j in range(1, 1 + negatives):
                loss, weight = _pair(np.float64(scores[i] - scores[j * n + i]))
                total += loss
                slope += weight
                d_scores[j * n + i] = factor * weight
            d_scores[i] = -factor * slope
        partial[piece] = total


def bpr(scores, reduction="mean", negatives=1):
    """(loss, d_scores) of rows [positives; negatives]."""
    n = len(scores) // (1 + negatives)
    factor = 1 / max(n * negatives, 1) if reduction == "mean" else 1.0
    d_scores = np.empty_like(scores)
    partial = np.zeros(-(-n // ROWS))
    _bpr(scores, negatives, factor, d_scores, partial)
    return np.asarray(partial.sum() * factor), d_scores


@parallel()
def _hinge(scores, negatives, factor, d_scores, partial):
    n = len(scores) // (1 + negatives)
    for piece in nb.prange(len(partial)):
        total = 0.0
        for i in range(piece * ROWS, min(n, (piece + 1) * ROWS)):
            slope = 0.0
            for j in range(1, 1 + negatives):
                missed = 1.0 - np.float64(scores[i] - scores[j * n + i])
                weight = 1.0 if missed > 0 else 0.0
                total += 0.0 if missed <= 0 else missed  # a NaN stays one
                slope += weight
                d_scores[j * n + i] = factor * weight
            d_scores[i] = -factor * slope
        partial[piece] = total


def hinge(scores, count, negatives=1):
    """(loss, d_scores) of rows [positives; negatives], the sum over `count`."""
    n = len(scores) // (1 + negatives)
    factor = 1 / max(count, 1)
    d_scores = np.empty_like(scores)
    partial = np.zeros(-(-n // ROWS))
    _hinge(scores, negatives, factor, d_scores, partial)
    return np.asarray(partial.sum() * factor), d_scores


@parallel()
def _softmax(scores, groups, negatives, factor, d_scores, partial):
    n = len(scores) // (1 + negatives)
    for piece in nb.prange(len(partial)):
        total = 0.0
        for group in range(piece * GROUPS, min(len(groups) - 1, (piece + 1) * GROUPS)):
            start, stop = groups[group], groups[group + 1]
            maximum = -np.inf
            for j in range(1, 1 + negatives):
                for i in range(start, stop):
                    maximum = max(maximum, np.float64(scores[j * n + i]))
            powers = 0.0
            for j in range(1, 1 + negatives):
                for i in range(start, stop):
                    powers += math.exp(np.float64(scores[j * n + i]) - maximum)
            bound = maximum + math.log(powers)
            slope = 0.0
            for i in range(start, stop):
                loss, weight = _pair(np.float64(scores[i]) - bound)
                total += loss
                slope += weight
                d_scores[i] = -factor * weight
            slope *= factor / powers
            for j in range(1, 1 + negatives):
                for i in range(start, stop):
                    power = math.exp(np.float64(scores[j * n + i]) - maximum)
                    d_scores[j * n + i] = power * slope
        partial[piece] = total


def softmax(scores, groups, reduction="mean", negatives=1):
    """(loss, d_scores) of rows [positives; negatives], each group's against its soft maximum."""
    n = len(scores) // (1 + negatives)
    factor = 1 / max(n, 1) if reduction == "mean" else 1.0
    d_scores = np.empty_like(scores)
    partial = np.zeros(-(-(len(groups) - 1) // GROUPS))
    _softmax(scores, groups, negatives, factor, d_scores, partial)
    return np.asarray(partial.sum() * factor), d_scores
