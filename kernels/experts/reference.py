"""experts in NumPy: the truth that the fast forms are held to. Contract: `__init__.py`."""

from __future__ import annotations

import numpy as np

from ..gate.reference import softmax, softmax_adjoint
from ..pairs.reference import all_rows, present
from . import check

__all__ = ["mixture", "mixture_adjoint"]


def _sums(users, items, pairs, first, count):
    """Sums (R, count) of both ends' columns from `first` on."""
    part = slice(first, first + count)
    return users[pairs.left, part] + items[pairs.right - len(users), part]


def _activated(x, slope):
    return np.where(x > 0, x, x.dtype.type(slope) * x)


def mixture(users, items, tower, offset, pairs, columns, slope, score_scale):
    """(scores, (gates (R, n), parts (R, n))): what each expert says, weighed."""
    check(columns)
    rows, there = present(pairs)
    width = len(tower)
    parts = np.stack(
        [
            np.sum(tower * _activated(_sums(users, items, there, first, width), slope), axis=1)
            for first in columns.starts(width)
        ],
        axis=1,
    )
    gates = np.ones_like(parts)
    if columns.gate >= 0:
        gates = softmax(_sums(users, items, there, columns.gate, columns.count))
    scores = users.dtype.type(score_scale) * (np.sum(gates * parts, axis=1) + offset)
    return all_rows(scores, rows, pairs), tuple(all_rows(x, rows, pairs) for x in (gates, parts))


def mixture_adjoint(
    d_scores,
    users,
    items,
    tower,
    offset,
    pairs,
    columns,
    slope,
    score_scale,
    saved,
    d_users,
    d_items,
):
    """d_tower of `mixture`; adds to d_users and d_items."""
    rows, there = present(pairs)
    gates, parts = (x[rows] for x in saved)
    width, n_users = len(tower), len(users)
    d_tower = np.zeros_like(tower)
    g = users.dtype.type(score_scale) * d_scores[rows, None]
    for j, first in enumerate(columns.starts(width)):
        x = _sums(users, items, there, first, width)
        d_out = g * gates[:, j : j + 1]
        d_tower += np.sum(d_out * _activated(x, slope), axis=0)
        d_x = d_out * tower * np.where(x > 0, 1, slope).astype(x.dtype)
        part = slice(first, first + width)
        np.add.at(d_users[:, part], there.left, d_x)
        np.add.at(d_items[:, part], there.right - n_users, d_x)
    if columns.gate >= 0:
        d_logits = softmax_adjoint(g * parts, gates)
        part = slice(columns.gate, columns.gate + columns.count)
        np.add.at(d_users[:, part], there.left, d_logits)
        np.add.at(d_items[:, part], there.right - n_users, d_logits)
    return d_tower
