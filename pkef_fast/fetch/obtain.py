"""A file, or an archive's files, into a folder: each gets its name when it is known to be right."""

from __future__ import annotations

import os
import shutil
import tempfile
from pathlib import Path
from typing import NamedTuple

from ..errors import InputError
from .checksums import MANIFEST, Digest, digest
from .download import Job, Report, download
from .sources import File, Source
from .unpack import unpack


class Place(NamedTuple):
    """Where a data set's files come from and go to."""

    source: Source
    folder: Path
    base: str
    timeout: float
    report: Report


def digest_of(path: Path) -> Digest | None:
    """The digest of what lies under a file's name; None where nothing does."""
    if not path.exists():
        return None
    if not path.is_file():
        raise InputError(f"{path} is no file; move it away, so that the data set's can lie there.")
    return digest(path)


def in_the_way(path: Path) -> InputError:
    """The sentence about a file that is not what it should be."""
    return InputError(
        f"{path} is there, but is not the published file, or not the one that {MANIFEST} lists; "
        "nothing was changed: move it away, or let --replace overwrite it."
    )


def obtain(place: Place, file: File) -> str:
    """Fetch a file; its SHA-256."""
    path = place.folder / file.name
    part = path.with_name(f"{file.name}.part")
    advice = place.source.by_hand(place.folder)
    job = Job(place.source.url(place.base, file), part, file.size, place.timeout, advice)
    while True:
        resumed = download(job, place.report)
        found = digest(part)
        if found.is_of(file):
            _give_name(part, path)
            return found.sha256
        part.unlink()
        if not resumed:  # else it was the earlier attempt's beginning that is wrong, perhaps
            raise InputError(
                f"{job.url} gave other content than was published: {found.size} bytes with the "
                f"Git SHA-1 {found.blob}, wanted {file.blob}; nothing of it was kept; {advice}"
            )


def obtain_members(place: Place, replace: bool) -> dict[str, str]:
    """Unpack the archive, fetched unless it lies in the folder; {file: SHA-256}.

    An archive that was fetched is removed then, one that was put there stays.
    """
    (file,) = place.source.files
    archive = place.folder / file.name
    found = digest_of(archive)
    brought = found is not None and found.is_of(file)
    if not brought:
        if found is not None and not replace:
            raise in_the_way(archive)
        obtain(place, file)
    try:
        beside = Path(tempfile.mkdtemp(dir=place.folder, prefix=".unpacked."))
    except OSError as error:
        raise InputError(f"{place.folder} could not be written: {error.strerror}.") from error
    try:
        unpack(archive, place.source.members, beside)
        sums = {name: digest(beside / name).sha256 for name in place.source.members}
        for name in sums:  # all of them before any gets its name
            there = digest_of(place.folder / name)
            if there is not None and there.sha256 != sums[name] and not replace:
                raise in_the_way(place.folder / name)
        for name in sums:
            _give_name(beside / name, place.folder / name)
    finally:
        shutil.rmtree(beside, ignore_errors=True)
    if not brought:
        archive.unlink()
    return sums


def _give_name(beside: Path, path: Path) -> None:
    try:
        with open(beside, "rb") as file:
            os.fsync(file.fileno())
        os.replace(beside, path)
    except OSError as error:
        raise InputError(f"{path} could not be written: {error.strerror}.") from error
