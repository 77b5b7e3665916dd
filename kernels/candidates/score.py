"""f of candidates whose features stand column by column: a small product that stays in registers.

HIDDEN hidden units of a line of candidates are summed at a time over all features. A lane is one
candidate, so its f is the same wherever it stands and whoever stands beside it.
"""

from __future__ import annotations

import numba as nb
import numpy as np

from ..jit import inlined, parallel, serial
from ..simd import larger, load, number, spread_over, store, zero
from . import HIDDEN, LANES

CHUNK = 256  # candidates whose features are laid out by column at a time


@inlined()
def _added(total, sums, outer, place, linear, table):
    """total + w of a hidden unit times what it passes on."""
    passed = sums if linear else larger(sums, zero(table))
    return total + spread_over(number(outer, 0, place), table) * passed


@serial()
def score_columns(table, count, rows, outer, bias, linear, result):
    """result (1, ≥ count up to a line) = f of the columns of table (F, …)."""
    last = rows.shape[1] - HIDDEN
    for c in range(0, count, LANES):
        total = spread_over(bias, table)
        for group in range(len(rows)):
            h = group * HIDDEN
            s0 = spread_over(number(rows, group, last), table)
            s1 = spread_over(number(rows, group, last + 1), table)
            s2 = spread_over(number(rows, group, last + 2), table)
            s3 = spread_over(number(rows, group, last + 3), table)
            for k in range(0, last, HIDDEN):
                x = load(table, k // HIDDEN, c)
                s0 = s0 + spread_over(number(rows, group, k), table) * x
                s1 = s1 + spread_over(number(rows, group, k + 1), table) * x
                s2 = s2 + spread_over(number(rows, group, k + 2), table) * x
                s3 = s3 + spread_over(number(rows, group, k + 3), table) * x
            total = _added(total, s0, outer, h, linear, table)
            total = _added(total, s1, outer, h + 1, linear, table)
            total = _added(total, s2, outer, h + 2, linear, table)
            total = _added(total, s3, outer, h + 3, linear, table)
        store(total, result, 0, c)


@parallel()
def score_rows(features, rows, outer, bias, linear, result):
    """result (C,) = f of features (C, F), by `score_columns`."""
    count, width = features.shape
    for chunk in nb.prange(-(-count // CHUNK)):
        table, found = np.zeros((width, CHUNK), np.float32), np.empty((1, CHUNK), np.float32)
        here = min(CHUNK, count - chunk * CHUNK)
        for c in range(here):
            for k in range(width):
                table[k, c] = features[chunk * CHUNK + c, k]
        score_columns(table, here, rows, outer, bias, linear, found)
        result[chunk * CHUNK : chunk * CHUNK + here] = found[0, :here]
