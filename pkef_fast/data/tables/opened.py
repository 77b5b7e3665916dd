"""The source that a file is, by its ending and by what its lines hold."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from ...errors import InputError
from .forms import JSON, PARQUET, ending
from .json_file import JsonFile
from .parquet_file import ParquetFile
from .spanned import spanned
from .text_file import TextFile


def source_of(path: Path, names: Sequence[str] | None, separator: str | None):
    """The source that a file is; `names` of its columns, if it has no header."""
    kind = ending(path)
    if separator is not None and kind in (*JSON, *PARQUET):
        raise InputError(f"{path} is no text table, so --separator cannot be used.")
    if kind in PARQUET:
        return ParquetFile(path, names)
    if kind in JSON:
        return JsonFile(path, names)
    text = TextFile(path, names, separator)
    return spanned(text) or text
