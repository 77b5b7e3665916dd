"""Times of interactions: which numbers are times, and how they become whole ones."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from .dataset import Array

EARLIEST, LATEST = 631_152_000, 4_102_444_800  # 1990 and 2100, in seconds from 1970
UNITS = {"seconds": 1, "milliseconds": 10**3, "microseconds": 10**6, "nanoseconds": 10**9}
LIMIT = 2**62


def unit_of(values: Array) -> str | None:
    """The one of UNITS since 1970 that nameless numbers are times in; None where they are none.

    They are times if all are whole, two or more differ, and all lie between 1990 and 2100 in one
    of the units. Ones, counts and ratings never do, nor do dates written as 20151231.

    >>> unit_of(np.array([1433222501, 1433222323])), unit_of(np.array([1, 7]))
    ('seconds', None)
    """
    if not len(values) or values.dtype.kind not in "iuf" or np.any(values % 1 != 0):
        return None
    low, high = values.min(), values.max()
    if low == high:
        return None
    fit = (unit for unit, n in UNITS.items() if EARLIEST * n <= low and high < LATEST * n)
    return next(fit, None)


def comparable(
    times: Mapping[str, Array | None],
) -> tuple[tuple[Array | None, ...], tuple[str, ...]]:
    """Times of behaviours whose unit was guessed, and the sentence about them.

    They are dropped where behaviours' units differ, since they could not be compared.
    """
    units = {name: unit_of(one) for name, one in times.items() if one is not None}
    if len(set(units.values())) > 1:
        return (None,) * len(times), ()
    if not units:
        return tuple(times.values()), ()
    return tuple(times.values()), (
        f"The values of {', '.join(units)} are taken for times of the interactions, in "
        f"{next(iter(units.values()))} since 1970.",
    )


def whole(times: Array, parts: int) -> Array:
    """int64 times in `parts` of their unit, rounded; what is too large for that is cut."""
    if times.dtype.kind in "iu":
        return times.astype(np.int64) * parts
    return np.clip(np.round(times * np.float64(parts)), -LIMIT, LIMIT).astype(np.int64)


def parts_of(times: Array) -> int:
    """Parts of their unit in which times are whole: 1 for whole ones, else a million."""
    return 1 if times.dtype.kind in "iu" or np.all(times % 1 == 0) else 10**6
