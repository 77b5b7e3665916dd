"""Tables in memory: polars and pandas frames, or whatever has the Arrow interface."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import polars as pl

from ...errors import InputError
from .sources import Held


class Frame(Held):
    """Such a table."""

    headed, path = False, None

    def __init__(self, frame: Any, name: str = "the frame"):
        self.where, self.notes = name, []
        try:
            self._frame = _polars(frame)
        except (pl.exceptions.PolarsError, TypeError, ValueError) as error:
            kind = type(frame).__name__
            raise InputError(
                f"{name} is of type {kind}, which cannot be read as a table ({error}); wanted a "
                "pandas or polars DataFrame, or another table with the Arrow interface."
            ) from error
        if not self._frame.columns:
            raise InputError(f"{name} has no columns; wanted a user, an item and a behavior.")
        self.header = self._frame.columns

    def place(self, row: int) -> str:
        """Where a row is, for a sentence."""
        return f"row {row}"


def _polars(frame: Any) -> pl.DataFrame:
    if isinstance(frame, pl.LazyFrame):
        return frame.collect()
    if isinstance(frame, pl.DataFrame):
        return frame
    arrow = ("__arrow_c_stream__", "__arrow_c_array__", "__dataframe__", "iloc")
    if not isinstance(frame, Mapping) and not any(hasattr(frame, name) for name in arrow):
        raise TypeError("it has no Arrow interface")
    try:
        return pl.DataFrame(frame, strict=False)
    except ImportError:  # a pandas frame, which polars reads by pyarrow
        return pl.DataFrame({str(name): frame[name].tolist() for name in frame.columns})
