"""A public data set into its folder, each file checked before it gets its name."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import NamedTuple

from ..errors import InputError
from .addresses import checked_base
from .checksums import Digest, read_manifest, write_manifest
from .download import Report
from .obtain import Place, digest_of, in_the_way, obtain, obtain_members
from .sources import SOURCES, Source, source_of


class Fetched(NamedTuple):
    """What a fetch has done.

    sums : {file: SHA-256} of all files
    new : the files that were not there before
    """

    folder: Path
    sums: dict[str, str]
    new: tuple[str, ...]


def fetch(
    name: str,
    data_dir: str | os.PathLike[str] = "data",
    mirror: str | None = None,
    replace: bool = False,
    timeout: float = 30.0,
    report: Report = lambda name, got, total: None,
    sources: Mapping[str, Source] = SOURCES,
) -> Fetched:
    """Fetch a public data set into the folder `data_dir`/`name`.

    A file that is there and right is not fetched again; an interrupted one goes on where it
    stopped. A file gets its name when its content is the published one, and the folder's
    `SHA256SUMS` names its SHA-256 from then on.

    Parameters
    ----------
    name : str
        A key of `sources`.
    data_dir : path
        `load_dataset` looks in `data` by itself.
    mirror : str, optional
        Base address to ask instead of GitHub's.
    replace : bool
        Fetch files anew that are there and wrong, instead of refusing.
    timeout : float
        Seconds without an answer, or of less than 1 kB a second, after which it is given up.
    report : callable
        Called with a file's name, the bytes that are there and all of them (None: not known).
    sources : dict of name → Source

    Raises
    ------
    InputError
        When a server does not give what was published, or a file is in the way. What was right
        before is still there.
    """
    source = source_of(name, sources)
    base = checked_base(mirror)
    if not timeout > 0:
        raise InputError(f"the timeout is {timeout:g}; wanted seconds above 0.")
    folder = Path(data_dir) / name
    sums = read_manifest(folder)
    there = {file: digest_of(folder / file) for file in source.names}
    right = {
        file: found.sha256
        for file, found in there.items()
        if found is not None and _is_right(source, file, found, sums)
    }
    for file, found in there.items():
        # Of an archive's files that no list names it is not known yet whether they are right.
        known = not source.members or file in sums
        if found is not None and file not in right and known and not replace:
            raise in_the_way(folder / file)
    if len(right) < len(source.names):
        with _folder(folder):
            place = Place(source, folder, base, timeout, report)
            if source.members:
                right = obtain_members(place, replace)
            else:
                left = (file for file in source.files if file.name not in right)
                right |= {file.name: obtain(place, file) for file in left}
    new = tuple(
        file for file in source.names if there[file] is None or there[file].sha256 != right[file]
    )
    write_manifest(folder, sums | right)
    return Fetched(folder, {file: right[file] for file in source.names}, new)


def _is_right(source: Source, name: str, found: Digest, sums: Mapping[str, str]) -> bool:
    """Whether a file is as the folder's list has it, and as it was published."""
    listed = sums.get(name)
    if source.members:  # only the archive's checksum is published
        return found.sha256 == listed
    published = next(file for file in source.files if file.name == name)
    return found.is_of(published) and listed in (None, found.sha256)


@contextmanager
def _folder(path: Path) -> Iterator[None]:
    """A folder for files; one that stays empty, because nothing came, is not left behind."""
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(f"{path} could not be made: {error.strerror}.") from error
    try:
        yield
    finally:
        with suppress(OSError):  # it is not empty
            path.rmdir()
