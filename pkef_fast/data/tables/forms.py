"""The forms that tables come in, by the endings of their files."""

from __future__ import annotations

from pathlib import Path

PACKED = (".gz", ".zst")
TEXT = (".csv", ".tsv", ".tab", ".txt", ".dat", ".inter")
JSON = (".jsonl", ".ndjson", ".json")
PARQUET = (".parquet", ".pq")
MARKS = "*?["  # of a glob


def ending(path: Path) -> str:
    """A file's ending in lower case, but for that of a packed one."""
    suffixes = [one.lower() for one in path.suffixes]
    if suffixes and suffixes[-1] in PACKED:
        suffixes.pop()
    return suffixes[-1] if suffixes else ""


def is_table(path: Path) -> bool:
    """Whether a file has the ending of a table."""
    return ending(path) in (*TEXT, *JSON, *PARQUET)


def is_glob(text: str) -> bool:
    """Whether a path stands for several files."""
    return any(mark in text for mark in MARKS)
