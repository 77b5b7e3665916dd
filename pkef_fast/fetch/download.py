"""One file from a server into `NAME.part`, from where an earlier attempt stopped."""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from http.client import HTTPException, HTTPResponse
from pathlib import Path
from typing import NamedTuple
from urllib.error import HTTPError, URLError

from ..errors import InputError
from .addresses import ForeignRedirect, open_url

CHUNK = 2**16
LARGEST = 100 * 2**20  # GitHub keeps no larger file, so none of unknown size is larger
SLOWEST = 1024  # bytes a second, over `timeout` seconds

Report = Callable[[str, int, int | None], None]


class Job(NamedTuple):
    """A file to be fetched.

    part : where it is collected
    size : its length in bytes, None where that is not known
    timeout : seconds without an answer, or of less than 1 kB a second, after which it is given up
    advice : end of a sentence when the server does not have it
    """

    url: str
    part: Path
    size: int | None
    timeout: float
    advice: str


def download(job: Job, report: Report) -> bool:
    """Fetch a file; True when it began with bytes of an earlier attempt.

    What is in `job.part` afterwards is as long as it should be, and not yet checked. When the
    connection breaks, `job.part` keeps what came.

    Raises
    ------
    InputError
        One sentence: the file, what came, what to do.
    """
    begun = _begun(job)
    if begun and begun == job.size:
        return True
    response = _ask(job, begun)
    if response is None:  # nothing lies behind what is there: it is whole, or wrong
        return True
    if begun and response.status == 206 and _first_byte(response) != begun:
        response.close()
        begun = 0
        response = _ask(job, 0)
    with response:
        begun = begun if response.status == 206 else 0  # 200: the server ignores ranges
        _receive(job, response, begun, report)
    return begun > 0


def _begun(job: Job) -> int:
    """Bytes of an earlier attempt; one that is too long is removed."""
    try:
        begun = job.part.stat().st_size
        if begun > (job.size or LARGEST):
            job.part.unlink()
            return 0
        return begun
    except FileNotFoundError:
        return 0
    except OSError as error:
        raise _unwritable(job, error) from error


def _ask(job: Job, begun: int) -> HTTPResponse | None:
    try:
        return open_url(job.url, begun, job.timeout)
    except HTTPError as error:
        error.close()
        if begun and error.code == 416:
            return None
        found = "is not there" if error.code in (404, 410) else "was refused"
        raise InputError(
            f"{job.url} {found}: the server answered {error.code}; {job.advice}"
        ) from error
    except ForeignRedirect as error:
        raise InputError(
            f"{job.url} was redirected to {error}, which is not https; nothing was fetched from "
            f"there; {job.advice}"
        ) from error
    except (OSError, HTTPException) as error:
        raise InputError(
            f"{job.url} could not be reached: {_reason(error, job)}; {job.advice}"
        ) from error


def _reason(error: Exception, job: Job) -> str:
    if isinstance(error, URLError) and isinstance(error.reason, Exception):
        error = error.reason
    if isinstance(error, TimeoutError):
        return f"nothing came for {job.timeout:g} s"
    return str(getattr(error, "strerror", None) or error or type(error).__name__)


def _first_byte(response: HTTPResponse) -> int | None:
    match = re.match(r"bytes (\d+)-", response.headers.get("Content-Range", ""))
    return int(match[1]) if match else None


def _receive(job: Job, response: HTTPResponse, begun: int, report: Report) -> None:
    length = response.headers.get("Content-Length", "")
    whole = begun + int(length) if length.isdigit() else None
    wanted = f"{job.size}" if job.size is not None else f"at most {LARGEST}"
    if whole is not None and (whole > LARGEST if job.size is None else whole != job.size):
        raise InputError(f"{job.url} has {whole} bytes there; wanted {wanted}; {job.advice}")
    total = job.size if job.size is not None else whole
    most, got, pace = LARGEST if total is None else total, begun, _Pace(job.timeout)
    try:
        with open(job.part, "ab" if begun else "wb") as file:
            while True:
                try:
                    chunk = response.read1(CHUNK)
                except (OSError, HTTPException) as error:
                    raise _broken(job, f"broke ({_reason(error, job)})", got, total) from error
                if not chunk:
                    break
                got += len(chunk)
                if got > most:
                    file.truncate(0)
                    raise InputError(f"{job.url} does not end after {wanted} bytes; {job.advice}")
                file.write(chunk)
                file.flush()  # so that it is there when this process is killed
                report(job.part.stem, got, total)
                if pace.is_slow(len(chunk)):
                    raise _broken(job, "was too slow (less than 1 kB a second)", got, total)
    except OSError as error:
        raise _unwritable(job, error) from error
    if total is not None and got < total:
        raise _broken(job, "ended", got, total)


class _Pace:
    """Whether bytes come too slowly, looked at every `window` seconds."""

    def __init__(self, window: float) -> None:
        self.window, self.since, self.came = window, time.monotonic(), 0

    def is_slow(self, came: int) -> bool:
        self.came += came
        took = time.monotonic() - self.since
        if took < self.window:
            return False
        slow = self.came < SLOWEST * took
        self.since, self.came = time.monotonic(), 0
        return slow


def _broken(job: Job, how: str, got: int, total: int | None) -> InputError:
    return InputError(
        f"{job.url}: the connection {how} after {got} of {total or 'its'} bytes; they lie in "
        f"{job.part}, and the same command goes on there."
    )


def _unwritable(job: Job, error: OSError) -> InputError:
    return InputError(f"{job.part} could not be written: {error.strerror or error}.")
