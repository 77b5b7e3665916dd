"""Who is ranked among what: the paper's protocol, and the two kinds of user that it mixes.

The paper holds out a pair of the target behaviour, and leaves in the train data whatever else the
user did with that item. So for many users the question is "which of the items that I looked at will
I buy?", and only for the others "which item that I have never met will I buy?".

    paper       every held-out pair; candidates: all items outside the user's train target row
    discovery   pairs that are in no train behaviour; candidates: items of none of the user's rows
    return      the other pairs; candidates as in paper
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

import numpy as np

from ..config.streams import stream
from ..data.dataset import Array, Csr, Dataset
from ..data.patterns import contains, union
from ..errors import InputError, did_you_mean

PROTOCOLS = ("paper", "discovery", "return")
RESAMPLES = 1000
SEED = 0  # of the bootstrap: equal ranks give equal intervals
CHUNK = 2**22  # draws held at a time


class Protocol(NamedTuple):
    """Which held-out pairs count, (T,) bool, and which items are no candidates, a U × I pattern."""

    name: str
    chosen: Array
    seen: Csr


def names_of(protocol: str) -> tuple[str, ...]:
    """The protocols that a word stands for: itself, or all of them for "all"."""
    if protocol == "all":
        return PROTOCOLS
    if protocol not in PROTOCOLS:
        raise InputError(
            f"protocol {protocol!r} is unknown{did_you_mean(protocol, (*PROTOCOLS, 'all'))}"
        )
    return (protocol,)


def protocols(dataset: Dataset, names: Iterable[str]) -> list[Protocol]:
    """Protocols of a data set by their names."""
    target = dataset.interactions[-1]
    result = []
    for name in names:
        if name == "paper":
            result.append(Protocol(name, np.ones(len(dataset.test_users), bool), target))
            continue
        touched = union(dataset.interactions, dataset.n_items)
        met = contains(touched, dataset.test_users, dataset.test_items, dataset.n_items)
        if name == "discovery":
            result.append(Protocol(name, ~met, touched))
        else:
            result.append(Protocol(name, met, target))
    return result


def interval(users: Array, values: Array, share: float = 0.95) -> tuple[float, float] | None:
    """Bootstrap interval of the mean of `values` (T,), by drawing users with replacement.

    All pairs of a drawn user come along. None without pairs. Seeded: equal input, equal interval.

    >>> interval(np.arange(4), np.ones(4))
    (1.0, 1.0)
    """
    if not len(values):
        return None
    _, number = np.unique(users, return_inverse=True)
    counts = np.bincount(number)
    sums = np.bincount(number, values)
    random = stream(SEED, "bootstrap")
    means = []
    left = RESAMPLES
    while left:
        rows = min(left, max(1, CHUNK // len(counts)))
        drawn = random.integers(len(counts), size=(rows, len(counts)))
        means.append(sums[drawn].sum(axis=1) / counts[drawn].sum(axis=1))
        left -= rows
    low, high = np.quantile(np.concatenate(means), [(1 - share) / 2, (1 + share) / 2])
    return float(low), float(high)
