"""Arrays of an uncompressed NumPy archive, whole or not at all."""

from __future__ import annotations

import os
import tokenize
import zipfile
import zlib

import numpy as np

_COUNT, _END = 10, 22  # where the last record of an archive has its count of entries; its bytes


class Damaged(Exception):
    """A file that is no archive of arrays, was cut or changed; the message says how that showed."""


def read(path: str | os.PathLike[str]) -> dict[str, np.ndarray]:
    """The arrays by name.

    Raises
    ------
    Damaged
        Each entry has a check sum, and the last record tells how many there are: one changed
        length in the list of entries would hide those that follow.
    FileNotFoundError
    """
    try:
        with np.load(path, allow_pickle=False) as archive:
            arrays = {name: archive[name] for name in archive.files}
        with open(path, "rb") as file:
            file.seek(-_END, os.SEEK_END)
            end = file.read()
    except FileNotFoundError:
        raise
    except (OSError, EOFError, ValueError, KeyError, AttributeError, TypeError) as error:
        raise Damaged(str(error) or type(error).__name__) from error
    except (zipfile.BadZipFile, zlib.error, NotImplementedError) as error:
        raise Damaged(str(error) or type(error).__name__) from error
    except (tokenize.TokenError, SyntaxError, MemoryError, RecursionError) as error:
        # The header of an array is Python's notation, and NumPy's errors about it are Python's.
        raise Damaged(f"the head of an array: {type(error).__name__}") from error
    for name, one in arrays.items():
        if not isinstance(one, np.ndarray):  # an entry that does not begin as an array
            raise Damaged(f"{name!r} is no array")
    count = int.from_bytes(end[_COUNT : _COUNT + 2], "little")
    if count != len(arrays):
        raise Damaged(f"{len(arrays)} of {count} arrays are there")
    return arrays
