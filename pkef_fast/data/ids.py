"""The data set's own ids at the border: numbers inside, ids outside."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np

from ..errors import InputError, did_you_mean
from .dataset import Array, Dataset


class Ids:
    """Looks users or items up by their ids, which may be given as they are or as text.

    Parameters
    ----------
    kind : {"user", "item"}
    dataset : Dataset
    """

    def __init__(self, kind: str, dataset: Dataset):
        self.kind, self.dataset = kind, dataset.name
        self.ids = getattr(dataset, f"{kind}_ids")
        self.count = getattr(dataset, f"n_{kind}s")
        self._numbers: dict[str, int] | None = None  # made when first asked: a pass over all

    def number(self, wanted: Any) -> int:
        """The number of an id; InputError for an unknown one."""
        text = str(wanted)
        if self.ids is None:
            if text.isascii() and text.isdigit() and int(text) < self.count:
                return int(text)
            raise InputError(
                f"{self.kind} {wanted!r} is unknown; data set {self.dataset!r} has {self.kind}s 0 "
                f"to {self.count - 1}."
            )
        if self._numbers is None:
            self._numbers = {name: n for n, name in enumerate(self.ids.astype(str).tolist())}
        number = self._numbers.get(text)
        if number is None:
            raise InputError(
                f"{self.kind} {wanted!r} is unknown in data set {self.dataset!r}"
                f"{did_you_mean(wanted, self.ids[:5])}"
            )
        return number

    def numbers(self, wanted: Iterable[Any]) -> Array:
        """(n,) int32 numbers of ids."""
        return np.array([self.number(one) for one in wanted], np.int32)

    def id(self, number: int) -> Any:
        """The id of a number, as a plain Python value."""
        return int(number) if self.ids is None else self.ids[number].item()
