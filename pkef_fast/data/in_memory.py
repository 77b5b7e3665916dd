"""Data sets of what lies in memory. They are constructors of `Dataset` too."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from . import tables
from .dataset import Dataset
from .from_matrices import from_matrices


def from_frame(
    frame: Any,
    name: str = "frame",
    behaviors: Sequence[str] | None = None,
    **options: Any,
) -> Dataset:
    """The data set of a table in memory, a row an interaction.

    Parameters
    ----------
    frame : pandas or polars DataFrame, dict of columns, or anything with the Arrow interface
    name : str
    behaviors : sequence of str, optional
        Upstream first, the target last.
    **options
        Of a table, as `load_dataset` has them: columns, split, rename_behaviors, …

    Raises
    ------
    InputError
        When it cannot be read, with the row and column where it is one.

    Examples
    --------
    >>> frame = {"user": [1, 1, 2], "item": ["a", "b", "a"], "event": ["view", "buy", "buy"]}
    >>> data = Dataset.from_frame(frame, split="none")
    >>> data.counts(), data.item_ids.tolist()
    ({'view': 1, 'buy': 2}, ['a', 'b'])
    """
    return tables.of_frame(frame, name, behaviors, tables.TableOptions.of(**options))


def from_events(
    users: Any,
    items: Any,
    behaviors: Any,
    times: Any = None,
    *,
    name: str = "events",
    order: Sequence[str] | None = None,
    **options: Any,
) -> Dataset:
    """The data set of events: users, items, behaviours (E,) each, and perhaps times (E,).

    `behaviors` may be one name, which all events then have; `order`: the behaviours to use,
    upstream first, the target last. Ids may be numbers or text; `options` as of `from_frame`.

    Examples
    --------
    >>> Dataset.from_events([1, 1, 2], [5, 6, 5], "buy", split="none").counts()
    {'buy': 3}
    """
    columns = {"user": users, "item": items, "behavior": behaviors, "time": times}
    if isinstance(behaviors, str):
        columns["behavior"] = [behaviors] * len(users)
    columns = {role: one for role, one in columns.items() if one is not None}
    return from_frame(columns, name, order, **options)


def in_memory(data: Any, behaviors: Sequence[str] | None = None, **options: Any) -> Dataset:
    """The data set of a table, or of a dict of behaviour → matrix (U, I)."""
    if isinstance(data, Mapping) and any(len(np.shape(one)) == 2 for one in data.values()):
        return from_matrices(data, behaviors=behaviors, **options)
    return from_frame(data, behaviors=behaviors, **options)


# A class cannot import what makes its objects.
Dataset.from_frame = staticmethod(from_frame)
Dataset.from_events = staticmethod(from_events)
Dataset.from_matrices = staticmethod(from_matrices)
