"""Held-out pairs of users and items: one form for all, and what is odd about them."""

from __future__ import annotations

import numpy as np

from .dataset import Array, Csr
from .patterns import contains


def distinct(pairs: tuple[Array, Array], n_items: int) -> tuple[Array, Array]:
    """The distinct pairs as int32, users rising and then items."""
    users, items = pairs
    keys = np.unique(users.astype(np.int64) * max(n_items, 1) + items)
    users, items = (part.astype(np.int32) for part in np.divmod(keys, max(n_items, 1)))
    return users, items


def about_validation(
    pairs: tuple[Array, Array], train: Csr, test: Csr, target: str, n_items: int
) -> list[str]:
    """A sentence each for validation pairs that are something else too."""
    notes = []
    for csr, what, effect in (
        (train, f"train {target!r} interactions", "without --select val they are trained on"),
        (test, "held-out items of the test", "what is chosen by them has seen the test"),
    ):
        twice = int(contains(csr, *pairs, n_items).sum())
        if twice:
            notes.append(
                f"{twice} of {len(pairs[0])} validation pairs are also {what} of their user: "
                f"{effect}."
            )
    return notes
