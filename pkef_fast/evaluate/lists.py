"""Lists of items for users, by the data set's own ids."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from ..arguments import listed, whole, wrong
from ..data.dataset import Csr, Dataset
from ..data.ids import Ids
from .rankers import Ranker


class Recommendation(NamedTuple):
    """An item by the data set's own id, and its score."""

    item: Any
    score: float


def best_items(
    ranker: Ranker, data: Dataset, users: Any, k: int, filter_seen: bool
) -> dict[Any, list[Recommendation]]:
    """The k best items for each user; see `Recommender.recommend`."""
    k, users = whole("k", k, 1), listed("users", users)
    if not isinstance(filter_seen, (bool, np.bool_)):
        raise wrong("filter_seen", filter_seen, "True or False")
    numbers = Ids("user", data).numbers(users)
    seen = data.interactions[-1]
    if not filter_seen:
        seen = Csr(np.zeros_like(seen.indptr), seen.indices[:0])
    items, scores = ranker.top_k(numbers, min(k, data.n_items), seen)
    names = Ids("item", data).of(items)  # where there is no item, the last one's: left out below
    rows = zip(names, scores.tolist(), (items >= 0).tolist(), strict=True)
    return {
        user: [Recommendation(*pair) for *pair, there in zip(*row, strict=True) if there]
        for user, row in zip(users, rows, strict=True)
    }
