"""The parts of a SciPy sparse matrix, of any format, as one list of entries.

Only the parts are used, never SciPy's own objects: a file that claims to hold a canonical matrix
need not, and what is wrong in it must be found here and not as a wild read later.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from .dataset import Array

SPARSE_FORMATS = ("csr", "csc", "coo", "lil", "dok", "dia", "bsr")
MAX_SIDE = 2**31 - 1  # ids are int32
MAX_USED = 10**8  # users or items of a data set: more are stray ids, and their rows fill the memory


class Entries(NamedTuple):
    """Entries of an n × m matrix: values[e] at (rows[e], columns[e]), in any order.

    rows, columns (E,) integers inside the shape; values (E,) numbers; repeats may occur.
    """

    shape: tuple[int, int]
    rows: Array
    columns: Array
    values: Array


class Inconsistent(ValueError):
    """The parts do not make a matrix."""


def entries(kind: str, parts: dict[str, Any]) -> Entries:
    """Entries of a matrix of format `kind` from its attributes.

    Raises
    ------
    Inconsistent
        When parts are missing or do not fit together.
    """
    shape = parts.get("shape")
    if not isinstance(shape, tuple) or len(shape) != 2:
        raise Inconsistent(f"a {kind} matrix of shape {shape!r}, wanted two dimensions")
    shape = tuple(_count(n, kind) for n in shape)
    try:
        rows, columns, values = _READERS[kind](shape, parts)
    except KeyError as error:
        raise Inconsistent(f"a {kind} matrix without its part {error}") from error
    if not len(rows) == len(columns) == len(values):
        raise Inconsistent(
            f"a {kind} matrix with {len(rows)} rows, {len(columns)} columns and {len(values)} "
            "values in its list of entries"
        )
    for name, ids, limit in (("row", rows, shape[0]), ("column", columns, shape[1])):
        wrong = np.flatnonzero((ids < 0) | (ids >= limit))
        if len(wrong):
            raise Inconsistent(
                f"a {kind} matrix whose entry {wrong[0]} has {name} {ids[wrong[0]]}, wanted 0 to "
                f"{limit - 1}"
            )
    return Entries(shape, rows, columns, values)


def dense_entries(array: Array) -> Entries:
    """Entries other than zero of a two-dimensional array."""
    rows, columns = np.nonzero(array)
    return Entries(array.shape, rows, columns, array[rows, columns])


def _count(value: Any, kind: str) -> int:
    if isinstance(value, np.ndarray) and value.ndim == 0:
        value = value.item()
    if type(value) is not int or not 0 <= value <= MAX_SIDE:
        raise Inconsistent(f"a {kind} matrix of size {value!r}, wanted 0 to {MAX_SIDE}")
    return value


def _vector(parts: dict[str, Any], name: str, integers: bool = True) -> Array:
    array = parts[name]
    allowed = "iu" if integers else "biuf"
    if not isinstance(array, np.ndarray) or array.ndim != 1 or array.dtype.kind not in allowed:
        raise Inconsistent(f"a matrix whose part {name!r} is not a list of numbers")
    return array.astype(np.int64, copy=False) if integers else array


def _row_starts(parts: dict[str, Any], n_rows: int, n_entries: int) -> Array:
    """Row of each entry from a checked index pointer."""
    indptr = _vector(parts, "indptr")
    if len(indptr) != n_rows + 1:
        raise Inconsistent(f"a matrix of {n_rows} rows with {len(indptr)} row starts")
    if indptr[0] != 0 or np.any(indptr[1:] < indptr[:-1]) or indptr[-1] > n_entries:
        raise Inconsistent(
            f"a matrix whose row starts do not rise from 0 to its {n_entries} entries"
        )
    return np.repeat(np.arange(n_rows), np.diff(indptr))


def _compressed(n_major: int, parts: dict[str, Any]):
    minor, values = _vector(parts, "indices"), _vector(parts, "data", integers=False)
    major = _row_starts(parts, n_major, min(len(minor), len(values)))
    return major, minor[: len(major)], values[: len(major)]  # SciPy may keep spare room at the end


def _csr(shape, parts):
    return _compressed(shape[0], parts)


def _csc(shape, parts):
    columns, rows, values = _compressed(shape[1], parts)
    return rows, columns, values


def _coo(shape, parts):
    if "coords" in parts:
        if not isinstance(parts["coords"], tuple) or len(parts["coords"]) != 2:
            raise Inconsistent("a coo matrix without two lists of coordinates")
        parts = {**parts, "row": parts["coords"][0], "col": parts["coords"][1]}
    return _vector(parts, "row"), _vector(parts, "col"), _vector(parts, "data", integers=False)


def _lists(parts: dict[str, Any], name: str, n_rows: int) -> list[list]:
    lists = parts[name]
    if not isinstance(lists, np.ndarray) or lists.shape != (n_rows,) or lists.dtype != object:
        raise Inconsistent(f"a lil matrix whose part {name!r} is not {n_rows} lists")
    if not all(isinstance(one, list) for one in lists):
        raise Inconsistent(f"a lil matrix whose part {name!r} is not {n_rows} lists")
    return lists.tolist()


def _numbers(values: list, kind: str) -> Array:
    array = np.array(values) if values else np.empty(0, np.int64)
    if array.ndim != 1 or array.dtype.kind not in "biuf":
        raise Inconsistent(f"a {kind} matrix with entries that are not numbers")
    return array


def _ids(values: list, kind: str) -> Array:
    array = _numbers(values, kind)
    if array.dtype.kind not in "iu":
        raise Inconsistent(f"a {kind} matrix with ids that are not whole numbers")
    return array.astype(np.int64, copy=False)


def _lil(shape, parts):
    columns, values = _lists(parts, "rows", shape[0]), _lists(parts, "data", shape[0])
    lengths = np.array([len(one) for one in columns], np.int64)
    if lengths.tolist() != [len(one) for one in values]:
        raise Inconsistent("a lil matrix with unequal numbers of columns and values in a row")
    return (
        np.repeat(np.arange(shape[0]), lengths),
        _ids([column for row in columns for column in row], "lil"),
        _numbers([value for row in values for value in row], "lil"),
    )


def _dok(shape, parts):
    content = parts["_dict"]
    if not isinstance(content, dict) or not all(
        isinstance(key, tuple) and len(key) == 2 for key in content
    ):
        raise Inconsistent("a dok matrix whose keys are not pairs of row and column")
    rows = _ids([key[0] for key in content], "dok")
    return rows, _ids([key[1] for key in content], "dok"), _numbers(list(content.values()), "dok")


def _dia(shape, parts):
    data, offsets = parts["data"], _vector(parts, "offsets")
    if not isinstance(data, np.ndarray) or data.ndim != 2 or len(data) != len(offsets):
        raise Inconsistent("a dia matrix whose diagonals do not fit its offsets")
    which, columns = np.nonzero(data)
    rows = columns - offsets[which]
    inside = (rows >= 0) & (rows < shape[0]) & (columns < shape[1])  # the rest is padding
    which, rows, columns = which[inside], rows[inside], columns[inside]
    return rows, columns, _vector({"data": data[which, columns]}, "data", integers=False)


def _bsr(shape, parts):
    data, blocks = parts["data"], _vector(parts, "indices")
    if not isinstance(data, np.ndarray) or data.ndim != 3 or 0 in data.shape[1:]:
        raise Inconsistent("a bsr matrix without blocks")
    height, width = data.shape[1:]
    if shape[0] % height or shape[1] % width or len(blocks) > len(data):
        raise Inconsistent(f"a bsr matrix of shape {shape} with blocks of {height} × {width}")
    starts = _row_starts(parts, shape[0] // height, len(blocks))
    block, row, column = np.nonzero(data[: len(starts)])
    rows, columns = starts[block] * height + row, blocks[block] * width + column
    return rows, columns, _vector({"data": data[block, row, column]}, "data", integers=False)


_READERS = {
    "csr": _csr,
    "csc": _csc,
    "coo": _coo,
    "lil": _lil,
    "dok": _dok,
    "dia": _dia,
    "bsr": _bsr,
}
