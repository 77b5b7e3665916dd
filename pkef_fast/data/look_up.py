"""Which number an id has: a table made once, when first asked, and never scanned again.

Ids that are text stand in a dictionary. Ids that are numbers stand in an array by their value where
they lie close together, as counted ids do; hashes are found by bisection of their sorted copy.

A user may give an id in another dress than the data set's: "17" is 17 where ids are numbers, 17 is
"17" where they are text, and 17.0, as pandas has it in a column with gaps, is 17.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Sequence
from functools import cached_property
from typing import Any

import numpy as np

from ..arguments import whole_number
from .id_column import Array, is_text

UNKNOWN = -1
SPREAD = 8  # values for each id, up to which an array by value is worth its room
_WHOLE = re.compile(r"(0|-?[1-9][0-9]{0,18})(\.0+)?")  # ASCII alone: "²" is a digit to Python
_SPELLED = re.compile(r"-?[0-9]{1,40}(\.0+)?")
_LONGEST = 10**100  # Python refuses to write out far longer numbers


class LookUp:
    """The numbers of ids.

    Parameters
    ----------
    ids : (n,) int64 or str, or None
        None: the ids are the numbers 0, 1, 2….
    count : int
    """

    def __init__(self, ids: Array | None, count: int):
        self.ids, self.count = ids, count
        self.is_text = is_text(ids)

    def number(self, wanted: Any) -> int:
        """The number of one id; UNKNOWN where there is none such.

        >>> LookUp(np.array([30, 10, 7]), 3).number("7")
        2
        """
        text, whole = _text(wanted), whole_number(wanted)
        if self.is_text:
            if text is None and whole is not None and not self.spellings(whole):
                text = str(whole) if abs(whole) < _LONGEST else None
            return self._names.get(text, UNKNOWN)
        if whole is None and text is not None and (match := _WHOLE.fullmatch(text)):
            whole = int(match[1])
        if whole is None or not -(2**63) <= whole < 2**63:
            return UNKNOWN
        if self.ids is None:
            return whole if 0 <= whole < self.count else UNKNOWN
        return int(self._of_whole(np.array([whole]))[0])

    def numbers(self, wanted: Sequence[Any] | Array) -> Array:
        """(n,) int32 numbers of many ids, in one pass; UNKNOWN where there is none such."""
        if isinstance(wanted, np.ndarray) and wanted.dtype.kind not in "iuf":
            wanted = wanted.tolist()
        if self.is_text:
            texts = self._texts(wanted)
            if texts is None:
                found = map(self.number, wanted)
            else:
                found = map(self._names.get, texts, itertools.repeat(UNKNOWN))
            return np.fromiter(found, np.int32, len(wanted))
        whole = _wholes(wanted)
        if whole is None:
            return np.fromiter(map(self.number, wanted), np.int32, len(wanted))
        return self._of_whole(whole).astype(np.int32)

    def spellings(self, wanted: Any) -> list[str]:
        """The ids that a number may mean, where these are several: "7", "007", "7.0"."""
        whole = whole_number(wanted) if self.is_text else None
        return [] if whole is None else self._spelled_often.get(whole, [])

    # ---- tables ---------------------------------------------------------------------------------

    @cached_property
    def _names(self) -> dict[str, int]:
        return dict(zip(self.ids.tolist(), range(self.count), strict=True))

    @cached_property
    def _by_value(self) -> tuple[int, Array] | None:
        """The least id, and the number of each value from there on; None where these are many."""
        if not len(self.ids):
            return None
        least, most = int(self.ids.min()), int(self.ids.max())
        if most - least >= SPREAD * len(self.ids):
            return None
        table = np.full(most - least + 1, UNKNOWN, np.int32)
        table[self.ids - least] = np.arange(len(self.ids), dtype=np.int32)
        return least, table

    @cached_property
    def _sorted(self) -> tuple[Array, Array | None]:
        """The ids, rising, and the number of each; None where that is its place."""
        if np.all(self.ids[1:] > self.ids[:-1]):
            return self.ids, None
        order = np.argsort(self.ids).astype(np.int32)
        return self.ids[order], order

    @cached_property
    def _spelled_often(self) -> dict[int, list[str]]:
        spelled: dict[int, list[str]] = {}
        for one in self.ids.tolist():
            if _SPELLED.fullmatch(one):
                spelled.setdefault(int(one.partition(".")[0]), []).append(one)
        return {whole: texts for whole, texts in spelled.items() if len(texts) > 1}

    def _of_whole(self, wanted: Array) -> Array:
        if self.ids is None:
            return np.where((wanted >= 0) & (wanted < self.count), wanted, UNKNOWN)
        if not len(self.ids):
            return np.full(len(wanted), UNKNOWN)
        if self._by_value is not None:
            least, table = self._by_value
            inside = (wanted >= least) & (wanted < least + len(table))
            return np.where(inside, table[np.where(inside, wanted - least, 0)], UNKNOWN)
        ids, order = self._sorted
        rising = np.argsort(wanted)  # in this order the bisection goes through the memory once
        place = np.empty(len(wanted), np.int64)
        place[rising] = np.searchsorted(ids, wanted[rising])
        place = np.minimum(place, len(ids) - 1)
        number = place if order is None else order[place]
        return np.where(ids[place] == wanted, number, UNKNOWN)

    def _texts(self, wanted: Sequence[Any] | Array) -> Sequence[str] | None:
        """What to look up among names; None where each must be looked at by itself."""
        if not isinstance(wanted, np.ndarray) and set(map(type, wanted)) <= {str}:
            return wanted
        whole = _wholes(wanted)
        if whole is None or self._spelled_often:
            return None
        return list(map(str, whole.tolist()))


def _text(wanted: Any) -> str | None:
    if isinstance(wanted, bytes):
        try:
            return wanted.decode()
        except UnicodeDecodeError:
            return None
    return wanted if isinstance(wanted, str) else None


def _wholes(wanted: Sequence[Any] | Array) -> Array | None:
    """Numbers, or text that is nothing else, as int64; None where one of them is not."""
    if not len(wanted):
        return np.empty(0, np.int64)
    if not isinstance(wanted, np.ndarray):
        kinds = set(map(type, wanted))
        if kinds == {str}:
            return _parsed(wanted)
        if bool in kinds or not all(issubclass(one, (int, float, np.number)) for one in kinds):
            return None
        if len(kinds) > 1:  # 2⁵³ + 1 beside 0.0 would lose its end
            return None
        wanted = np.array(wanted)
    if wanted.dtype.kind == "f":
        fits = np.all((wanted == np.floor(wanted)) & (np.abs(wanted) < 2.0**63))
        return wanted.astype(np.int64) if fits else None
    if wanted.dtype.kind not in "iu" or (wanted.dtype == np.uint64 and np.any(wanted >> 63)):
        return None
    return wanted.astype(np.int64, copy=False)


def _parsed(texts: Sequence[str]) -> Array | None:
    try:
        whole = np.fromiter(map(int, texts), np.int64, len(texts))
    except (ValueError, OverflowError):
        return None
    # Python also reads "１７", "1_7" and "017" as numbers.
    return whole if list(map(str, whole.tolist())) == list(texts) else None
