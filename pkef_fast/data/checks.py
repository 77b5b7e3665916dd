"""What every reader checks before it hands out a data set."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from ..errors import InputError
from .dataset import Csr, Dataset
from .order import ordered
from .patterns import pairs_of


def same_shape(shapes: Mapping[object, tuple[int, int]]) -> tuple[int, int]:
    """The shape that all files share; InputError naming two that differ."""
    (first, shape), *others = shapes.items()
    for file, other in others:
        if other != shape:
            raise InputError(
                f"{file} is {other[0]} × {other[1]} but {first} is {shape[0]} × {shape[1]}; all "
                "behaviours share one numbering of users and items."
            )
    return shape


def assembled(
    *,
    name: str,
    place: object,
    interactions: Mapping[str, Csr],
    behaviors: Sequence[str] | None,
    shape: tuple[int, int],
    test: tuple[np.ndarray, np.ndarray],
    source: dict,
    user_ids: np.ndarray | None = None,
    item_ids: np.ndarray | None = None,
    notes: Sequence[str] = (),
) -> Dataset:
    """Order the behaviours, check and note what is odd, and build the data set."""
    counts = {behavior: len(csr.indices) for behavior, csr in interactions.items()}
    names, order_notes = ordered(counts, behaviors, place)
    for behavior in names:
        if not counts[behavior]:
            raise InputError(
                f"{place}: behaviour {behavior!r} is empty: it has no interactions; leave it out "
                f"with --behaviors {','.join(n for n in names if counts[n]) or '…'}."
            )
    users, items = (np.asarray(part, np.int32) for part in test)
    order = np.argsort(users, kind="stable")
    users, items = users[order], items[order]
    target = interactions[names[-1]]
    found = [*notes, *order_notes]
    if not len(users):
        found.append("there are no held-out items: nothing can be evaluated.")
    repeated = int(np.sum(also_in(target, users, items, shape[1])))
    if repeated:
        found.append(
            f"{repeated} held-out items are also train interactions of {names[-1]!r}; they stay "
            "candidates in the ranking."
        )
    return Dataset(
        name=name,
        behaviors=names,
        n_users=shape[0],
        n_items=shape[1],
        interactions=tuple(interactions[behavior] for behavior in names),
        test_users=users,
        test_items=items,
        user_ids=user_ids,
        item_ids=item_ids,
        source=source,
        notes=tuple(found),
    )


def also_in(csr: Csr, users: np.ndarray, items: np.ndarray, n_items: int) -> np.ndarray:
    """Which of these pairs are in the pattern."""
    rows, columns = pairs_of(csr)
    keys = rows.astype(np.int64) * n_items + columns
    return np.isin(users.astype(np.int64) * n_items + items, keys)
