"""Parquet files, by polars; by pyarrow where that knows a type that polars does not."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from ...errors import InputError
from .sources import SAMPLE, Rows, no_names


class ParquetFile:
    """One file."""

    headed = False

    def __init__(self, path: Path, names: Sequence[str] | None):
        self.path, self.where, self.notes = path, str(path), []
        no_names(path, names, "Parquet")
        self.header = self._first_of(
            lambda: list(pl.read_parquet_schema(path)), lambda file: list(file.schema_arrow.names)
        )

    def place(self, row: int) -> str:
        """Where a row is, for a sentence."""
        return f"row {row}"

    def sample(self) -> pl.DataFrame:
        """The first rows."""
        return self._frame(self.header, SAMPLE)

    def read(self, columns: Sequence[str]) -> Rows:
        """Some columns."""
        frame = self._frame(columns)
        none = np.zeros(frame.height, bool)
        return Rows(frame, none, none)

    def _frame(self, columns: Sequence[str], rows: int | None = None) -> pl.DataFrame:
        plan = pl.scan_parquet(self.path, glob=False).select(columns)
        plan = plan if rows is None else plan.head(rows)
        return self._first_of(
            lambda: plan.collect(engine="streaming"),
            lambda file: pl.from_arrow(file.read(columns=list(columns)).slice(0, rows)),
        )

    def _first_of(self, by_polars: Callable[[], Any], by_pyarrow: Callable[[Any], Any]) -> Any:
        """What polars reads; what pyarrow does where polars cannot; else InputError."""
        try:
            return by_polars()
        except (pl.exceptions.PolarsError, pl.exceptions.PanicException, OSError) as error:
            first, said = error, str(error).partition("\n")[0]
        try:
            import pyarrow.parquet

            return by_pyarrow(pyarrow.parquet.ParquetFile(self.path))
        except ImportError:
            pass
        except (ValueError, TypeError, OSError, RuntimeError, MemoryError) as error:
            said = str(error).partition("\n")[0]
        except pl.exceptions.PolarsError as error:
            said = str(error).partition("\n")[0]
        raise InputError(f"{self.path} cannot be read as Parquet: {said}.") from first
