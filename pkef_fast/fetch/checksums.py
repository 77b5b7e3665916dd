"""What a file's content is: its length, SHA-1 as a Git blob, SHA-256; and the list `SHA256SUMS`.

Publishers' repositories vouch for a file by the SHA-1 of its blob. SHA-1 can be forged with much
effort, so from the first fetch on a file's SHA-256 is kept too, in a list that `sha256sum -c`
reads.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

from ..errors import InputError
from ..store.files import write_text
from .sources import File

MANIFEST = "SHA256SUMS"
CHUNK = 2**20


class Digest(NamedTuple):
    """Length and checksums of a content; `blob` is SHA-1 of b"blob <size>\\0" and the content."""

    size: int
    blob: str
    sha256: str

    def is_of(self, file: File) -> bool:
        """Whether this is the content that was published as `file`."""
        return self.blob == file.blob and file.size in (None, self.size)


def digest(path: Path) -> Digest:
    """The digest of a file, read once in pieces."""
    try:
        with open(path, "rb") as content:
            size = path.stat().st_size
            blob = hashlib.sha1(b"blob %d\0" % size, usedforsecurity=False)
            sha256 = hashlib.sha256()
            while chunk := content.read(CHUNK):
                blob.update(chunk)
                sha256.update(chunk)
    except OSError as error:
        raise InputError(f"{path} could not be read: {error.strerror or error}.") from error
    return Digest(size, blob.hexdigest(), sha256.hexdigest())


def read_manifest(folder: Path) -> dict[str, str]:
    """{file: SHA-256} of a folder's list; empty without one."""
    path = folder / MANIFEST
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (FileNotFoundError, NotADirectoryError):
        return {}
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{path} could not be read: {error}.") from error
    found = {}
    for number, line in enumerate(lines, 1):
        match = re.fullmatch(r"([0-9a-f]{64}) [ *](.+)", line)
        if match is None:
            raise InputError(
                f"{path}, line {number}: found {line[:80]!r}, wanted a SHA-256 and a file's "
                "name, as sha256sum writes them; without it files are checked as published."
            )
        found[match[2]] = match[1]
    return found


def write_manifest(folder: Path, sums: Mapping[str, str]) -> None:
    """Write a folder's list, unless it is there as wanted."""
    if read_manifest(folder) != dict(sums):
        text = "".join(f"{sums[name]}  {name}\n" for name in sorted(sums))
        write_text(folder / MANIFEST, text)
