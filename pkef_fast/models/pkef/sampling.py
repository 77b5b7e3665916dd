"""Batches: which rows each term of the loss sees in a step.

An epoch takes some users without replacement, in batches; each term of the loss draws positives
and negatives of its own for every user of the batch (release; spec "Sampling"). Every draw depends
on (seed, epoch or step, term, user) alone, and with negatives from the batch on its users, which
follow from these. So a run can be resumed at any step.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

import numpy as np

from ...data.dataset import Csr, Dataset
from ...graph.adjacency import difference
from ...kernels import Kernels
from ...kernels.pairs import Pairs
from ...kernels.sample import Mix
from .config import PkefConfig


class Term(NamedTuple):
    """One sampled list: behaviour k's own (other None), or the unique pair (other, k)."""

    k: int
    other: int | None = None


class Rows(NamedTuple):
    """Draws of a term: users and positive items, (n,) int32, and m negatives of each, (m·n,)."""

    users: np.ndarray
    positives: np.ndarray
    negatives: np.ndarray


class CompactBatch(NamedTuple):
    """A batch over its own distinct nodes: what the heads work on.

    nodes (B,) int32 rising, users first: places in the model's node order, if it has one; n_users
    of them are users; pairs by term, in the compact numbers, rows [positives; first negatives; …];
    a user's positives stand together. In a batch of fixed shape nodes and ends that are left over
    are −1, and counts () int32 are the draws of each term.
    """

    nodes: np.ndarray
    n_users: int
    pairs: Mapping[Term, Pairs]
    counts: Mapping[Term, np.ndarray] | None = None

    def slots(self, term: Term):
        """(present, count) of a term's rows in a batch of fixed shape, else None."""
        return None if self.counts is None else (self.pairs[term].left, self.counts[term])

    def groups(self, term: Term, negatives: int, xp):
        """Where the rows of each user begin and end among a term's positives, rising (g + 1,).

        In a batch of fixed shape: how many slots each user has. `xp` is the device's array module.
        """
        left = self.pairs[term].left
        left = left[: len(left) // (1 + negatives)]
        if self.counts is not None:
            return len(left) // self.n_users
        begins = xp.flatnonzero(left[1:] != left[:-1]) + 1
        ends = xp.asarray([0]), begins, xp.asarray([len(left)])
        return xp.concatenate(ends).astype(np.int32)


def compacted(
    rows: Mapping[Term, Rows],
    n_users: int,
    n_items: int,
    kernels: Kernels,
    places: np.ndarray | None = None,
) -> CompactBatch:
    """The batch in compact numbers; terms without rows are left out.

    `places` (U + I,) int32 are the nodes' places in the model's node order.
    """
    lists, terms, xp = [], [], kernels.xp
    for term, (users, positives, negatives) in rows.items():
        if len(users):
            terms.append(term)
            copies = [users] * (1 + len(negatives) // len(users))
            lists.append(xp.concatenate(copies).astype(np.int32))
            lists.append(xp.concatenate([positives, negatives]).astype(np.int32) + n_users)
    lists = [numbers.astype(np.int32, copy=False) for numbers in lists]
    if places is not None:
        lists = [places[numbers] for numbers in lists]
    nodes, compact = kernels.pairs.compact(lists, n_users + n_items)
    pairs = {
        term: kernels.pairs.index_pairs(compact[2 * i], compact[2 * i + 1], len(nodes))
        for i, term in enumerate(terms)
    }
    users_there = kernels.xp.count_nonzero((nodes >= 0) & (nodes < n_users))
    return CompactBatch(nodes, int(users_there), pairs)


def unique_pairs(config: PkefConfig, n_behaviors: int) -> list[Term]:
    """All unique pairs that the config admits, also of behaviours without a loss."""
    if not config.unique_loss:
        return []
    admitted = [k for k in range(n_behaviors) if k not in config.unique_excluded]
    return [Term(k, j) for k in admitted for j in admitted if j != k]


@dataclass(frozen=True)
class TermSet:
    """The positive set of a term (U × I), how many draws each user has, at most `most`, and which
    negatives are not drawn evenly."""

    term: Term
    number: int  # its stream of random numbers
    positives: Csr
    caps: np.ndarray
    most: int
    mix: Mix | None


class Sampler:
    """Draws the batches of a training run.

    Only terms of behaviours with λ > 0 exist; a unique pair whose positive set is empty over the
    whole data set does not (spec "Loss").
    """

    def __init__(
        self,
        dataset: Dataset,
        config: PkefConfig,
        kernels: Kernels,
        places: np.ndarray | None = None,
    ):
        self.config, self.kernels, self.places = config, kernels, places
        self.n_users, self.n_items = dataset.n_users, dataset.n_items
        self.users_per_epoch = min(config.users_per_epoch, self.n_users)
        self._epoch: tuple[int, np.ndarray] | None = None  # the users of one epoch, by its number
        self._on_device: np.ndarray | None = None  # the same where steps are replayed
        n_behaviors = len(dataset.behaviors)
        live = [k for k in range(n_behaviors) if config.coefficients[k] > 0]
        degrees = [np.diff(csr.indptr).astype(np.int32) for csr in dataset.interactions]
        self.sets: list[TermSet] = []
        pairs = unique_pairs(config, n_behaviors)
        for term in [*(Term(k) for k in live), *(pair for pair in pairs if pair.k in live)]:
            positives = self._positives(dataset.interactions, term)
            if term.other is None:
                number = term.k
            else:
                number = n_behaviors * (1 + term.other) + term.k
                if not len(positives.indices):
                    continue
            caps = kernels.sample.draw_caps(
                config.samples_per_user,
                np.stack([degrees[term.k]]),
                np.diff(positives.indptr).astype(np.int32),
                self.n_items,
            )
            most = int(caps.max(initial=0))
            mix = kernels.sample.mix_of(
                np.bincount(dataset.interactions[term.k].indices, minlength=self.n_items),
                config.popularity_exponent,
                config.popular_negatives,
                config.batch_negatives,
            )
            positives, caps, mix = kernels.place((positives, caps, mix))
            self.sets.append(TermSet(term, number, positives, caps, most, mix))

    def _positives(self, interactions: Sequence[Csr], term: Term) -> Csr:
        if term.other is None:
            return interactions[term.k]
        own, other = interactions[term.k], interactions[term.other]
        if self.config.unique_positives == "target_only":
            return difference(own, other, self.n_items)
        return difference(other, own, self.n_items)

    @property
    def terms(self) -> list[Term]:
        """The terms of the loss."""
        return [one.term for one in self.sets]

    @cached_property
    def steps_per_epoch(self) -> int:
        """Batches of an epoch; the last may be small, and is a full update."""
        return -(-self.users_per_epoch // self.config.batch_users)

    def epoch_users(self, epoch: int) -> np.ndarray:
        """The users of an epoch (counted from 0), in order."""
        return self.kernels.sample.epoch_users(
            self.n_users, self.config.users_per_epoch, self.config.seed, epoch
        )

    def rows(self, users: np.ndarray, step: int) -> dict[Term, Rows]:
        """All terms' rows for the users of a batch; `step` counts from 0 over the whole run."""
        return {
            one.term: Rows(
                *self.kernels.sample.draw(
                    *one.positives,
                    self.n_items,
                    one.caps,
                    users,
                    self.config.seed,
                    step,
                    one.number,
                    self.config.negatives,
                    one.mix,
                )
            )
            for one in self.sets
        }

    def size(self, index: int) -> int:
        """Users of batch `index` of an epoch."""
        size = self.config.batch_users
        return min(size, self.users_per_epoch - index * size)

    def begin_epoch(self, epoch: int) -> None:
        """Put the epoch's users where `slots` takes them from, on the device."""
        if self._on_device is None:
            self._on_device = self.kernels.xp.zeros(self.users_per_epoch, "int32")
        self._on_device[...] = self.epoch_users(epoch)

    def slots(self, clock: np.ndarray, size: int) -> CompactBatch:
        """All terms' rows at step clock[1] for the users of batch clock[0], in arrays of a shape
        that is fixed.

        Everything stays on the device; see kernels/sample for the layout.
        """
        users = self.kernels.xp.zeros(size, "int32")
        self.kernels.sample.take_users(self._on_device, clock, self.config.batch_users, users)
        lists, counts = [users], {}
        there = [one for one in self.sets if one.most]
        for one in there:
            left, right, counts[one.term] = self.kernels.sample.draw_slots(
                *one.positives,
                self.n_items,
                one.caps,
                users,
                self.config.seed,
                clock,
                one.number,
                one.most,
                self.config.negatives,
                one.mix,
            )
            lists += [left, right]
        # All users of the batch are among the nodes, so that their number is known beforehand.
        items = min(self.n_items, sum(len(right) for right in lists[2::2]))
        nodes, compact = self.kernels.pairs.compact(
            lists, self.n_users + self.n_items, capacity=len(users) + items
        )
        pairs = {
            one.term: self.kernels.pairs.index_pairs(left, right, len(nodes))
            for one, left, right in zip(there, compact[1::2], compact[2::2], strict=True)
        }
        return CompactBatch(nodes, len(users), pairs, counts)

    def batch(self, step: int) -> CompactBatch:
        """The batch of this step of the run."""
        epoch, index = divmod(step, self.steps_per_epoch)
        if self._epoch is None or self._epoch[0] != epoch:
            self._epoch = (epoch, self.epoch_users(epoch))
        start = index * self.config.batch_users
        users = self._epoch[1][start : start + self.size(index)]
        rows = self.rows(users, step)
        return compacted(rows, self.n_users, self.n_items, self.kernels, self.places)
