"""Plain interaction tables: CSV, TSV or Parquet with columns user, item, behavior, timestamp.

Ids may be anything; they are numbered in sorted order and kept. A table has no held-out items, so
the last target interaction of each user (by time, else one at random) is held out here.
"""

from __future__ import annotations

import csv
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from ..errors import InputError, did_you_mean
from .checks import assembled
from .dataset import Dataset
from .patterns import from_pairs, pairs_of

# Column names that are understood, the documented one first.
COLUMNS = {
    "user": ("user", "user_id", "userid", "visitorid"),
    "item": ("item", "item_id", "itemid"),
    "behavior": ("behavior", "behaviour", "behavior_type", "event", "type"),
    "timestamp": ("timestamp", "time"),
    "value": ("value", "count", "rating"),
}
REQUIRED = ("user", "item", "behavior")
SUFFIXES = (".csv", ".tsv", ".parquet")
LEAVE_OUT = ("target", "all")


def find_table(path: Path) -> Path | None:
    """The table that `path` is, or the one table in the folder `path`."""
    if path.is_file():
        return path if path.suffix.lower() in SUFFIXES else None
    tables = [file for file in sorted(path.glob("*")) if file.suffix.lower() in SUFFIXES]
    if len(tables) > 1:
        raise InputError(
            f"{path} holds {len(tables)} tables, {', '.join(t.name for t in tables)}; name one."
        )
    return tables[0] if tables else None


def load_table(
    file: Path,
    name: str,
    behaviors: Sequence[str] | None,
    source: dict,
    seed: int = 0,
    leave_out: str = "target",
) -> Dataset:
    """The data set in a table, with held-out items split off.

    Parameters
    ----------
    leave_out : "target" or "all"
        Whether a held-out pair is removed from the target behaviour alone, as in the paper's data
        sets, or from every behaviour.
    seed : int
        Of the random split, where there is no timestamp.
    """
    if leave_out not in LEAVE_OUT:
        raise InputError(f"leave_out cannot be {leave_out!r}{did_you_mean(leave_out, LEAVE_OUT)}")
    columns = _parquet(file) if file.suffix.lower() == ".parquet" else _text(file)
    user_ids, users = _numbered(columns["user"], file, "user")
    item_ids, items = _numbered(columns["item"], file, "item")
    names, codes = np.unique(columns["behavior"].astype(str), return_inverse=True)
    shape = (len(user_ids), len(item_ids))
    interactions = {
        str(behavior): from_pairs(users[codes == code], items[codes == code], *shape)
        for code, behavior in enumerate(names)
    }
    whole = assembled(
        name=name,
        place=file,
        interactions=interactions,
        behaviors=behaviors,
        shape=shape,
        test=(np.empty(0, np.int32), np.empty(0, np.int32)),
        source=source,
    )
    of_target = codes == list(names).index(whole.target)
    times = columns.get("timestamp")
    test = _split(
        users[of_target],
        items[of_target],
        None if times is None else times[of_target],
        np.random.default_rng(seed),
    )
    for behavior in whole.behaviors if leave_out == "all" else (whole.target,):
        interactions[behavior] = _without(interactions[behavior], test, shape)
    how = "the latest" if times is not None else "one at random"
    return assembled(
        name=name,
        place=file,
        interactions=interactions,
        behaviors=whole.behaviors,
        shape=shape,
        test=test,
        source=source,
        user_ids=user_ids,
        item_ids=item_ids,
        notes=(
            *(note for note in whole.notes if "held-out" not in note),
            f"held out: {how} of the {whole.target!r} items of each user with two or more, "
            f"{len(test[0])} in all, removed from {leave_out} behaviours."
            if leave_out == "all"
            else f"held out: {how} of the {whole.target!r} items of each user with two or more, "
            f"{len(test[0])} in all; they may stay visible in the other behaviours.",
        ),
    )


def _split(users, items, times, rng) -> tuple[np.ndarray, np.ndarray]:
    """One target item of each user with two or more: the one first met last, or a random one."""
    if times is None:
        order = np.arange(len(users))
    else:
        order = np.argsort(times, kind="stable")
    _, first = np.unique(np.stack([users[order], items[order]]), axis=1, return_index=True)
    kept = order[np.sort(first)]  # duplicates keep the earliest, in order of time
    users, items = users[kept], items[kept]
    priority = rng.random(len(users)) if times is None else np.arange(len(users))
    by_user = np.lexsort((priority, users))
    users, items = users[by_user], items[by_user]
    last = np.flatnonzero(np.append(users[1:] != users[:-1], True)) if len(users) else []
    counts = np.bincount(users) if len(users) else np.empty(0, int)
    chosen = [i for i in last if counts[users[i]] >= 2]
    return users[chosen].astype(np.int32), items[chosen].astype(np.int32)


def _without(csr, test, shape):
    users, items = pairs_of(csr)
    gone = np.isin(
        users.astype(np.int64) * shape[1] + items, test[0].astype(np.int64) * shape[1] + test[1]
    )
    return from_pairs(users[~gone], items[~gone], *shape)


# ---- reading ----------------------------------------------------------------------------------


def _columns(header: Sequence[str], file: Path) -> dict[str, int]:
    """Position of each known column."""
    lowered = [str(name).strip().lower() for name in header]
    places = {}
    for column, synonyms in COLUMNS.items():
        found = [lowered.index(name) for name in synonyms if name in lowered]
        if found:
            places[column] = found[0]
    for column in REQUIRED:
        if column not in places:
            raise InputError(
                f"{file}, line 1: no column {column!r}; found {', '.join(map(str, header))}; wanted "
                "user, item and behavior, and optionally timestamp and value."
            )
    return places


def _rows(file: Path) -> Iterator[tuple[int, list[str]]]:
    delimiter = "\t" if file.suffix.lower() == ".tsv" else ","
    try:
        with file.open(newline="", encoding="utf-8-sig") as text:
            reader = csv.reader(text, delimiter=delimiter)
            for row in reader:
                if row:
                    yield reader.line_num, row
    except OSError as error:
        raise InputError(f"{file} cannot be read: {error.strerror or error}.") from error
    except (UnicodeDecodeError, csv.Error) as error:
        raise InputError(f"{file} is not a text table: {error}.") from error


def _text(file: Path) -> dict[str, np.ndarray]:
    rows = _rows(file)
    first = next(rows, None)
    if first is None:
        raise InputError(f"{file} is empty; wanted a header with user, item, behavior.")
    places = _columns(first[1], file)
    width = len(first[1])
    lines, cells = [], {column: [] for column in places}
    for line, row in rows:
        if len(row) != width:
            raise InputError(f"{file}, line {line}: {len(row)} fields; wanted {width}.")
        lines.append(line)
        for column, place in places.items():
            cells[column].append(row[place])
    return _checked(
        {column: np.array(values, dtype=str) for column, values in cells.items()},
        file,
        lambda i: f"line {lines[i]}",
    )


def _parquet(file: Path) -> dict[str, np.ndarray]:
    try:
        import pyarrow.parquet
    except ImportError as error:
        raise InputError(
            f"{file} is Parquet, which needs pyarrow: pip install 'pkef-fast[parquet]'."
        ) from error
    try:
        table = pyarrow.parquet.read_table(file)
    except (OSError, pyarrow.ArrowException) as error:
        raise InputError(f"{file} cannot be read as Parquet: {error}.") from error
    columns = {}
    for column, place in _columns(table.column_names, file).items():
        values = table.column(place)
        if values.null_count:
            row = next(i for i, value in enumerate(values) if not value.is_valid)
            raise InputError(f"{file}, row {row}, field {column!r}: empty; wanted a value.")
        if pyarrow.types.is_temporal(values.type):
            values = values.cast(pyarrow.int64())
        columns[column] = values.to_numpy()
    return _checked(columns, file, lambda i: f"row {i}")


def _checked(columns: dict[str, np.ndarray], file: Path, where) -> dict[str, np.ndarray]:
    """Columns without empty cells; timestamp and value as numbers that are 0 or more."""

    def refuse(i: int, column: str, found: object, wanted: str):
        raise InputError(
            f"{file}, {where(i)}, field {column!r}: found {found!r}, wanted {wanted}."
        )

    if not len(columns["user"]):
        raise InputError(f"{file} has a header and no rows; wanted an interaction a row.")
    for column, values in columns.items():
        if values.dtype.kind == "f" and column in REQUIRED:
            bad = ~np.isfinite(values)
            if np.any(bad):
                refuse(int(np.argmax(bad)), column, float(values[np.argmax(bad)]), "a value")
            if np.all(values == np.floor(values)):
                columns[column] = values = values.astype(np.int64)
        if values.dtype.kind not in "biuf":
            text = np.char.strip(values.astype(str))
            bad = (text == "") | (np.char.lower(text) == "nan")
            if np.any(bad):
                i = int(np.argmax(bad))
                refuse(i, column, str(text[i]), "a value")
            columns[column] = values = text
        if column in ("timestamp", "value"):
            try:
                numbers = values.astype(np.float64)
            except ValueError:
                i = next(i for i, value in enumerate(values) if not _is_number(value))
                refuse(i, column, str(values[i]), "a number, 0 or more")
            bad = ~(numbers >= 0) | np.isinf(numbers)
            if np.any(bad):
                i = int(np.argmax(bad))
                refuse(i, column, float(numbers[i]), "a number, 0 or more")
            columns[column] = numbers
    keep = columns["value"] != 0 if "value" in columns else None  # 0: no interaction
    return columns if keep is None else {name: values[keep] for name, values in columns.items()}


def _is_number(text: object) -> bool:
    try:
        float(text)
    except (TypeError, ValueError):
        return False
    return True


def _numbered(values: np.ndarray, file: Path, column: str) -> tuple[np.ndarray, np.ndarray]:
    """Distinct ids in sorted order (numbers by size) and each row's place among them."""
    if values.dtype.kind not in "iu":
        try:
            numbers = values.astype(np.int64)
            if np.all(numbers.astype(str) == values.astype(str)):
                values = numbers
        except (ValueError, OverflowError):
            pass
    if values.dtype.kind == "i" and values.min() < 0:
        raise InputError(f"{file}, field {column!r}: found id {values.min()}, wanted 0 or more.")
    ids, places = np.unique(values, return_inverse=True)
    return ids, places.astype(np.int32)
