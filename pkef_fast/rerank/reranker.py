"""The re-ranker: learned on left-out purchases, then in front of any model's ranking."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numba as nb
import numpy as np

from ..data.dataset import Array, Csr, Dataset
from ..data.patterns import offsets, rows_of
from ..device import Device, device
from ..errors import InputError
from ..evaluate.rankers import Ranker, TableRanker, blocks, numbers
from ..holdout.leave_out import LeftOut, draw, hidden
from ..kernels.jit import parallel
from ..kernels.rank import RowsScorer
from ..models.graph_rank import PRESETS as GRAPHS
from .config import RerankConfig
from .funnel import Candidates, Funnel, Limits
from .learner import Learner, Questions, ndcg, together
from .score import Form, Weights, learned


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
    limits = Limits(config.graph, config.alike, config.model, config.soon)
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
        source = funnel(config, graph, rest)
        found = questions(ranker, source, left)
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
    of_model = [column.name for column in source.columns].index("model, place")
    report = {
        "left_out": len(users),
        "draws": len(draws),
        "stays_visible": share,
        "users_trained": len(np.unique(users[~aside])),
        "users_checked": len(np.unique(users[aside])),
        "among_candidates": float(np.mean(every.answers >= 0)),
        "epochs": records,
        "model NDCG@10": ndcg(check, -check.features[:, of_model]) if len(check.answers) else None,
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
    for places, _, block in blocks(left.users, base.width):
        found = source.block(block, base.of(block))
        parts.append(
            Questions(
                found.indptr,
                found.features,
                found.places(left.items[places]),
                np.zeros(len(found.items), np.float32),
            )
        )
    return together(parts)


# ---- ranking ------------------------------------------------------------------------------------


class Reranked:
    """A `Ranker`: a user's candidates by f, then all other items in the order of `base`.

    Scores are f for candidates, and below the least of these for the others. Ranks and lists do
    not need them: only where a candidate is not what is asked for is the base asked for its order.
    A base or an f whose numbers may not be finite is ranked by whole rows of scores, so that the
    rules for such numbers hold.
    """

    def __init__(self, base: Ranker, source: Funnel, weights: Weights):
        if len(weights.mean) != source.width:  # the kernels would read beyond one or the other
            raise InputError(
                f"the re-ranker was learned from {len(weights.mean)} features of a candidate, but "
                f"data set {source.dataset.name!r} gives {source.width}; wanted the data set that "
                "it was learned on, with or without times as it was."
            )
        self.base, self.source = base, source
        self.width, self.form = base.width, Form.of(weights)

    def learned(self, features: Array) -> Array:
        """f of candidates (C, F): (C,) float32, each whatever the others."""
        return learned(self.form, features)

    def candidates(self, users: Array) -> tuple[Candidates, Array]:
        """Candidates of distinct users, and their f."""
        found = self.source.block(users, self.base.of(users))
        return found, self.learned(found.features)

    def of(self, users: Array) -> TableRanker:
        """See `Ranker`."""
        return TableRanker(RowsScorer(self.scores(users)), device("cpu"))

    def scores(self, users: Array) -> Array:
        """See `Ranker`."""
        result = np.empty((len(users), self.source.dataset.n_items))
        for places, rows, block in blocks(users, self.width):
            base = self.base.of(block)
            found, values = self.source.scored(block, base, self.form)
            result[places] = _merged(base.scores(np.arange(len(block))), found, values)[rows]
        return result

    def ranks(self, users: Array, items: Array, seen: Csr) -> tuple[Array, Array]:
        """See `Ranker`."""
        rank, tied = np.zeros((2, len(users)), np.int32)
        for places, rows, block in blocks(users, self.width):
            base = self.base.of(block)
            found, values = self.source.scored(block, base, self.form)
            hidden, wanted = rows_of(seen, block), numbers(items[places])
            if not (base.finite and np.isfinite(values).all()):
                whole = _whole(base, found, values)
                rank[places], tied[places] = whole.ranks(rows, wanted, hidden)
                continue
            here = np.zeros((2, len(places)), np.int32)
            listed = np.zeros(len(places), bool)
            _rank(*found, values, rows, wanted, *hidden, *here, listed)
            far = np.flatnonzero(~listed)  # behind all candidates: where the base has it
            if len(far):
                before = _both(rows_of(hidden, rows[far]), rows_of(found, rows[far]))
                each = np.arange(len(far))
                more, here[1, far] = base.of(rows[far]).ranks(each, wanted[far], before)
                here[0, far] += more
            rank[places], tied[places] = here
        return rank, tied

    def top_k(self, users: Array, k: int, seen: Csr) -> tuple[Array, Array]:
        """See `Ranker`."""
        items = np.full((len(users), k), -1, np.int32)
        scores = np.full((len(users), k), -np.inf)
        for places, rows, block in blocks(users, self.width):
            base = self.base.of(block)
            found, values = self.source.scored(block, base, self.form)
            hidden = rows_of(seen, block)
            if not (base.finite and np.isfinite(values).all()):
                items[places], scores[places] = _whole(base, found, values).top_k(rows, k, hidden)
                continue
            best = np.full((len(block), k), -1, np.int32)
            best_scores = np.full((len(block), k), -np.inf)
            sizes = _best(*found, values, *hidden, best, best_scores)
            few = np.flatnonzero(sizes < k)
            if len(few):
                before = _both(rows_of(hidden, few), rows_of(found, few))
                _append(base.of(few), k, before, found, values, few, sizes, best, best_scores)
            items[places], scores[places] = best[rows], best_scores[rows]
        return items, scores


def _whole(base: TableRanker, found: Csr, learned: Array) -> TableRanker:
    """The ranker by whole rows of scores."""
    rows = base.scores(np.arange(len(found.indptr) - 1))
    return TableRanker(RowsScorer(_merged(rows, found, learned)), device("cpu"))


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


def _merged(base: Array, found: Csr, learned: Array) -> Array:
    """(w, I) float64 scores in the end, from those of the base."""
    merged = np.empty(base.shape, np.float64)
    _merge(base, *found, learned, merged)
    return merged


def _both(a: Csr, b: Csr) -> Csr:
    """Rows with the items of a and of b."""
    counts = np.zeros(len(a.indptr) - 1, np.int64)
    items = np.empty(len(a.indices) + len(b.indices), np.int32)
    kept = np.zeros(len(items), bool)
    _unite(*a, *b, counts, items, kept)
    return Csr(offsets(counts), items[kept])


@parallel()
def _unite(a_indptr, a_items, b_indptr, b_items, counts, items, kept):
    """The union of each two rising rows from where both begin, `kept` as long as it is."""
    for n in nb.prange(len(counts)):
        i, j, start = a_indptr[n], b_indptr[n], a_indptr[n] + b_indptr[n]
        at = start
        while i < a_indptr[n + 1] or j < b_indptr[n + 1]:
            if j == b_indptr[n + 1] or (i < a_indptr[n + 1] and a_items[i] < b_items[j]):
                items[at] = a_items[i]
                i += 1
            else:
                items[at] = b_items[j]
                i += i < a_indptr[n + 1] and a_items[i] == b_items[j]
                j += 1
            kept[at] = True
            at += 1
        counts[n] = at - start


@parallel()
def _rank(indptr, items, learned, rows, wanted, seen_indptr, seen_indices, rank, tied, listed):
    """Rank and ties of wanted[n] among the unseen candidates of rows[n], and whether it is one.

    One that is none gets their number.
    """
    for n in nb.prange(len(rows)):
        first, last = indptr[rows[n]], indptr[rows[n] + 1]
        own = np.float32(-np.inf)
        at = first + np.searchsorted(items[first:last], wanted[n])
        if at < last and items[at] == wanted[n]:
            own, listed[n] = learned[at], True
        e, end = seen_indptr[rows[n]], seen_indptr[rows[n] + 1]
        better, equal = 0, 0
        for c in range(first, last):
            while e < end and seen_indices[e] < items[c]:
                e += 1
            if items[c] == wanted[n] or (e < end and seen_indices[e] == items[c]):
                continue
            better += learned[c] > own or (learned[c] == own and items[c] < wanted[n])
            equal += learned[c] == own
        rank[n], tied[n] = better, equal


@parallel()
def _best(indptr, items, learned, seen_indptr, seen_indices, best, best_scores):
    """The best unseen candidates of each user, and how many there are."""
    k = best.shape[1]
    sizes = np.zeros(len(best), np.int64)
    for w in nb.prange(len(best)):
        first, last = indptr[w], indptr[w + 1]
        e, end = seen_indptr[w], seen_indptr[w + 1]
        free = np.empty(last - first, np.int64)
        found = 0
        for c in range(first, last):
            while e < end and seen_indices[e] < items[c]:
                e += 1
            if not (e < end and seen_indices[e] == items[c]):
                free[found] = c
                found += 1
        # Stable, and items rise: of equal ones the lowest numbers come first.
        order = np.argsort(-learned[free[:found]], kind="mergesort")
        sizes[w] = min(found, k)
        for n in range(sizes[w]):
            c = free[order[n]]
            best[w, n], best_scores[w, n] = items[c], learned[c]
    return sizes


def _append(base, k, before, found, learned, few, sizes, best, best_scores):
    """Fill the rows `few` of `best` with the base's best of the rest; `base` is of these rows.

    Their scores are the base's, moved below the least f as in `_merge`.
    """
    places = np.arange(len(few))
    more, scores = base.top_k(places, k, before)
    none = Csr(np.zeros(len(few) + 1, np.int32), np.empty(0, np.int32))
    highest = base.top_k(places, 1, none)[1].astype(np.float64)[:, 0]
    for n, w in enumerate(few):
        own, start = learned[found.indptr[w] : found.indptr[w + 1]], sizes[w]
        shift = np.float64(own.min()) - 1 - highest[n] if len(own) else 0.0
        listed = more[n, : k - start] >= 0
        best[w, start:] = more[n, : k - start]
        best_scores[w, start:][listed] = scores[n, : k - start][listed] + shift
