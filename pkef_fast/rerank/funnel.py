"""A user's candidates and their features: what the re-ranker reads.

Candidates of a user are, less what the user has bought already:

- the user's own items of the auxiliary behaviours;
- the best items by g, the graph ranking to two hops;
- the best items by x_11, the two-hop sums over the first behaviour;
- where there are times, the best items by the sums over time of `sessions`;
- the best items of the model that is re-ranked.

With the two-hop sums T_ab of `kernels.neighbours` and s(u) the items of user u in behaviour s:

    x_sb(v) = Σ_{i in s(u)} T_sb[i, v] / |s(u)|       who did s with my items of s, and b with v
    x_s(v)  = Σ_{i in s(u)} T_11[i, v] / |s(u)|       s > 1: my items of s, over the first graph
    g(v)    = Σ_s c_s Σ_{i in s(u)} Σ_{s ≤ a ≤ b} T_ab[i, v] / |s(u)|

g is the second order of `models.graph_rank`, c_s = α_s β^{K−s} with α_1 = α + β and α_s = α after.
All of it is computed by `kernels.candidates`; here stands what is about a data set.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from typing import NamedTuple

import numpy as np

from ..data.dataset import Array, Csr, Dataset
from ..data.patterns import rows_of
from ..device import Device, device
from ..evaluate.rankers import Survey, TableRanker
from ..kernels.candidates import LANES, Form, Graph, Limits, Soon, n_sums
from .neighbours import Neighbours, Stacked, neighbours, stacked
from .sessions import columns_of, sessions

TASTE, FUNNEL, POPULARITY = "taste", "funnel", "popularity"
GROUPS = (TASTE, FUNNEL, POPULARITY)


class Feature(NamedTuple):
    """A column of features: its name, and the one of GROUPS that it belongs to."""

    name: str
    group: str


def features_of(behaviors: tuple[str, ...], timed: bool = False) -> list[Feature]:
    """The columns for these behaviours, in the order of `kernels.candidates.describe`.

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

    def of(self, rows: Array) -> Candidates:
        """The candidates of these users, by their places in the block; they may repeat."""
        counts = np.diff(self.indptr)[rows]
        indptr = np.append(0, np.cumsum(counts))
        entries = np.repeat(self.indptr[:-1][rows] - indptr[:-1], counts) + np.arange(indptr[-1])
        return Candidates(indptr, self.items[entries], self.features[entries])

    def positions_of(self, items: Array) -> Array:
        """(w,) where one item a user is among the user's candidates; −1 where it is none."""
        result = np.full(len(items), -1, np.int64)
        rows = np.repeat(np.arange(len(items)), np.diff(self.indptr))
        found = np.flatnonzero(self.items == items[rows])
        result[rows[found]] = found - self.indptr[rows[found]]
        return result


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
    host : Device
        Whose kernels make them; its arrays are NumPy's.
    """

    dataset: Dataset
    most: int
    limits: Limits
    alpha: float
    beta: float
    host: Device = field(default_factory=device)

    @cached_property
    def graph(self) -> Graph:
        """The lists and counts."""
        data, K = self.dataset, len(self.dataset.behaviors)
        width = -(-n_sums(K) // LANES) * LANES
        near: Neighbours = neighbours(data, self.most, self.host, 4 * (width + K + 2))
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
        values[there, : n_sums(K)] = np.concatenate(
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
        return Graph(
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
    def soon(self) -> Soon:
        """What times add."""
        return sessions(self.dataset, self.most, self.host)

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
        return Candidates(*self.host.kernels.candidates.describe(*self._asked(users, base)))

    def scored(self, users: Array, base: TableRanker, form: Form) -> tuple[Csr, Array]:
        """Candidates of users (w,) as rows of items, and their f (C,)."""
        asked = self._asked(users, base)
        indptr, items, f = self.host.kernels.candidates.score(*asked, form)
        return Csr(indptr, items), f

    def _asked(
        self, users: Array, base: TableRanker
    ) -> tuple[Array, Stacked, Graph, Soon, Csr, Survey]:
        """What `kernels.candidates` describes: who, from which lists, and what `base` says."""
        users = np.ascontiguousarray(users, np.int32)
        tables = self.own, self.graph, self.soon
        nominated = Csr(*self.host.kernels.candidates.nominate(users, *tables, self.limits))
        places = np.arange(len(users), dtype=np.int32)
        bought = rows_of(self.dataset.interactions[-1], users)
        survey = base.survey(places, self.limits.model, bought, nominated)
        return users, *tables, nominated, survey
