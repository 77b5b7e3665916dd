"""Batches of labelled pairs: every positive pair once an epoch, and some negatives of each.

A pair has one label for each behaviour that is learned. Negatives are drawn anew for every epoch
from the items that are in none of a user's learned behaviours. All rows of an epoch, positive or
not, are shuffled together. What is drawn depends on the seed, the epoch and the user alone.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from ..data.dataset import Array, Csr
from ..data.patterns import contains, row_of_each, union
from ..kernels import Kernels
from ..kernels.pairs import Pairs


class Labelled(NamedTuple):
    """A batch of n pairs over its own distinct users and items.

    users (Bu,), items (Bi,) int32 rising, −1 where a batch of fixed shape has none left; pairs in
    the numbers of their rows [users; items]; labels (K, n) F, 0 or 1, by behaviour.
    """

    users: Array
    items: Array
    pairs: Pairs
    labels: Array


def labelled(
    users: Array, items: Array, labels: Array, shape: tuple[int, int], kernels: Kernels
) -> Labelled:
    """The batch of these pairs, users and items (n,) int32; `shape` is (n_users, n_items)."""
    distinct_users, (left,) = kernels.pairs.compact([users], shape[0])
    distinct_items, (right,) = kernels.pairs.compact([items], shape[1])
    right = right + np.int32(len(distinct_users))
    count = len(distinct_users) + len(distinct_items)
    pairs = kernels.pairs.index_pairs(left, right, count)
    return Labelled(distinct_users, distinct_items, pairs, labels)


class LabelList:
    """The labelled pairs of one or more behaviours; see the module.

    Parameters
    ----------
    patterns : of the K behaviours that are learned
    shape : (n_users, n_items)
    negatives, batch : int
        Negatives of a pair; rows of a step.
    seed, kernels, dtype
    funnel : bool
        Take a pair of m behaviours to be of the first m, as in a shop where nobody buys what was
        not viewed; else its labels are those that it has.
    """

    def __init__(
        self,
        patterns: Sequence[Csr],
        shape: tuple[int, int],
        negatives: int,
        batch: int,
        seed: int,
        kernels: Kernels,
        dtype: type,
        funnel: bool = False,
    ):
        self.shape, self.negatives, self.most, self.seed = shape, negatives, batch, seed
        self.kernels, self.dtype, self.levels = kernels, dtype, len(patterns)
        known = union(patterns, shape[1])
        degrees = np.diff(known.indptr)
        # Who has everything has no negative.
        self.degrees = np.where(degrees < shape[1], degrees, 0).astype(np.int32)
        users = row_of_each(known).astype(np.int32)
        kept = self.degrees[users] > 0
        users, items = users[kept], np.ascontiguousarray(known.indices[kept])
        has = np.array([contains(one, users, items, shape[1]) for one in patterns])
        if funnel:
            has = np.arange(self.levels)[:, None] < has.sum(axis=0)
        marks = np.sum(has.astype(np.int32) << np.arange(self.levels)[:, None], axis=0, dtype="i4")
        self.count = len(users)  # positive pairs
        self.known, self.users, self.marks = kernels.place((known, users, marks))
        # Of an epoch: items of the pairs, then of the first negative of each, …; rows in order.
        self.items = kernels.xp.zeros(self.rows, "int32")
        self.items[: self.count] = kernels.place(items)
        self.order = kernels.xp.zeros(self.rows, "int32")
        self._epoch: int | None = None

    @property
    def rows(self) -> int:
        """Labelled pairs of an epoch."""
        return (1 + self.negatives) * self.count

    @property
    def steps_per_epoch(self) -> int:
        """Batches of an epoch; the last may be small, and is a full update."""
        return max(1, -(-self.rows // self.most))

    def size(self, index: int) -> int:
        """Rows of batch `index` of an epoch."""
        return min(self.most, self.rows - index * self.most)

    def begin_epoch(self, epoch: int) -> None:
        """Draw the epoch's negatives, and its order."""
        sample, place = self.kernels.sample, self.kernels.place
        everybody = np.flatnonzero(self.degrees).astype(np.int32)
        settings = (place(self.degrees), place(everybody), self.seed, epoch, 0, self.negatives)
        if self.negatives:  # a user's n-th draw gives the n-th pair its negatives
            _, _, self.items[self.count :] = sample.draw(*self.known, self.shape[1], *settings)
        self.order[...] = sample.epoch_users(self.rows, self.rows, self.seed, epoch)
        self._epoch = epoch

    def batch(self, step: int) -> Labelled:
        """The batch of this step of the run."""
        epoch, index = divmod(step, self.steps_per_epoch)
        if self._epoch != epoch:
            self.begin_epoch(epoch)
        start = index * self.most
        return self._labelled(self.order[start : start + self.size(index)])

    def slots(self, clock: Array, size: int) -> Labelled:
        """The batch clock[0] of the epoch; all its rows are there, so its shape is fixed."""
        numbers = self.kernels.xp.zeros(size, "int32")
        self.kernels.sample.take_users(self.order, clock, self.most, numbers)
        return self._labelled(numbers)

    def pairs(self, numbers: Array) -> tuple[Array, Array, Array]:
        """Users, items and labels of rows of the epoch: only launches, on a device."""
        count = np.int32(max(self.count, 1))
        pair = numbers % count
        marks = self.marks[pair] * (numbers < count).astype("int32")  # a negative has none
        labels = self.kernels.xp.zeros((self.levels, len(numbers)), self.dtype)
        for k in range(self.levels):
            labels[k] = (marks >> np.int32(k)) & np.int32(1)
        return self.users[pair], self.items[numbers], labels

    def _labelled(self, numbers: Array) -> Labelled:
        return labelled(*self.pairs(numbers), self.shape, self.kernels)
