"""Full ranking of the held-out items, and its figures.

Candidates are those of a protocol (`protocols`); the paper's are all items outside the user's train
*target* row, so items of auxiliary behaviours stay candidates. Ranks count from 0; ties go by
rising item number (spec "Evaluation").
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from ..arguments import listed, whole
from ..data.dataset import Array, Dataset
from ..device import Device
from ..kernels.rank import DotScorer
from .protocols import interval, names_of, protocols
from .rankers import Ranker, TableRanker

TOP = 10  # the cutoff of headline figures
CUTOFFS = "whole numbers of 1 or more"


@dataclass(frozen=True)
class ProtocolFigures:
    """What one protocol found.

    Attributes
    ----------
    metrics : dict
        HR and NDCG at each cutoff and MRR; NaN without users.
    test_users, test_items, ranks : (T',) int32
        The pairs that count, and the ranks of their items.
    ties : int
    """

    metrics: dict[str, float]
    test_users: Array
    test_items: Array
    ranks: Array
    ties: int

    @property
    def users(self) -> int:
        """Users with a held-out pair that counts."""
        return len(np.unique(self.test_users))

    @cached_property
    def interval(self) -> dict[str, tuple[float, float]] | None:
        """95 % bootstrap interval (low, high) of HR@10 and NDCG@10; None without users."""
        if not len(self.ranks):
            return None
        hit, gain = gains(self.ranks, TOP)
        return {
            f"HR@{TOP}": interval(self.test_users, hit),
            f"NDCG@{TOP}": interval(self.test_users, gain),
        }

    def as_dict(self) -> dict[str, Any]:
        """users, items, the figures and interval, as values that JSON can write."""
        return {
            "users": self.users,
            "items": len(self.ranks),
            **self.metrics,
            "interval": self.interval,
        }


class Evaluation(dict):
    """Figures by name, such as "HR@10", with what they were made from; NaN where that is nothing.

    Attributes
    ----------
    ranks : (T,) int32
        Rank of each held-out item from 0, in the order of the data set's test pairs that count.
    users : int
        Test users.
    ties : int
        Held-out items that share their score with another candidate; many mean a dead model.
    seconds : float
        Time of scoring and ranking.
    protocols : dict of name → ProtocolFigures
        What each protocol that was asked for found; the figures above are the first one's.
    """

    def __init__(
        self,
        figures: dict[str, float],
        ranks: Array,
        users: int,
        ties: int,
        seconds: float,
        protocols: dict[str, ProtocolFigures] | None = None,
    ):
        super().__init__(figures)
        self.ranks, self.users, self.ties, self.seconds = ranks, users, ties, seconds
        self.protocols = protocols or {}

    @property
    def metrics(self) -> dict[str, float]:
        """The figures as a plain dict."""
        return dict(self)

    @property
    def nothing(self) -> str:
        """Why there are no figures, as a sentence; empty where there are some."""
        if len(self.ranks):
            return ""
        of = next(iter(self.protocols), "paper")
        which = "" if of == "paper" else f" that count under the protocol {of!r}"
        return f"nothing was evaluated: no held-out items{which}"


def gains(ranks: Array, cutoff: int) -> tuple[Array, Array]:
    """HR and NDCG of each 0-based rank: 1 and 1/log2(rank + 2) where rank < cutoff, else 0."""
    ranks = np.asarray(ranks, np.float64)
    hit = (ranks < cutoff).astype(np.float64)
    return hit, hit / np.log2(ranks + 2)


def figures(ranks: Array, cutoffs: Iterable[int] = (TOP,)) -> dict[str, float]:
    """HR and NDCG at each cutoff, and MRR, of 0-based ranks; means over the held-out items.

    With one held-out item a user: HR@n = share of ranks < n, NDCG@n = mean of 1/log2(rank + 2)
    where rank < n, MRR = mean of 1/(rank + 1). All NaN without ranks: nothing was measured.

    >>> figures(np.array([0, 2, 30]), (10,))["NDCG@10"]
    0.5
    """
    ranks = np.asarray(ranks, np.float64)
    result = {}
    for cutoff in cutoffs:
        result[f"HR@{cutoff}"], result[f"NDCG@{cutoff}"] = map(_mean, gains(ranks, cutoff))
    result["MRR"] = _mean(1 / (ranks + 1))
    return result


def _mean(values: Array) -> float:
    return float(np.sum(values) / len(values)) if len(values) else math.nan


def evaluate(
    ranker: Ranker | Callable[[], Ranker],
    dataset: Dataset,
    cutoffs: int | Iterable[int] = (TOP,),
    protocol: str = "paper",
) -> Evaluation:
    """Rank the test pairs of the data set.

    Parameters
    ----------
    ranker : Ranker, or a callable that makes it, which then is part of the time
    dataset : Dataset
    cutoffs : int, or several
    protocol : {"paper", "discovery", "return", "all"}
        "all" ranks by each of the three; the headline figures are then the paper's.
    """
    start = time.perf_counter()
    ranker = ranker() if callable(ranker) else ranker
    cutoffs = [whole("a cutoff", one, 1) for one in listed("cutoffs", cutoffs, CUTOFFS)]
    names = names_of(protocol)
    found: dict[str, ProtocolFigures] = {}
    paper: tuple[Array, Array] | None = None
    for one in protocols(dataset, names):
        users, items = dataset.test_users[one.chosen], dataset.test_items[one.chosen]
        if one.name == "return" and paper is not None:  # the same candidates: ranked already
            ranks, tied = (values[one.chosen] for values in paper)
        else:
            ranks, tied = ranker.ranks(users, items, one.seen)
        if one.name == "paper":
            paper = ranks, tied
        found[one.name] = _figures_of(users, items, ranks, tied, cutoffs)
    first = found[names[0]]
    return Evaluation(
        figures(first.ranks, cutoffs),
        first.ranks,
        users=first.users,
        ties=first.ties,
        seconds=time.perf_counter() - start,
        protocols=found,
    )


def _figures_of(users, items, ranks, tied, cutoffs) -> ProtocolFigures:
    metrics = figures(ranks, sorted({TOP, *cutoffs}))
    return ProtocolFigures(metrics, users, items, ranks, int(np.count_nonzero(tied)))


def popularity(dataset: Dataset, device: Device, dtype: type = np.float32) -> TableRanker:
    """Ranks items by their train target interactions, for everybody alike."""
    counts = np.bincount(dataset.interactions[-1].indices, minlength=dataset.n_items)
    one, columns = np.ones((dataset.n_users, 1), dtype), counts.astype(dtype)[:, None]
    return TableRanker(DotScorer(*device.place((one, columns))), device)
