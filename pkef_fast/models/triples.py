"""Batches of triples (user, positive item, negative item) of one behaviour, mostly the target.

`TripleList` goes through all train pairs in an epoch; `OnePerUser` takes some users for each step
and one pair of each, `SomePerUser` as many pairs of each as it is told. What is drawn depends on
the seed, the epoch or step, and the user alone.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from ..data.dataset import Array, Csr, Dataset
from ..data.patterns import row_of_each
from ..kernels import Kernels
from ..kernels.pairs import Pairs


class Triples(NamedTuple):
    """A batch over its own distinct nodes.

    nodes (B,) int32 rising, users first, −1 where a batch of fixed shape has none left; pairs in
    the nodes' numbers, rows [(user, positive); (user, negative)], 2n of them; appearances (B,) F:
    in how many triples each node is; step: the run's, or the device's clock.
    """

    nodes: Array
    pairs: Pairs
    appearances: Array
    step: Any = 0

    @property
    def count(self) -> int:
        """Triples, n."""
        return len(self.pairs.left) // 2


def compacted(
    users: Array,
    positives: Array,
    negatives: Array,
    shape: tuple[int, int],
    kernels: Kernels,
    places: Array | None,
    dtype: type,
) -> Triples:
    """The batch of these triples (n,) int32 each.

    Parameters
    ----------
    users, positives, negatives
    shape : (n_users, n_items)
    kernels : Kernels
    places : (n_users + n_items,) int32, optional
        The nodes' places in the model's node order.
    dtype : float type F
    """
    n_users, n_items = shape
    left, right = kernels.xp.zeros((2, 2 * len(users)), "int32")
    left[: len(users)], left[len(users) :] = users, users
    right[: len(users)], right[len(users) :] = positives, negatives
    right += np.int32(n_users)
    ends = [left, right]
    if places is not None:
        ends = [places[numbers] for numbers in ends]
    nodes, (left, right) = kernels.pairs.compact(ends, n_users + n_items)
    pairs = kernels.pairs.index_pairs(left, right, len(nodes))
    # A triple has two pairs, so its user is in two of them and each of its items in one.
    in_pairs = (pairs.owner_ptr[1:] - pairs.owner_ptr[:-1]).astype(dtype)
    halves = dtype(1) - dtype(0.5) * (nodes < n_users).astype(dtype)
    return Triples(nodes, pairs, in_pairs * halves)


class _Triples:
    """What both samplers have; `triples` are an epoch's, in batches of `size`."""

    steps_per_epoch: int

    def __init__(
        self,
        dataset: Dataset,
        batch: int,
        seed: int,
        kernels: Kernels,
        places: Array | None,
        dtype: type,
        behavior: int = -1,
    ):
        self.kernels, self.seed, self.most, self.dtype = kernels, seed, batch, dtype
        self.shape, self.places = (dataset.n_users, dataset.n_items), places
        target = dataset.interactions[behavior]
        degrees = np.diff(target.indptr).astype(np.int32)
        # Who has nothing has no positive, and who has everything no negative.
        self.degrees = np.where(degrees < dataset.n_items, degrees, 0).astype(np.int32)
        self.target: Csr = kernels.place(target)
        self._epoch: tuple[int, tuple[Array, ...]] | None = None
        self._on_device: tuple[Array, ...] | None = None

    def triples(self, epoch: int) -> tuple[Array, Array, Array]:
        """Users, positives and negatives of an epoch, step by step, on the device."""
        raise NotImplementedError

    def size(self, index: int) -> int:
        """Triples of batch `index` of an epoch."""
        raise NotImplementedError

    def _compacted(self, users, positives, negatives, step) -> Triples:
        settings = (self.shape, self.kernels, self.places, self.dtype)
        return compacted(users, positives, negatives, *settings)._replace(step=step)

    def batch(self, step: int) -> Triples:
        """The batch of this step of the run."""
        epoch, index = divmod(step, self.steps_per_epoch)
        if self._epoch is None or self._epoch[0] != epoch:
            self._epoch = (epoch, self.triples(epoch))
        start = index * self.most
        here = slice(start, start + self.size(index))
        return self._compacted(*(one[here] for one in self._epoch[1]), step)

    def begin_epoch(self, epoch: int) -> None:
        """Put the epoch's triples where `slots` takes them from, on the device."""
        drawn = self.triples(epoch)
        if self._on_device is None:
            self._on_device = tuple(self.kernels.xp.zeros(len(drawn[0]), "int32") for _ in drawn)
        for there, one in zip(self._on_device, drawn, strict=True):
            there[...] = one

    def slots(self, clock: Array, size: int) -> Triples:
        """The batch clock[0] of the epoch; all its triples are there, so its shape is fixed."""
        taken = []
        for one in self._on_device:
            here = self.kernels.xp.zeros(size, "int32")
            self.kernels.sample.take_users(one, clock, self.most, here)
            taken.append(here)
        return self._compacted(*taken, clock)

    def _draw(self, users, caps, step):
        """`kernels.sample.draw` from the target behaviour."""
        place = self.kernels.place
        return self.kernels.sample.draw(
            *self.target, self.shape[1], place(caps), place(users), self.seed, step, 0
        )


class TripleList(_Triples):
    """Every train pair once an epoch, in random order, each with one negative (baselines' S1)."""

    def __init__(self, dataset: Dataset, *settings):
        super().__init__(dataset, *settings)
        self.users = np.flatnonzero(self.degrees).astype(np.int32)
        target = dataset.interactions[-1]
        rows = row_of_each(target)
        kept = self.degrees[rows] > 0
        self.pairs = self.kernels.place(
            (rows[kept].astype(np.int32), np.ascontiguousarray(target.indices[kept]))
        )
        self.count = int(np.count_nonzero(kept))

    @property
    def steps_per_epoch(self) -> int:
        """Batches of an epoch; the last may be small, and is a full update."""
        return max(1, -(-self.count // self.most))

    def size(self, index: int) -> int:
        """Triples of batch `index` of an epoch."""
        return min(self.most, self.count - index * self.most)

    def triples(self, epoch: int) -> tuple[Array, Array, Array]:
        """See above: a user's n-th draw gives the n-th pair its negative."""
        users, positives = self.pairs
        _, _, negatives = self._draw(self.users, self.degrees, epoch)
        order = self.kernels.sample.epoch_users(self.count, self.count, self.seed, epoch)
        return users[order], positives[order], negatives[order]


class OnePerUser(_Triples):
    """Distinct users for each step, a random pair and a negative of each (baselines' S3).

    An epoch has ⌊pairs / batch⌋ + 1 steps, so that about as many triples are drawn as there are
    train pairs.
    """

    def __init__(self, dataset: Dataset, *settings, behavior: int = -1):
        super().__init__(dataset, *settings, behavior)
        self.users = np.flatnonzero(self.degrees).astype(np.int32)
        self.most = min(self.most, len(self.users))
        self.caps = np.minimum(self.degrees, 1).astype(np.int32)
        self.pairs = len(dataset.interactions[behavior].indices)

    @property
    def steps_per_epoch(self) -> int:
        """See above; one, of nothing, where nobody can be drawn."""
        return self.pairs // self.most + 1 if self.most else 1

    def size(self, index: int) -> int:
        """Triples of every batch."""
        return self.most

    def triples(self, epoch: int) -> tuple[Array, Array, Array]:
        """Users, positives and negatives of all steps of an epoch."""
        everybody, parts = self.kernels.place(self.users), []
        for step in range(epoch * self.steps_per_epoch, (epoch + 1) * self.steps_per_epoch):
            numbers = self.kernels.sample.epoch_users(len(self.users), self.most, self.seed, step)
            users = everybody[numbers]
            _, positives, negatives = self._draw(users, self.caps, step)
            parts.append((users, positives, negatives))
        return tuple(
            self.kernels.xp.concatenate(list(column)) for column in zip(*parts, strict=True)
        )


class UserTriples(NamedTuple):
    """A batch, and how many of its nodes are users; they stand first."""

    triples: Triples
    users: int


class SomePerUser(_Triples):
    """Users in batches, each with as many pairs of its own, drawn with replacement, and as many
    negatives (GNMR; baselines' S2 with one number for everybody).

    An epoch takes some users without replacement. Who has no pairs, or all, is in none.
    """

    def __init__(self, dataset: Dataset, batch: int, take: int, samples: int, *settings):
        super().__init__(dataset, batch * samples, *settings)
        self.users = np.flatnonzero(self.degrees).astype(np.int32)
        self.taken, self.samples = min(take, len(self.users)), samples
        self.caps = np.where(self.degrees > 0, samples, 0).astype(np.int32)

    @property
    def steps_per_epoch(self) -> int:
        """Batches of an epoch; the last may be small, and is a full update."""
        return max(1, -(-self.taken * self.samples // self.most))

    def size(self, index: int) -> int:
        """Triples of batch `index` of an epoch."""
        return min(self.most, self.taken * self.samples - index * self.most)

    def triples(self, epoch: int) -> tuple[Array, Array, Array]:
        """See above; a user's stand together."""
        order = self.kernels.sample.epoch_users(len(self.users), self.taken, self.seed, epoch)
        return self._draw(self.kernels.place(self.users)[order], self.caps, epoch)

    def _compacted(self, users, positives, negatives, step) -> UserTriples:
        batch = super()._compacted(users, positives, negatives, step)
        return UserTriples(batch, len(users) // self.samples)
