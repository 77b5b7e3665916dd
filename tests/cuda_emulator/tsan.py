"""ThreadSanitizer: a Python process with its library in it, and what it reports of a launch.

A kernel built for it runs each of its threads as a fiber that it takes for a thread of its own;
only barriers, __syncwarp and the fences order them, so a race is found whatever the order of a run.
Threads of different blocks are never ordered within a launch.

    python -m cuda_emulator.tsan -m pytest -m emulator tests/kernels     (from tests/)

runs Python with these arguments so that every EmulatorBackend in it looks for races.
"""

from __future__ import annotations

import functools
import os
import platform
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from . import build

LOG = "PKEF_EMULATOR_RACES"  # environment: where ThreadSanitizer writes, without the process id
_read = 0


_HEAD = re.compile(
    r"^\s+(?P<what>(?:Previous )?(?:atomic )?(?:read|write)) of size \d+ "
    r"at (?P<address>0x[0-9a-f]+) by (?:main )?thread ?(?P<thread>T\d+)?.*"
    r"(?:\n\s+#0 .*?(?P<where>[^\s/]+:\d+)?(?: \(.*\))?)?$",
    re.MULTILINE | re.IGNORECASE,
)
_NAME = re.compile(r"^\s+Thread (T\d+) '(block [^']+)'", re.MULTILINE)


def new_race() -> tuple[str, int] | None:
    """The first race between a kernel's threads since the last call: a sentence, the address."""
    global _read
    path = Path(f"{os.environ[LOG]}.{os.getpid()}")
    if not path.exists():
        return None
    text = path.read_text(encoding="utf-8", errors="replace")
    fresh, _read = text[_read:], len(text)
    for report in fresh.split("WARNING: ThreadSanitizer: data race")[1:]:
        names, heads = dict(_NAME.findall(report)), list(_HEAD.finditer(report))
        if names and heads:
            said = [
                f"{head['what'].lower()} by {names.get(head['thread'], 'an earlier block')} "
                f"at {head['where'] or 'an unknown line'}"
                for head in heads[:2]
            ]
            return "; ".join(said), int(heads[0]["address"], 16)
    return None


@functools.cache
def why_not() -> str | None:
    """Why ThreadSanitizer cannot run here, or None if it can."""
    if not _library().is_absolute():
        return f"{build.compiler()[0]} has no ThreadSanitizer library"
    done = run(["-c", "import ctypes; assert ctypes.CDLL(None).__tsan_create_fiber"])
    if done.returncode:
        last = (done.stderr or done.stdout).strip().splitlines()[-1:]
        return f"a Python with ThreadSanitizer does not start: {''.join(last)}"
    return None


def run(arguments: list, **kwargs) -> subprocess.CompletedProcess:
    """`python ARGUMENTS` with ThreadSanitizer loaded; its findings reach the EmulatorBackends."""
    with tempfile.TemporaryDirectory(prefix="races-") as folder:
        log = str(Path(folder) / "report")
        options = {
            "log_path": log,
            "exitcode": 0,  # a race is raised as an EmulatorError in the process
            "suppress_equal_stacks": 0,  # each launch is judged by itself
            "suppress_equal_addresses": 0,
            "ignore_noninstrumented_modules": 1,
            "report_thread_leaks": 0,
            "report_signal_unsafe": 0,
            "handle_segv": 0,
            "handle_sigbus": 0,
            "history_size": 4,
        }
        environment = {
            **os.environ,
            "LD_PRELOAD": str(_library()),
            "TSAN_OPTIONS": ":".join(f"{name}={value}" for name, value in options.items()),
            "PKEF_EMULATOR_SANITIZER": "thread",
            LOG: log,
            "OPENBLAS_NUM_THREADS": "1",
            "NUMBA_NUM_THREADS": "1",
        }
        python_path = [str(build.FOLDER.parent), os.environ.get("PYTHONPATH", "")]
        environment["PYTHONPATH"] = os.pathsep.join(filter(None, python_path))
        command = [*_without_random_addresses(), sys.executable, *map(str, arguments)]
        kwargs = {"capture_output": True, "text": True, **kwargs}
        return subprocess.run(command, env=environment, **kwargs)


@functools.cache
def _library() -> Path:
    """libtsan's path; a bare name if the compiler has none."""
    words = [build.compiler()[0], "-print-file-name=libtsan.so"]
    found = subprocess.run(words, capture_output=True, text=True, check=True).stdout.strip()
    return Path(found).resolve() if os.path.isabs(found) else Path(found)


@functools.cache
def _without_random_addresses() -> tuple[str, ...]:
    """Words before a command that fix its addresses: ThreadSanitizer knows only some layouts."""
    program = shutil.which("setarch")
    words = (program, platform.machine(), "-R") if program else ()
    if words and subprocess.run([*words, "true"], capture_output=True).returncode == 0:
        return words
    return ()  # not allowed in this container: the layout may do as it is


if __name__ == "__main__":
    sys.exit(run(sys.argv[1:], capture_output=False).returncode)
