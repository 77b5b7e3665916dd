"""f of candidates whose features stand column by column: a small product that stays in registers.

Four hidden places of a line of candidates are summed at a time over all features. A lane is one
candidate, so its f is the same wherever it stands and whoever stands beside it.
"""

from __future__ import annotations

from typing import NamedTuple

import numba as nb
import numpy as np

from ..data.dataset import Array
from ..kernels.jit import inlined, parallel, serial
from ..kernels.simd import larger, load, number, spread_over, store, zero
from .learner import Weights

LANES = 16  # candidates of a line
HIDDEN = 4  # hidden places at a time: with AVX2 their sums take eight of the sixteen registers
CHUNK = 256  # candidates whose features are laid out by column at a time


class Form(NamedTuple):
    """f with the standardisation folded in: rows (H′, F + 1) over [features, 1], w (1, H′), b.

    H′ is a multiple of HIDDEN; what is added counts nothing. A linear f is its first row.
    """

    rows: Array
    outer: Array
    bias: np.float32
    linear: bool

    @classmethod
    def empty(cls, width: int) -> Form:
        """An f of nothing, where none is asked for."""
        shapes = (HIDDEN, width + 1), (1, HIDDEN)
        return cls(*(np.zeros(shape, np.float32) for shape in shapes), np.float32(0), False)

    @classmethod
    def of(cls, weights: Weights) -> Form:
        """The form of these weights."""
        inner, bias = weights.inner, weights.inner_bias
        linear = inner.shape[1] == 0
        outer, outer_bias = weights.outer, np.float32(weights.outer_bias[0])
        if linear:
            inner, bias = outer[:, None], weights.outer_bias
            outer, outer_bias = np.ones(1, np.float32), np.float32(0)
        folded = inner.astype(np.float64) * weights.scale[:, None]
        constant = bias - weights.mean.astype(np.float64) @ folded
        more = -len(outer) % HIDDEN
        rows = np.pad(np.concatenate([folded.T, constant[:, None]], axis=1), ((0, more), (0, 0)))
        return cls(
            np.ascontiguousarray(rows, np.float32),
            np.pad(outer, (0, more)).astype(np.float32)[None],
            outer_bias,
            linear,
        )


@inlined()
def _activated(table, sums, linear):
    return sums if linear else larger(sums, zero(table))


@serial()
def score(table, count, rows, outer, bias, linear, result):
    """result (1, ≥ count up to a line) = f of the columns of table (F, …)."""
    last = rows.shape[1] - 1
    for c in range(0, count, LANES):
        total = spread_over(bias, table)
        for h in range(0, len(rows), HIDDEN):
            s0 = spread_over(number(rows, h, last), table)
            s1 = spread_over(number(rows, h + 1, last), table)
            s2 = spread_over(number(rows, h + 2, last), table)
            s3 = spread_over(number(rows, h + 3, last), table)
            for k in range(last):
                x = load(table, k, c)
                s0 = s0 + spread_over(number(rows, h, k), table) * x
                s1 = s1 + spread_over(number(rows, h + 1, k), table) * x
                s2 = s2 + spread_over(number(rows, h + 2, k), table) * x
                s3 = s3 + spread_over(number(rows, h + 3, k), table) * x
            total = total + spread_over(number(outer, 0, h), table) * _activated(table, s0, linear)
            total = total + spread_over(number(outer, 0, h + 1), table) * _activated(table, s1, linear)
            total = total + spread_over(number(outer, 0, h + 2), table) * _activated(table, s2, linear)
            total = total + spread_over(number(outer, 0, h + 3), table) * _activated(table, s3, linear)
        store(total, result, 0, c)


@parallel()
def _of_rows(features, rows, outer, bias, linear, result):
    count, width = features.shape
    for chunk in nb.prange(-(-count // CHUNK)):
        table, found = np.zeros((width, CHUNK), np.float32), np.empty((1, CHUNK), np.float32)
        here = min(CHUNK, count - chunk * CHUNK)
        for c in range(here):
            for k in range(width):
                table[k, c] = features[chunk * CHUNK + c, k]
        score(table, here, rows, outer, bias, linear, found)
        result[chunk * CHUNK : chunk * CHUNK + here] = found[0, :here]


def learned(form: Form, features: Array) -> Array:
    """f (C,) of rows of features (C, F), the same numbers as `score` gives."""
    result = np.empty(len(features), np.float32)
    _of_rows(np.ascontiguousarray(features, np.float32), *form, result)
    return result
