"""Full ranking of the held-out items, and its figures.

Candidates are all items outside the user's train *target* row; items of auxiliary behaviours stay
candidates. Ranks count from 0; ties go by rising item number (spec "Evaluation").
"""

from __future__ import annotations

import time
from collections.abc import Iterable

import numpy as np

from .data.dataset import Dataset
from .kernels import Kernels, rank


class Evaluation(dict):
    """Figures by name, such as "HR@10", with what they were made from.

    Attributes
    ----------
    ranks : (T,) int32
        Rank of each held-out item from 0, in the order of the data set's test pairs.
    users : int
        Test users.
    ties : int
        Held-out items that share their score with another candidate; many mean a dead model.
    seconds : float
        Time of scoring and ranking.
    """

    def __init__(self, figures: dict[str, float], ranks, users: int, ties: int, seconds: float):
        super().__init__(figures)
        self.ranks, self.users, self.ties, self.seconds = ranks, users, ties, seconds

    @property
    def metrics(self) -> dict[str, float]:
        """The figures as a plain dict."""
        return dict(self)


def figures(ranks: np.ndarray, cutoffs: Iterable[int] = (10,)) -> dict[str, float]:
    """HR and NDCG at each cutoff, and MRR, of 0-based ranks; means over the held-out items.

    With one held-out item a user: HR@n = share of ranks < n, NDCG@n = mean of 1/log2(rank + 2)
    where rank < n, MRR = mean of 1/(rank + 1).

    >>> figures(np.array([0, 2, 30]), (10,))["NDCG@10"]
    0.5
    """
    ranks = np.asarray(ranks, np.float64)
    count = max(len(ranks), 1)
    result = {}
    for cutoff in cutoffs:
        hit = ranks < cutoff
        result[f"HR@{cutoff}"] = float(np.sum(hit) / count)
        result[f"NDCG@{cutoff}"] = float(np.sum(hit / np.log2(ranks + 2)) / count)
    result["MRR"] = float(np.sum(1 / (ranks + 1)) / count)
    return result


def evaluate(
    scorer: tuple, dataset: Dataset, kernels: Kernels, cutoffs: Iterable[int] = (10,)
) -> Evaluation:
    """Rank every test pair of the data set by a `kernels.rank` scorer."""
    start = time.perf_counter()
    arguments = (scorer, dataset.test_users, dataset.test_items, *dataset.interactions[-1])
    ranks, tied = map(kernels.to_host, kernels.rank.ranks(*kernels.place(arguments)))
    return Evaluation(
        figures(ranks, cutoffs),
        ranks,
        users=len(np.unique(dataset.test_users)),
        ties=int(np.count_nonzero(tied)),
        seconds=time.perf_counter() - start,
    )


def popularity(dataset: Dataset, dtype: type = np.float32) -> rank.DotScorer:
    """The scorer that ranks items by their train target interactions, for everybody alike."""
    counts = np.bincount(dataset.interactions[-1].indices, minlength=dataset.n_items)
    return rank.DotScorer(np.ones((dataset.n_users, 1), dtype), counts.astype(dtype)[:, None])
