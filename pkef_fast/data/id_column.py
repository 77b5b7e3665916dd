"""A data set's own ids of its users or items, in the order of the numbers used inside.

In memory they are int64, or an array of Python strings: NumPy's own text is of fixed width, so one
id of 4,000 characters would give every other one its 16 kB. In files text is its UTF-8 bytes end to
end, `NAME.bytes`, and where each id ends in them, `NAME.ends`; numbers are `NAME`, and so is the
text of older files.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence

import numpy as np

from ..errors import InputError

Array = np.ndarray


def column_of(values: Sequence | Array) -> Array:
    """Ids as they are kept: whole numbers as int64, anything else as text.

    >>> column_of(["b", "a" * 4000]).nbytes
    16
    """
    array = values if isinstance(values, np.ndarray) else np.array(values, dtype=object)
    if array.ndim != 1:
        raise InputError(f"ids cannot be an array of {array.ndim} dimensions; wanted one.")
    if array.dtype.kind in "iu" and (array.dtype != np.uint64 or not np.any(array >> 63)):
        return array.astype(np.int64, copy=False)
    cells = array.tolist()
    kinds = set(map(type, cells))
    if kinds == {int} and all(-(2**63) <= one < 2**63 for one in cells):
        return np.array(cells, np.int64)
    if not kinds <= {str, int, np.str_}:
        found = next(one for one in cells if type(one) not in (str, int, np.str_))
        raise InputError(
            f"an id cannot be {found!r}, a {type(found).__name__}; wanted whole numbers or text."
        )
    if array.dtype.kind == "O" and kinds <= {str}:
        return array
    texts = np.empty(len(cells), object)
    texts[:] = [str(one) for one in cells]
    return texts


def is_text(ids: Array | None) -> bool:
    """Whether these are names rather than numbers."""
    return ids is not None and ids.dtype.kind != "i"


def arrays_of(name: str, ids: Array | None) -> dict[str, Array]:
    """The arrays that stand for ids in a file; none where there are no ids."""
    if not is_text(ids):
        return {} if ids is None else {name: ids}
    # Half a surrogate pair is no valid text, yet Python's strings and so a user's ids can hold it.
    parts = [one.encode("utf-8", "surrogatepass") for one in ids.tolist()]
    ends = np.cumsum([len(one) for one in parts], dtype=np.int64)
    return {f"{name}.bytes": np.frombuffer(b"".join(parts), np.uint8), f"{name}.ends": ends}


def of_arrays(name: str, arrays: Mapping[str, Array]) -> Array | None:
    """The ids of a file.

    Raises
    ------
    KeyError, ValueError
        Where one of the two arrays is missing, or they do not fit each other.
    """
    if f"{name}.ends" not in arrays:
        return arrays.get(name)
    ends, content = arrays[f"{name}.ends"], arrays[f"{name}.bytes"].tobytes()
    bounds = [0, *ends.tolist()]
    if bounds[-1] != len(content) or any(a > b for a, b in itertools.pairwise(bounds)):
        raise ValueError(f"the ends of {name} do not fit its {len(content)} bytes")
    texts = np.empty(len(ends), object)
    texts[:] = [
        content[a:b].decode("utf-8", "surrogatepass") for a, b in itertools.pairwise(bounds)
    ]
    return texts
