"""Arrays and facts in one file: checkpoints and models.

The file is an uncompressed NumPy archive whose entry `facts` is JSON. The archive carries a check
sum for each entry, so a damaged file is found out. Equal content gives equal bytes.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from ..errors import InputError
from . import npz
from .files import write_file

FORMATS = (1, 2)  # 2: of format 1 an older version could not read every array


def write(
    path: str | os.PathLike[str],
    kind: str,
    facts: dict,
    arrays: Mapping[str, np.ndarray],
    number: int = FORMATS[0],
) -> None:
    """Write a file of this kind ("checkpoint", "model") and format, whole or not at all."""
    text = json.dumps({"format": number, "kind": kind, **facts})
    with write_file(path) as file:
        np.savez(file, facts=np.frombuffer(text.encode(), np.uint8), **arrays)


def read(path: str | os.PathLike[str], kind: str) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    """Facts and arrays of a file of this kind.

    Raises
    ------
    InputError
        When it is not there, cannot be read, is cut short, or holds something else.
    """
    path = Path(path)
    if not path.is_file():
        raise InputError(f"{path} does not exist; wanted a {kind} file of pkef-fast.")
    try:
        arrays = npz.read(path)
        facts = json.loads(arrays.pop("facts").tobytes())
        number, found = facts.pop("format"), facts.pop("kind")
    except (npz.Damaged, OSError, ValueError, KeyError, AttributeError, TypeError) as error:
        raise _unreadable(path, kind, error) from error
    if found != kind or number not in FORMATS:
        wanted = " or ".join(map(str, FORMATS))
        raise InputError(
            f"{path} holds a {found} of format {number}; wanted a {kind} of format {wanted}."
        )
    return facts, arrays


def _unreadable(path: Path, kind: str, error: Exception) -> InputError:
    return InputError(
        f"{path} cannot be read as a {kind}: {error or type(error).__name__}; it is damaged or cut "
        "short, so use another one or train anew."
    )
