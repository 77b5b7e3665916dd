"""Rankers: what evaluation and recommendation ask of a model, however it makes its scores.

Two ways: a few tables from which `kernels.rank` makes each score (`TableRanker`), or the scores of
a block of users at a time (`BlockRanker`). Neither ever holds U × I scores.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

import numpy as np

from .data.dataset import Array, Csr
from .data.patterns import rows_of
from .device import Device
from .kernels.rank import DotScorer, Scorer


class Ranker(Protocol):
    """Orders all items for each user, by falling score; equal scores by rising item number.

    `seen` is a U × I pattern of items that are no candidates of a user. Users are given by number
    and may repeat. A user's figures do not depend on who else is asked for.
    """

    def scores(self, users: Array) -> Array:
        """(b, I) scores."""

    def ranks(self, users: Array, items: Array, seen: Csr) -> tuple[Array, Array]:
        """Rank of items[n] among the candidates of users[n] from 0, and how many tie with it."""

    def top_k(self, users: Array, k: int, seen: Csr) -> tuple[Array, Array]:
        """(b, k) best candidates and their scores; −1 and −inf where there are fewer."""


class TableRanker:
    """The ranker of a `kernels.rank` scorer, whose arrays are on the device."""

    def __init__(self, scorer: Scorer, device: Device):
        self.scorer, self.device = scorer, device

    def scores(self, users: Array) -> Array:
        """See `Ranker`."""
        return _call(self.device, "scores", self.scorer, _numbers(users))

    def ranks(self, users: Array, items: Array, seen: Csr) -> tuple[Array, Array]:
        """See `Ranker`."""
        return _call(self.device, "ranks", self.scorer, _numbers(users), _numbers(items), *seen)

    def top_k(self, users: Array, k: int, seen: Csr) -> tuple[Array, Array]:
        """See `Ranker`."""
        return _call(self.device, "top_k", self.scorer, _numbers(users), k, *seen)


class BlockRanker:
    """The ranker of a model that scores all items for a block of users at once.

    Parameters
    ----------
    block : callable
        (w,) distinct users, w ≤ width → (I, w) scores on the device.
    device : Device
    n_items, width : int
        Items; users of a block, which bounds the memory.
    dtype : float type of the scores
    """

    def __init__(
        self,
        block: Callable[[Array], Array],
        device: Device,
        n_items: int,
        width: int,
        dtype: type = np.float32,
    ):
        self.block, self.device, self.dtype = block, device, dtype
        self.n_items, self.width = n_items, width

    def scores(self, users: Array) -> Array:
        """See `Ranker`."""
        result = np.empty((len(users), self.n_items), self.dtype)
        for places, rows, scorer, _ in self._blocks(users):
            result[places] = _call(self.device, "scores", scorer, rows)
        return result

    def ranks(self, users: Array, items: Array, seen: Csr) -> tuple[Array, Array]:
        """See `Ranker`."""
        rank, tied = np.zeros((2, len(users)), np.int32)
        for places, rows, scorer, block in self._blocks(users):
            part = rows_of(seen, block)
            rank[places], tied[places] = _call(
                self.device, "ranks", scorer, rows, _numbers(items[places]), *part
            )
        return rank, tied

    def top_k(self, users: Array, k: int, seen: Csr) -> tuple[Array, Array]:
        """See `Ranker`."""
        items = np.full((len(users), k), -1, np.int32)
        scores = np.full((len(users), k), -np.inf, self.dtype)
        for places, rows, scorer, block in self._blocks(users):
            part = rows_of(seen, block)
            items[places], scores[places] = _call(self.device, "top_k", scorer, rows, k, *part)
        return items, scores

    def _blocks(self, users: Array):
        """Places in `users`, their rows in a block, the block's scorer, the block's users."""
        distinct, number = np.unique(users, return_inverse=True)
        order = np.argsort(number, kind="stable")
        bounds = np.searchsorted(
            number[order], np.arange(0, len(distinct) + self.width, self.width)
        )
        for start, first, last in zip(
            range(0, len(distinct), self.width), bounds[:-1], bounds[1:], strict=False
        ):
            block = _numbers(distinct[start : start + self.width])
            places = order[first:last]
            scores = self.block(block)
            # A row of the unit matrix picks the user's column, exactly: all else is times 0.
            unit = self.device.xp.eye(len(block), dtype=self.dtype)
            yield places, _numbers(number[places] - start), DotScorer(unit, scores), block


def _numbers(values: Array) -> Array:
    return np.ascontiguousarray(values, np.int32)


def _call(device: Device, name: str, scorer: Scorer, *arguments):
    """An entry point of `kernels.rank`, with arrays of the host in and out."""
    found = getattr(device.kernels.rank, name)(scorer, *device.place(arguments))
    return tuple(map(device.to_host, found)) if isinstance(found, tuple) else device.to_host(found)
