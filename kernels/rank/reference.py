"""rank in NumPy: the truth that the fast forms are held to. Contract: `__init__.py`."""

from __future__ import annotations

import numpy as np

from . import (
    EPSILON,
    DotScorer,
    ExpertsScorer,
    GatedScorer,
    RowsScorer,
    float_type,
    n_items,
    slots,
)

__all__ = ["ranks", "scores", "survey", "top_k"]


def _softmax(logits):
    weights = np.exp(logits - logits.max(axis=1, keepdims=True))
    return weights / weights.sum(axis=1, keepdims=True)


def _dot(a, b):
    return np.sum(a * b, axis=-1)


def _user_scores(scorer, u):
    """Scores (I,) of user u; row sums, not a matrix product, so that equal items score equally."""
    if isinstance(scorer, RowsScorer):
        return scorer.rows[u].copy()
    if isinstance(scorer, DotScorer):
        return _dot(scorer.left[u], scorer.right)
    gate = _softmax(scorer.user_logits[u] + scorer.item_logits)  # (I, K)
    if isinstance(scorer, GatedScorer):
        shares = scorer.user_scale[u] * scorer.item_scale
        return _dot(scorer.left[u], scorer.right) * _dot(gate, shares)
    if isinstance(scorer, ExpertsScorer):
        dtype, width = scorer.left.dtype.type, len(scorer.tower)
        x = (scorer.left[u] + scorer.right).reshape(*gate.shape, width)  # (I, n, w)
        parts = _dot(np.where(x > 0, x, dtype(scorer.slope) * x), scorer.tower)
        return dtype(scorer.score_scale) * (_dot(gate, parts) + dtype(scorer.offset))
    dtype = scorer.item_tables.dtype.type
    q = scorer.user_tables[:, u, None, :] * scorer.item_tables  # (K, I, d)
    q = q[slots(len(q), scorer.own)]
    length = np.sqrt(_dot(q, q) + dtype(EPSILON))  # (K, I)
    cosine = _dot(q, q[0]) / (length * length[0])
    shares = dtype(scorer.projection_scale) * cosine.T
    shares[:, 0] = 1  # the own expert is q itself
    return dtype(scorer.score_scale) * q[0].sum(axis=1) * _dot(gate, shares)


def scores(scorer, users):
    """Scores (b, I) of users against all items."""
    result = np.empty((len(users), n_items(scorer)), float_type(scorer))
    for row, u in zip(result, users, strict=True):
        row[:] = _user_scores(scorer, u)
    return result


def ranks(scorer, users, items, seen_indptr, seen_indices):
    """Rank of each user's item among the candidates, from 0, and how many others tie with it."""
    rank, tied = np.zeros((2, len(users)), np.int32)
    for n, (u, item) in enumerate(zip(users, items, strict=True)):
        s = _user_scores(scorer, u)
        other = np.ones(len(s), bool)
        other[seen_indices[seen_indptr[u] : seen_indptr[u + 1]]] = False
        other[item] = False
        equal = other & (s == s[item])
        higher = other & ~(s <= s[item])  # true for NaN on either side
        rank[n] = np.count_nonzero(higher) + np.count_nonzero(equal[:item])
        tied[n] = np.count_nonzero(equal)
    return rank, tied


def top_k(scorer, users, k, seen_indptr, seen_indices):
    """The k best unseen items of each user and their scores."""
    best = np.full((len(users), k), -1, np.int32)
    values = np.full((len(users), k), -np.inf, float_type(scorer))
    for n, u in enumerate(users):
        s = _user_scores(scorer, u)
        s[seen_indices[seen_indptr[u] : seen_indptr[u + 1]]] = -np.inf
        listed = np.flatnonzero(s > -np.inf)
        order = listed[np.argsort(-s[listed], kind="stable")][:k]
        best[n, : len(order)] = order
        values[n, : len(order)] = s[order]
    return best, values


def survey(scorer, users, k, seen_indptr, seen_indices, asked_indptr, asked_items):
    """`top_k`, and the scores of the asked items of each user."""
    asked = np.empty(len(asked_items), float_type(scorer))
    for n, u in enumerate(users):
        row = slice(asked_indptr[n], asked_indptr[n + 1])
        asked[row] = _user_scores(scorer, u)[asked_items[row]]
    return *top_k(scorer, users, k, seen_indptr, seen_indices), asked
