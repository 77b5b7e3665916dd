"""What Python users pass: numbers, one thing or many, paths; a wrong type is one sentence."""

from __future__ import annotations

import math
import numbers
import os
from collections.abc import Iterable
from typing import Any

import numpy as np

from .errors import InputError, shown


def whole_number(value: Any) -> int | None:
    """The whole number that a number is, whatever its type; None where it is none.

    >>> whole_number(2.0), whole_number(2.5), whole_number("2"), whole_number(True)
    (2, None, None, None)
    """
    if isinstance(value, bool):
        return None
    if isinstance(value, numbers.Integral):
        return int(value)
    if isinstance(value, numbers.Real) and math.isfinite(value) and value % 1 == 0:
        return int(value)
    return None


def whole(name: str, value: Any, least: int) -> int:
    """A whole number; InputError for anything else, and below `least`."""
    number = whole_number(value)
    if number is None or number < least:
        raise wrong(name, value, f"a whole number of {least} or more")
    return number


def listed(name: str, value: Any, wanted: str = "an id or a list of ids") -> list[Any]:
    """One thing, or each of many: text and numbers are one, never a sequence of characters.

    >>> listed("users", "17"), listed("users", 7), listed("users", ("17", 7))
    (['17'], [7], ['17', 7])
    """
    if isinstance(value, (str, bytes, bytearray, numbers.Number, np.generic)):
        return [value]
    if isinstance(value, np.ndarray):
        if value.ndim > 1:
            raise InputError(
                f"{name} cannot be an array of {value.ndim} dimensions; wanted {wanted}."
            )
        return np.atleast_1d(value).tolist()
    # A table is iterated over by the names of its columns.
    if not isinstance(value, Iterable) or hasattr(value, "columns"):
        raise wrong(name, value, wanted)
    return list(value)


def path_of(name: str, value: Any) -> str | os.PathLike[str]:
    """A path as it was given; InputError for anything else."""
    if not isinstance(value, (str, os.PathLike)):
        raise wrong(name, value, "a path")
    return value


def wrong(name: str, value: Any, wanted: str) -> InputError:
    """The sentence about an argument: simple values as they are, others by their type."""
    simple = value is None or isinstance(value, (str, bytes, numbers.Number, np.generic, list))
    found = shown(value) if simple else f"a {type(value).__name__}"
    return InputError(f"{name} cannot be {found}; wanted {wanted}.")
