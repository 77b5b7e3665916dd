"""Rules that learn nothing: how far they get is what a data set gives away.

A rule of behaviour k lists the user's own train items of k that are not bought yet, and nothing
else; a held-out item outside the list is a miss. The list is either in random order, for which the
expected figures are computed exactly, or by falling train purchases, and by rising item number
where these are equal.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from ..data.dataset import Array, Csr, Dataset
from ..data.patterns import contains, keys_of, pattern, row_of_each
from .figures import TOP, gains


def unbought(csr: Csr, dataset: Dataset) -> Csr:
    """Each user's items of a pattern that are not in the train target row."""
    target = dataset.interactions[-1]
    rows = row_of_each(csr)
    kept = ~contains(target, rows, csr.indices, dataset.n_items)
    return pattern(rows[kept], csr.indices[kept], dataset.n_users, dataset.n_items)


def at_random(own: Csr, dataset: Dataset) -> dict[str, Array]:
    """Expected HR@10 and NDCG@10, (T,) each, of the held-out pairs over all orders of the lists.

    With n items in the list, the held-out one is at each of the n places with chance 1/n.
    """
    users, items = dataset.test_users, dataset.test_items
    sizes = np.diff(own.indptr)[users]
    listed = contains(own, users, items, dataset.n_items)
    _, gain = gains(np.arange(TOP), TOP)
    best = np.concatenate([[0.0], np.cumsum(gain)])  # of the first n places
    shares = listed / np.maximum(sizes, 1)
    hits = shares * np.minimum(sizes, TOP)
    return _named(hits, shares * best[np.minimum(sizes, TOP)])


def by_popularity(own: Csr, dataset: Dataset) -> dict[str, Array]:
    """HR@10 and NDCG@10, (T,) each, of the held-out pairs; lists by falling train purchases."""
    counts = np.bincount(dataset.interactions[-1].indices, minlength=dataset.n_items)
    rows = row_of_each(own)
    order = np.lexsort((own.indices, -counts[own.indices], rows))
    place = np.empty(len(rows), np.int64)
    place[order] = np.arange(len(rows)) - own.indptr[rows]
    keys = keys_of(own, dataset.n_items)
    wanted = dataset.test_users.astype(np.int64) * dataset.n_items + dataset.test_items
    at = np.minimum(np.searchsorted(keys, wanted), max(len(keys) - 1, 0))
    listed = keys[at] == wanted if len(keys) else np.zeros(len(wanted), bool)
    ranks = np.where(listed, place[at] if len(keys) else 0, TOP)
    return _named(*gains(ranks, TOP))


def each_pair(dataset: Dataset) -> dict[str, dict[str, Array]]:
    """Every rule of every auxiliary behaviour: name → HR@10, NDCG@10 of the held-out pairs.

    No rule without held-out pairs.
    """
    result: dict[str, dict[str, Array]] = {}
    if not len(dataset.test_users):
        return result
    for k, name in enumerate(dataset.behaviors[:-1]):
        own = unbought(dataset.interactions[k], dataset)
        result[f"own {name}, at random"] = at_random(own, dataset)
        result[f"own {name}, by popularity"] = by_popularity(own, dataset)
    return result


def rules(dataset: Dataset) -> dict[str, dict[str, float]]:
    """The means of `each_pair`: name → HR@10, NDCG@10."""
    return {
        name: {metric: float(np.mean(one)) for metric, one in values.items()}
        for name, values in each_pair(dataset).items()
    }


def best_rule(dataset: Dataset) -> dict[str, Any] | None:
    """The rule with the highest NDCG@10, with its figures; None where there is none."""
    found = rules(dataset)
    if not found:
        return None
    name = max(found, key=lambda one: found[one]["NDCG@10"])
    return {"rule": name, **found[name]}


def _named(hits: Array, values: Array) -> dict[str, Array]:
    return {f"HR@{TOP}": hits, f"NDCG@{TOP}": values}
