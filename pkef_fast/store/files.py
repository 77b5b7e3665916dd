"""Writing so that a reader never sees half a file: write beside, flush, rename."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from ..errors import InputError


def _sentence(path: Path, error: OSError) -> str:
    reason = error.strerror or str(error)
    return f"{path} could not be written: {reason}; nothing was changed there."


@contextmanager
def write_file(path: str | os.PathLike[str]) -> Iterator[BinaryIO]:
    """A binary file that appears under `path` only when the block ends without an error.

    Raises
    ------
    InputError
        When the disk is full, the folder cannot be written, and the like. Nothing is left behind.
    """
    path = Path(path)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, beside = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    except OSError as error:
        raise InputError(_sentence(path, error)) from error
    try:
        with os.fdopen(handle, "wb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        os.chmod(beside, 0o666 & ~_umask())
        os.replace(beside, path)
    except OSError as error:
        raise InputError(_sentence(path, error)) from error
    finally:
        Path(beside).unlink(missing_ok=True)


def write_text(path: str | os.PathLike[str], text: str) -> None:
    """Write `text` as UTF-8 under `path`, whole or not at all."""
    with write_file(path) as file:
        file.write(text.encode())


@contextmanager
def write_folder(path: str | os.PathLike[str]) -> Iterator[Path]:
    """A folder that appears under `path` only when the block ends without an error.

    `path` must not exist, or be an empty folder.
    """
    path = Path(path)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        beside = Path(tempfile.mkdtemp(dir=path.parent, prefix=f".{path.name}."))
    except OSError as error:
        raise InputError(_sentence(path, error)) from error
    try:
        yield beside
        os.chmod(beside, 0o777 & ~_umask())
        os.replace(beside, path)  # replaces an empty folder, refuses any other
    except OSError as error:
        raise InputError(_sentence(path, error)) from error
    finally:
        shutil.rmtree(beside, ignore_errors=True)


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask
