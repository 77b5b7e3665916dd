"""linear in Numba. Contract: `__init__.py`."""

import numba as nb
import numpy as np

from ..buffers import empty, empty_like
from ..jit import FAST, parallel

__all__ = ["activate", "activate_adjoint", "affine", "affine_adjoint", "stack", "total"]

PIECES = 32  # of rows, for sums over them, whatever the number of threads
CODES = {"identity": 0, "relu": 1, "leaky_relu": 2, "sigmoid": 3}


@parallel(fastmath=FAST)
def _affine(x, weight, bias, y):
    for n in nb.prange(x.shape[0]):
        row = y[n]
        for j in range(y.shape[1]):
            row[j] = bias[j]
        for i in range(x.shape[1]):
            value = x[n, i]
            for j in range(y.shape[1]):
                row[j] += value * weight[i, j]


def affine(x, weight, bias):
    """y = x·weight + bias."""
    if bias is None:
        bias = np.zeros(weight.shape[1], x.dtype)
    y = np.empty((len(x), weight.shape[1]), x.dtype)
    _affine(x, weight, bias, y)
    return y


@parallel(fastmath=FAST)
def _affine_adjoint(d_y, x, d_weight, d_bias):
    rows, pieces = len(x), len(d_bias)
    for piece in nb.prange(pieces):
        for n in range(piece * rows // pieces, (piece + 1) * rows // pieces):
            for i in range(x.shape[1]):
                value = x[n, i]
                for j in range(d_y.shape[1]):
                    d_weight[piece, i, j] += value * d_y[n, j]
            for j in range(d_y.shape[1]):
                d_bias[piece, j] += d_y[n, j]


def affine_adjoint(d_y, x, weight, with_bias=True, need_x=True):
    """(d_x, d_weight, d_bias) of `affine`."""
    d_weight = np.zeros((PIECES, *weight.shape), x.dtype)
    d_bias = np.zeros((PIECES, weight.shape[1]), x.dtype)
    _affine_adjoint(d_y, x, d_weight, d_bias)
    d_x = affine(d_y, np.ascontiguousarray(weight.T), None) if need_x else None
    return d_x, d_weight.sum(axis=0), d_bias.sum(axis=0) if with_bias else None


@parallel()
def _activate(x, code, slope, y):
    one = x.dtype.type(1)
    for i in nb.prange(len(x)):
        value = x[i]
        if code == 1:
            value = value if value > 0 else value * 0
        elif code == 2:
            value = value if value > 0 else slope * value
        elif code == 3:  # by the exponential that cannot overflow
            small = np.exp(-abs(value))
            value = (one if value >= 0 else small) / (one + small)
        y[i] = value


@parallel()
def _activate_adjoint(d_y, y, code, slope, d_x):
    for i in nb.prange(len(y)):
        g = d_y[i]
        if code == 1:
            g = g if y[i] > 0 else g * 0
        elif code == 2:
            g = g if y[i] > 0 else slope * g
        elif code == 3:
            g = g * y[i] * (1 - y[i])
        d_x[i] = g


def activate(x, kind, slope=0.1):
    """y = kind(x), entry by entry."""
    y = np.empty_like(x)
    _activate(x.reshape(-1), CODES[kind], x.dtype.type(slope), y.reshape(-1))
    return y


def activate_adjoint(d_y, y, kind, slope=0.1):
    """d_x of `activate`, from its output."""
    d_x = np.empty_like(y)
    _activate_adjoint(
        d_y.reshape(-1), y.reshape(-1), CODES[kind], y.dtype.type(slope), d_x.reshape(-1)
    )
    return d_x


@parallel()
def _total(a, b, c, three, y):
    for i in nb.prange(len(y)):
        y[i] = (a[i] + b[i]) + c[i] if three else a[i] + b[i]


def total(*parts):
    """Sum of arrays of one shape, in their order; up to three in one pass."""
    result, rest = parts[0], parts[1:]
    if not rest:
        return result.copy()
    while rest:
        y = empty_like(parts[0])
        flat = [np.ascontiguousarray(part).reshape(-1) for part in (result, *rest[:2])]
        _total(flat[0], flat[1], flat[-1], len(flat) == 3, y.reshape(-1))
        result, rest = y, rest[2:]
    return result


@parallel()
def _stack(a, b, nodes, y):
    for r in nb.prange(len(y)):
        n = np.int64(nodes[r]) if len(nodes) else np.int64(r)
        for j in range(y.shape[1]):
            y[r, j] = a[n, j] if n < len(a) else b[n - len(a), j]


def stack(a, b, nodes=None):
    """Rows of a, then rows of b, or these in the order `nodes`; starts at a cache line."""
    y = empty((len(a) + len(b), a.shape[1]), a.dtype)
    _stack(a, b, np.empty(0, np.int32) if nodes is None else nodes, y)
    return y
