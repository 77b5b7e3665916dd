"""rank in NumPy: the truth that the fast forms are held to. Contract: `__init__.py`."""

from __future__ import annotations

import numpy as np

from . import DotScorer, RowsScorer, float_type, n_items
from .mixture import dot, mixture

__all__ = ["ranks", "scores", "survey", "top_k"]


def _user_scores(scorer, u):
    """Scores (I,) of user u; row sums, not a matrix product, so that equal items score equally."""
    if isinstance(scorer, RowsScorer):
        return scorer.rows[u].copy()
    if isinstance(scorer, DotScorer):
        return dot(scorer.left[u], scorer.right)
    gate, experts, factor, offset = mixture(scorer, [u], slice(None))
    return factor * (dot(gate, experts) + offset)


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
