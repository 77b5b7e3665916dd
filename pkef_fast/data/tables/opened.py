"""The source that a file is, by its ending and by what its lines hold."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from .forms import JSON, PARQUET, ending
from .json_file import JsonFile
from .parquet_file import ParquetFile
from .spanned import spanned
from .text_file import TextFile


def source_of(path: Path, names: Sequence[str] | None, separator: str | None):
    """The source that a file is; `names` of its columns, if it has no header."""
    kind = ending(path)
    if kind in PARQUET:
        return ParquetFile(path, names)
    if kind in JSON:
        return JsonFile(path, names)
    text = TextFile(path, names, separator)
    return spanned(text) or text
