"""What a model's fields may be in a search: ranges and choices, declared by the model itself."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Range:
    """Numbers from `low` to `high`.

    Attributes
    ----------
    field : str
        Name of the config field.
    low, high : float, or both int for whole numbers
    log : bool
        Whether equal ratios are equally likely, instead of equal differences.
    rest_of : str, optional
        A field that stands before in the space: the sum of the two is at most `high`.
    """

    field: str
    low: float
    high: float
    log: bool = False
    rest_of: str | None = None

    def bounds(self, values: dict[str, Any]) -> tuple[float, float]:
        """The ends, given the values of the fields before."""
        used = values.get(self.rest_of, 0) if self.rest_of else 0
        return self.low, max(self.low, self.high - used)

    def __str__(self) -> str:
        high = f"{self.high:g}" + (f" − {self.rest_of}" if self.rest_of else "")
        return f"{self.field} {self.low:g} … {high}" + (" (log)" if self.log else "")


@dataclass(frozen=True)
class Choice:
    """One of some values, as `Fields.replaced` takes them."""

    field: str
    values: tuple[Any, ...]

    def __str__(self) -> str:
        return f"{self.field} {' | '.join(map(str, self.values))}"


Space = tuple[Range | Choice, ...]
