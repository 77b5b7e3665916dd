"""Sparse matrices as `scipy.sparse.save_npz` writes them: an archive of a matrix's parts."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ..errors import InputError
from ..store import npz
from .sparse import SPARSE_FORMATS, Entries, Inconsistent, entries


def load(path: Path, wanted: str) -> Entries:
    """The matrix of a file; no pickle in it is ever read.

    Parameters
    ----------
    path : path
    wanted : str
        What the caller expects, for the error's sentence.

    Raises
    ------
    InputError
        When the file is not there, is damaged, holds objects or anything else than a matrix.
    """
    try:
        arrays = npz.read(path)
    except FileNotFoundError as error:
        raise InputError(f"{path} does not exist; wanted {wanted}.") from error
    except npz.Damaged as error:
        reason = " ".join(str(error).split())
        raise InputError(
            f"{path} cannot be read ({reason}): it is damaged, or holds objects, which are not "
            f"loaded; wanted {wanted}."
        ) from error
    kind = _plain(arrays.get("format"))
    kind = kind.decode("latin1") if isinstance(kind, bytes) else kind
    if kind not in SPARSE_FORMATS or "shape" not in arrays:
        held = ", ".join(sorted(arrays)[:5]) or "nothing"
        raise InputError(
            f"{path} holds {held}, not the parts of a sparse matrix; wanted {wanted}, as "
            "scipy.sparse.save_npz writes it."
        )
    shape = arrays["shape"].tolist()
    parts: dict[str, Any] = {**arrays, "shape": tuple(shape) if isinstance(shape, list) else shape}
    try:
        return entries(kind, parts)
    except Inconsistent as error:
        raise InputError(f"{path} holds {error}; wanted {wanted}.") from error


def _plain(value: Any) -> Any:
    """The value of an array of one; None for anything else."""
    return value.item() if value is not None and value.shape == () else None
