"""What a data set is once loaded: a pattern of interactions per behaviour, and held-out items."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property
from typing import ClassVar, NamedTuple

import numpy as np

from .id_column import column_of
from .look_up import LookUp

Array = np.ndarray


class Csr(NamedTuple):
    """Binary U × I pattern: items `indices[indptr[u]:indptr[u+1]]` of user u, rising, distinct.

    indptr (U+1,) int32, indices (E,) int32, both C-contiguous.
    """

    indptr: Array
    indices: Array


@dataclass(frozen=True)
class Dataset:
    """Interactions of K behaviours, ordered upstream → target, and the held-out target items.

    Attributes
    ----------
    name : str
    behaviors : tuple of K str
        Names, upstream first; the last one is the target.
    n_users, n_items : int
    interactions : tuple of K Csr
        Train interactions, (n_users × n_items) each.
    test_users, test_items : (T,) int32
        Held-out target pairs, users rising; usually one a user, users may be missing.
    user_ids, item_ids : arrays of length n_users / n_items, or None
        The data set's own ids in the order of the numbers used here; None where they are 0, 1, 2….
        Kept as int64 or as Python strings, whatever array or list they are given as.
    source : dict of str
        How to load it again: the arguments of `load_dataset`, JSON-able.
    notes : tuple of str
        What the reader found worth a warning, one sentence each.
    leave_out : {"target", "all"}, optional
        Whether the held-out pairs were taken out of the target behaviour alone or out of every one;
        None where nobody says so.
    split : {"time", "random", "global-time", "none"}, optional
        Whether a user's latest pair was held out, a random one, all from a time on, or nothing;
        None where nobody says so.
    validation : tuple of two (V,) int32, optional
        Users and items of the target pairs that the publishers held out to choose by: users rising,
        several a user allowed. They are beside the train interactions and the test pairs (where
        some are not, a note says so): nothing is trained on them, and `--select val`, `tune` and
        the re-ranker take them in place of drawn ones. None where the data set has none.
    times : tuple of K arrays (E_k,) int64 or None, optional
        When each train interaction happened, in the order of its behaviour's `indices`: numbers
        that rise with time, in one unit for all behaviours, whatever it is. None for a behaviour
        without; None altogether where no behaviour has them.
    reading : dict
        How a table was read, JSON-able: roles (role → column), time (unit), held_out (in words),
        rows, skipped (reason → rows) and guessed (which of roles, order and split nobody said).
    """

    name: str
    behaviors: tuple[str, ...]
    n_users: int
    n_items: int
    interactions: tuple[Csr, ...]
    test_users: Array
    test_items: Array
    user_ids: Array | None = None
    item_ids: Array | None = None
    source: dict = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    leave_out: str | None = None
    split: str | None = None
    times: tuple[Array | None, ...] | None = None
    validation: tuple[Array, Array] | None = None
    reading: dict = field(default_factory=dict)

    # `in_memory` says what they take.
    from_frame: ClassVar[Callable[..., Dataset]]
    from_events: ClassVar[Callable[..., Dataset]]
    from_matrices: ClassVar[Callable[..., Dataset]]

    def __post_init__(self):
        for name in ("user_ids", "item_ids"):
            if (ids := getattr(self, name)) is not None:
                object.__setattr__(self, name, column_of(ids))
        if self.validation is not None:
            users, items = self.validation
            if users.shape != items.shape:
                raise ValueError(f"{users.shape} users for {items.shape} validation items")
            object.__setattr__(self, "validation", (users, items) if len(users) else None)
        if self.times is None:
            return
        if all(one is None for one in self.times):
            object.__setattr__(self, "times", None)
            return
        for csr, one in zip(self.interactions, self.times, strict=True):
            if one is not None and one.shape != csr.indices.shape:
                raise ValueError(f"{one.shape} times for {csr.indices.shape} interactions")

    @property
    def target(self) -> str:
        """Name of the target behaviour."""
        return self.behaviors[-1]

    @cached_property
    def look_up(self) -> dict[str, LookUp]:
        """Which number a "user" or an "item" has by its id; `ids.Ids` asks it for users."""
        return {
            "user": LookUp(self.user_ids, self.n_users),
            "item": LookUp(self.item_ids, self.n_items),
        }

    def counts(self) -> dict[str, int]:
        """Train interactions of each behaviour."""
        pairs = zip(self.behaviors, self.interactions, strict=True)
        return {name: len(csr.indices) for name, csr in pairs}

    def fingerprint(self) -> str:
        """SHA-256 of all that training and evaluation read: names, shape, patterns, held out."""
        digest = hashlib.sha256()
        digest.update(repr((self.behaviors, self.n_users, self.n_items)).encode())
        arrays = [a for csr in self.interactions for a in csr] + [self.test_users, self.test_items]
        for k, one in enumerate(self.times or ()):
            if one is not None:
                digest.update(f"times {k}".encode())
                arrays.append(one)
        if self.validation is not None:
            digest.update(b"validation")
            arrays += self.validation
        for array in arrays:
            digest.update(np.ascontiguousarray(array, dtype="<i8").tobytes())
        return digest.hexdigest()
