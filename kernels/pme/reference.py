"""pme in NumPy: the truth that the fast forms are held to. Contract: `__init__.py`."""

from __future__ import annotations

import numpy as np

from ..pairs.reference import add_to_ends, all_rows, dot, dot_adjoint, present
from . import EPSILON

__all__ = [
    "gated_interaction",
    "gated_interaction_adjoint",
    "gated_side",
    "gated_side_adjoint",
    "unique_interaction",
    "unique_interaction_adjoint",
    "unique_side",
    "unique_side_adjoint",
]


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
    add_to_ends(d_own, pairs, d_logits @ weight[:d].T, d_logits @ weight[d:].T)
    d_weight = np.concatenate([own[pairs.left].T @ d_logits, own[pairs.right].T @ d_logits])
    return d_weight, d_logits.sum(axis=0)


def _shares(tables, k, projection_scale):
    """c (B, K) by gate slot: 1 for the own expert, t·⟨Z^j,Z^k⟩/norm for the others; and norm."""
    own = tables[k]
    norm = np.sum(own * own, axis=1) + own.dtype.type(EPSILON)
    others = [
        own.dtype.type(projection_scale) * np.sum(tables[j] * own, axis=1) / norm
        for j in _others(tables, k)
    ]
    return np.stack([np.ones_like(norm), *others], axis=1), norm


def gated_side(tables, n_users, k, weight, bias, pairs, projection_scale, score_scale):
    """Gated scores of the pairs, experts projected for users and items apart."""
    own = tables[k]
    rows, there = present(pairs)
    gates = _gates(own, weight, bias, there)
    c, norm = _shares(tables, k, projection_scale)
    product = np.sum(own[there.left] * own[there.right], axis=1)
    mix = np.sum(gates * c[there.left] * c[there.right], axis=1)
    scores = all_rows(own.dtype.type(score_scale) * product * mix, rows, pairs)
    return scores, (all_rows(gates, rows, pairs), c, norm, product, mix)


def gated_side_adjoint(
    d_scores, tables, n_users, k, weight, bias, pairs, projection_scale, score_scale, saved
):
    """(d_tables, d_weight, d_bias) of `gated_side`."""
    gates, c, norm, product, mix = saved
    rows, pairs = present(pairs)
    gates = gates[rows]
    own, d_tables = tables[k], np.zeros_like(tables)
    g = own.dtype.type(score_scale) * d_scores[rows]
    d_product = (g * mix)[:, None]
    add_to_ends(d_tables[k], pairs, d_product * own[pairs.right], d_product * own[pairs.left])
    d_mix = (g * product)[:, None]
    c_left, c_right = c[pairs.left], c[pairs.right]
    d_c = np.zeros_like(c)
    add_to_ends(d_c, pairs, d_mix * gates * c_right, d_mix * gates * c_left)
    for slot, j in enumerate(_others(tables, k), 1):  # c = t·⟨Z^j,Z^k⟩ / norm
        h = (d_c[:, slot] / norm)[:, None]
        d_tables[j] += own.dtype.type(projection_scale) * h * own
        d_tables[k] += (
            own.dtype.type(projection_scale) * h * tables[j] - 2 * h * c[:, slot : slot + 1] * own
        )
    d_gates = d_mix * c_left * c_right
    d_weight, d_bias = _gates_adjoint(d_gates, gates, own, weight, pairs, d_tables[k])
    return d_tables, d_weight, d_bias


def unique_side(table_j, table_k, pairs, projection_scale, score_scale):
    """Scores of what j's tables have beyond k's, users and items apart."""
    norm = np.sum(table_k * table_k, axis=1) + table_k.dtype.type(EPSILON)
    c = np.sum(table_j * table_k, axis=1) / norm
    unique = table_j.dtype.type(projection_scale) * (table_j - c[:, None] * table_k)
    return dot(unique, pairs, score_scale), (unique, c, norm)


def unique_side_adjoint(d_scores, table_j, table_k, pairs, projection_scale, score_scale, saved):
    """(d_j, d_k) of `unique_side`."""
    unique, c, norm = saved
    d_unique, _ = dot_adjoint(d_scores, unique, pairs, score_scale)
    d_unique = table_j.dtype.type(projection_scale) * d_unique  # of Z^j − cZ^k
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
        add_to_ends(d_tables[j], pairs, d_q[j] * table[pairs.right], d_q[j] * table[pairs.left])
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


def gated_interaction(tables, n_users, k, weight, bias, pairs, projection_scale, score_scale):
    """Gated scores of the pairs, experts projected as vectors of the pair."""
    rows, there = present(pairs)
    gates = _gates(tables[k], weight, bias, there)
    q = _interactions(tables, there)
    mix, cosines = gates[:, 0].copy(), []
    for slot, j in enumerate(_others(tables, k), 1):
        cosines.append(_cosine(q[j], q[k]))
        mix += tables.dtype.type(projection_scale) * gates[:, slot] * cosines[-1][0]
    total = q[k].sum(axis=1)
    scores = all_rows(tables.dtype.type(score_scale) * total * mix, rows, pairs)
    return scores, (all_rows(gates, rows, pairs), total, mix, cosines)


def gated_interaction_adjoint(
    d_scores, tables, n_users, k, weight, bias, pairs, projection_scale, score_scale, saved
):
    """(d_tables, d_weight, d_bias) of `gated_interaction`."""
    gates, total, mix, cosines = saved
    rows, pairs = present(pairs)
    gates = gates[rows]
    q = _interactions(tables, pairs)
    d_q, d_gates = np.zeros_like(q), np.zeros_like(gates)
    g = tables.dtype.type(score_scale) * d_scores[rows]
    d_q[k] += (g * mix)[:, None]
    d_mix = g * total
    d_gates[:, 0] = d_mix
    for slot, j in enumerate(_others(tables, k), 1):
        d_shared = d_mix * tables.dtype.type(projection_scale)
        d_gates[:, slot] = d_shared * cosines[slot - 1][0]
        d_j, d_k = _cosine_adjoint(d_shared * gates[:, slot], q[j], q[k], *cosines[slot - 1])
        d_q[j] += d_j
        d_q[k] += d_k
    d_tables = _interactions_adjoint(d_q, tables, pairs)
    d_weight, d_bias = _gates_adjoint(d_gates, gates, tables[k], weight, pairs, d_tables[k])
    return d_tables, d_weight, d_bias


def unique_interaction(table_j, table_k, pairs, projection_scale, score_scale):
    """m·(Σ q^j − t·cos(q^j, q^k)·Σ q^k) of each pair."""
    rows, there = present(pairs)
    q_j, q_k = _interactions(np.stack([table_j, table_k]), there)
    cosine = _cosine(q_j, q_k)
    f = table_j.dtype.type
    scores = f(score_scale) * (q_j.sum(axis=1) - f(projection_scale) * cosine[0] * q_k.sum(axis=1))
    return all_rows(scores, rows, pairs), cosine


def unique_interaction_adjoint(
    d_scores, table_j, table_k, pairs, projection_scale, score_scale, saved
):
    """(d_j, d_k) of `unique_interaction`."""
    tables = np.stack([table_j, table_k])
    rows, pairs = present(pairs)
    q = _interactions(tables, pairs)
    f = table_j.dtype.type
    g = f(score_scale) * d_scores[rows]
    d_j, d_k = _cosine_adjoint(-g * f(projection_scale) * q[1].sum(axis=1), q[0], q[1], *saved)
    d_q = np.stack([d_j + g[:, None], d_k - (g * f(projection_scale) * saved[0])[:, None]])
    return tuple(_interactions_adjoint(d_q, tables, pairs))
