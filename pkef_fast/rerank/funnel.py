"""Candidates of a user and what is known of each: the features that the re-ranker reads.

Candidates of u: own items of the auxiliary behaviours, the best of the graph ranking (to two hops),
the best two-hop scores over the first behaviour, where there are times the best mates of
`sessions`, the best of the model's; less train purchases.
The sums over neighbours are those of `neighbours`, for all K behaviours as sources; `nominate` sums
up what candidates are chosen by, `describe` the rest for those that were chosen:

    x_sb(v) = Σ_{i in s(u)} T_sb[i, v] / deg_s(u)       who did s with my items of s, and b with v
    x_s(v)  = Σ_{i in s(u)} T_11[i, v] / deg_s(u)       s > 1: my items of s, over the first graph
    g(v)    = Σ_s c_s Σ_{s ≤ a ≤ b} Σ_i T_ab[i, v] / deg_s(u)

g is the graph ranking's second order, c_s = α_s β^{K−s} with α_1 = α + β and α_s = α after.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

import numpy as np

from ..data.dataset import Array, Csr, Dataset
from ..data.patterns import offsets, rows_of
from ..evaluate.rankers import TableRanker
from .describe import describe, lanes
from .neighbours import Neighbours, Stacked, neighbours, stacked
from .nominate import LANES, count_new, nominate
from .score import Form
from .sessions import Sessions, columns_of, sessions

TASTE, FUNNEL, POPULARITY = "taste", "funnel", "popularity"
GROUPS = (TASTE, FUNNEL, POPULARITY)


class Feature(NamedTuple):
    """A column: its name, and which of GROUPS it tells of."""

    name: str
    group: str


def features_of(behaviors: tuple[str, ...], timed: bool = False) -> list[Feature]:
    """The columns for these behaviours, in the order in which `describe` writes them.

    Those of `sessions` are there only where the data has times.
    """
    K, first, target = len(behaviors), behaviors[0], behaviors[-1]
    auxiliary = behaviors[:-1]
    columns = [(f"own {s}", FUNNEL) for s in auxiliary]
    columns += [(f"own {s} × {target}s of the item", FUNNEL) for s in auxiliary]
    columns += [(f"own {s} × {target} per {s} of the item", FUNNEL) for s in auxiliary]
    columns += [(f"own {s} × {s}s of the user", FUNNEL) for s in auxiliary]
    columns += [(f"{s}s of the user", FUNNEL) for s in behaviors]
    columns += [(f"{s}s of the item", POPULARITY) for s in behaviors]
    columns += [
        (f"{behaviors[b]} per {behaviors[a]} of the item", POPULARITY)
        for b in range(K)
        for a in range(b)
    ]
    columns += [(f"alike by {s}, {b}", TASTE) for s in behaviors for b in behaviors]
    columns += [(f"alike by {first}, of my {s}s", TASTE) for s in behaviors[1:]]
    columns += [("graph", TASTE), ("nearest", TASTE)]
    columns += [("graph, place", TASTE), (f"alike by {first}, place", TASTE)]
    columns += [("model", TASTE), ("model, place", TASTE)]
    if timed:
        *sums, gap = columns_of(behaviors)
        columns += [*((name, TASTE) for name in sums), (gap, POPULARITY)]
    return [Feature(*column) for column in columns]


class Candidates(NamedTuple):
    """Candidates of a block of users.

    indptr (w+1,) int64; items (C,) int32; features (C, F) float32.
    """

    indptr: Array
    items: Array
    features: Array

    def places(self, items: Array) -> Array:
        """(w,) place of one item a user among the user's candidates; −1 where it is none."""
        result = np.full(len(items), -1, np.int64)
        rows = np.repeat(np.arange(len(items)), np.diff(self.indptr))
        found = np.flatnonzero(self.items == items[rows])
        result[rows[found]] = found - self.indptr[rows[found]]
        return result


class Limits(NamedTuple):
    """How many candidates each source gives."""

    graph: int
    alike: int
    model: int
    soon: int = 0


class _Graph(NamedTuple):
    items: Array  # (I, n) uint32: neighbours; I, which is no item, where there are fewer
    choosing: Array  # (I, (K + 1)·n): a list's Σ_{s≤a≤b} T_ab for each s, and its T_11
    values: Array  # (I·n, W): T_ab, K − 1 times T_11, Σ_{s≤a≤b} T_ab for each s, Σ_ab T_ab, 0 …
    stages: Array  # (K,) c_s
    known: Array  # (I, K + K(K−1)/2): log(1 + train interactions), logs of their ratios


@dataclass
class Funnel:
    """What all users' features are made from: a data set's train interactions.

    Parameters
    ----------
    dataset : Dataset
    most : int
        Neighbours of an item.
    limits : Limits
    alpha, beta : float
        Of the graph ranking.
    """

    dataset: Dataset
    most: int
    limits: Limits
    alpha: float
    beta: float

    @cached_property
    def graph(self) -> _Graph:
        """The lists and counts."""
        data, K = self.dataset, len(self.dataset.behaviors)
        width = -(-lanes(K) // LANES) * LANES
        near: Neighbours = neighbours(data, self.most, 4 * (width + K + 2))
        sizes = np.diff(near.indptr)
        n = -(-max(int(sizes.max(initial=0)), 1) // LANES) * LANES
        by_pair = near.values.reshape(-1, K, K)
        upper = np.triu(np.ones((K, K), np.float32))
        from_stage = np.stack(
            [(by_pair * (upper * (np.arange(K) >= s)[:, None])).sum(axis=(1, 2)) for s in range(K)],
            axis=1,
        )
        first, total = near.values[:, :1], near.values.sum(axis=1, keepdims=True)
        there = np.arange(n) < sizes[:, None]
        items = np.full((data.n_items, n), data.n_items, np.uint32)
        items[there] = near.items
        values = np.zeros((data.n_items, n, width), np.float32)
        values[there, : lanes(K)] = np.concatenate(
            [near.values, np.repeat(first, K - 1, axis=1), from_stage, total], axis=1
        )
        choosing = np.zeros((data.n_items, K + 1, n), np.float32)
        choosing.transpose(0, 2, 1)[there] = np.concatenate([from_stage, first], axis=1)
        stages = np.full(K, self.alpha)
        stages[0] += self.beta
        stages *= self.beta ** (K - 1 - np.arange(K))
        counts = np.stack(
            [np.bincount(csr.indices, minlength=data.n_items) for csr in data.interactions], axis=1
        )
        ratios = [
            np.log((counts[:, b] + 0.5) / (counts[:, a] + 1)) for b in range(K) for a in range(b)
        ]
        return _Graph(
            items,
            choosing.reshape(data.n_items, -1),
            values.reshape(-1, width),
            stages.astype(np.float32),
            np.column_stack([np.log1p(counts), *ratios]).astype(np.float32),
        )

    @cached_property
    def own(self) -> Stacked:
        """All rows of train interactions."""
        return stacked(self.dataset.interactions)

    @cached_property
    def soon(self) -> Sessions:
        """What times add."""
        return sessions(self.dataset, self.most)

    @cached_property
    def columns(self) -> list[Feature]:
        """Features of a candidate."""
        return features_of(self.dataset.behaviors, self.dataset.times is not None)

    @property
    def width(self) -> int:
        """How many features a candidate has."""
        return len(self.columns)

    def block(self, users: Array, base: TableRanker) -> Candidates:
        """Candidates and features of users (w,), whom `base` ranks by their places."""
        indptr, items, features, _ = self._described(users, base, None)
        return Candidates(indptr, items, features)

    def scored(self, users: Array, base: TableRanker, form: Form) -> tuple[Csr, Array]:
        """Candidates of users (w,) as rows of items, and their f (C,)."""
        indptr, items, _, result = self._described(users, base, form)
        return Csr(indptr, items), result

    def _described(self, users: Array, base: TableRanker, form: Form | None):
        """indptr, items, and either features (form None) or f."""
        users = np.ascontiguousarray(users, np.int32)
        first = self._nominated(users)
        places = np.arange(len(users), dtype=np.int32)
        bought = rows_of(self.dataset.interactions[-1], users)
        found = base.survey(places, self.limits.model, bought, first)
        more = np.zeros(len(users), np.int64)
        count_new(*first, found.items, self.dataset.n_items, more)
        indptr = first.indptr + offsets(more)
        count, width = int(indptr[-1]), self.width
        items = np.empty(count, np.int32)
        features = np.empty((0 if form else count, width), np.float32)
        result = np.empty(count if form else 0, np.float32)
        describe(
            users,
            self.own,
            self.graph,
            self.soon,
            len(self.dataset.behaviors),
            width,
            *first,
            found.asked,
            found.items,
            found.scores,
            indptr,
            np.log1p(np.arange(np.diff(indptr).max(initial=0) + 1, dtype=np.float32)),
            tuple(form or Form.empty(width)),
            items,
            features,
            result,
        )
        return indptr, items, features, result

    def _nominated(self, users: Array) -> Csr:
        """Candidates before the model is asked, by rising number."""
        data, K = self.dataset, len(self.dataset.behaviors)
        own = np.zeros(len(users), np.int64)
        for csr in data.interactions[:-1]:
            own += csr.indptr[users + 1] - csr.indptr[users]
        limits = self.limits
        room = np.minimum(own + limits.graph + limits.alike + limits.soon, data.n_items)
        starts = offsets(room)
        counts = np.zeros(len(users), np.int64)
        items = np.empty(starts[-1], np.int32)
        nominate(
            users,
            self.own,
            self.graph,
            self.soon,
            tuple(limits),
            K,
            starts,
            counts,
            items,
        )
        kept = np.arange(starts[-1]) - np.repeat(starts[:-1], room) < np.repeat(counts, room)
        return Csr(offsets(counts), items[kept])
