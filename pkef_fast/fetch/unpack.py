"""Files out of a zip archive: those that are wanted, and nothing else that it may hold."""

from __future__ import annotations

import re
import shutil
import stat
import zipfile
import zlib
from collections.abc import Sequence
from pathlib import Path, PurePosixPath

from ..errors import InputError

LARGEST = 2**30  # bytes of all wanted files: many times the largest known data set's
CHUNK = 2**20


def unpack(archive: Path, names: Sequence[str], folder: Path, largest: int = LARGEST) -> None:
    """Write the wanted files of an archive into an empty folder.

    They may lie in a folder of the archive. Other entries are left alone, but one that leads out of
    the folder, or is a link, says that the archive cannot be trusted.

    Raises
    ------
    InputError
        When a file is missing, named twice, or the archive is damaged, unsafe or too large.
    """
    try:
        with zipfile.ZipFile(archive) as content:
            for name, entry in _wanted(archive, content, names, largest).items():
                _write(content, entry, folder / name)
    except (zipfile.BadZipFile, zlib.error, EOFError, RuntimeError, NotImplementedError) as error:
        # RuntimeError: a password is wanted. NotImplementedError: a compression unknown here.
        raise InputError(f"{archive} cannot be unpacked: {error}; wanted a zip archive.") from error


def _wanted(
    archive: Path, content: zipfile.ZipFile, names: Sequence[str], largest: int
) -> dict[str, zipfile.ZipInfo]:
    found: dict[str, zipfile.ZipInfo] = {}
    for entry in content.infolist():
        path = PurePosixPath(entry.filename.replace("\\", "/"))
        outside = path.is_absolute() or ".." in path.parts or re.match("[A-Za-z]:", str(path))
        if outside or stat.S_ISLNK(entry.external_attr >> 16):
            kind = "leads out of its folder" if outside else "is a link"
            raise InputError(
                f"{archive} holds {entry.filename!r}, which {kind}; nothing was unpacked."
            )
        if entry.is_dir() or path.name not in names:
            continue
        if path.name in found:
            raise InputError(
                f"{archive} holds {path.name} twice, as {found[path.name].filename!r} and as "
                f"{entry.filename!r}; wanted one; nothing was unpacked."
            )
        found[path.name] = entry
    missing = [name for name in names if name not in found]
    if missing:
        raise InputError(
            f"{archive} holds no {', '.join(missing)}; wanted {', '.join(names)}; found "
            f"{', '.join(content.namelist()[:20]) or 'nothing'}."
        )
    if sum(entry.file_size for entry in found.values()) > largest:
        raise InputError(
            f"{archive} unpacks to more than {largest} bytes, which no known data set does; "
            "nothing was unpacked."
        )
    return found


def _write(content: zipfile.ZipFile, entry: zipfile.ZipInfo, path: Path) -> None:
    """Unpack one file. `zipfile` reads no more than the size that the archive says it has."""
    try:
        with open(path, "xb") as file, content.open(entry) as packed:
            shutil.copyfileobj(packed, file, CHUNK)
    except OSError as error:
        raise InputError(f"{path} could not be written: {error.strerror or error}.") from error
