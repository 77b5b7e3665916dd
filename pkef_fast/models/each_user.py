"""Batches that visit every user once an epoch, with a triple of each behaviour (baselines' S3×K).

A user's triple of behaviour k has a random one of its items and an item outside of `union`, all
that the user did, or outside of the behaviour alone. Who has no such items has an absent triple,
which counts in a mean but passes no gradient.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from ..data.dataset import Array, Csr, Dataset
from ..data.patterns import row_of_each
from ..kernels import Kernels
from ..kernels.pairs import Pairs


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


def union(interactions: tuple[Csr, ...], n_items: int) -> Csr:
    """What a user did by any behaviour."""
    keys = [row_of_each(one).astype(np.int64) * n_items + one.indices for one in interactions]
    rows, items = np.divmod(np.unique(np.concatenate(keys)), n_items)
    indptr = np.searchsorted(rows, np.arange(len(interactions[0].indptr)))
    return Csr(indptr.astype(np.int32), items.astype(np.int32))


class EachUser:
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
        self.kernels, self.seed, self.most, self.places = kernels, seed, batch, places
        self.shape = (dataset.n_users, dataset.n_items)
        everything = union(dataset.interactions, dataset.n_items)
        self.sets: list[tuple[Array, Csr, Csr]] = []  # by behaviour: draws, positives, forbidden
        for one in dataset.interactions:
            forbidden = everything if outside == "union" else one
            some = np.diff(one.indptr) > 0
            caps = (some & (np.diff(forbidden.indptr) < dataset.n_items)).astype(np.int32)
            self.sets.append(kernels.place((caps, one, forbidden)))
        self._epoch: tuple[int, tuple[Array, ...]] | None = None
        self._on_device: tuple[Array, ...] | None = None

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

    def batch(self, step: int) -> BehaviorTriples:
        """The batch of this step of the run."""
        epoch, index = divmod(step, self.steps_per_epoch)
        if self._epoch is None or self._epoch[0] != epoch:
            self._epoch = (epoch, self.lists(epoch))
        here = slice(index * self.most, index * self.most + self.size(index))
        return self._compacted([one[here] for one in self._epoch[1]])

    def begin_epoch(self, epoch: int) -> None:
        """Put the epoch's lists where `slots` takes them from, on the device."""
        drawn = self.lists(epoch)
        if self._on_device is None:
            self._on_device = tuple(self.kernels.xp.zeros(len(one), "int32") for one in drawn)
        for there, one in zip(self._on_device, drawn, strict=True):
            there[...] = one

    def slots(self, clock: Array, size: int) -> BehaviorTriples:
        """The batch clock[0] of the epoch; who has no triple has −1, so its shape is fixed."""
        taken = []
        for one in self._on_device:
            here = self.kernels.xp.zeros(size, "int32")
            self.kernels.sample.take_users(one, clock, self.most, here)
            taken.append(here)
        return self._compacted(taken)

    def _compacted(self, lists: list[Array]) -> BehaviorTriples:
        users, *items = lists
        triples = list(zip(items[::2], items[1::2], strict=True))
        return compacted(users, triples, self.shape, self.kernels, self.places)
