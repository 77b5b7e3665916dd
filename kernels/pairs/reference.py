"""pairs in NumPy: the truth that the fast forms are held to. Contract: `__init__.py`."""

from __future__ import annotations

import numpy as np

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


def compact(node_lists, n_nodes, capacity=None):
    """Distinct nodes of the lists, rising, and the lists in those numbers."""
    numbers = np.unique(np.concatenate([np.empty(0, np.int32), *node_lists])).astype(np.int32)
    nodes = numbers[numbers >= 0]
    lists = [np.where(one < 0, -1, np.searchsorted(nodes, one)) for one in node_lists]
    return padded(nodes, capacity), tuple(one.astype(np.int32) for one in lists)


def index_pairs(left, right, n_compact):
    """The pairs with their ends sorted by node."""
    ends = np.concatenate([left, right])
    ptr = np.zeros(n_compact + 1, np.int32)
    np.cumsum(np.bincount(ends[ends >= 0], minlength=n_compact), out=ptr[1:])
    slots = np.argsort(np.where(ends < 0, n_compact, ends), kind="stable").astype(np.int32)
    slots[ptr[-1] :] = -1
    return Pairs(left, right, ptr, slots)


def gather(tables, nodes):
    """Rows `nodes` of K tables, (K, B, d)."""
    there = nodes >= 0
    out = np.zeros((len(tables), len(nodes), tables[0].shape[1]), tables[0].dtype)
    for rows, table in zip(out, tables, strict=True):
        rows[there] = table[nodes[there]]
    return out


def gather_adjoint(d_rows, nodes, n_nodes):
    """K tables (N, d), zero but for rows `nodes`."""
    tables = [np.zeros((n_nodes, d_rows.shape[2]), d_rows.dtype) for _ in d_rows]
    for rows, table in zip(d_rows, tables, strict=True):
        table[nodes[nodes >= 0]] = rows[nodes >= 0]
    return tables


def present(pairs):
    """Numbers of the rows that are there, and their pairs."""
    rows = np.flatnonzero(pairs.left >= 0)
    return rows, pairs._replace(left=pairs.left[rows], right=pairs.right[rows])


def all_rows(values, rows, pairs):
    """Values of the rows that are there, among zeros for the absent ones."""
    out = np.zeros((len(pairs.left), *values.shape[1:]), values.dtype)
    out[rows] = values
    return out


def add_to_ends(target, pairs, of_left, of_right):
    """Add a row (or number) a pair to its left and its right node."""
    np.add.at(target, pairs.left, of_left)
    np.add.at(target, pairs.right, of_right)


def dot(x, pairs, score_scale, relation=None):
    """score_scale·Σ_a x_la x_ra r_a of each pair."""
    rows, there = present(pairs)
    products = x[there.left] * x[there.right]
    if relation is not None:
        products = products * relation
    return all_rows(x.dtype.type(score_scale) * products.sum(axis=1), rows, pairs)


def dot_adjoint(d_scores, x, pairs, score_scale, relation=None):
    """(d_x, d_relation or None) of `dot`."""
    rows, pairs = present(pairs)
    g = (x.dtype.type(score_scale) * d_scores[rows])[:, None]
    left, right = x[pairs.left], x[pairs.right]
    d_x, d_relation, r = np.zeros_like(x), None, 1
    if relation is not None:
        r, d_relation = relation, np.sum(g * left * right, axis=0)
    add_to_ends(d_x, pairs, g * right * r, g * left * r)
    return d_x, d_relation


def join(x, pairs, how):
    """x_l + x_r or x_l ∘ x_r of each pair, (R, d)."""
    rows, there = present(pairs)
    left, right = x[there.left], x[there.right]
    return all_rows(left * right if how == "product" else left + right, rows, pairs)


def join_adjoint(d_y, x, pairs, how):
    """d_x of `join`."""
    rows, pairs = present(pairs)
    g, d_x = d_y[rows], np.zeros_like(x)
    if how == "product":
        add_to_ends(d_x, pairs, g * x[pairs.right], g * x[pairs.left])
    else:
        add_to_ends(d_x, pairs, g, g)
    return d_x


def penalty(x, weights):
    """½·Σ_n weights_n·⟨x_n,x_n⟩, () float64."""
    squares = np.sum(x * x, axis=1)
    return np.asarray(0.5 * np.sum(weights.astype(np.float64) * squares.astype(np.float64)))


def penalty_adjoint(d_out, x, weights):
    """d_out·weights_n·x_n, row by row."""
    factors = float(d_out) * weights.astype(np.float64)
    return factors.astype(x.dtype)[:, None] * x
