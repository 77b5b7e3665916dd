"""linear in Numba. Contract: `__init__.py`."""

import numba as nb
import numpy as np

from ..buffers import LINE, empty, empty_like
from ..jit import FAST, inlined, parallel
from ..tiles import add_outer, add_product

__all__ = [
    "activate",
    "activate_adjoint",
    "affine",
    "affine_adjoint",
    "column_sums",
    "gram",
    "gram_adjoint",
    "network",
    "shift",
    "stack",
    "total",
]

ROWS = 128  # of a block
PIECES = 32  # of rows, for sums over them, whatever the number of threads
CODES = {"identity": 0, "relu": 1, "leaky_relu": 2, "sigmoid": 3}


@inlined()
def _products(x, weight, first, y):
    """y += x·weight[first : first + a], four rows at a time."""
    one, zero = y.dtype.type(1), y.dtype.type(0)
    for n in range(0, len(x), 4):
        left = len(x) - n  # the last row stands for those that are not there, with factor 0
        b, c, e = n + min(1, left - 1), n + min(2, left - 1), n + min(3, left - 1)
        f, g, h = one if left > 1 else zero, one if left > 2 else zero, one if left > 3 else zero
        add_product(x, n, b, c, e, weight, first, one, f, g, h, y)


@parallel()
def _affine(x, weight, bias, y):
    columns, width = y.shape[1], weight.shape[1]
    for block in nb.prange(-(-len(x) // ROWS)):
        rows = slice(block * ROWS, min(len(x), (block + 1) * ROWS))
        if columns == width:
            for n in range(rows.start, rows.stop):
                for j in range(columns):
                    y[n, j] = bias[j]
            _products(x[rows], weight, 0, y[rows])
        else:
            sums = np.zeros((rows.stop - rows.start, width), y.dtype)
            _products(x[rows], weight, 0, sums)
            for n in range(rows.start, rows.stop):
                for j in range(columns):
                    y[n, j] = bias[j] + sums[n - rows.start, j]


def affine(x, weight, bias):
    """y = x·weight + bias."""
    columns = weight.shape[1]
    if bias is None:
        bias = np.zeros(columns, x.dtype)
    y = empty((len(x), columns), x.dtype)
    # Products go by cache lines: a narrow weight is filled up with zeros.
    fill = -columns % (LINE // x.itemsize)
    weight = np.pad(weight, ((0, 0), (0, fill))) if fill else np.ascontiguousarray(weight)
    _affine(x, weight, bias, y)
    return y


@parallel()
def _outer_pieces(x, y, partial):
    rows, pieces = len(x), len(partial)
    for piece in nb.prange(pieces):
        first, last = piece * rows // pieces, (piece + 1) * rows // pieces
        for start in range(first, last, ROWS):
            add_outer(x, y, start, min(last, start + ROWS), partial[piece], 0)


def _outer(x, y):
    """xᵀ·y, by the lines of the one whose width suits `tiles` better."""

    def unsuited(width, line=LINE // x.itemsize):
        return (width % line > 0, width % (4 * line) > 0)

    if unsuited(x.shape[1]) < unsuited(y.shape[1]):
        return np.ascontiguousarray(_outer(y, x).T)
    partial = np.zeros((PIECES, x.shape[1], y.shape[1]), x.dtype)
    _outer_pieces(x, y, partial)
    return partial.sum(axis=0)


@parallel()
def _column_pieces(x, partial):
    rows, pieces = len(x), len(partial)
    for piece in nb.prange(pieces):
        for n in range(piece * rows // pieces, (piece + 1) * rows // pieces):
            for j in range(x.shape[1]):
                partial[piece, j] += x[n, j]


def affine_adjoint(d_y, x, weight, with_bias=True, need_x=True):
    """(d_x, d_weight, d_bias) of `affine`."""
    d_x = affine(d_y, np.ascontiguousarray(weight.T), None) if need_x else None
    if not with_bias:
        return d_x, _outer(x, d_y), None
    d_bias = np.zeros((PIECES, weight.shape[1]), x.dtype)
    _column_pieces(d_y, d_bias)
    return d_x, _outer(x, d_y), d_bias.sum(axis=0)


def gram(x):
    """xᵀ·x."""
    return _outer(x, x)


def gram_adjoint(d_y, x):
    """d_x of `gram`."""
    return affine(x, d_y + d_y.T, None)


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


# ---- networks over all pairs -----------------------------------------------------------------

TILE = 64  # items of a tile: their rows and a layer's outputs stay in the first two caches
CHUNK = 4  # users that pass over a tile while it is there


@inlined()
def _relu(x):
    for n in range(x.shape[0]):
        for j in range(x.shape[1]):
            x[n, j] = x[n, j] if x[n, j] > 0 else x[n, j] * 0


@parallel(fastmath=FAST)
def _network(users, items, left, right, weight, widths, weights, biases, output, scores):
    """`weights` and `biases` are the further layers' one after the other, `widths` those of all."""
    n_users, n_items = scores.shape
    d, width = weight.shape
    widest = widths.max()
    for chunk in nb.prange(-(-n_users // CHUNK)):
        begin = chunk * CHUNK
        count = min(CHUNK, n_users - begin)
        stretched = np.empty((count * d, width), scores.dtype)  # diag(p_u)·W of each user
        for u in range(count):
            for a in range(d):
                for j in range(width):
                    stretched[u * d + a, j] = left[begin + u, a] * weight[a, j]
        room, other = np.empty(TILE * widest, scores.dtype), np.empty(TILE * widest, scores.dtype)
        for start in range(0, n_items, TILE):
            rows = min(TILE, n_items - start)
            for u in range(begin, begin + count):
                x = room[: rows * width].reshape(rows, width)
                for n in range(rows):
                    for j in range(width):
                        x[n, j] = items[start + n, j] if len(items) else 0
                    if len(users):
                        for j in range(width):
                            x[n, j] += users[u, j]
                if d:
                    _products(right[start : start + rows], stretched, (u - begin) * d, x)
                _relu(x)
                at, wide = 0, 0
                for layer in range(1, len(widths)):
                    a, c = widths[layer - 1], widths[layer]
                    y = (other if layer % 2 else room)[: rows * c].reshape(rows, c)
                    for n in range(rows):
                        for j in range(c):
                            y[n, j] = biases[wide + j]
                    _products(x, weights[at : at + a * c].reshape(a, c), 0, y)
                    _relu(y)
                    at, wide, x = at + a * c, wide + c, y
                for n in range(rows):
                    total = scores.dtype.type(0)
                    for j in range(x.shape[1]):
                        total += x[n, j] * output[j]
                    scores[u, start + n] = total


def _filled(x, *axes):
    """An array with zeros up to whole cache lines along some axes: products go by lines."""
    line = LINE // x.itemsize
    fill = [(0, -size % line if axis in axes else 0) for axis, size in enumerate(x.shape)]
    return np.ascontiguousarray(np.pad(x, fill))


def network(users, items, product, layers, output):
    """⟨h_L, output⟩ of every user and item: a tile of items stays in the caches from the first
    layer to the score."""
    width = (product[2] if items is None else items).shape[1]
    none, dtype = np.empty((0, width), output.dtype), output.dtype
    left, right, weight = (none, none, none) if product is None else product
    owners = users if product is None else left
    shape = (1 if owners is None else len(owners), len(right if items is None else items))
    scores = empty(shape, dtype)
    first = [_filled(none if one is None else one, 1) for one in (users, items, weight)]
    filled = [(_filled(one, 0, 1), _filled(bias, 0)) for one, bias in layers]
    widths = np.array([first[2].shape[1], *(one.shape[1] for one, _ in filled)])
    joined = [np.concatenate([np.empty(0, dtype), *(x[k].ravel() for x in filled)]) for k in (0, 1)]
    left, right = np.ascontiguousarray(left), np.ascontiguousarray(right)
    arguments = (left, right, first[2], widths, *joined, _filled(output, 0))
    _network(*first[:2], *arguments, scores)
    return scores


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
    """Rows of a, then rows of b, or of these the rows `nodes`; starts at a cache line."""
    count = len(a) + len(b) if nodes is None else len(nodes)
    y = empty((count, a.shape[1]), a.dtype)
    _stack(a, b, np.empty(0, np.int32) if nodes is None else nodes, y)
    return y


@parallel()
def _shift(x, bias, y):
    for n in nb.prange(len(x)):
        for j in range(x.shape[1]):
            y[n, j] = x[n, j] + bias[j]


def shift(x, bias):
    """bias added to each row."""
    y = empty_like(x)
    _shift(x, bias, y)
    return y


@parallel()
def _column_sums(x, sums):
    rows, pieces = len(x), len(sums)
    for piece in nb.prange(pieces):
        row = sums[piece]
        for n in range(piece * rows // pieces, (piece + 1) * rows // pieces):
            for j in range(x.shape[1]):
                row[j] += x[n, j]


def column_sums(x):
    """Sum over the rows, by pieces."""
    sums = np.zeros((PIECES, x.shape[1]), x.dtype)
    _column_sums(x, sums)
    return sums.sum(axis=0)
