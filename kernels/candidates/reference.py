"""candidates in NumPy: the truth that the CPU form is held to. Contract: `__init__.py`."""

from __future__ import annotations

import numpy as np

from ..rows import offsets
from . import EPSILON, HIDDEN, n_features

__all__ = ["describe", "nominate", "score", "score_rows"]


def _row(indptr, values, n):
    return values[indptr[n] : indptr[n + 1]]


def _own(own, u, K):
    """The user's items by behaviour."""
    return [_row(own.indptr, own.indices, u * K + s) for s in range(K)]


# ---- which --------------------------------------------------------------------------------------


def _best(sums, most):
    """The items of the largest sums above 0; of equal ones the lowest numbers."""
    positive = np.flatnonzero(sums > 0)
    return positive[np.argsort(-sums[positive], kind="stable")[:most]]


def _choosing_sums(u, rows, graph, soon):
    """g, x_1 and, where there are touches, m of all items and of the padding: (2 or 3, I + 1)."""
    K, n = len(rows), graph.items.shape[1]
    F = graph.values.dtype.type
    sums = np.zeros((3 if len(soon.mates) else 2, len(graph.known) + 1), F)
    choosing = graph.choosing.reshape(-1, K + 1, n)
    for s, row in enumerate(rows):
        share = F(1) / F(max(len(row), 1))
        for i in row:
            sums[0, graph.items[i]] += graph.stages[s] * share * choosing[i, s]
            if s == 0:
                sums[1, graph.items[i]] += share * choosing[i, K]
    if len(soon.mates):
        for e in range(soon.indptr[u], soon.indptr[u + 1]):
            i = soon.items[e]
            sums[2, soon.mates[i]] += soon.choosing[e] * soon.strength[i]
    return sums


def nominate(users, own, graph, soon, limits):
    """Candidates before a model is asked."""
    n_items, K = len(graph.known), len(graph.stages)
    found = []
    for u in users:
        rows = _own(own, u, K)
        sums = _choosing_sums(u, rows, graph, soon)
        listed = np.zeros(n_items + 1, bool)
        for row in rows[:-1]:
            listed[row] = True
        listed[rows[-1]] = False
        sums[:, np.concatenate([*rows, [n_items]])] = 0
        most = limits.graph, limits.alike, limits.soon
        for kind in range(len(sums)):
            best = _best(sums[kind], most[kind])
            sums[:, best] = 0
            listed[best] = True
        found.append(np.flatnonzero(listed))
    counts = [len(items) for items in found]
    return offsets(counts), np.concatenate([*found, np.empty(0)]).astype(np.int32)


# ---- what is known of them ----------------------------------------------------------------------


def _sums(rows, items, graph):
    """Σ over own items of what `values` says of each candidate, (C, W), and the largest Σ_ab T_ab.

    Each column has its weights: shares of s for T_sb and T_11, stages times shares for g.
    """
    K, n = len(rows), graph.items.shape[1]
    F = graph.values.dtype.type
    slot = np.full(len(graph.known) + 1, -1)
    slot[items] = np.arange(len(items))
    values = graph.values.reshape(-1, n, graph.values.shape[1])
    sums, nearest = np.zeros((len(items), values.shape[2]), F), np.zeros(len(items), F)
    shares = [F(1) / F(max(len(row), 1)) for row in rows]
    every = np.concatenate(rows)
    distinct, first = np.unique(every, return_index=True)
    for i in distinct[np.argsort(first)]:  # in the order in which they are first met
        weights = np.zeros(values.shape[2], F)
        for s, row in enumerate(rows):
            if i in row:
                weights[s * K : (s + 1) * K] = shares[s]
                if s:
                    weights[K * K + s - 1] = shares[s]
                weights[K * K + K - 1 + s] = graph.stages[s] * shares[s]
        slots = slot[graph.items[i]]
        here = slots >= 0
        sums[slots[here]] += weights * values[i, here]
        total = values[i, here, K * K + 2 * K - 1]
        nearest[slots[here]] = np.maximum(nearest[slots[here]], total)
    return sums, nearest


def _log_ranks(values, F):
    """log(1 + how many are higher) of each, compared as float32, −0 as 0 and NaN above all."""
    bits = (values.astype(np.float32) + np.float32(0)).view(np.int32)
    keys = np.where(bits < 0, bits ^ 0x7FFFFFFF, bits)  # rise as the numbers do
    return np.log1p(len(keys) - np.searchsorted(np.sort(keys), keys, side="right")).astype(F)


def _standardised(values):
    """Less the mean, over the deviation; what is not finite counts as the lowest that is."""
    values = values.astype(np.float64)
    finite = np.isfinite(values)
    values = np.where(finite, values, values[finite].min() if finite.any() else 0.0)
    spread = values.std()
    return (values - values.mean()) / spread if spread > 0 else 0 * values


def _of_times(u, items, soon, F):
    """Columns m_t, the largest S and the gap, before logarithms: (K + 4, C)."""
    kinds = soon.weights.shape[1]
    slot = np.full(len(soon.mates) + 1, -1)
    slot[items] = np.arange(len(items))
    table = np.zeros((kinds + 2, len(items)), F)
    for e in range(soon.indptr[u], soon.indptr[u + 1]):
        i = soon.items[e]
        slots = slot[soon.mates[i]]
        here = slots >= 0
        strength = soon.strength[i, here]
        table[:kinds, slots[here]] += soon.weights[e][:, None] * strength
        table[kinds, slots[here]] = np.maximum(table[kinds, slots[here]], strength)
    for c, v in enumerate(items):
        gaps = np.abs(_row(soon.item_indptr, soon.item_times, v) - soon.asked[u])
        table[kinds + 1, c] = np.fmin.reduce(gaps, initial=soon.span)  # fmin passes over NaN
    return table


def _features(u, items, scores, own, graph, soon):
    """The features of a user's candidates, (C, F)."""
    K, rows = len(graph.stages), _own(own, u, len(graph.stages))
    F = graph.values.dtype.type
    epsilon = F(EPSILON)
    inside = np.array([np.isin(items, row) for row in rows[:-1]], F).reshape(K - 1, len(items))
    active = np.log1p(np.array([len(row) for row in rows], F))
    known = graph.known[items]
    to_target = K + (K - 1) * (K - 2) // 2 + np.arange(K - 1)  # log ratios of the target
    sums, nearest = _sums(rows, items, graph)
    g = np.zeros(len(items), F)
    for s in range(K):
        g += sums[:, K * K + K - 1 + s]
    columns = [
        *inside,
        *(inside * known[:, K - 1]),
        *(inside * known[:, to_target].T),
        *(inside * active[: K - 1, None]),
        *np.repeat(active[:, None], len(items), axis=1),
        *known.T,
        *np.log(sums[:, : K * K + K - 1].T + epsilon),
        np.log(g + epsilon),
        np.log(nearest + epsilon),
        _log_ranks(g, F),
        _log_ranks(sums[:, 0], F),
        _standardised(scores),
        _log_ranks(scores, F),
    ]
    if len(soon.mates):
        *found, gap = _of_times(u, items, soon, F)
        columns += [*(np.log(one + epsilon) for one in found), np.log(gap + F(1))]
    return np.array(columns, F).T


def describe(users, own, graph, soon, nominated, survey):
    """Candidates and their features."""
    best, best_scores, first_scores = survey
    items, features = [], [np.empty((0, n_features(graph, soon)), graph.values.dtype)]
    for w, u in enumerate(users):
        first = _row(*nominated, w)
        listed = best[w] >= 0
        here = np.union1d(first, best[w, listed]).astype(np.int32)
        scores = np.zeros(len(graph.known), best_scores.dtype)
        scores[first] = _row(nominated[0], first_scores, w)
        scores[best[w, listed]] = best_scores[w, listed]
        items.append(here)
        if len(here):
            features.append(_features(u, here, scores[here], own, graph, soon))
    indptr = offsets([len(here) for here in items])
    items = np.concatenate([*items, np.empty(0)]).astype(np.int32)
    return indptr, items, np.concatenate(features)


# ---- f ------------------------------------------------------------------------------------------


def score_rows(features, form):
    """f of rows of features."""
    rows, outer, bias, linear = form
    n_columns = rows.shape[1] // HIDDEN
    columns = rows.reshape(-1, n_columns, HIDDEN).transpose(1, 0, 2).reshape(n_columns, -1)
    hidden = np.repeat(columns[-1:], len(features), axis=0)
    for x, weights in zip(features.T, columns, strict=False):  # in this order, so that equal rows
        hidden = hidden + x[:, None] * weights  # give equal f
    if not linear:
        hidden = np.maximum(hidden, 0)
    f = np.full(len(features), bias, hidden.dtype)
    for unit, weight in zip(hidden.T, outer[0], strict=True):
        f = f + weight * unit
    return f.astype(np.float32)


def score(users, own, graph, soon, nominated, survey, form):
    """Candidates and their f."""
    indptr, items, features = describe(users, own, graph, soon, nominated, survey)
    return indptr, items, score_rows(features, form)
