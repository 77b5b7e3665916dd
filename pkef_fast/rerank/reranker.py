"""The re-ranker: learned on left-out purchases, then in front of any model's ranking."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import numba as nb
import numpy as np

from ..data.dataset import Array, Csr, Dataset
from ..data.patterns import rows_of
from ..device import Device
from ..errors import InputError
from ..kernels import load
from ..kernels.jit import parallel
from ..kernels.rank import DotScorer
from ..models.graph_rank import PRESETS as GRAPHS
from ..ranking import Ranker
from .config import RerankConfig
from .funnel import Candidates, Funnel, Limits
from .learner import Learner, Questions, Weights, ndcg, together
from .leave_out import LeftOut, draw, hidden

BLOCK = 256  # users at a time: their model scores are the largest array


@dataclass(frozen=True)
class Reranker:
    """A learned f and how it came about.

    Attributes
    ----------
    config : RerankConfig
    weights : Weights
    graph : dict
        alpha and beta of the graph ranking.
    report : dict
        What was left out and how, and the figures on users that were not trained on, by epoch:
        values that JSON can write.
    """

    config: RerankConfig
    weights: Weights
    graph: dict[str, float]
    report: dict[str, Any] = field(default_factory=dict)

    def ranker(self, base: Ranker, dataset: Dataset) -> Reranked:
        """`base` re-ranked, for the train interactions of `dataset`."""
        return Reranked(base, funnel(self.config, self.graph, dataset), self.weights)

    def facts(self) -> dict[str, Any]:
        """All but the arrays."""
        return {"config": self.config.as_dict(), "graph": self.graph, "report": self.report}

    def arrays(self) -> dict[str, Array]:
        """The weights by name."""
        return self.weights._asdict()

    @classmethod
    def of(cls, facts: Mapping[str, Any], arrays: Mapping[str, Array]) -> Reranker:
        """The re-ranker of these facts and arrays."""
        config = RerankConfig().replaced(**facts["config"]).checked(())
        weights = Weights(**{name: arrays[name] for name in Weights._fields})
        return cls(config, weights, dict(facts["graph"]), dict(facts["report"]))


def funnel(config: RerankConfig, graph: Mapping[str, float], dataset: Dataset) -> Funnel:
    """Candidates and features from a data set's train interactions."""
    limits = Limits(config.graph, config.alike, config.model)
    return Funnel(dataset, config.neighbours, limits, graph["alpha"], graph["beta"])


def graph_of(dataset: Dataset) -> dict[str, float]:
    """alpha and beta of the graph ranking for a data set."""
    return dict(GRAPHS.get(dataset.name.lower(), GRAPHS["taobao"]))


# ---- learning -----------------------------------------------------------------------------------


def learn(
    config: RerankConfig,
    dataset: Dataset,
    base: Callable[[Dataset, int], Ranker],
    share: float,
    host: Device,
    held: LeftOut | None = None,
    on_stage: Callable[[str], None] = lambda text: None,
) -> Reranker:
    """Learn a re-ranker from left-out train purchases.

    Parameters
    ----------
    config : RerankConfig
    dataset : Dataset
        Only its train part is read.
    base : callable
        (data set without the left-out purchases, draws) → the ranking of a model that never saw
        them.
    share : float
        Share of left-out purchases that stay visible in the auxiliary behaviours.
    host : Device
        Where the re-ranker learns: one whose arrays are NumPy's.
    held : LeftOut, optional
        Left-out purchases to learn from instead of drawn ones.
    on_stage : callable, optional
        Told what is being done.

    Raises
    ------
    InputError
        When no user has two target interactions, so that none can be left out.
    """
    order = _order(dataset.n_users, config.seed, 2)
    checked = checked_users(config, dataset.n_users)
    drawn = _drawn(config, dataset, share) if held is None else [held]
    draws = [_some(left, order, config.users) for left in drawn]
    graph = graph_of(dataset)
    parts: list[tuple[Array, Questions]] = []
    for number, left in enumerate(draws, 1):
        which = f" ({number}/{len(draws)})" if len(draws) > 1 else ""
        on_stage(f"the model without {len(left.users)} left-out {dataset.target}s{which}")
        rest = hidden(dataset, left)
        ranker = base(rest, len(draws))
        on_stage(f"candidates of {len(left.users)} users{which}")
        found = questions(ranker, funnel(config, graph, rest), left)
        parts.append((left.users, found))
    users = np.concatenate([users for users, _ in parts])
    every = together([found for _, found in parts])
    aside = checked[users]
    train, check = every.of(np.flatnonzero(~aside)), every.of(np.flatnonzero(aside))
    auxiliary = len(dataset.behaviors) - 1
    touched = np.any(train.features[:, :auxiliary] > 0, axis=1)  # the first columns: own …
    random = np.random.Generator(np.random.PCG64([config.seed, 4]))
    train = train.thinned(touched, config.thin, random)
    if not np.any(train.answers >= 0):
        raise InputError(
            f"none of {len(users)} left-out {dataset.target!r} interactions of data set "
            f"{dataset.name!r} is among its user's candidates, so nothing can be learned from "
            "them; wanted at least one: use --rerank none."
        )
    on_stage(f"learning from {len(train.answers)} left-out {dataset.target}s")
    learner = Learner(
        config.hidden if config.kind == "mlp" else 0,
        config.lr,
        config.lr_steps,
        config.penalty,
        config.epochs,
        config.patience,
        config.batch,
        config.seed,
        host,
    )
    weights, records = learner.learn(train, check if len(check.answers) else train)
    report = {
        "left_out": len(users),
        "draws": len(draws),
        "stays_visible": share,
        "users_trained": len(np.unique(users[~aside])),
        "users_checked": len(np.unique(users[aside])),
        "among_candidates": float(np.mean(every.answers >= 0)),
        "epochs": records,
        "model NDCG@10": ndcg(check, check.features[:, -1] * -1) if len(check.answers) else None,
    }
    return Reranker(config, weights, graph, report)


def _order(n_users: int, *seed: int) -> Array:
    """(U,) place of each user in a random order."""
    return np.random.Generator(np.random.PCG64(seed)).permutation(n_users)


def checked_users(config: RerankConfig, n_users: int) -> Array:
    """(U,) bool: users that a re-ranker is never trained on."""
    return _order(n_users, config.seed, 3) < config.check * n_users


def _drawn(config: RerankConfig, dataset: Dataset, share: float) -> list[LeftOut]:
    several = int(np.count_nonzero(np.diff(dataset.interactions[-1].indptr) > 1))
    if not several:
        raise InputError(
            f"no user of data set {dataset.name!r} has two train {dataset.target!r} interactions, "
            "so none can be left out to learn from; use --rerank none."
        )
    rounds = int(np.clip(config.users // several, 1, config.draws))
    return draw(dataset, share, 2, config.seed, rounds)


def _some(left: LeftOut, order: Array, most: int) -> LeftOut:
    """At most so many of them: the users who come first in the order."""
    first = np.argsort(order[left.users], kind="stable")[:most]
    return left.of(np.sort(first))


def questions(base: Ranker, source: Funnel, left: LeftOut) -> Questions:
    """Each left-out pair's user, with candidates that know nothing of it."""
    parts = []
    for places in _blocks(len(left.users)):
        users = left.users[places]
        found = source.block(users, base.scores(users))
        parts.append(
            Questions(
                found.indptr,
                found.features,
                found.places(left.items[places]),
                np.zeros(len(found.items), np.float32),
            )
        )
    return together(parts)


def _blocks(count: int) -> Iterator[slice]:
    return (slice(start, start + BLOCK) for start in range(0, count, BLOCK))


# ---- ranking ------------------------------------------------------------------------------------


class Reranked:
    """A `Ranker`: a user's candidates by f, then all other items in the order of `base`.

    Scores are f for candidates, and below the least of these for the others.
    """

    def __init__(self, base: Ranker, source: Funnel, weights: Weights):
        self.base, self.source, self.weights = base, source, weights
        self._left, self._outer = _folded(weights)

    def learned(self, features: Array) -> Array:
        """f of candidates (C, F): (C,) float32, each whatever the others."""
        rank = load("cpu").rank
        ones = np.ones((len(features), 1), np.float32)
        right = np.concatenate([features, ones], axis=1)
        rows = np.arange(len(self._left), dtype=np.int32)
        hidden = rank.scores(DotScorer(self._left, right), rows)
        if self._outer is None:
            return hidden[0]
        result = np.full(len(features), self.weights.outer_bias[0], np.float32)
        for weight, row in zip(self._outer, hidden, strict=True):
            result += weight * np.maximum(row, np.float32(0))
        return result

    def candidates(self, users: Array) -> tuple[Candidates, Array]:
        """Candidates of distinct users, and their f."""
        found = self.source.block(users, self.base.scores(users))
        return found, self.learned(found.features)

    def scores(self, users: Array) -> Array:
        """See `Ranker`."""
        result = np.empty((len(users), self.source.dataset.n_items))
        for places, rows, block in self._by_block(users):
            result[places] = block[rows]
        return result

    def ranks(self, users: Array, items: Array, seen: Csr) -> tuple[Array, Array]:
        """See `Ranker`."""
        rank, tied = np.zeros((2, len(users)), np.int32)
        for places, rows, block in self._by_block(users):
            found = np.zeros((2, len(places)), np.int32)
            _rank(block, rows, np.asarray(items[places]), *rows_of(seen, users[places]), *found)
            rank[places], tied[places] = found
        return rank, tied

    def top_k(self, users: Array, k: int, seen: Csr) -> tuple[Array, Array]:
        """See `Ranker`."""
        items = np.full((len(users), k), -1, np.int32)
        scores = np.full((len(users), k), -np.inf)
        for places, rows, block in self._by_block(users):
            own = rows_of(seen, users[places])
            for n, (place, row) in enumerate(zip(places, rows, strict=True)):
                one = block[row].copy()
                one[own.indices[own.indptr[n] : own.indptr[n + 1]]] = -np.inf
                best = np.argsort(-one, kind="stable")[:k]
                best = best[np.isfinite(one[best])]
                items[place, : len(best)], scores[place, : len(best)] = best, one[best]
        return items, scores

    def _by_block(self, users: Array) -> Iterator[tuple[Array, Array, Array]]:
        """Places in `users`, their rows in a block of distinct users, the block's scores (w, I)."""
        distinct, number = np.unique(users, return_inverse=True)
        for part in _blocks(len(distinct)):
            places = np.flatnonzero((number >= part.start) & (number < part.stop))
            block = np.ascontiguousarray(distinct[part], np.int32)
            base = self.base.scores(block)
            found = self.source.block(block, base)
            merged = np.empty(base.shape, np.float64)
            _merge(base, found.indptr, found.items, self.learned(found.features), merged)
            yield places, number[places] - part.start, merged


def _folded(weights: Weights) -> tuple[Array, Array | None]:
    """f with the standardisation folded in: rows (H, F + 1) over [features, 1], and w (H,)."""
    inner, bias = weights.inner, weights.inner_bias
    linear = inner.shape[1] == 0
    if linear:
        inner, bias = weights.outer[:, None], weights.outer_bias
    folded = inner.astype(np.float64) * weights.scale[:, None]
    constant = bias - weights.mean.astype(np.float64) @ folded
    left = np.concatenate([folded.T, constant[:, None]], axis=1).astype(np.float32)
    return np.ascontiguousarray(left), None if linear else weights.outer


@parallel()
def _merge(base, indptr, items, learned, merged):
    """Scores in the end: f for candidates; for others the model's, moved below the least f."""
    for w in nb.prange(len(base)):
        low, high = np.float64(0), -np.inf
        for c in range(indptr[w], indptr[w + 1]):
            low = min(low, np.float64(learned[c])) if c > indptr[w] else np.float64(learned[c])
        for v in range(base.shape[1]):
            value = np.float64(base[w, v])
            merged[w, v] = value
            if np.isfinite(value):
                high = max(high, value)
        if indptr[w + 1] > indptr[w] and high > -np.inf:
            for v in range(base.shape[1]):
                merged[w, v] += low - 1 - high
        for c in range(indptr[w], indptr[w + 1]):
            merged[w, items[c]] = learned[c]


@parallel()
def _rank(scores, rows, items, seen_indptr, seen_indices, rank, tied):
    """As `kernels.rank.ranks`, on a block of scores."""
    for n in nb.prange(len(rows)):
        row, item = scores[rows[n]], items[n]
        own = row[item]
        e, end = seen_indptr[n], seen_indptr[n + 1]
        better, equal = 0, 0
        for v in range(len(row)):
            while e < end and seen_indices[e] < v:
                e += 1
            if v == item or (e < end and seen_indices[e] == v):
                continue
            value = row[v]
            if own != own or value != value or value > own:
                better += 1
            elif value == own:
                equal += 1
                better += v < item
        rank[n], tied[n] = better, equal
