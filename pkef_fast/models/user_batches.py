"""Batches of users with all that they did: nothing is drawn but the order of the users."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from ..data.dataset import Array, Dataset
from ..kernels import Kernels
from ..kernels.pairs import Pairs


class UserBatch(NamedTuple):
    """Some users, all items, and the pairs of each behaviour between them.

    nodes (b + I,) int32 rising: the users' places and then all items', so that the first `users`
    rows are users; pairs by behaviour, in the nodes' numbers; step: the run's, or the device's
    clock.
    """

    nodes: Array
    users: int
    pairs: Mapping[int, Pairs]
    step: Any


class UserBatches:
    """All users once an epoch, in random order, so many a step.

    Parameters
    ----------
    dataset : Dataset
    behaviors : sequence of int
        Whose pairs are wanted.
    batch, seed : int
        Users of a step; of their order.
    kernels : Kernels
    places : (n_users + n_items,) int32, optional
        The nodes' places in the model's node order.
    """

    def __init__(
        self,
        dataset: Dataset,
        behaviors: Sequence[int],
        batch: int,
        seed: int,
        kernels: Kernels,
        places: Array | None,
    ):
        self.kernels, self.seed, self.places = kernels, seed, places
        self.n_users, self.n_items = dataset.n_users, dataset.n_items
        self.most = min(batch, dataset.n_users)
        self.pairs = {k: kernels.place(dataset.interactions[k]) for k in behaviors}
        items = np.arange(self.n_users, self.n_users + self.n_items, dtype=np.int32)
        self.items = kernels.place(items)
        # A batch of fixed shape has room for the users who did most.
        self.room = {
            k: int(np.sort(np.diff(dataset.interactions[k].indptr))[-self.most :].sum())
            for k in behaviors
        }
        self._epoch: tuple[int, Array] | None = None
        self._on_device: Array | None = None

    @property
    def steps_per_epoch(self) -> int:
        """Batches of an epoch; the last may be small, and is a full update."""
        return -(-self.n_users // self.most)

    def size(self, index: int) -> int:
        """Users of batch `index` of an epoch."""
        return min(self.most, self.n_users - index * self.most)

    def users(self, epoch: int) -> Array:
        """All users, in the order of an epoch."""
        return self.kernels.sample.epoch_users(self.n_users, self.n_users, self.seed, epoch)

    def batch(self, step: int) -> UserBatch:
        """The batch of this step of the run."""
        epoch, index = divmod(step, self.steps_per_epoch)
        if self._epoch is None or self._epoch[0] != epoch:
            self._epoch = (epoch, self.users(epoch))
        start = index * self.most
        return self.of(self._epoch[1][start : start + self.size(index)], step)

    def begin_epoch(self, epoch: int) -> None:
        """Put the epoch's users where `slots` takes them from, on the device."""
        if self._on_device is None:
            self._on_device = self.kernels.xp.zeros(self.n_users, "int32")
        self._on_device[...] = self.users(epoch)

    def slots(self, clock: Array, size: int) -> UserBatch:
        """The batch clock[0] of the epoch, with room for the pairs of any `size` users."""
        users = self.kernels.xp.zeros(size, "int32")
        self.kernels.sample.take_users(self._on_device, clock, self.most, users)
        return self.of(users, clock, self.room)

    def of(self, users: Array, step: Any, room: Mapping[int, int | None] | None = None):
        """The batch of these distinct users (b,) int32; `room` for a behaviour's pairs, if any."""
        room, lists = room or {}, [users, self.items]
        for k, pattern in self.pairs.items():
            rows, items = self.kernels.sample.positives(*pattern, users, room.get(k))
            # An absent item is −1, as its user is.
            lists += [rows, items + np.int32(self.n_users) * (items >= 0).astype("int32")]
        if self.places is not None:
            lists = [self.places[numbers] for numbers in lists]
        capacity, n_nodes = len(users) + self.n_items, self.n_users + self.n_items
        nodes, compact = self.kernels.pairs.compact(lists, n_nodes, capacity)
        index = self.kernels.pairs.index_pairs
        pairs = {
            k: index(left, right, capacity)
            for k, left, right in zip(self.pairs, compact[2::2], compact[3::2], strict=True)
        }
        return UserBatch(nodes, len(users), pairs, step)
