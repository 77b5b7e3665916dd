"""A gated score in NumPy, as weights of experts. Contract: `__init__.py`.

`reference` scores by it, and `pkef_fast.analysis.gates` shows it.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from . import EPSILON, ExpertsScorer, GatedScorer, InteractionScorer, slots


class Mixture(NamedTuple):
    """s = factor·(Σ_j gate_j·experts_j + offset) of n pairs.

    gate and experts (n, S) by slot, factor (n,) or a number, offset a number.
    """

    gate: np.ndarray
    experts: np.ndarray
    factor: np.ndarray
    offset: float = 0.0


def dot(a, b):
    """Inner products of rows, as sums: equal rows have equal ones, whatever stands beside them."""
    return np.sum(a * b, axis=-1)


def _softmax(logits):
    weights = np.exp(logits - logits.max(axis=1, keepdims=True))
    return weights / weights.sum(axis=1, keepdims=True)


def mixture(scorer: GatedScorer | InteractionScorer | ExpertsScorer, users, items) -> Mixture:
    """Of the pairs (users[n], items[n]); one user, or `slice(None)` as items, stands for all."""
    gate = _softmax(scorer.user_logits[users] + scorer.item_logits[items])
    if isinstance(scorer, GatedScorer):
        experts = scorer.user_scale[users] * scorer.item_scale[items]
        return Mixture(gate, experts, dot(scorer.left[users], scorer.right[items]))
    if isinstance(scorer, ExpertsScorer):
        dtype, width = scorer.left.dtype.type, len(scorer.tower)
        x = (scorer.left[users] + scorer.right[items]).reshape(*gate.shape, width)  # (n, S, w)
        experts = dot(np.where(x > 0, x, dtype(scorer.slope) * x), scorer.tower)
        return Mixture(gate, experts, dtype(scorer.score_scale), dtype(scorer.offset))
    dtype = scorer.item_tables.dtype.type
    q = scorer.user_tables[:, users] * scorer.item_tables[:, items]  # (K, n, d)
    q = q[slots(len(q), scorer.own)]
    length = np.sqrt(dot(q, q) + dtype(EPSILON))  # (K, n)
    cosine = dot(q, q[0]) / (length * length[0])
    experts = dtype(scorer.projection_scale) * cosine.T
    experts[:, 0] = 1  # the own expert is q itself
    return Mixture(gate, experts, dtype(scorer.score_scale) * q[0].sum(axis=1))
