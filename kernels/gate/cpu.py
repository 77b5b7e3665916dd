"""gate in Numba. Contract: `__init__.py`."""

import numba as nb
import numpy as np

from ..jit import FAST, parallel
from . import SMALL

__all__ = ["mix", "mix_adjoint", "shares", "shares_adjoint", "softmax", "softmax_adjoint"]


PIECES = 32  # of rows, for sums over them, whatever the number of threads


@parallel()
def _softmax(x, y):
    for n in nb.prange(len(x)):
        top = x[n, 0]
        for s in range(1, x.shape[1]):
            top = max(top, x[n, s])
        total = x.dtype.type(0)
        for s in range(x.shape[1]):
            y[n, s] = np.exp(x[n, s] - top)
            total += y[n, s]
        for s in range(x.shape[1]):
            y[n, s] /= total


def softmax(x):
    """Each row's exponentials over their sum."""
    y = np.empty_like(x)
    _softmax(x, y)
    return y


@parallel()
def _softmax_adjoint(d_y, y, d_x):
    for n in nb.prange(len(y)):
        mean = y.dtype.type(0)
        for s in range(y.shape[1]):
            mean += d_y[n, s] * y[n, s]
        for s in range(y.shape[1]):
            d_x[n, s] = y[n, s] * (d_y[n, s] - mean)


def softmax_adjoint(d_y, y):
    """d_x of `softmax`, from its output."""
    d_x = np.empty_like(y)
    _softmax_adjoint(d_y, y, d_x)
    return d_x


@parallel()
def _shares(counts, weights, small, y):
    for n in nb.prange(len(counts)):
        total = small
        for s in range(len(weights)):
            total += counts[n, s] * weights[s]
        for s in range(len(weights)):
            y[n, s] = counts[n, s] * weights[s] / total


def shares(counts, weights):
    """Each row's weighed counts over their sum."""
    y = np.empty_like(counts)
    _shares(counts, weights, counts.dtype.type(SMALL), y)
    return y


@parallel()
def _shares_adjoint(d_y, counts, y, weights, small, partial):
    rows, pieces = len(counts), len(partial)
    for piece in nb.prange(pieces):
        for n in range(piece * rows // pieces, (piece + 1) * rows // pieces):
            total, mean = small, small * 0
            for s in range(len(weights)):
                total += counts[n, s] * weights[s]
                mean += d_y[n, s] * y[n, s]
            for s in range(len(weights)):
                partial[piece, s] += counts[n, s] / total * (d_y[n, s] - mean)


def shares_adjoint(d_y, counts, y, weights):
    """d_weights of `shares`."""
    partial = np.zeros((PIECES, len(weights)), counts.dtype)
    _shares_adjoint(d_y, counts, y, weights, counts.dtype.type(SMALL), partial)
    return partial.sum(axis=0)


@parallel()
def _mix(weights, parts, y):
    for n in nb.prange(len(weights)):
        row = y[n]
        for a in range(len(row)):
            row[a] = 0
        for s in range(len(parts)):
            for a in range(len(row)):
                row[a] += weights[n, s] * parts[s, n, a]


def mix(weights, parts):
    """Σ_s weights_s · parts_s, row by row."""
    y = np.empty(parts.shape[1:], parts.dtype)
    _mix(weights, parts, y)
    return y


@parallel(fastmath=FAST)
def _mix_adjoint(d_y, weights, parts, d_weights, d_parts):
    for n in nb.prange(len(weights)):
        for s in range(len(parts)):
            total = d_y.dtype.type(0)
            for a in range(d_y.shape[1]):
                total += d_y[n, a] * parts[s, n, a]
                d_parts[s, n, a] = weights[n, s] * d_y[n, a]
            d_weights[n, s] = total


def mix_adjoint(d_y, weights, parts):
    """(d_weights, d_parts) of `mix`."""
    d_weights, d_parts = np.empty_like(weights), np.empty_like(parts)
    _mix_adjoint(d_y, weights, parts, d_weights, d_parts)
    return d_weights, d_parts
