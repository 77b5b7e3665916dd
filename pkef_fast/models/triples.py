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
from .epochs import EpochLists


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


class _Triples(EpochLists):
    """What the samplers have in common; an epoch's lists are users, positives and negatives."""

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
        super().__init__(kernels, batch)
        self.seed, self.dtype = seed, dtype
        self.shape, self.places = (dataset.n_users, dataset.n_items), places
        target = dataset.interactions[behavior]
        degrees = np.diff(target.indptr).astype(np.int32)
        # Who has nothing has no positive, and who has everything no negative.
        self.degrees = np.where(degrees < dataset.n_items, degrees, 0).astype(np.int32)
        self.target: Csr = kernels.place(target)

    def made(self, parts: list[Array], step: Any, fixed: bool) -> Triples:
        """See `EpochLists`; all triples are there, so shapes are fixed in any case."""
        settings = (self.shape, self.kernels, self.places, self.dtype)
        return compacted(*parts, *settings)._replace(step=step)

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

    def lists(self, epoch: int) -> tuple[Array, Array, Array]:
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

    def lists(self, epoch: int) -> tuple[Array, Array, Array]:
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

    def lists(self, epoch: int) -> tuple[Array, Array, Array]:
        """See above; a user's stand together."""
        order = self.kernels.sample.epoch_users(len(self.users), self.taken, self.seed, epoch)
        return self._draw(self.kernels.place(self.users)[order], self.caps, epoch)

    def made(self, parts: list[Array], step: Any, fixed: bool) -> UserTriples:
        """See `EpochLists`."""
        return UserTriples(super().made(parts, step, fixed), len(parts[0]) // self.samples)
