"""pairs in Numba. Contract: `__init__.py`.

No atomics: in an adjoint every node is summed by one owner over the pairs it takes part in, so
results do not depend on threads.
"""

import numba as nb
import numpy as np

from ..buffers import empty, empty_like
from ..jit import FAST, parallel, serial
from . import Pairs, padded

__all__ = [
    "compact",
    "dot",
    "dot_adjoint",
    "gather",
    "gather_adjoint",
    "index_pairs",
    "join",
    "join_adjoint",
    "penalty",
    "penalty_adjoint",
]

# The penalty is summed over pieces of so many rows, whatever the number of threads.
PENALTY_ROWS = 256


@serial()
def _mark(numbers, place):
    for i in range(len(numbers)):
        if numbers[i] >= 0:
            place[numbers[i]] = 1


@serial()
def _renumber(numbers, place):
    out = np.empty(len(numbers), np.int32)
    for i in range(len(numbers)):
        out[i] = place[numbers[i]] if numbers[i] >= 0 else -1
    return out


def compact(node_lists, n_nodes, capacity=None):
    """Distinct nodes of the lists, rising, and the lists in those numbers."""
    place = np.zeros(n_nodes, np.int32)
    for numbers in node_lists:
        _mark(numbers, place)
    nodes = np.flatnonzero(place).astype(np.int32)
    place[nodes] = np.arange(len(nodes), dtype=np.int32)
    lists = tuple(_renumber(numbers, place) for numbers in node_lists)
    return padded(nodes, capacity), lists


@serial()
def _counting_sort(left, right, ptr, slots):
    count = len(left)
    for i in range(count):
        if left[i] >= 0:
            ptr[left[i] + 1] += 1
            ptr[right[i] + 1] += 1
    for n in range(len(ptr) - 1):
        ptr[n + 1] += ptr[n]
    cursor = ptr[:-1].copy()
    for i in range(count):
        if left[i] >= 0:
            slots[cursor[left[i]]] = i
            cursor[left[i]] += 1
    for i in range(count):
        if left[i] >= 0:
            slots[cursor[right[i]]] = count + i
            cursor[right[i]] += 1
    for i in range(ptr[-1], 2 * count):  # of absent pairs
        slots[i] = -1


def index_pairs(left, right, n_compact):
    """The pairs with their endpoints sorted by node."""
    ptr = np.zeros(n_compact + 1, np.int32)
    slots = np.empty(2 * len(left), np.int32)
    _counting_sort(left, right, ptr, slots)
    return Pairs(left, right, ptr, slots)


@parallel()
def _take_rows(table, nodes, out):
    for i in nb.prange(len(nodes)):
        if nodes[i] < 0:
            out[i] = 0
            continue
        for j in range(table.shape[1]):
            out[i, j] = table[nodes[i], j]


def gather(tables, nodes):
    """Rows `nodes` of K tables, (K, B, d)."""
    out = empty((len(tables), len(nodes), tables[0].shape[1]), tables[0].dtype)
    for k, table in enumerate(tables):
        _take_rows(table, nodes, out[k])
    return out


@parallel()
def _put_rows(rows, nodes, out):
    """`out` = 0 but for rows `nodes`, which rise."""
    for piece in nb.prange(64):
        first, last = piece * len(out) // 64, (piece + 1) * len(out) // 64
        i = np.searchsorted(nodes, first)
        for n in range(first, last):
            if i < len(nodes) and nodes[i] == n:
                for j in range(out.shape[1]):
                    out[n, j] = rows[i, j]
                i += 1
            else:
                for j in range(out.shape[1]):
                    out[n, j] = 0


def gather_adjoint(d_rows, nodes, n_nodes):
    """K tables (N, d), zero but for rows `nodes`."""
    tables = [empty((n_nodes, d_rows.shape[2]), d_rows.dtype) for _ in d_rows]
    nodes = nodes[: np.count_nonzero(nodes >= 0)]
    for rows, table in zip(d_rows, tables, strict=True):
        _put_rows(rows, nodes, table)
    return tables


@parallel(fastmath=FAST)
def _pair_dots(x, y, left, right, score_scale, out):
    for r in nb.prange(len(left)):
        total = x.dtype.type(0)
        if left[r] >= 0:
            for j in range(x.shape[1]):
                total += x[left[r], j] * y[right[r], j]
        out[r] = score_scale * total


@parallel(fastmath=FAST)
def _owner_sums(x, left, right, ptr, slots, weights, out):
    """out_n = Σ over n's pairs of weight·x_partner."""
    count = len(left)
    for n in nb.prange(len(ptr) - 1):
        row = out[n]
        for j in range(x.shape[1]):
            row[j] = 0
        for s in range(ptr[n], ptr[n + 1]):
            slot = slots[s]
            pair = slot if slot < count else slot - count
            partner = right[pair] if slot < count else left[pair]
            w = weights[pair]
            for j in range(x.shape[1]):
                row[j] += w * x[partner, j]


def dot(x, pairs, score_scale, relation=None):
    """score_scale·Σ_a x_la x_ra r_a of each pair."""
    scores = np.empty(len(pairs.left), x.dtype)
    weighed = x if relation is None else x * relation
    _pair_dots(weighed, x, pairs.left, pairs.right, x.dtype.type(score_scale), scores)
    return scores


def dot_adjoint(d_scores, x, pairs, score_scale, relation=None):
    """(d_x, d_relation or None) of `dot`."""
    sums = empty_like(x)
    _owner_sums(x, *pairs, d_scores * x.dtype.type(score_scale), sums)
    if relation is None:
        return sums, None
    # Σ over pairs of w x_l∘x_r: each pair is met twice, once at either end
    d_relation = np.sum(x * sums, axis=0) * x.dtype.type(0.5)
    return sums * relation, d_relation


@parallel()
def _join(x, left, right, product, out):
    for r in nb.prange(len(left)):
        if left[r] < 0:
            out[r] = 0
            continue
        a, b = x[left[r]], x[right[r]]
        for j in range(x.shape[1]):
            out[r, j] = a[j] * b[j] if product else a[j] + b[j]


@parallel(fastmath=FAST)
def _owner_joins(d_y, x, left, right, ptr, slots, product, out):
    """out_n = Σ over n's pairs of d_y, times the partner's row where a join was a product."""
    count = len(left)
    for n in nb.prange(len(ptr) - 1):
        row = out[n]
        for j in range(x.shape[1]):
            row[j] = 0
        for s in range(ptr[n], ptr[n + 1]):
            slot = slots[s]
            pair = slot if slot < count else slot - count
            g = d_y[pair]
            if product:
                partner = x[right[pair] if slot < count else left[pair]]
                for j in range(x.shape[1]):
                    row[j] += g[j] * partner[j]
            else:
                for j in range(x.shape[1]):
                    row[j] += g[j]


def join(x, pairs, how):
    """x_l + x_r or x_l ∘ x_r of each pair, (R, d)."""
    y = empty((len(pairs.left), x.shape[1]), x.dtype)
    _join(x, pairs.left, pairs.right, how == "product", y)
    return y


def join_adjoint(d_y, x, pairs, how):
    """d_x of `join`."""
    d_x = empty_like(x)
    _owner_joins(d_y, x, *pairs, how == "product", d_x)
    return d_x


@parallel(fastmath=FAST)
def _penalty_pieces(x, weights, partial):
    for piece in nb.prange(len(partial)):
        total = 0.0
        for n in range(piece * PENALTY_ROWS, min(len(x), (piece + 1) * PENALTY_ROWS)):
            squares = x.dtype.type(0)
            for a in range(x.shape[1]):
                squares += x[n, a] * x[n, a]
            total += np.float64(weights[n]) * np.float64(squares)
        partial[piece] = total


def penalty(x, weights):
    """½·Σ_n weights_n·⟨x_n,x_n⟩, () float64."""
    partial = np.empty(-(-len(x) // PENALTY_ROWS))
    _penalty_pieces(x, weights, partial)
    return np.asarray(0.5 * partial.sum())


@parallel()
def _scale_rows(factors, x, out):
    for n in nb.prange(len(x)):
        for a in range(x.shape[1]):
            out[n, a] = factors[n] * x[n, a]


def penalty_adjoint(d_out, x, weights):
    """d_out·weights_n·x_n, row by row."""
    d_x = empty_like(x)
    _scale_rows((float(d_out) * weights.astype(np.float64)).astype(x.dtype), x, d_x)
    return d_x
