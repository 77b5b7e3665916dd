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

LANES = 16  # candidates of a line
HIDDEN = 4  # hidden places at a time: with AVX2 their sums take eight of the sixteen registers
CHUNK = 256  # candidates whose features are laid out by column at a time


class Weights(NamedTuple):
    """A learned f: mean, scale (F,) of the features; V (F, H), a (H,), w (H,), b as of the MLP.

    A linear f has H = F hidden places that pass x on: then V and a are empty (F, 0), (0,).
    """

    mean: Array
    scale: Array
    inner: Array
    inner_bias: Array
    outer: Array
    outer_bias: Array


class Form(NamedTuple):
    """f with the standardisation folded in: rows over [features, 1], w (1, H′), b.

    Rows (H′/HIDDEN, (F + 1)·HIDDEN) hold what HIDDEN places make of the first feature, then of the
    second, …. H′ is a multiple of HIDDEN; what is added counts nothing. A linear f is one place.
    """

    rows: Array
    outer: Array
    bias: np.float32
    linear: bool

    @classmethod
    def empty(cls, width: int) -> Form:
        """An f of nothing, where none is asked for."""
        shapes = (1, (width + 1) * HIDDEN), (1, HIDDEN)
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
        columns = np.pad(np.concatenate([folded, constant[None]]), ((0, 0), (0, more)))
        rows = columns.reshape(len(columns), -1, HIDDEN).transpose(1, 0, 2)
        return cls(
            np.ascontiguousarray(rows, np.float32).reshape(len(rows), -1),
            np.pad(outer, (0, more)).astype(np.float32)[None],
            outer_bias,
            linear,
        )


@inlined()
def _added(total, sums, outer, place, linear, table):
    """total + w of a hidden place times what it passes on."""
    passed = sums if linear else larger(sums, zero(table))
    return total + spread_over(number(outer, 0, place), table) * passed


@serial()
def score(table, count, rows, outer, bias, linear, result):
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
