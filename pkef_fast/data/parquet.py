"""Reading interaction tables from Parquet files (needs pyarrow, the extra `parquet`)."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from ..errors import InputError
from .columns import REQUIRED, Table, bad_cell, find_columns, is_missing, require_columns
from .columns import parse_times as parse_text_times


def read_parquet(path: Path) -> Table:
    """The table of a Parquet file.

    Raises
    ------
    InputError
        With file, row, field, what was found and what was wanted; or when pyarrow is missing.
    """
    try:
        import pyarrow
        import pyarrow.parquet
    except ImportError as error:
        raise InputError(
            f"{path} is a Parquet file, and pyarrow, which reads them, is not installed; install "
            "pkef-fast[parquet], or convert the table to CSV."
        ) from error
    try:
        header = pyarrow.parquet.read_schema(path).names
        columns = find_columns(header)
        require_columns(path, columns, header)
        names = {column: header[at] for column, at in columns.items()}
        content = pyarrow.parquet.read_table(path, columns=list(names.values()))
    except (pyarrow.ArrowException, OSError) as error:
        raise InputError(f"{path} cannot be read as Parquet: {error}.") from error
    coded = {}
    for column in REQUIRED:
        coded[column] = _coded(content.column(names[column]), names[column], path)
    if "value" in names:
        _check_values(content.column(names["value"]), names["value"], path)
    time = None
    if "time" in names:
        time = _times(content.column(names["time"]), names["time"], path)
    return Table(
        path=path,
        users=coded["user"][0],
        items=coded["item"][0],
        behaviors=coded["behavior"][0],
        user_labels=coded["user"][1],
        item_labels=coded["item"][1],
        behavior_labels=[str(label) for label in coded["behavior"][1]],
        time=time,
        place=_place,
    )


def _place(row: int) -> str:
    return f"row {row}"


def _coded(column, field: str, path: Path):
    """Codes and labels of a column of ids or names."""
    whole = column.combine_chunks().dictionary_encode()
    labels = [_label(label) for label in whole.dictionary.to_pylist()]
    wanted = f"a name or number of the {field}"
    nulls = np.flatnonzero(np.asarray(whole.is_null()))
    if len(nulls):
        raise bad_cell(path, _place(nulls[0]), field, None, wanted)
    codes = whole.indices.to_numpy(zero_copy_only=False).astype(np.int64)
    for code, label in enumerate(labels):
        if is_missing(label):
            raise bad_cell(path, _place(int(np.argmax(codes == code))), field, label, wanted)
    return codes, labels


def _label(label):
    """An id; a float that is whole is one, as tables with gaps write them."""
    return int(label) if isinstance(label, float) and label.is_integer() else label


def _floats(column) -> np.ndarray:
    """Numbers of a column, NaN where there is none."""
    return column.cast("float64").to_numpy()


def _check_values(column, field: str, path: Path) -> None:
    import pyarrow

    wanted = "a number above 0"
    try:
        values = _floats(column)
    except pyarrow.ArrowException as error:
        raise bad_cell(path, "every row", field, str(column.type), wanted) from error
    wrong = np.flatnonzero(~(values > 0))
    if len(wrong):
        row = int(wrong[0])
        raise bad_cell(path, _place(row), field, column[row].as_py(), wanted)


def _times(column, field: str, path: Path) -> np.ndarray:
    import pyarrow

    wanted = "a time: a number of 0 or more, or a date"
    nulls = np.flatnonzero(column.is_null().to_numpy())
    if len(nulls):
        raise bad_cell(path, _place(nulls[0]), field, None, wanted)
    kind, types = column.type, pyarrow.types
    try:
        if types.is_timestamp(kind) or types.is_date(kind):
            return column.cast(pyarrow.timestamp("us")).cast("int64").to_numpy()
        if types.is_integer(kind):
            times = column.cast("int64").to_numpy()
        elif types.is_floating(kind):
            times = _floats(column)
        else:
            return parse_text_times([str(cell) for cell in column.to_pylist()])
    except (pyarrow.ArrowException, ValueError) as error:
        raise bad_cell(path, "some row", field, str(error), wanted) from error
    wrong = np.flatnonzero(~(times >= 0))
    if len(wrong):
        raise bad_cell(path, _place(int(wrong[0])), field, column[int(wrong[0])].as_py(), wanted)
    return times
