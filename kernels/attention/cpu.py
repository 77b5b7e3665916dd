"""attention in Numba. Contract: `__init__.py`.

`memory` goes by blocks of rows, and in a block slot by slot: rows whose slot is closed (p ≤ 0) are
left out, and the slot's matrix stays in the first cache for the others.
"""

import numba as nb
import numpy as np

from ..buffers import LINE, empty, empty_like
from ..jit import FAST, inlined, parallel
from ..simd import load, spread_over, store, total, zero
from ..tiles import add_outer, add_product
from . import check_behaviors

__all__ = ["attend", "attend_adjoint", "memory", "memory_adjoint", "pool", "pool_adjoint"]

ROWS = 128  # of a block
PIECES = 32  # of rows, for sums over them, whatever the number of threads
NODES = 64  # of a piece of `attend`


@inlined(fastmath=FAST)
def _dot(x, n, a, y, m, b, width):
    """⟨x[n, a : a + width], y[m, b : b + width]⟩."""
    line = LINE // x.itemsize
    lanes = zero(x)
    for e in range(0, width - line + 1, line):
        lanes = lanes + load(x, n, a + e) * load(y, m, b + e)
    sum_ = total(lanes)
    for e in range(width - width % line, width):
        sum_ += x[n, a + e] * y[m, b + e]
    return sum_


@inlined()
def _open(p, start, stop, m, rows, factors):
    """The rows of a block whose slot m is open, and their p; padded to a multiple of four by the
    last one with factor 0. Returns how many they are before that."""
    count = 0
    for n in range(start, stop):
        if not p[n, m] <= 0:
            rows[count] = n
            factors[count] = p[n, m]
            count += 1
    for i in range(count, count + -count % 4):
        rows[i] = rows[count - 1]
        factors[i] = 0
    return count


@parallel(fastmath={"contract"})
def _memory(x, p, R, t):
    length, d = len(x), x.shape[1]
    for block in nb.prange(-(-length // ROWS)):
        start, stop = block * ROWS, min(length, (block + 1) * ROWS)
        rows, f = np.empty(ROWS, np.int64), np.empty(ROWS, x.dtype)
        t[start:stop] = 0
        for m in range(p.shape[1]):
            count = _open(p, start, stop, m, rows, f)
            for i in range(0, count, 4):
                a, b, c, e = rows[i], rows[i + 1], rows[i + 2], rows[i + 3]
                add_product(x, a, b, c, e, R, m * d, f[i], f[i + 1], f[i + 2], f[i + 3], t)


def memory(x, p, R):
    """t = Σ_m relu(p_m)·(x R_m), row by row."""
    t = empty_like(x)
    _memory(x, p, R.reshape(-1, x.shape[1]), t)
    return t


@parallel(fastmath=FAST)
def _memory_adjoint(d_t, x, p, back, d_x, d_p, partial):
    length, d, pieces = len(x), x.shape[1], len(partial)
    for piece in nb.prange(pieces):
        first, last = piece * length // pieces, (piece + 1) * length // pieces
        rows, f = np.empty(ROWS, np.int64), np.empty(ROWS, x.dtype)
        packed_x, packed_t = np.empty((ROWS, d), x.dtype), np.empty((ROWS, d), x.dtype)
        through = np.empty((ROWS, d), x.dtype)  # d_t R_mᵀ
        one = x.dtype.type(1)
        for start in range(first, last, ROWS):
            stop = min(last, start + ROWS)
            d_x[start:stop] = 0
            d_p[start:stop] = 0
            for m in range(p.shape[1]):
                count = _open(p, start, stop, m, rows, f)
                padded = count + -count % 4
                for i in range(padded):
                    n = rows[i]
                    for j in range(d):
                        packed_t[i, j] = d_t[n, j]
                        packed_x[i, j] = f[i] * x[n, j]
                        through[i, j] = 0
                for i in range(0, padded, 4):
                    a, b, c, e = i, i + 1, i + 2, i + 3
                    add_product(packed_t, a, b, c, e, back, m * d, one, one, one, one, through)
                for i in range(count):
                    n = rows[i]
                    d_p[n, m] = _dot(x, n, 0, through, i, 0, d)
                    for j in range(d):
                        d_x[n, j] += f[i] * through[i, j]
                add_outer(packed_x, packed_t, 0, count, partial[piece], m * d)


def memory_adjoint(d_t, x, p, R):
    """(d_x, d_p, d_R) of `memory`."""
    d_x, d_p = empty_like(x), np.empty_like(p)
    back = np.ascontiguousarray(R.transpose(0, 2, 1)).reshape(-1, x.shape[1])
    partial = np.zeros((PIECES, *back.shape), x.dtype)
    _memory_adjoint(d_t, x, p, back, d_x, d_p, partial)
    return d_x, d_p, partial.sum(axis=0).reshape(R.shape)


@inlined(fastmath=FAST)
def _combine(weights, i, x, at, y, to, n, count, width):
    """y_i[to : to + width] = Σ_j weights[i, j]·x_j[at : at + width] of node n."""
    line, row = LINE // x.itemsize, i * count + n
    for e in range(0, width - line + 1, line):
        sums = spread_over(weights[i, 0], x) * load(x, n, at + e)
        for j in range(1, len(weights)):
            sums = sums + spread_over(weights[i, j], x) * load(x, j * count + n, at + e)
        store(sums, y, row, to + e)
    for e in range(width - width % line, width):
        sum_ = weights[i, 0] * x[n, at + e]
        for j in range(1, len(weights)):
            sum_ += weights[i, j] * x[j * count + n, at + e]
        y[row, to + e] = sum_


@inlined(fastmath=FAST)
def _weights(qkv, n, count, first, width, w):
    """w[i, j] = softmax over j of ⟨q_i, k_j⟩ / h of node n, for the head that begins at `first`."""
    d, behaviors = qkv.shape[1] // 3, len(w)
    scale = w.dtype.type(1) / w.dtype.type(width)
    for i in range(behaviors):
        top = -w.dtype.type(np.inf)
        for j in range(behaviors):
            w[i, j] = scale * _dot(qkv, i * count + n, first, qkv, j * count + n, d + first, width)
            top = max(top, w[i, j])
        sum_ = w.dtype.type(0)
        for j in range(behaviors):
            w[i, j] = np.exp(w[i, j] - top)
            sum_ += w[i, j]
        for j in range(behaviors):
            w[i, j] /= sum_


@parallel(fastmath=FAST)
def _attend(qkv, behaviors, heads, o):
    count, d = len(qkv) // behaviors, o.shape[1]
    width = d // heads
    for piece in nb.prange(-(-count // NODES)):
        w = np.empty((behaviors, behaviors), qkv.dtype)
        for n in range(piece * NODES, min(count, (piece + 1) * NODES)):
            for first in range(0, d, width):
                _weights(qkv, n, count, first, width, w)
                for i in range(behaviors):
                    _combine(w, i, qkv, 2 * d + first, o, first, n, count, width)


def attend(qkv, behaviors, heads):
    """o_k = Σ_j w_kj v_j, head by head."""
    check_behaviors(behaviors, len(qkv))
    o = empty((len(qkv), qkv.shape[1] // 3), qkv.dtype)
    _attend(qkv, behaviors, heads, o)
    return o


@parallel(fastmath=FAST)
def _attend_adjoint(d_o, qkv, behaviors, heads, d_qkv):
    count, d = len(qkv) // behaviors, d_o.shape[1]
    width = d // heads
    scale = qkv.dtype.type(1) / qkv.dtype.type(width)
    for piece in nb.prange(-(-count // NODES)):
        w = np.empty((behaviors, behaviors), qkv.dtype)
        d_s, w_across, d_s_across = np.empty_like(w), np.empty_like(w), np.empty_like(w)
        for n in range(piece * NODES, min(count, (piece + 1) * NODES)):
            for first in range(0, d, width):
                q, k, v = first, d + first, 2 * d + first
                _weights(qkv, n, count, first, width, w)
                for i in range(behaviors):
                    mean = qkv.dtype.type(0)
                    for j in range(behaviors):
                        d_s[i, j] = _dot(d_o, i * count + n, first, qkv, j * count + n, v, width)
                        mean += w[i, j] * d_s[i, j]
                    for j in range(behaviors):
                        d_s[i, j] = scale * w[i, j] * (d_s[i, j] - mean)
                        w_across[j, i], d_s_across[j, i] = w[i, j], d_s[i, j]
                for i in range(behaviors):
                    _combine(d_s, i, qkv, k, d_qkv, q, n, count, width)
                    _combine(d_s_across, i, qkv, q, d_qkv, k, n, count, width)
                    _combine(w_across, i, d_o, first, d_qkv, v, n, count, width)


def attend_adjoint(d_o, qkv, behaviors, heads):
    """d_qkv of `attend`."""
    d_qkv = empty_like(qkv)
    _attend_adjoint(d_o, qkv, behaviors, heads, d_qkv)
    return d_qkv


@inlined(fastmath=FAST)
def _pool_weights(g, n, count, w):
    """w = softmax over k of g[k·count + n, 0]."""
    top = g[n, 0]
    for k in range(1, len(w)):
        top = max(top, g[k * count + n, 0])
    sum_ = g.dtype.type(0)
    for k in range(len(w)):
        w[k] = np.exp(g[k * count + n, 0] - top)
        sum_ += w[k]
    for k in range(len(w)):
        w[k] /= sum_


@parallel(fastmath=FAST)
def _pool(g, o, behaviors, y):
    count = len(y)
    for piece in nb.prange(-(-count // NODES)):
        w = np.empty(behaviors, g.dtype)
        for n in range(piece * NODES, min(count, (piece + 1) * NODES)):
            _pool_weights(g, n, count, w)
            for j in range(o.shape[1]):
                y[n, j] = w[0] * o[n, j]
            for k in range(1, behaviors):
                for j in range(o.shape[1]):
                    y[n, j] += w[k] * o[k * count + n, j]


def pool(g, o, behaviors):
    """y = Σ_k w_k o_k, w = softmax over k of g_k."""
    y = empty((check_behaviors(behaviors, len(o)), o.shape[1]), o.dtype)
    _pool(g, o, behaviors, y)
    return y


@parallel(fastmath=FAST)
def _pool_adjoint(d_y, g, o, behaviors, d_g, d_o):
    count = len(d_y)
    for piece in nb.prange(-(-count // NODES)):
        w = np.empty(behaviors, g.dtype)
        for n in range(piece * NODES, min(count, (piece + 1) * NODES)):
            _pool_weights(g, n, count, w)
            mean = g.dtype.type(0)
            for k in range(behaviors):
                row = k * count + n
                for j in range(o.shape[1]):
                    d_o[row, j] = w[k] * d_y[n, j]
                d_g[row, 0] = _dot(d_y, n, 0, o, row, 0, o.shape[1])
                mean += w[k] * d_g[row, 0]
            for k in range(behaviors):
                d_g[k * count + n, 0] = w[k] * (d_g[k * count + n, 0] - mean)


def pool_adjoint(d_y, g, o, behaviors):
    """(d_g, d_o) of `pool`."""
    d_g, d_o = np.empty_like(g), empty_like(o)
    _pool_adjoint(d_y, g, o, behaviors, d_g, d_o)
    return d_g, d_o
