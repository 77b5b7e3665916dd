"""Batches of users with all that they did: nothing is drawn but the order of the users."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from ..data.dataset import Array, Dataset
from ..kernels import Kernels
from ..kernels.pairs import Pairs
from .epochs import EpochLists


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


class UserBatches(EpochLists):
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
        super().__init__(kernels, min(batch, dataset.n_users))
        self.seed, self.places = seed, places
        self.n_users, self.n_items = dataset.n_users, dataset.n_items
        self.pairs = {k: kernels.place(dataset.interactions[k]) for k in behaviors}
        items = np.arange(self.n_users, self.n_users + self.n_items, dtype=np.int32)
        self.items = kernels.place(items)
        # A batch of fixed shape has room for the users who did most.
        self.room = {
            k: int(np.sort(np.diff(dataset.interactions[k].indptr))[-self.most :].sum())
            for k in behaviors
        }

    @property
    def steps_per_epoch(self) -> int:
        """Batches of an epoch; the last may be small, and is a full update."""
        return -(-self.n_users // self.most)

    def size(self, index: int) -> int:
        """Users of batch `index` of an epoch."""
        return min(self.most, self.n_users - index * self.most)

    def lists(self, epoch: int) -> tuple[Array]:
        """All users, in the order of an epoch."""
        return (self.kernels.sample.epoch_users(self.n_users, self.n_users, self.seed, epoch),)

    def made(self, parts: list[Array], step: Any, fixed: bool) -> UserBatch:
        """See `EpochLists`; of fixed shapes there is room for the pairs of any users."""
        return self.of(*parts, step, self.room if fixed else None)

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
