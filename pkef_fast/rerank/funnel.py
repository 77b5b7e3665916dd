"""Candidates of a user and what is known of each: the features that the re-ranker reads.

Candidates of u: own items of the auxiliary behaviours, the best of the graph ranking (to two hops),
the best two-hop scores over the first behaviour, the best of the model's; less train purchases.
The sums over neighbours are those of `neighbours`, for all K behaviours as sources:

    x_sb(v) = Σ_{i in s(u)} T_sb[i, v] / deg_s(u)       who did s with my items of s, and b with v
    x_s(v)  = Σ_{i in s(u)} T_11[i, v] / deg_s(u)       s > 1: my items of s, over the first graph
    g(v)    = Σ_s c_s Σ_{s ≤ a ≤ b} Σ_i T_ab[i, v] / deg_s(u)

g is the graph ranking's second order, c_s = α_s β^{K−s} with α_1 = α + β and α_s = α after.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

import numba as nb
import numpy as np

from ..data.dataset import Array, Dataset
from ..kernels.jit import parallel, serial
from .neighbours import Neighbours, Stacked, neighbours, nth_largest, stacked

FLOOR = np.float32(1e-6)  # added to two-hop sums before the logarithm; they are 1e-5 … 1e-1
TASTE, FUNNEL, POPULARITY = "taste", "funnel", "popularity"
GROUPS = (TASTE, FUNNEL, POPULARITY)


class Feature(NamedTuple):
    """A column: its name, and which of GROUPS it tells of."""

    name: str
    group: str


def features_of(behaviors: tuple[str, ...]) -> list[Feature]:
    """The columns for these behaviours, in the order in which `_describe` writes them."""
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


class _Graph(NamedTuple):
    indptr: Array  # of Neighbours
    items: Array
    values: Array  # (E, K² + K + 1): T_ab, Σ_{s≤a≤b} T_ab for each s, Σ_ab T_ab
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
        data = self.dataset
        K = len(data.behaviors)
        near: Neighbours = neighbours(data, self.most)
        by_pair = near.values.reshape(-1, K, K)
        upper = np.triu(np.ones((K, K), np.float32))
        from_stage = np.stack(
            [(by_pair * (upper * (np.arange(K) >= s)[:, None])).sum(axis=(1, 2)) for s in range(K)],
            axis=1,
        )
        total = near.values.sum(axis=1, keepdims=True)
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
            near.indptr,
            near.items,
            np.ascontiguousarray(np.concatenate([near.values, from_stage, total], axis=1)),
            stages.astype(np.float32),
            np.column_stack([np.log1p(counts), *ratios]).astype(np.float32),
        )

    @cached_property
    def own(self) -> Stacked:
        """All rows of train interactions."""
        return stacked(self.dataset.interactions)

    @property
    def width(self) -> int:
        """Features of a candidate."""
        return len(features_of(self.dataset.behaviors))

    def block(self, users: Array, scores: Array) -> Candidates:
        """Candidates and features of users (w,), given the model's scores (w, I) of all items."""
        data, K = self.dataset, len(self.dataset.behaviors)
        own = np.zeros(len(users), np.int64)
        for csr in data.interactions[:-1]:
            own += csr.indptr[users + 1] - csr.indptr[users]
        room = np.minimum(own + sum(self.limits), data.n_items)
        starts = np.zeros(len(users) + 1, np.int64)
        np.cumsum(room, out=starts[1:])
        counts = np.zeros(len(users), np.int64)
        items = np.empty(starts[-1], np.int32)
        features = np.zeros((starts[-1], self.width), np.float32)
        two_hop = np.zeros((starts[-1], K * K + K + 1), np.float32)
        _describe(
            np.ascontiguousarray(users, np.int32),
            np.ascontiguousarray(scores),
            self.own,
            self.graph,
            tuple(self.limits),
            K,
            starts,
            counts,
            items,
            features,
            two_hop,
        )
        at = self.width - 4 - two_hop.shape[1]
        # NumPy's logarithm is many times faster than one at a time in the loop.
        features[:, at:-4] = np.log(two_hop + FLOOR)
        for column in (-4, -3, -1):
            features[:, column] = np.log1p(features[:, column])
        indptr = np.zeros(len(users) + 1, np.int64)
        np.cumsum(counts, out=indptr[1:])
        kept = np.arange(starts[-1]) - np.repeat(starts[:-1], room) < np.repeat(counts, room)
        return Candidates(indptr, items[kept], features[kept])


@serial()
def _add(items, listed, mark, item):
    """Append an item that is not marked yet; how many are listed then."""
    if mark[item]:
        return listed
    mark[item] = True
    items[listed] = item
    return listed + 1


@serial()
def _best_sums(sums, column, touched, found, most, mark, keys, work, items, listed):
    """Append the `most` touched, unmarked items with the largest sums of a column."""
    free = 0
    for t in range(found):
        v = touched[t]
        value = sums[v, column]
        if mark[v]:
            value = np.float32(0)
        keys[t] = value
        if value > 0:
            work[free] = value
            free += 1
    most = min(most, free)
    if most == 0:
        return listed
    least = nth_largest(work, free, most)
    end = listed + most
    for t in range(found):
        if keys[t] > least:
            listed = _add(items, listed, mark, touched[t])
    for t in range(found):
        if listed == end:
            break
        if keys[t] == least:
            listed = _add(items, listed, mark, touched[t])
    return listed


@serial()
def _best_scores(scores, taken, most, mark, best, places, items, listed):
    """Append the `most` items with the best scores that are not taken, unless marked."""
    filled = 0
    for v in range(len(scores)):
        value = scores[v]
        if filled == most and not value > best[filled - 1]:
            continue
        if taken[v] or value != value:
            continue
        t = filled if filled < most else most - 1
        while t > 0 and best[t - 1] < value:
            best[t], places[t] = best[t - 1], places[t - 1]
            t -= 1
        best[t], places[t] = value, v
        filled = min(filled + 1, most)
    for t in range(filled):
        listed = _add(items, listed, mark, places[t])
    return listed


# Counts in float32 are exact below 2²⁴ in any order; so the loop vectorises, and is 8 × a sort.
@serial(fastmath={"reassoc"})
def _places(values, result):
    """Number of higher values than each one."""
    one, none = np.float32(1), np.float32(0)
    for c in range(len(values)):
        mine, higher = values[c], none
        for j in range(len(values)):
            higher += one if values[j] > mine else none
        result[c] = higher


@serial()
def _standardised(values, result):
    """Less the mean, over the deviation; values that are not finite count as the lowest one."""
    low = np.float64(np.inf)
    for value in values:
        if np.isfinite(value):
            low = min(low, value)
    if not np.isfinite(low):
        low = 0.0
    mean = square = 0.0
    for value in values:
        mean += value if np.isfinite(value) else low
    mean /= len(values)
    for value in values:
        square += ((value if np.isfinite(value) else low) - mean) ** 2
    deviation = np.sqrt(square / len(values))
    for c in range(len(values)):
        value = values[c] if np.isfinite(values[c]) else low
        result[c] = (value - mean) / deviation if deviation > 0 else 0.0


@parallel()
def _describe(users, scores, own, graph, limits, K, starts, counts, items, features, two_hop):
    n_items = scores.shape[1]
    pieces = min(len(users), 64)
    near_indptr, near_items, values = graph.indptr, graph.items, graph.values
    stages, known = graph.stages, graph.known
    own_indptr, own_indices = own.indptr, own.indices
    from_graph, from_alike, from_model = limits
    alike = K * K  # column of the first x_s, s > 1
    whole = alike + K - 1  # of g
    nearest = whole + 1
    n_sums = nearest + 1
    for piece in nb.prange(pieces):
        sums = np.zeros((n_items, n_sums), np.float32)
        seen, mark, taken = np.zeros((3, n_items), nb.boolean)
        within = np.zeros((n_items, K), np.float32)
        touched = np.empty(n_items, np.int32)
        keys, work = np.empty(n_items, np.float32), np.empty(n_items, np.float32)
        graph_sum, alike_sum = np.empty(n_items, np.float32), np.empty(n_items, np.float32)
        here = np.empty(n_items, scores.dtype)
        active = np.empty(K, np.float32)
        best = np.empty(max(from_model, 1), scores.dtype)
        places = np.empty(max(from_model, 1), np.int32)
        for w in range(piece * len(users) // pieces, (piece + 1) * len(users) // pieces):
            u = users[w]
            found = 0
            for s in range(K):
                begin, end = own_indptr[u * K + s], own_indptr[u * K + s + 1]
                active[s] = np.log1p(np.float32(end - begin))
                if begin == end:
                    continue
                share = np.float32(1) / np.float32(end - begin)
                stage = stages[s] * share
                for e in range(begin, end):
                    i = own_indices[e]
                    within[i, s] = 1
                    for f in range(near_indptr[i], near_indptr[i + 1]):
                        v = near_items[f]
                        row, near = sums[v], values[f]
                        if not seen[v]:
                            seen[v] = True
                            touched[found] = v
                            found += 1
                        for b in range(K):
                            row[s * K + b] += share * near[s * K + b]
                        if s:
                            row[alike + s - 1] += share * near[0]
                        row[whole] += stage * near[K * K + s]
                        row[nearest] = max(row[nearest], near[K * K + K])
            # candidates
            for e in range(own_indptr[u * K + K - 1], own_indptr[u * K + K]):
                taken[own_indices[e]] = mark[own_indices[e]] = True
            listing = items[starts[w] : starts[w + 1]]
            listed = 0
            for e in range(own_indptr[u * K], own_indptr[u * K + K - 1]):
                listed = _add(listing, listed, mark, own_indices[e])
            listed = _best_sums(
                sums, whole, touched, found, from_graph, mark, keys, work, listing, listed
            )
            listed = _best_sums(
                sums, 0, touched, found, from_alike, mark, keys, work, listing, listed
            )
            if from_model:
                listed = _best_scores(
                    scores[w], taken, from_model, mark, best, places, listing, listed
                )
            counts[w] = listed
            for c in range(listed):
                v, row = listing[c], starts[w] + c
                x = features[row]
                for s in range(K - 1):
                    ratio = K + (K - 1) * (K - 2) // 2 + s  # of the target to behaviour s
                    x[s] = within[v, s]
                    x[K - 1 + s] = within[v, s] * known[v, K - 1]
                    x[2 * (K - 1) + s] = within[v, s] * known[v, ratio]
                    x[3 * (K - 1) + s] = within[v, s] * active[s]
                at = 4 * (K - 1)
                for s in range(K):
                    x[at + s] = active[s]
                at += K
                for t in range(known.shape[1]):
                    x[at + t] = known[v, t]
                at += known.shape[1]
                for t in range(n_sums):
                    two_hop[row, t] = sums[v, t]
                here[c], graph_sum[c], alike_sum[c] = scores[w, v], sums[v, whole], sums[v, 0]
            if listed:
                at = features.shape[1] - 4
                table = features[starts[w] : starts[w] + listed]
                _places(graph_sum[:listed], table[:, at])
                _places(alike_sum[:listed], table[:, at + 1])
                _places(here[:listed], table[:, at + 3])
                _standardised(here[:listed], table[:, at + 2])
            # clean up
            for t in range(found):
                sums[touched[t]] = 0
                seen[touched[t]] = False
            for c in range(listed):
                mark[listing[c]] = False
            for e in range(own_indptr[u * K], own_indptr[u * K + K]):
                i = own_indices[e]
                taken[i] = mark[i] = False
                for s in range(K):
                    within[i, s] = 0
