"""The re-ranker: how it is learned from left-out purchases, and the order that it gives."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np

from ..config.streams import stream
from ..data.dataset import Array, Csr, Dataset
from ..data.patterns import rows_of
from ..device import Device, device
from ..errors import InputError
from ..evaluate.rankers import BlockRanker, Ranker, TableRanker, numbers, rankers_of_blocks
from ..holdout.left_out import LeftOut, leave_out, without_left_out
from ..kernels.candidates import Form, Limits, Weights
from ..kernels.rank import RowsScorer
from ..models.graph_rank import PRESETS as GRAPHS
from .config import RerankConfig
from .funnel import Candidates, Funnel
from .learner import Learner, Questions, ndcg, together


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

    def ranker(self, base: Ranker, dataset: Dataset, host: Device | None = None) -> Reranked:
        """`base` re-ranked, for the train interactions of `dataset`, by the kernels of `host`."""
        return Reranked(base, funnel(self.config, self.graph, dataset, host), self.weights)

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


def funnel(
    config: RerankConfig,
    graph: Mapping[str, float],
    dataset: Dataset,
    host: Device | None = None,
) -> Funnel:
    """Candidates and features from a data set's train interactions, by the kernels of `host`."""
    limits = Limits(config.graph, config.alike, config.model, config.soon)
    place = host or device("cpu")
    return Funnel(dataset, config.neighbours, limits, graph["alpha"], graph["beta"], place)


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
        (data set without the left-out purchases, rounds) → the ranking of a model that never saw
        them; `rounds` such models are wanted in all.
    share : float
        Share of left-out purchases that stay visible in the auxiliary behaviours.
    host : Device
        Where the re-ranker learns: one whose arrays are NumPy's.
    held : LeftOut, optional
        Purchases that the model never saw, to learn from instead.
    on_stage : callable, optional
        Told what is being done.

    Raises
    ------
    InputError
        When no user has two target interactions, so that none can be left out.
    """
    order = stream(config.seed, "re-ranker: whom to learn from").permutation(dataset.n_users)
    checked = checked_users(config, dataset.n_users)
    rounds = _left_out(config, dataset, share) if held is None else [held]
    rounds = [_first(left, order, config.users) for left in rounds]
    graph = graph_of(dataset)
    parts: list[tuple[Array, Questions]] = []
    for number, left in enumerate(rounds, 1):
        which = f" ({number}/{len(rounds)})" if len(rounds) > 1 else ""
        on_stage(f"the model without {len(left.users)} left-out {dataset.target}s{which}")
        rest = without_left_out(dataset, left)
        ranker = base(rest, len(rounds))
        on_stage(f"candidates of {len(left.users)} users{which}")
        source = funnel(config, graph, rest, host)
        found = questions(ranker, source, left)
        parts.append((left.users, found))
    users = np.concatenate([users for users, _ in parts])
    every = together([found for _, found in parts])
    aside = checked[users]
    train, check = every.of(np.flatnonzero(~aside)), every.of(np.flatnonzero(aside))
    auxiliary = len(dataset.behaviors) - 1
    touched = np.any(train.features[:, :auxiliary] > 0, axis=1)  # the first columns: own …
    train = train.thinned(touched, config.thin, stream(config.seed, "re-ranker: thinning"))
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
        "draws": len(rounds),
        "stays_visible": share,
        "users_trained": len(np.unique(users[~aside])),
        "users_checked": len(np.unique(users[aside])),
        "among_candidates": float(np.mean(every.answers >= 0)),
        "epochs": records,
        "model NDCG@10": ndcg(check, -check.features[:, of_model]) if len(check.answers) else None,
    }
    return Reranker(config, weights, graph, report)


def checked_users(config: RerankConfig, n_users: int) -> Array:
    """(U,) bool: users that a re-ranker is never trained on."""
    place = stream(config.seed, "re-ranker: users to check by").permutation(n_users)
    return place < config.check * n_users


def _left_out(config: RerankConfig, dataset: Dataset, share: float) -> list[LeftOut]:
    """Rounds of left-out purchases: more where there are few users."""
    several = int(np.count_nonzero(np.diff(dataset.interactions[-1].indptr) > 1))
    if not several:
        raise InputError(
            f"no user of data set {dataset.name!r} has two train {dataset.target!r} interactions, "
            "so none can be left out to learn from; use --rerank none."
        )
    rounds = int(np.clip(config.users // several, 1, config.draws))
    return leave_out(dataset, share, 2, config.seed, rounds)


def _first(left: LeftOut, order: Array, most: int) -> LeftOut:
    """At most so many of them: those of the users that come first in a random order."""
    first = np.argsort(order[left.users], kind="stable")[:most]
    return left.of(np.sort(first))


def questions(base: Ranker, source: Funnel, left: LeftOut) -> Questions:
    """The user of each left-out pair, with candidates and features from data without the pair."""
    parts = []
    for places, rows, block, ranker in rankers_of_blocks(base, left.users):
        found = source.block(block, ranker)
        if len(rows) > len(block):  # publishers may hold out several purchases of a user
            found = found.of(rows)
        answers = found.positions_of(left.items[places])
        offsets = np.zeros(len(found.items), np.float32)
        parts.append(Questions(found.indptr, found.features, answers, offsets))
    return together(parts)


# ---- ranking ------------------------------------------------------------------------------------


class Reranked(BlockRanker):
    """A `Ranker`: a user's candidates by f, then all other items in the order of `base`.

    Scores are f for candidates, and lie below the least of these for the others.
    """

    def __init__(self, base: Ranker, source: Funnel, weights: Weights):
        if len(weights.mean) != source.width:  # the kernels would read beyond one or the other
            raise InputError(
                f"the re-ranker was learned from {len(weights.mean)} features of a candidate, but "
                f"data set {source.dataset.name!r} gives {source.width}; wanted the data set that "
                "it was learned on, with or without times as it was."
            )
        super().__init__(source.dataset.n_items, base.width, np.float64)
        self.base, self.source, self.form = base, source, Form.of(weights)

    def f(self, features: Array) -> Array:
        """f of candidates (C, F): (C,) float32, each whatever the others."""
        return self.source.host.kernels.candidates.score_rows(features, self.form)

    def candidates(self, users: Array) -> tuple[Candidates, Array]:
        """Candidates of distinct users, and their f."""
        found = self.source.block(users, self.base.of(users))
        return found, self.f(found.features)

    def of(self, users: Array) -> RerankedBlock:
        """See `Ranker`."""
        base = self.base.of(users)
        return RerankedBlock(base, *self.source.scored(users, base, self.form), self.source.host)


class RerankedBlock(TableRanker):
    """The re-ranked order of a block of users, numbered by their places.

    Ranks and lists need no whole rows of scores: only where a candidate is not what is asked for is
    the base asked for its order. Where a number of the base or an f may not be finite, whole rows
    are made, so that the rules for such numbers hold.

    Parameters
    ----------
    base : TableRanker
        Of the same users.
    candidates : Csr
        Of each user.
    f : (C,) float32
    host : Device
    """

    def __init__(self, base: TableRanker, candidates: Csr, f: Array, host: Device):
        self.base, self.candidates, self.f, self.device = base, candidates, f, host

    @cached_property
    def scorer(self) -> RowsScorer:
        """Whole rows of scores."""
        rows = self.base.scores(np.arange(len(self.candidates.indptr) - 1))
        return RowsScorer(self.device.kernels.reorder.merge(rows, *self.candidates, self.f))

    @cached_property
    def _by_candidates(self) -> bool:
        return bool(self.base.finite and np.isfinite(self.f).all())

    def ranks(self, users: Array, items: Array, seen: Csr) -> tuple[Array, Array]:
        """See `Ranker`."""
        if not self._by_candidates:
            return super().ranks(users, items, seen)
        reorder = self.device.kernels.reorder
        users, items, seen = numbers(users), numbers(items), Csr(*map(numbers, seen))
        rank, tied, listed = reorder.ranks(*self.candidates, self.f, users, items, *seen)
        far = np.flatnonzero(~listed)  # behind all candidates: where the base has it
        if len(far):
            before = self._seen_or_candidate(seen, users[far])
            each = np.arange(len(far))
            more, tied[far] = self.base.of(users[far]).ranks(each, items[far], before)
            rank[far] += more
        return rank, tied

    def top_k(self, users: Array, k: int, seen: Csr) -> tuple[Array, Array]:
        """See `Ranker`."""
        if not self._by_candidates:
            return super().top_k(users, k, seen)
        seen = Csr(*map(numbers, seen))
        best, scores, sizes = self.device.kernels.reorder.top_k(*self.candidates, self.f, k, *seen)
        few = np.flatnonzero(sizes < k)
        if len(few):
            self._append(few, k, seen, sizes, best, scores)
        return best[users], scores[users]

    def _seen_or_candidate(self, seen: Csr, users: Array) -> Csr:
        """What the base is not asked for again, a row each."""
        rows = *rows_of(seen, users), *rows_of(self.candidates, users)
        return Csr(*self.device.kernels.reorder.unite(*rows))

    def _append(self, few: Array, k: int, seen: Csr, sizes: Array, best: Array, scores: Array):
        """Fill the rows `few` of `best` with the base's best of the rest.

        Their scores are the base's, moved below the least f as in `kernels.reorder.merge`.
        """
        base, places = self.base.of(few), np.arange(len(few))
        more, values = base.top_k(places, k, self._seen_or_candidate(seen, few))
        nothing = Csr(np.zeros(len(few) + 1, np.int32), np.empty(0, np.int32))
        highest = base.top_k(places, 1, nothing)[1].astype(np.float64)[:, 0]
        for n, w in enumerate(few):
            own, start = self.f[self.candidates.indptr[w] : self.candidates.indptr[w + 1]], sizes[w]
            shift = np.float64(own.min()) - 1 - highest[n] if len(own) else 0.0
            listed = more[n, : k - start] >= 0
            best[w, start:] = more[n, : k - start]
            scores[w, start:][listed] = values[n, : k - start][listed] + shift
