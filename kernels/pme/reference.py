"""pme in NumPy: the truth that the fast forms are held to. Contract: `__init__.py`."""

from __future__ import annotations

import numpy as np

from . import EPSILON, Pairs, padded

__all__ = [
    "compact",
    "dot",
    "dot_adjoint",
    "gated_interaction",
    "gated_interaction_adjoint",
    "gated_side",
    "gated_side_adjoint",
    "gather",
    "gather_adjoint",
    "index_pairs",
    "unique_interaction",
    "unique_interaction_adjoint",
    "unique_side",
    "unique_side_adjoint",
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


def _present(pairs):
    """Numbers of the rows that are there, and their pairs."""
    rows = np.flatnonzero(pairs.left >= 0)
    return rows, pairs._replace(left=pairs.left[rows], right=pairs.right[rows])


def _all_rows(values, rows, pairs):
    """Values of the rows that are there, among zeros for the absent ones."""
    out = np.zeros((len(pairs.left), *values.shape[1:]), values.dtype)
    out[rows] = values
    return out


def _add_to_ends(target, pairs, of_left, of_right):
    """Add a row (or number) a pair to its left and its right node."""
    np.add.at(target, pairs.left, of_left)
    np.add.at(target, pairs.right, of_right)


def dot(x, pairs, m, relation=None):
    """m·Σ_a x_la x_ra r_a of each pair."""
    rows, there = _present(pairs)
    products = x[there.left] * x[there.right]
    if relation is not None:
        products = products * relation
    return _all_rows(x.dtype.type(m) * products.sum(axis=1), rows, pairs)


def dot_adjoint(d_scores, x, pairs, m, relation=None):
    """(d_x, d_relation or None) of `dot`."""
    rows, pairs = _present(pairs)
    g = (x.dtype.type(m) * d_scores[rows])[:, None]
    left, right = x[pairs.left], x[pairs.right]
    d_x, d_relation, r = np.zeros_like(x), None, 1
    if relation is not None:
        r, d_relation = relation, np.sum(g * left * right, axis=0)
    _add_to_ends(d_x, pairs, g * right * r, g * left * r)
    return d_x, d_relation


def _others(tables, k):
    return [j for j in range(len(tables)) if j != k]


def _gates(own, weight, bias, pairs):
    """softmax([x_l ‖ x_r]·weight + bias), (R, K)."""
    d = own.shape[1]
    logits = own[pairs.left] @ weight[:d] + own[pairs.right] @ weight[d:] + bias
    powers = np.exp(logits - logits.max(axis=1, keepdims=True, initial=-np.inf))
    return powers / powers.sum(axis=1, keepdims=True)


def _gates_adjoint(d_gates, gates, own, weight, pairs, d_own):
    """Adds to d_own; returns (d_weight, d_bias)."""
    d = own.shape[1]
    d_logits = gates * (d_gates - np.sum(gates * d_gates, axis=1, keepdims=True))
    _add_to_ends(d_own, pairs, d_logits @ weight[:d].T, d_logits @ weight[d:].T)
    d_weight = np.concatenate([own[pairs.left].T @ d_logits, own[pairs.right].T @ d_logits])
    return d_weight, d_logits.sum(axis=0)


def _shares(tables, k, t):
    """c (B, K) by gate slot: 1 for the own expert, t·⟨Z^j,Z^k⟩/norm for the others; and norm."""
    own = tables[k]
    norm = np.sum(own * own, axis=1) + own.dtype.type(EPSILON)
    others = [
        own.dtype.type(t) * np.sum(tables[j] * own, axis=1) / norm for j in _others(tables, k)
    ]
    return np.stack([np.ones_like(norm), *others], axis=1), norm


def gated_side(tables, n_users, k, weight, bias, pairs, t, m):
    """Gated scores of the pairs, experts projected for users and items apart."""
    own = tables[k]
    rows, there = _present(pairs)
    gates = _gates(own, weight, bias, there)
    c, norm = _shares(tables, k, t)
    product = np.sum(own[there.left] * own[there.right], axis=1)
    mix = np.sum(gates * c[there.left] * c[there.right], axis=1)
    scores = _all_rows(own.dtype.type(m) * product * mix, rows, pairs)
    return scores, (_all_rows(gates, rows, pairs), c, norm, product, mix)


def gated_side_adjoint(d_scores, tables, n_users, k, weight, bias, pairs, t, m, saved):
    """(d_tables, d_weight, d_bias) of `gated_side`."""
    gates, c, norm, product, mix = saved
    rows, pairs = _present(pairs)
    gates = gates[rows]
    own, d_tables = tables[k], np.zeros_like(tables)
    g = own.dtype.type(m) * d_scores[rows]
    d_product = (g * mix)[:, None]
    _add_to_ends(d_tables[k], pairs, d_product * own[pairs.right], d_product * own[pairs.left])
    d_mix = (g * product)[:, None]
    c_left, c_right = c[pairs.left], c[pairs.right]
    d_c = np.zeros_like(c)
    _add_to_ends(d_c, pairs, d_mix * gates * c_right, d_mix * gates * c_left)
    for slot, j in enumerate(_others(tables, k), 1):  # c = t·⟨Z^j,Z^k⟩ / norm
        h = (d_c[:, slot] / norm)[:, None]
        d_tables[j] += own.dtype.type(t) * h * own
        d_tables[k] += own.dtype.type(t) * h * tables[j] - 2 * h * c[:, slot : slot + 1] * own
    d_gates = d_mix * c_left * c_right
    d_weight, d_bias = _gates_adjoint(d_gates, gates, own, weight, pairs, d_tables[k])
    return d_tables, d_weight, d_bias


def unique_side(table_j, table_k, pairs, t, m):
    """Scores of what j's tables have beyond k's, users and items apart."""
    norm = np.sum(table_k * table_k, axis=1) + table_k.dtype.type(EPSILON)
    c = np.sum(table_j * table_k, axis=1) / norm
    unique = table_j.dtype.type(t) * (table_j - c[:, None] * table_k)
    return dot(unique, pairs, m), (unique, c, norm)


def unique_side_adjoint(d_scores, table_j, table_k, pairs, t, m, saved):
    """(d_j, d_k) of `unique_side`."""
    unique, c, norm = saved
    d_unique, _ = dot_adjoint(d_scores, unique, pairs, m)
    d_unique = table_j.dtype.type(t) * d_unique  # of Z^j − cZ^k
    d_c = -np.sum(d_unique * table_k, axis=1)
    h, c = (d_c / norm)[:, None], c[:, None]
    d_j = d_unique + h * table_k
    d_k = -c * d_unique + h * table_j - 2 * h * c * table_k
    return d_j, d_k


def _interactions(tables, pairs):
    return tables[:, pairs.left] * tables[:, pairs.right]  # q^j, (K, R, d)


def _interactions_adjoint(d_q, tables, pairs):
    d_tables = np.zeros_like(tables)
    for j, table in enumerate(tables):
        _add_to_ends(d_tables[j], pairs, d_q[j] * table[pairs.right], d_q[j] * table[pairs.left])
    return d_tables


def _cosine(a, b):
    """cos(a, b) row by row, and both roots."""
    epsilon = a.dtype.type(EPSILON)
    root_a = np.sqrt(np.sum(a * a, axis=1) + epsilon)
    root_b = np.sqrt(np.sum(b * b, axis=1) + epsilon)
    return np.sum(a * b, axis=1) / (root_a * root_b), root_a, root_b


def _cosine_adjoint(d_cosine, a, b, cosine, root_a, root_b):
    across = (d_cosine / (root_a * root_b))[:, None]
    pull = d_cosine * cosine
    d_a = across * b - (pull / root_a**2)[:, None] * a
    d_b = across * a - (pull / root_b**2)[:, None] * b
    return d_a, d_b


def gated_interaction(tables, n_users, k, weight, bias, pairs, t, m):
    """Gated scores of the pairs, experts projected as vectors of the pair."""
    rows, there = _present(pairs)
    gates = _gates(tables[k], weight, bias, there)
    q = _interactions(tables, there)
    mix, cosines = gates[:, 0].copy(), []
    for slot, j in enumerate(_others(tables, k), 1):
        cosines.append(_cosine(q[j], q[k]))
        mix += tables.dtype.type(t) * gates[:, slot] * cosines[-1][0]
    total = q[k].sum(axis=1)
    scores = _all_rows(tables.dtype.type(m) * total * mix, rows, pairs)
    return scores, (_all_rows(gates, rows, pairs), total, mix, cosines)


def gated_interaction_adjoint(d_scores, tables, n_users, k, weight, bias, pairs, t, m, saved):
    """(d_tables, d_weight, d_bias) of `gated_interaction`."""
    gates, total, mix, cosines = saved
    rows, pairs = _present(pairs)
    gates = gates[rows]
    q = _interactions(tables, pairs)
    d_q, d_gates = np.zeros_like(q), np.zeros_like(gates)
    g = tables.dtype.type(m) * d_scores[rows]
    d_q[k] += (g * mix)[:, None]
    d_mix = g * total
    d_gates[:, 0] = d_mix
    for slot, j in enumerate(_others(tables, k), 1):
        d_shared = d_mix * tables.dtype.type(t)
        d_gates[:, slot] = d_shared * cosines[slot - 1][0]
        d_j, d_k = _cosine_adjoint(d_shared * gates[:, slot], q[j], q[k], *cosines[slot - 1])
        d_q[j] += d_j
        d_q[k] += d_k
    d_tables = _interactions_adjoint(d_q, tables, pairs)
    d_weight, d_bias = _gates_adjoint(d_gates, gates, tables[k], weight, pairs, d_tables[k])
    return d_tables, d_weight, d_bias


def unique_interaction(table_j, table_k, pairs, t, m):
    """m·(Σ q^j − t·cos(q^j, q^k)·Σ q^k) of each pair."""
    rows, there = _present(pairs)
    q_j, q_k = _interactions(np.stack([table_j, table_k]), there)
    cosine = _cosine(q_j, q_k)
    f = table_j.dtype.type
    scores = f(m) * (q_j.sum(axis=1) - f(t) * cosine[0] * q_k.sum(axis=1))
    return _all_rows(scores, rows, pairs), cosine


def unique_interaction_adjoint(d_scores, table_j, table_k, pairs, t, m, saved):
    """(d_j, d_k) of `unique_interaction`."""
    tables = np.stack([table_j, table_k])
    rows, pairs = _present(pairs)
    q = _interactions(tables, pairs)
    f = table_j.dtype.type
    g = f(m) * d_scores[rows]
    d_j, d_k = _cosine_adjoint(-g * f(t) * q[1].sum(axis=1), q[0], q[1], *saved)
    d_q = np.stack([d_j + g[:, None], d_k - (g * f(t) * saved[0])[:, None]])
    return tuple(_interactions_adjoint(d_q, tables, pairs))
