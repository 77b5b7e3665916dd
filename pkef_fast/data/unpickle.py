"""Reading pickles that hold arrays, without running anything that they hold.

A pickle is a program: it names Python objects and calls them. Here a name is looked up in a short
table of stand-ins, which only remember what they were given; nothing of NumPy, SciPy or Python is
ever called by the file. When the program has ended, the stand-ins' parts are checked and made into
arrays. Any name outside the table is an error.
"""

from __future__ import annotations

import math
import os
import pickle
import re
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from ..errors import InputError
from .sparse import SPARSE_FORMATS, Entries, Inconsistent, entries

MAX_DEPTH = 16  # of lists in lists; real files have 2 or 3
_NUMBER_TYPES = re.compile(r"b1|\?|[iu][1248]|f[248]|O[48]?")
_SPARSE_MODULE = re.compile(r"scipy\.sparse(\._?\w+)?")
_SPARSE_CLASS = re.compile(rf"({'|'.join(SPARSE_FORMATS)})_(matrix|array)")
_PLAIN = (type(None), bool, int, float, str, bytes)


class _Unusable(Exception):
    """The pickle's program is not one that NumPy or SciPy writes."""


class _StandIn:
    """Takes the place of an object that a pickle makes; remembers, and does nothing."""

    __slots__ = ()

    def __setstate__(self, state: Any) -> None:  # keeps BUILD from reaching attributes
        raise _Unusable(f"{type(self).__name__} with a state")


class _Name(_StandIn):
    """A class that is only ever named: numpy.ndarray, object, dict."""

    __slots__ = ("text",)

    def __init__(self, text: str):
        self.text = text


class _Call(_StandIn):
    """A function that a pickle may call; `_Call(f)(…)` is f(…)."""

    __slots__ = ("_function",)

    def __init__(self, function):
        self._function = function

    def __call__(self, *arguments):
        return self._function(*arguments)


class _Dtype(_StandIn):
    """numpy.dtype of a number, a truth value or an object."""

    __slots__ = ("_code", "_order")

    def __init__(self, code: Any):
        if not isinstance(code, str) or not _NUMBER_TYPES.fullmatch(code):
            raise _Unusable(f"an array of type {code!r}")
        self._code, self._order = code, "<"

    def __setstate__(self, state):
        state = state[1:] if isinstance(state[0], int) else state  # old pickles have no version
        order, subtype, names, fields = state[:4]
        if order not in ("<", ">", "|", "=") or (subtype, names, fields) != (None, None, None):
            raise _Unusable("an array of records")
        self._order = "<" if order in "|=" else order

    def dtype(self) -> np.dtype:
        return np.dtype("O") if self._code[0] == "O" else np.dtype(self._order + self._code)


class _Array(_StandIn):
    """numpy.ndarray."""

    __slots__ = ("_parts",)

    def __init__(self, parts: tuple | None = None):
        self._parts = parts

    def __setstate__(self, state):
        self._parts = tuple(state[-4:])  # shape, dtype, is_fortran, data; before them a version

    def array(self, depth: int, done: dict) -> np.ndarray:
        if self._parts is None:
            raise _Unusable("an array without data")
        shape, dtype, fortran, data = self._parts
        if not isinstance(dtype, _Dtype) or not isinstance(shape, tuple):
            raise _Unusable("an array without a type or shape")
        if not all(type(n) is int and n >= 0 for n in shape):
            raise _Unusable(f"an array of shape {shape!r}")
        size, kind = math.prod(shape), dtype.dtype()
        if kind.kind == "O":
            if not isinstance(data, list) or len(data) != size:
                raise _Unusable(f"an array of shape {shape} without as many objects")
            flat = np.empty(size, object)
            flat[:] = _resolve(data, depth, done) if size else []
        else:
            data = data.encode("latin1") if isinstance(data, str) else data  # of Python 2
            if not isinstance(data, (bytes, bytearray)) or len(data) != size * kind.itemsize:
                raise _Unusable(f"an array of shape {shape} and type {kind} without as many bytes")
            flat = np.frombuffer(data, np.uint8 if kind.kind == "b" else kind)
            if kind.kind == "b":  # bytes other than 0 and 1 are no truth values to NumPy
                flat = flat != 0
            flat = flat.astype(kind.newbyteorder("="), copy=False)
        return flat.reshape(shape, order="F" if fortran else "C")


class _Sparse(_StandIn):
    """A SciPy sparse matrix or array; subclasses name the format."""

    __slots__ = ("_items", "_state")
    format = ""

    def __new__(cls):  # not __init__: pickles make objects without it
        self = super().__new__(cls)
        self._state, self._items = {}, {}
        return self

    def __setstate__(self, state):
        if not isinstance(state, dict):
            raise _Unusable("a sparse matrix without its parts")
        self._state = state

    def __setitem__(self, key, value):  # dok matrices are dicts
        self._items[key] = value

    def entries(self, depth: int, done: dict) -> Entries:
        names = ("data", "indices", "indptr", "row", "col", "coords", "rows", "offsets", "_dict")
        parts = {name: self._state[name] for name in names if name in self._state}
        parts["shape"] = self._state.get("_shape", self._state.get("shape"))
        parts.setdefault("_dict", self._items)
        parts = {name: _resolve(part, depth, done) for name, part in parts.items()}
        return entries(self.format, parts)


_SPARSE = {
    name: type(f"_{name.capitalize()}", (_Sparse,), {"__slots__": (), "format": name})
    for name in SPARSE_FORMATS
}


def _dtype(code, align=False, copy=False):
    return _Dtype(code)


def _reconstruct(subtype, shape, typecode):
    if not isinstance(subtype, _Name) or subtype.text != "ndarray":
        raise _Unusable("an array of an unknown class")
    return _Array()


def _frombuffer(buffer, dtype, shape, order, axis_order=None):
    if axis_order is not None or order not in ("C", "F"):
        raise _Unusable(f"an array of order {order!r}")
    return _Array((shape, dtype, order == "F", buffer))


def _scalar(dtype, data):
    return _Array(((), dtype, False, data)).array(0, {}).item()


def _reconstructor(cls, base, state):
    if not isinstance(cls, type) or not issubclass(cls, _Sparse):
        raise _Unusable("an object of an unknown class")
    made = cls()
    if state is not None:  # dok matrices: the dict's content
        if not isinstance(state, dict):
            raise _Unusable("a sparse matrix without its parts")
        made._items.update(state)
    return made


def _encode(text, encoding="latin1"):
    if not isinstance(text, str) or encoding not in ("latin1", "latin-1"):
        raise _Unusable(f"text in {encoding!r}")
    return text.encode("latin1")


def _empty_bytes(*arguments):
    if arguments:
        raise _Unusable("bytes made from something else")
    return b""


def _stand_in(module: str, name: str) -> Any:
    """What a pickle gets for a name; None where the name is not admitted."""
    module = {"copy_reg": "copyreg", "__builtin__": "builtins"}.get(module, module)
    module = module.replace("numpy._core", "numpy.core")
    if _SPARSE_MODULE.fullmatch(module) and (match := _SPARSE_CLASS.fullmatch(name)):
        return _SPARSE[match[1]]
    if (module, name) in (("numpy", "ndarray"), ("builtins", "object"), ("builtins", "dict")):
        return _Name(name)
    function = {
        ("numpy", "dtype"): _dtype,
        ("numpy.core.multiarray", "_reconstruct"): _reconstruct,
        ("numpy.core.multiarray", "scalar"): _scalar,
        ("numpy.core.numeric", "_frombuffer"): _frombuffer,
        ("copyreg", "_reconstructor"): _reconstructor,
        ("_codecs", "encode"): _encode,
        ("builtins", "bytes"): _empty_bytes,
    }.get((module, name))
    return None if function is None else _Call(function)


# The form in Python: that in C makes a table as long as the largest number that a file says it
# keeps an object under, so 13 bytes can ask for 32 GiB. It is as fast where arrays are large.
class _Unpickler(pickle._Unpickler):
    def __init__(self, file, path: Path, wanted: str):
        super().__init__(file, encoding="latin1")  # of Python 2; Python 3 writes no such strings
        self._path, self._wanted = path, wanted
        self._file_bytes = os.fstat(file.fileno()).st_size

    def load_bytearray8(self) -> None:
        """As pickle's own, which fills as many bytes as the file says, before it reads any."""
        size = int.from_bytes(self.read(8), "little")
        if size > self._file_bytes:
            raise pickle.UnpicklingError(f"{size} bytes in a file of {self._file_bytes}")
        content = bytearray(size)
        self.readinto(content)
        self.append(content)

    dispatch: ClassVar[dict] = {
        **pickle._Unpickler.dispatch,
        pickle.BYTEARRAY8[0]: load_bytearray8,
    }

    def find_class(self, module: str, name: str) -> Any:
        found = _stand_in(module, name)
        if found is None:
            # Whatever the file calls it, the sentence stays one line.
            shown = f"{module}.{name}".encode("unicode_escape").decode("ascii")
            raise InputError(
                f"{self._path} is a pickle that holds {shown}, which may run code and was "
                f"not loaded; wanted {self._wanted}, of NumPy and SciPy arrays alone."
            )
        return found


def _resolve(value: Any, depth: int, done: dict[int, Any]) -> Any:
    """`value` with arrays and matrices in place of stand-ins."""
    if isinstance(value, _PLAIN):
        return value
    if id(value) in done:  # an object that occurs more than once is made once
        return done[id(value)]
    if depth >= MAX_DEPTH:
        raise _Unusable(f"lists nested more than {MAX_DEPTH} deep")
    if isinstance(value, _Array):
        made = value.array(depth + 1, done)
    elif isinstance(value, _Sparse):
        made = value.entries(depth + 1, done)
    elif type(value) in (list, tuple):
        made = type(value)(
            [one if type(one) is int else _resolve(one, depth + 1, done) for one in value]
        )
    elif type(value) is dict:
        made = {
            _resolve(key, depth + 1, done): _resolve(one, depth + 1, done)
            for key, one in value.items()
        }
    else:
        raise _Unusable(f"a {type(value).__name__.lstrip('_')}")
    done[id(value)] = made
    return made


def load(path: str | os.PathLike[str], wanted: str = "a pickle") -> Any:
    """The content of a pickle of arrays.

    Parameters
    ----------
    path : path
    wanted : str
        What the caller expects, for the error's sentence.

    Returns
    -------
    int, float, bool, str, bytes, None, NumPy array, `Entries` of a SciPy sparse matrix of any
    format, or lists, tuples and dicts of these. Arrays may be read-only.

    Raises
    ------
    InputError
        When the file is not there, is cut short, is no pickle, holds anything else, or holds a
        matrix whose parts do not fit together. Nothing in the file is ever run.
    """
    path = Path(path)
    try:
        with open(path, "rb") as file:
            content = _Unpickler(file, path, wanted).load()
        return _resolve(content, 0, {})
    except InputError:
        raise
    except FileNotFoundError as error:
        raise InputError(f"{path} does not exist; wanted {wanted}.") from error
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error.strerror}; wanted {wanted}.") from error
    except (_Unusable, Inconsistent) as error:
        raise InputError(f"{path} holds {error}; wanted {wanted}.") from error
    except Exception as error:  # a damaged program may fail in any way
        reason = " ".join(str(error).split()) or type(error).__name__
        raise InputError(
            f"{path} cannot be read as a pickle ({reason}): it is damaged, cut short, or of "
            f"another kind; wanted {wanted}."
        ) from error
