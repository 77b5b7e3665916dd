"""candidates: which items a user may want, what is known of each, and the learned score f of it.

I items, K behaviours, the last of them the target; w users of a call. s(u) are a user's own items
of behaviour s, T the two-hop sums and S the sums over time of `neighbours`.

nominate(users, own, graph, soon, limits) → indptr (w+1,) int64, items (E,) int32
    Candidates before a model is asked, by rising number: own items of the auxiliary behaviours,
    then the limits.graph items of the largest g, of what is left the limits.alike of the largest
    x_1, of what is left the limits.soon of the largest m; sums above 0 only, of equal ones the
    lowest numbers. Own items of any behaviour are left out of the sums, those of the target out of
    all.

        g(v)   = Σ_s stages_s Σ_{i in s(u)} (Σ_{s≤a≤b} T_ab[i, v]) / |s(u)|
        x_1(v) = Σ_{i in 1(u)} T_11[i, v] / |1(u)|
        m(v)   = Σ_e choosing_e · S[i_e, v]         over the user's touches e

describe(users, own, graph, soon, nominated, survey) → indptr (w+1,), items (C,), features (C, F)
    The nominated items and those of a model's survey, by rising number, and their F features,
    F = `n_features(graph, soon)`, in columns with s, b in 1…K:

        K−1 each    own in s < K; that times the item's log count of the target; times its log
                    ratio of the target to s; times the user's log count of s
        K           the user's log counts log(1 + |s(u)|)
        …           `known` of the item
        K²          log(x_sb + ε),  x_sb(v) = Σ_{i in s(u)} T_sb[i, v] / |s(u)|
        K−1         log(x_s + ε),   x_s(v) = Σ_{i in s(u)} T_11[i, v] / |s(u)|, s > 1
        2           log(g + ε); log(the largest Σ_ab T_ab[i, v] of any own item + ε)
        2           log(1 + rank) among the user's candidates by g; by x_11
        2           the model's score less its mean over the candidates, over their deviation (0
                    where all are equal; what is not finite counts as the lowest that is);
                    log(1 + rank) by it
      and where there are touches
        K+2         log(m_t + ε),   m_t(v) = Σ_e weights_et · S[i_e, v]
        1           log(the largest S of any touch + ε)
        1           log(1 + gap): from `asked` of the user to the nearest touch of the item, by
                    anyone; `span` where there is no such touch or time

    A rank counts the candidates whose number is higher, as float32 (a NaN is higher than all).
score(users, own, graph, soon, nominated, survey, form) → indptr, items, f (C,) float32
    The same candidates, and f of their features, which are never laid out.
score_rows(features, form) → f (C,) float32
    f of given features, a row each: the very numbers of `score`, whatever the other rows are.

        users      (w,) int32                      survey     items (w, k) int32, −1 where there are
        own        Stacked: the K rows of a user              fewer; scores (w, k); scores (E,) of
        nominated  indptr, items of `nominate`                the nominated: float32 or float64

All features, sums and f are float32 in the CPU form; the reference works in the dtype of
`graph.values`. No users, users without items, and lists that are all padding are allowed. Inputs
are only read. A user's numbers depend neither on the other users of the call nor on the number of
threads. There is no CUDA form: the features are made on the host, whatever the model's device.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from ..neighbours import Stacked

__all__ = ["EPSILON", "HIDDEN", "LANES", "Form", "Graph", "Limits", "Soon", "Stacked", "Weights"]

EPSILON = np.float32(1e-6)  # ε, added to sums before the logarithm; they are 1e-5 … 1e-1
LANES = 16  # float32 of a cache line: rows of lists are multiples of it
HIDDEN = 4  # hidden units at a time: with AVX2 their sums take eight of the sixteen registers


class Limits(NamedTuple):
    """How many candidates each source gives."""

    graph: int
    alike: int
    model: int
    soon: int = 0


class Graph(NamedTuple):
    """Neighbours of each item and what is known of it; all but `items` F.

    items (I, n) uint32: n a multiple of LANES; I, which is no item, where there are fewer.
    choosing (I, (K + 1)·n): of each neighbour Σ_{s≤a≤b} T_ab, for each s a row of n, then T_11.
    values (I·n, W): of each neighbour the K² T_ab, K − 1 times T_11, Σ_{s≤a≤b} T_ab for each s,
    Σ_ab T_ab; then 0 up to a multiple of LANES.
    stages (K,): the weight of s in g.
    known (I, K + K(K−1)/2): logs of train counts, then logs of their ratios b to a, for b in 1…K
    and a < b.
    """

    items: np.ndarray
    choosing: np.ndarray
    values: np.ndarray
    stages: np.ndarray
    known: np.ndarray


class Soon(NamedTuple):
    """What times say; where there are none, all is empty.

    mates (I, n) uint32: items of the largest S, I where there are fewer; strength (I, n) their S;
    indptr (U+1,), items (E,): a user's touches; weights (E, K + 2): of each touch, by behaviour, by
    nearness to purchases, to the end; choosing (E,): what `nominate` weighs them by;
    item_indptr (I+1,), item_times (E,): times of an item's touches, rising; asked (U,): the time
    that is asked for, NaN where there is none; span: the gap where a time is missing.
    """

    mates: np.ndarray
    strength: np.ndarray
    indptr: np.ndarray
    items: np.ndarray
    weights: np.ndarray
    choosing: np.ndarray
    item_indptr: np.ndarray
    item_times: np.ndarray
    asked: np.ndarray
    span: float


class Weights(NamedTuple):
    """A learned f: mean and scale (F,) of the features; V (F, H), a (H,), w (H,), b of the MLP.

        f(x) = w·relu(x̂ V + a) + b,     x̂ = (x − mean) ∘ scale

    A linear f = w·x̂ + b has w (F,), and V and a are empty: (F, 0), (0,).
    """

    mean: np.ndarray
    scale: np.ndarray
    inner: np.ndarray
    inner_bias: np.ndarray
    outer: np.ndarray
    outer_bias: np.ndarray


class Form(NamedTuple):
    """f with the standardisation folded in, as the kernels read it.

    rows (H′/HIDDEN, (F + 1)·HIDDEN) float32: for each HIDDEN hidden units what they make of the
    first feature, of the second, …, then their constants; outer (1, H′): w; bias: b. H′ is a
    multiple of HIDDEN, and w of what fills it up is 0. A linear f is one unit that is not cut off.
    """

    rows: np.ndarray
    outer: np.ndarray
    bias: np.float32
    linear: bool

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


def n_sums(n_behaviors: int) -> int:
    """Columns of `Graph.values` before the filling."""
    return n_behaviors**2 + 2 * n_behaviors


def n_features(graph: Graph, soon: Soon) -> int:
    """F: features of a candidate."""
    K = len(graph.stages)
    from_times = K + 4 if len(soon.mates) else 0
    return 5 * K - 4 + graph.known.shape[1] + K * K + K - 1 + 6 + from_times
