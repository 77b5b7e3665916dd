"""Files of ranks: a held-out pair a row, and the place of its item among the user's candidates.

Inside, ranks count from 0. In files they count from 1, and their column says so, because whoever
counts `rank <= 10` in a file wants HR@10.
"""

from __future__ import annotations

import csv
import os
from collections.abc import Sequence

from ..data.dataset import Dataset
from ..errors import InputError
from ..evaluate.figures import ProtocolFigures
from .table import Table

COLUMN = "rank_from_1"
OLD = "rank"  # the column of older versions, which counted from 0
COLUMNS = {"user": str, "item": str, COLUMN: int}
RUN = "run"  # the column before these in a file of several runs


def rank_table(data: Dataset, found: ProtocolFigures) -> Table:
    """A protocol's pairs by the data set's own ids: user, item, rank_from_1."""
    users, items = found.test_users, found.test_items
    if data.user_ids is not None:
        users = data.user_ids[users]
    if data.item_ids is not None:
        items = data.item_ids[items]
    places = (found.ranks + 1).tolist()
    return Table(tuple(COLUMNS), list(zip(users.tolist(), items.tolist(), places, strict=True)))


def of_runs(tables: Sequence[tuple[str, Table]]) -> Table:
    """Several runs' ranks, each with its name, as one table."""
    rows = [(name, *row) for name, table in tables for row in table.rows]
    return Table((RUN, *COLUMNS), rows)


def read_ranks(path: str | os.PathLike[str]) -> Table:
    """A file that `pkef-fast evaluate --ranks` wrote, of one run or of several.

    Raises
    ------
    InputError
        Of an older version's file too: its ranks count from 0.
    """
    header = _header(path)
    if OLD in header:
        raise InputError(
            f"{path} has the column {OLD!r}, which an older version counted from 0; wanted "
            f"{COLUMN!r}, from 1: write it anew with `pkef-fast evaluate RUN --ranks {path}`."
        )
    several = {RUN: str} if header[:1] == [RUN] else {}
    table = Table.read(path, several | COLUMNS)
    for number, row in enumerate(table.rows, 1):
        if None in row or row[-1] < 1:
            raise InputError(
                f"{path}, row {number}: {', '.join('' if one is None else str(one) for one in row)}"
                f"; wanted a value in every column, and {COLUMN} 1 or more."
            )
    return table


def _header(path: str | os.PathLike[str]) -> list[str]:
    """The first line's names; none where there is no text, which `Table.read` says."""
    try:
        with open(path, encoding="utf-8", newline="") as file:
            return next(csv.reader(file), [])
    except (OSError, UnicodeDecodeError):
        return []
