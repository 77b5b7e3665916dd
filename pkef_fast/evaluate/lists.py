"""Lists of items for users, by the data set's own ids."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, NamedTuple

import numpy as np

from ..data.dataset import Csr, Dataset
from ..data.ids import Ids
from ..errors import InputError
from .rankers import Ranker


class Recommendation(NamedTuple):
    """An item by the data set's own id, and its score."""

    item: Any
    score: float


def best_items(
    ranker: Ranker, data: Dataset, users: Iterable[Any], k: int, filter_seen: bool
) -> dict[Any, list[Recommendation]]:
    """The k best items for each user; see `Recommender.recommend`."""
    if k < 1:
        raise InputError(f"k cannot be {k}; wanted at least 1.")
    users = list(users)
    numbers, ids = Ids("user", data).numbers(users), Ids("item", data)
    seen = data.interactions[-1]
    if not filter_seen:
        seen = Csr(np.zeros_like(seen.indptr), seen.indices[:0])
    items, scores = ranker.top_k(numbers, min(k, data.n_items), seen)
    return {
        user: [
            Recommendation(ids.id(item), float(score))
            for item, score in zip(row, values, strict=True)
            if item >= 0
        ]
        for user, row, values in zip(users, items, scores, strict=True)
    }
