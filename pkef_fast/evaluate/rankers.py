"""Rankers: what evaluation and recommendation ask of a model, however it makes its scores.

Two ways: a few tables from which `kernels.rank` makes each score (`TableRanker`), or something that
is made for a block of users at a time (`BlockRanker`): the scores of a model (`RowsRanker`), or a
re-ranked order (`rerank.Reranked`). None ever holds U × I scores.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import NamedTuple, Protocol

import numpy as np

from ..data.dataset import Array, Csr
from ..data.patterns import rows_of
from ..device import Device
from ..kernels.rank import RowsScorer, Scorer, finite, of_users

TABLE_WIDTH = 4096  # users of a table ranker at a time: so many pay for laying out the items once


class Ranker(Protocol):
    """Orders all items for each user, by falling score; equal scores by rising item number.

    `seen` is a U × I pattern of items that are no candidates of a user. Users are given by number
    and may repeat. A user's figures do not depend on who else is asked for.

    Attributes
    ----------
    width : int
        Users that `of` should be asked for at a time.
    """

    width: int

    def of(self, users: Array) -> TableRanker:
        """The ranker of at most `width` distinct users alone; row n is the n-th of them.

        What is costly is done once here, so that several things can then be asked of it.
        """

    def scores(self, users: Array) -> Array:
        """(b, I) scores."""

    def ranks(self, users: Array, items: Array, seen: Csr) -> tuple[Array, Array]:
        """Rank of items[n] among the candidates of users[n] from 0, and how many tie with it."""

    def top_k(self, users: Array, k: int, seen: Csr) -> tuple[Array, Array]:
        """(b, k) best candidates and their scores; −1 and −inf where there are fewer."""


class Survey(NamedTuple):
    """Best candidates and their scores (b, k), as `Ranker.top_k`; scores (E,) of asked items."""

    items: Array
    scores: Array
    asked: Array


class TableRanker:
    """The ranker of a `kernels.rank` scorer, whose arrays are on the device."""

    width = TABLE_WIDTH

    def __init__(self, scorer: Scorer, device: Device):
        self.scorer, self.device = scorer, device

    @property
    def finite(self) -> bool:
        """Whether it is certain that all scores are finite numbers."""
        parts = (part if np.isscalar(part) else self.device.to_host(part) for part in self.scorer)
        return finite(type(self.scorer)(*parts))

    def of(self, users: Array) -> TableRanker:
        """See `Ranker`; the users may repeat."""
        return TableRanker(of_users(self.scorer, self.device.place(numbers(users))), self.device)

    def scores(self, users: Array) -> Array:
        """See `Ranker`."""
        return _call(self.device, "scores", self.scorer, numbers(users))

    def ranks(self, users: Array, items: Array, seen: Csr) -> tuple[Array, Array]:
        """See `Ranker`."""
        arguments = numbers(users), numbers(items), *map(numbers, seen)
        return _call(self.device, "ranks", self.scorer, *arguments)

    def top_k(self, users: Array, k: int, seen: Csr) -> tuple[Array, Array]:
        """See `Ranker`."""
        return _call(self.device, "top_k", self.scorer, numbers(users), k, *map(numbers, seen))

    def survey(self, users: Array, k: int, seen: Csr, asked: Csr) -> Survey:
        """`top_k`, and the scores of the `asked` items: row n holds those of users[n]."""
        arguments = numbers(users), k, *map(numbers, seen), *asked
        return Survey(*_call(self.device, "survey", self.scorer, *arguments))


class BlockRanker:
    """A `Ranker` that makes something costly for a block of distinct users at a time.

    Subclasses make it, in `of`.

    Parameters
    ----------
    n_items, width : int
        Items; users of a block, which bounds the memory.
    dtype : float type of the scores
    """

    def __init__(self, n_items: int, width: int, dtype: type = np.float32):
        self.n_items, self.width, self.dtype = n_items, width, dtype

    def of(self, users: Array) -> TableRanker:
        """See `Ranker`."""
        raise NotImplementedError

    def scores(self, users: Array) -> Array:
        """See `Ranker`."""
        result = np.empty((len(users), self.n_items), self.dtype)
        for places, rows, _, ranker in rankers_of_blocks(self, users):
            result[places] = ranker.scores(rows)
        return result

    def ranks(self, users: Array, items: Array, seen: Csr) -> tuple[Array, Array]:
        """See `Ranker`."""
        rank, tied = np.zeros((2, len(users)), np.int32)
        for places, rows, block, ranker in rankers_of_blocks(self, users):
            rank[places], tied[places] = ranker.ranks(rows, items[places], rows_of(seen, block))
        return rank, tied

    def top_k(self, users: Array, k: int, seen: Csr) -> tuple[Array, Array]:
        """See `Ranker`."""
        items = np.full((len(users), k), -1, np.int32)
        scores = np.full((len(users), k), -np.inf, self.dtype)
        for places, rows, block, ranker in rankers_of_blocks(self, users):
            items[places], scores[places] = ranker.top_k(rows, k, rows_of(seen, block))
        return items, scores


class RowsRanker(BlockRanker):
    """The ranker of a model that scores all items for a block of users at once.

    Parameters
    ----------
    block : callable
        (w,) distinct users, w ≤ width → (I, w) scores on the device.
    device : Device
    n_items, width, dtype
        See `BlockRanker`.
    """

    def __init__(
        self,
        block: Callable[[Array], Array],
        device: Device,
        n_items: int,
        width: int,
        dtype: type = np.float32,
    ):
        super().__init__(n_items, width, dtype)
        self.block, self.device = block, device

    def of(self, users: Array) -> TableRanker:
        """See `Ranker`."""
        rows = self.device.xp.transpose(self.block(numbers(users)))
        return TableRanker(RowsScorer(rows), self.device)


def rankers_of_blocks(
    ranker: Ranker, users: Array
) -> Iterator[tuple[Array, Array, Array, TableRanker]]:
    """Users in blocks: places in `users`, their rows in the block, the block, its own ranker.

    A block has at most `ranker.width` distinct users, rising; each place is in one block.
    """
    distinct, number = np.unique(users, return_inverse=True)
    order = np.argsort(number, kind="stable")
    width = ranker.width
    bounds = np.searchsorted(number[order], np.arange(0, len(distinct) + width, width))
    starts = range(0, len(distinct), width)
    for start, first, last in zip(starts, bounds[:-1], bounds[1:], strict=False):
        places = order[first:last]
        block = numbers(distinct[start : start + width])
        yield places, numbers(number[places] - start), block, ranker.of(block)


def numbers(values: Array) -> Array:
    """Users, items or a pattern as int32, the only type that the kernels read them in.

    A GPU's kernel cannot see an array's type: it would take other bytes for int32.
    """
    return np.ascontiguousarray(values, np.int32)


def _call(device: Device, name: str, scorer: Scorer, *arguments):
    """An entry point of `kernels.rank`, with arrays of the host in and out."""
    found = getattr(device.kernels.rank, name)(scorer, *device.place(arguments))
    return tuple(map(device.to_host, found)) if isinstance(found, tuple) else device.to_host(found)
