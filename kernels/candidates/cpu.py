"""candidates for the CPU, in Numba. Contract: `__init__.py`.

`nominate.py` is the first pass over neighbour lists, `describe.py` the second, with `ranks.py` and
`score.py` for its columns.
"""

from __future__ import annotations

import numpy as np

from ..rows import filled, offsets
from . import HIDDEN, Form, n_features
from . import describe as describing
from . import nominate as nominating
from . import score as scoring

__all__ = ["describe", "nominate", "score", "score_rows"]

NO_FORM = Form(
    np.zeros((1, HIDDEN), np.float32), np.zeros((1, HIDDEN), np.float32), np.float32(0), False
)


def nominate(users, own, graph, soon, limits):
    """Candidates before a model is asked."""
    K = len(graph.stages)
    auxiliary = own.indptr[users * K + K - 1] - own.indptr[users * K]
    room = np.minimum(auxiliary + limits.graph + limits.alike + limits.soon, len(graph.known))
    starts, counts = offsets(room), np.zeros(len(users), np.int64)
    items = np.empty(starts[-1], np.int32)
    nominating.nominate(users, own, graph, soon, tuple(limits), K, starts, counts, items)
    return offsets(counts), items[filled(room, counts)]


def describe(users, own, graph, soon, nominated, survey):
    """Candidates and their features."""
    indptr, items, features, _ = _described(users, own, graph, soon, nominated, survey, None)
    return indptr, items, features


def score(users, own, graph, soon, nominated, survey, form):
    """Candidates and their f."""
    indptr, items, _, f = _described(users, own, graph, soon, nominated, survey, form)
    return indptr, items, f


def score_rows(features, form):
    """f of rows of features."""
    f = np.empty(len(features), np.float32)
    scoring.score_rows(np.ascontiguousarray(features, np.float32), *form, f)
    return f


def _described(users, own, graph, soon, nominated, survey, form):
    """indptr, items, and either features (form None) or f; the other one is empty."""
    first_indptr, first_items = nominated
    best, best_scores, first_scores = survey
    more = np.zeros(len(users), np.int64)
    nominating.count_new(first_indptr, first_items, best, len(graph.known), more)
    indptr = first_indptr + offsets(more)
    count, width = int(indptr[-1]), n_features(graph, soon)
    items = np.empty(count, np.int32)
    features = np.empty((0 if form else count, width), np.float32)
    f = np.empty(count if form else 0, np.float32)
    describing.describe(
        users,
        own,
        graph,
        soon,
        len(graph.stages),
        width,
        first_indptr,
        first_items,
        first_scores,
        best,
        best_scores,
        indptr,
        np.log1p(np.arange(np.diff(indptr).max(initial=0) + 1, dtype=np.float32)),
        tuple(form or NO_FORM),
        items,
        features,
        f,
    )
    return indptr, items, features, f
