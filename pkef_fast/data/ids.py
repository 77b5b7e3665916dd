"""The data set's own ids at the border: numbers inside, ids outside."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np

from ..errors import InputError, did_you_mean, shown
from .dataset import Array, Dataset

EXAMPLES = 5  # ids that a sentence names


class Ids:
    """Looks users or items up by their ids, which may be given as they are or as text.

    The table behind it is kept with the data set, so that this is free to make.

    Parameters
    ----------
    kind : {"user", "item"}
    dataset : Dataset
    """

    def __init__(self, kind: str, dataset: Dataset):
        self.kind, self.dataset = kind, dataset.name
        self.look_up = dataset.look_up[kind]
        self.ids, self.count = self.look_up.ids, self.look_up.count

    def number(self, wanted: Any) -> int:
        """The number of an id; InputError for an unknown one."""
        number = self.look_up.number(wanted)
        if number < 0:
            raise self._unknown(wanted)
        return number

    def numbers(self, wanted: Iterable[Any]) -> Array:
        """(n,) int32 numbers of ids; InputError for the first unknown one."""
        if not isinstance(wanted, (list, np.ndarray)):
            wanted = list(wanted)
        numbers = self.look_up.numbers(wanted)
        if len(unknown := np.flatnonzero(numbers < 0)):
            raise self._unknown(wanted[unknown[0]])
        return numbers

    def id(self, number: int) -> Any:
        """The id of a number, as a plain Python value."""
        return int(number) if self.ids is None else self.ids.item(int(number))

    def of(self, numbers: Array) -> list[Any]:
        """The ids of an array of numbers, as plain Python values in lists of its shape."""
        return (numbers if self.ids is None else self.ids[numbers]).tolist()

    def _unknown(self, wanted: Any) -> InputError:
        what = f"{self.kind} {shown(wanted)}"
        if known := self.look_up.spellings(wanted):
            listed = " or ".join(shown(one) for one in known[:EXAMPLES])
            return InputError(
                f"{what} may be {listed} in data set {self.dataset!r}, whose ids are text; give it "
                "as text."
            )
        if not self.count:
            return InputError(f"{what} is unknown; data set {self.dataset!r} has no {self.kind}s.")
        if self.ids is None:
            return InputError(
                f"{what} is unknown; data set {self.dataset!r} has {self.kind}s 0 to "
                f"{self.count - 1}."
            )
        first = self.of(np.arange(min(EXAMPLES, self.count)))
        if self.count <= EXAMPLES and all(len(str(one)) < 80 for one in first):
            hint = did_you_mean(wanted if isinstance(wanted, str) else shown(wanted), first)
        else:
            listed = ", ".join(shown(one) for one in first)
            hint = f", which has {self.count} {self.kind}s, such as {listed}."
        return InputError(f"{what} is unknown in data set {self.dataset!r}{hint}")
