"""Batches that visit every user once an epoch, with a triple of each behaviour (baselines' S3×K).

A user's triple of behaviour k has a random one of its items and an item outside of `union`, all
that the user did, or outside of the behaviour alone. Who has no such items has an absent triple,
which counts in a mean but passes no gradient.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from ..data.dataset import Array, Csr, Dataset
from ..data.patterns import union
from ..kernels import Kernels
from ..kernels.pairs import Pairs
from .epochs import EpochLists


class BehaviorTriples(NamedTuple):
    """A batch over its own distinct nodes.

    nodes (B,) int32 rising, users first, −1 where a batch of fixed shape has none left; pairs by
    behaviour, in the nodes' numbers, rows [(user, positive); (user, negative)], −1 of absent ones.
    """

    nodes: Array
    pairs: tuple[Pairs, ...]


def compacted(
    users: Array,
    triples: list[tuple[Array, Array]],
    shape: tuple[int, int],
    kernels: Kernels,
    places: Array | None,
) -> BehaviorTriples:
    """The batch of these users (n,) int32 and of each behaviour's (positives, negatives).

    Parameters
    ----------
    users
    triples : positives and negatives (n,) int32 each, −1 where a user has none
    shape : (n_users, n_items)
    kernels : Kernels
    places : (n_users + n_items,) int32, optional
        The nodes' places in the model's node order.
    """
    n, ends = len(users), []
    for positives, negatives in triples:
        left, right = kernels.xp.zeros((2, 2 * n), "int32")
        left[:n], left[n:], right[:n], right[n:] = users, users, positives, negatives
        there = right >= 0
        for numbers in (left, right + np.int32(shape[0])):
            placed = numbers if places is None else places[numbers]
            ends.append(kernels.xp.where(there, placed, np.int32(-1)))
    nodes, ends = kernels.pairs.compact(ends, sum(shape))
    sides = zip(ends[::2], ends[1::2], strict=True)
    return BehaviorTriples(
        nodes, tuple(kernels.pairs.index_pairs(left, right, len(nodes)) for left, right in sides)
    )


class EachUser(EpochLists):
    """Draws the batches; what is drawn depends on the seed, the epoch and the user alone."""

    def __init__(
        self,
        dataset: Dataset,
        batch: int,
        seed: int,
        kernels: Kernels,
        places: Array | None,
        outside: str,
    ):
        super().__init__(kernels, batch)
        self.seed, self.places = seed, places
        self.shape = (dataset.n_users, dataset.n_items)
        everything = union(dataset.interactions, dataset.n_items)
        self.sets: list[tuple[Array, Csr, Csr]] = []  # by behaviour: draws, positives, forbidden
        for one in dataset.interactions:
            forbidden = everything if outside == "union" else one
            some = np.diff(one.indptr) > 0
            caps = (some & (np.diff(forbidden.indptr) < dataset.n_items)).astype(np.int32)
            self.sets.append(kernels.place((caps, one, forbidden)))

    @property
    def steps_per_epoch(self) -> int:
        """Batches of an epoch; the last may be small, and is a full update."""
        return -(-self.shape[0] // self.most)

    def size(self, index: int) -> int:
        """Users of batch `index` of an epoch."""
        return min(self.most, self.shape[0] - index * self.most)

    def lists(self, epoch: int) -> tuple[Array, ...]:
        """Users (U,) of an epoch in order, then positives and negatives (U,) of each behaviour."""
        sample, n_users = self.kernels.sample, self.shape[0]
        users = sample.epoch_users(n_users, n_users, self.seed, epoch)
        found = [users]
        for k, (caps, *patterns) in enumerate(self.sets):
            there = caps[users] > 0
            # The same draw of both patterns: a positive of the first, a negative of the second.
            for which, pattern in enumerate(patterns):
                settings = (caps, users, self.seed, epoch, k)
                drawn = sample.draw(*pattern, self.shape[1], *settings)[1 + which]
                items = self.kernels.xp.full(n_users, -1, "int32")
                items[there] = drawn
                found.append(items)
        return tuple(found)

    def made(self, parts: list[Array], step: Any, fixed: bool) -> BehaviorTriples:
        """See `EpochLists`; who has no triple has −1, so shapes are fixed in any case."""
        users, *items = parts
        triples = list(zip(items[::2], items[1::2], strict=True))
        return compacted(users, triples, self.shape, self.kernels, self.places)
