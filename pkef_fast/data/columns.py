"""The columns of an interaction table: which there are, and what their cells may hold."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ..errors import InputError
from .dataset import Array

NAMES = {
    "user": ("user", "user_id", "userid", "visitorid"),
    "item": ("item", "item_id", "itemid"),
    "behavior": ("behavior", "behaviour", "behavior_type", "behaviour_type", "event", "type"),
    "time": ("timestamp", "time"),
    "value": ("rating", "value", "count"),
}
"""Accepted names of each column, in lower case, in order of preference."""
REQUIRED = ("user", "item", "behavior")

_WHOLE = re.compile(r"-?(0|[1-9][0-9]{0,17})")  # as Python writes it, within int64
_MISSING = ("", "nan", "null", "none", "<na>", "nat")


@dataclass(frozen=True)
class Table:
    """An interaction table, column by column.

    users, items, behaviors : (E,) int64 codes into the labels
    user_labels, item_labels, behavior_labels : distinct cells, in any order
    time : (E,) numbers that rise with time, or None
    place : callable
        Where row r is, for a sentence: "line 17" or "row 16".
    """

    path: Path
    users: Array
    items: Array
    behaviors: Array
    user_labels: Sequence
    item_labels: Sequence
    behavior_labels: Sequence[str]
    time: Array | None
    place: Callable[[int], str]


def find_columns(header: Sequence[str]) -> dict[str, int]:
    """Position of each known column in a header."""
    names = [name.strip().lower().replace(" ", "_") for name in header]
    found = {}
    for column, accepted in NAMES.items():
        place = next((names.index(name) for name in accepted if name in names), None)
        if place is not None:
            found[column] = place
    return found


def require_columns(path: Path, found: dict[str, int], header: Sequence[str]) -> None:
    """InputError when a required column is not there."""
    missing = [name for name in REQUIRED if name not in found]
    if missing:
        listed = ", ".join(repr(name.strip()[:40]) for name in header[:12])
        accepted = "; ".join(f"{name} ({', '.join(NAMES[name])})" for name in missing)
        raise InputError(
            f"{path}, line 1: found the columns {listed or 'none'}, wanted also {accepted}."
        )


def bad_cell(path: Path, place: str, field: str, found: object, wanted: str) -> InputError:
    """The sentence about a cell."""
    return InputError(f"{path}, {place}, field {field}: found {found!r}, wanted {wanted}.")


def is_missing(cell: object) -> bool:
    """Whether a cell is empty or not a number by name."""
    if isinstance(cell, float):
        return math.isnan(cell)
    return cell is None or (isinstance(cell, str) and cell.strip().lower() in _MISSING)


def ids_of(labels: Sequence) -> tuple[Array, Array]:
    """Ids in stable sorted order, and the number of each label in it.

    Whole numbers become int64 and are sorted as numbers, anything else is sorted as text.

    Raises
    ------
    ValueError
        When all are whole numbers and one is negative; its args are the label's position.
    """
    texts = [str(label) for label in labels]
    if texts and all(_WHOLE.fullmatch(text) for text in texts):
        ids = np.array([int(text) for text in texts], np.int64)
        if len(negative := np.flatnonzero(ids < 0)):
            raise ValueError(int(negative[0]))
    else:
        ids = np.array(texts, dtype=object)  # of each one's own length
    sorted_ids, numbers = np.unique(ids, return_inverse=True)
    return sorted_ids, numbers.astype(np.int32)


def parse_times(cells: Sequence[str]) -> Array:
    """Times of text cells: whole numbers, decimal numbers, or ISO 8601 dates.

    Raises
    ------
    ValueError
        When a cell is none of these.
    """
    for parse in (_whole_times, _decimal_times):
        try:
            return parse(cells)
        except (ValueError, OverflowError):
            continue
    return _dates(cells)


def _whole_times(cells):
    return np.fromiter(map(int, cells), np.int64, len(cells))


def _decimal_times(cells):
    return np.fromiter(map(float, cells), np.float64, len(cells))


def _dates(cells):
    texts = [cell.strip().removesuffix("Z") for cell in cells]
    if not all("-" in text[1:] for text in texts):  # NumPy takes 3 for a year and "" for no time
        raise ValueError("not all are dates")
    return np.array(texts, dtype="datetime64[us]").astype(np.int64)
