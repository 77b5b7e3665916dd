"""attention in Numba. Contract: `__init__.py`.

`memory` goes by blocks of rows, and in a block slot by slot: rows whose slot is closed (p ≤ 0) are
left out, and the slot's matrix stays in the first cache for the others.
"""

import numba as nb
import numpy as np

from ..buffers import LINE, empty, empty_like
from ..jit import FAST, inlined, parallel
from ..simd import expect, larger, load, spread_over, store, total, zero
from ..tiles import add_outer, add_product
from . import check_behaviors

__all__ = [
    "attend",
    "attend_adjoint",
    "memory",
    "memory_adjoint",
    "pool",
    "pool_adjoint",
    "predict",
]

ROWS = 128  # of a block
PIECES = 32  # of rows, for sums over them, whatever the number of threads
NODES = 64  # of a piece of `attend`
AHEAD = 4  # nodes whose rows are fetched while one is worked on


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


@inlined()
def _fetch(x, n, count, behaviors):
    """Have node n's rows of x fetched, if there is such a node."""
    if n < count:
        for k in range(behaviors):
            for j in range(0, x.shape[1], LINE // x.itemsize):
                expect(x, k * count + n, j)


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
    width, line = d // heads, LINE // qkv.itemsize
    for piece in nb.prange(-(-count // NODES)):
        w = np.empty((behaviors, behaviors), qkv.dtype)
        for n in range(piece * NODES, min(count, (piece + 1) * NODES)):
            _fetch(qkv, n + AHEAD, count, behaviors)
            for first in range(0, d, width):
                _weights(qkv, n, count, first, width, w)
                for i in range(behaviors):
                    row, v = i * count + n, 2 * d + first
                    for e in range(0, width - line + 1, line):
                        sums = zero(qkv)
                        for j in range(behaviors):
                            factor = spread_over(w[i, j], qkv)
                            sums = sums + factor * load(qkv, j * count + n, v + e)
                        store(sums, o, row, first + e)
                    for e in range(width - width % line, width):
                        sum_ = qkv.dtype.type(0)
                        for j in range(behaviors):
                            sum_ += w[i, j] * qkv[j * count + n, v + e]
                        o[row, first + e] = sum_


def attend(qkv, behaviors, heads):
    """o_k = Σ_j w_kj v_j, head by head."""
    check_behaviors(behaviors, len(qkv))
    o = empty((len(qkv), qkv.shape[1] // 3), qkv.dtype)
    _attend(qkv, behaviors, heads, o)
    return o


@parallel(fastmath=FAST)
def _attend_adjoint(d_o, qkv, behaviors, heads, d_qkv):
    count, d = len(qkv) // behaviors, d_o.shape[1]
    width, line = d // heads, LINE // qkv.itemsize
    scale = qkv.dtype.type(1) / qkv.dtype.type(width)
    for piece in nb.prange(-(-count // NODES)):
        w = np.empty((behaviors, behaviors), qkv.dtype)
        d_s = np.empty((behaviors, behaviors), qkv.dtype)
        for n in range(piece * NODES, min(count, (piece + 1) * NODES)):
            _fetch(qkv, n + AHEAD, count, behaviors)
            _fetch(d_o, n + AHEAD, count, behaviors)
            _fetch(d_qkv, n + AHEAD, count, behaviors)
            for q in range(0, d, width):
                k, v = d + q, 2 * d + q
                _weights(qkv, n, count, q, width, w)
                for i in range(behaviors):
                    mean = qkv.dtype.type(0)
                    for j in range(behaviors):
                        d_s[i, j] = _dot(d_o, i * count + n, q, qkv, j * count + n, v, width)
                        mean += w[i, j] * d_s[i, j]
                    for j in range(behaviors):
                        d_s[i, j] = scale * w[i, j] * (d_s[i, j] - mean)
                for i in range(behaviors):
                    row = i * count + n
                    for e in range(0, width - line + 1, line):
                        d_q, d_k, d_v = zero(qkv), zero(qkv), zero(qkv)
                        for j in range(behaviors):
                            m = j * count + n
                            d_q = d_q + spread_over(d_s[i, j], qkv) * load(qkv, m, k + e)
                            d_k = d_k + spread_over(d_s[j, i], qkv) * load(qkv, m, q + e)
                            d_v = d_v + spread_over(w[j, i], qkv) * load(d_o, m, q + e)
                        store(d_q, d_qkv, row, q + e)
                        store(d_k, d_qkv, row, k + e)
                        store(d_v, d_qkv, row, v + e)
                    for e in range(width - width % line, width):
                        sums = (qkv.dtype.type(0), qkv.dtype.type(0), qkv.dtype.type(0))
                        for j in range(behaviors):
                            m = j * count + n
                            sums = (
                                sums[0] + d_s[i, j] * qkv[m, k + e],
                                sums[1] + d_s[j, i] * qkv[m, q + e],
                                sums[2] + w[j, i] * d_o[m, q + e],
                            )
                        d_qkv[row, q + e], d_qkv[row, k + e], d_qkv[row, v + e] = sums


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


@inlined()
def _hidden(right, n, places, count, w, b, v, j):
    """⟨relu(x W + b), v⟩ of one line of columns for four rows from n on, lanes not yet added up."""
    low = zero(w)
    a0, a1, a2, a3 = load(b, 0, j), load(b, 0, j), load(b, 0, j), load(b, 0, j)
    for i in range(count):
        row, place = load(w, i, j), places[i]
        a0 = a0 + spread_over(right[n, place], w) * row
        a1 = a1 + spread_over(right[n + 1, place], w) * row
        a2 = a2 + spread_over(right[n + 2, place], w) * row
        a3 = a3 + spread_over(right[n + 3, place], w) * row
    factor = load(v, 0, j)
    a0, a1 = larger(low, a0) * factor, larger(low, a1) * factor
    return a0, a1, larger(low, a2) * factor, larger(low, a3) * factor


@parallel(fastmath=FAST)
def _predict(left, right, W, b, v, c, scores):
    """W, b, v are filled up to whole lines, `right` to a multiple of four rows."""
    count, d, width = scores.shape[1], left.shape[1], W.shape[1]
    line = LINE // W.itemsize
    for u in nb.prange(len(left)):
        w, places = np.empty_like(W), np.empty(d, np.int64)
        own, there = np.empty(d, W.dtype), 0
        for i in range(d):
            if left[u, i] != 0:  # half of them are 0 after a relu
                places[there] = i
                own[there] = left[u, i] * v[0, i]
                for j in range(width):
                    w[there, j] = left[u, i] * W[i, j]
                there += 1
        for n in range(0, count, 4):
            s0, s1, s2, s3 = zero(W), zero(W), zero(W), zero(W)
            for j in range(0, width, line):
                h0, h1, h2, h3 = _hidden(right, n, places, there, w, b, v, j)
                s0, s1, s2, s3 = s0 + h0, s1 + h1, s2 + h2, s3 + h3
            for r, lanes in ((0, s0), (1, s1), (2, s2), (3, s3)):
                sum_ = c[0] + total(lanes)
                for i in range(there):
                    sum_ += own[i] * right[n + r, places[i]]
                if n + r < count:
                    scores[u, n + r] = sum_


def predict(left, right, W, b, v, c):
    """s = ⟨relu(x W + b) + x, v⟩ + c, x = l ∘ r, for every pair of rows."""
    scores = empty((len(left), len(right)), right.dtype)
    fill = -W.shape[1] % (LINE // W.itemsize)
    W = np.pad(W, ((0, 0), (0, fill)))
    b, v = (np.pad(one.reshape(1, -1), ((0, 0), (0, fill))) for one in (b, v))
    right = np.pad(right, ((0, -len(right) % 4), (0, 0)))
    _predict(left, right, W, b, v, c, scores)
    return scores
