"""The planted bugs: how each is launched, and what must be said of it.

    python -m cuda_emulator.tsan -m cuda_emulator.planted

prints, for every case, what ThreadSanitizer says of the bug and of its repaired form (JSON).
"""

from __future__ import annotations

import json
import sys
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from pkef_fast.kernels.cuda import Instance

from .driver import EmulatorBackend, EmulatorError

SOURCE = Path(__file__).with_name("planted.cu")
THREADS = 64


@dataclass(frozen=True)
class Case:
    """A bug of planted.cu: its launch, and what reports of it must hold."""

    name: str
    report: str | None = None  # a regular expression; None: only ThreadSanitizer sees it
    race: str | None = None  # the same of ThreadSanitizer's report
    blocks: int = 1
    shared: int = 0
    n: int = THREADS


CASES = [
    Case("read_out_of_bounds", r"thread \(0, 0, 0\): read out of bounds of x: element 64 of 64 at "
         r"planted.cu:8", blocks=2),
    Case("read_before_start", r"thread \(0, 0, 0\): read out of bounds of x: element -4096 of 64"),
    Case("read_just_before_start", r"read out of bounds of x: element -1 of 64 at .*descending"),
    Case("write_out_of_bounds", r"block \(1, 0, 0\), thread \(0, 0, 0\): write out of bounds of "
         r"out: element 64 of 64", blocks=2),
    Case("write_before_start", r"write out of bounds of out: element -1 of 64"),
    Case("write_through_const", r"write to x, which is const \(element 0\)"),
    Case("null_pointer", r"thread \(0, 0, 0\): (planted.cu:\d+: undefined behaviour: null pointer"
         r"|read at \S+, which is no argument's memory)"),
    Case("shared_overrun", r"thread \(63, 0, 0\): write out of bounds of shared array row: byte "
         r"256 of 256"),
    Case("shared_index", r"thread \(15, 0, 0\): planted.cu:\d+: .*index out of an array's bounds"),
    Case("dynamic_shared_overrun", r"out of bounds of shared array \(dynamic\): byte 256 of 256",
         shared=256),
    Case("missing_syncthreads", r"depends on the order of threads: out\[0\] is nan ascending",
         race=r"data race on shared memory: (read|write) by block \(0,0,0\) thread \d+ at planted"),
    Case("missing_syncthreads_in_loop", r"depends on the order of threads: out\[\d+\]",
         race=r"data race on shared memory"),
    Case("missing_syncwarp", r"depends on the order of threads: out\[0\] is nan ascending",
         race=r"data race on shared memory"),
    Case("shuffle_for_syncwarp", None, race=r"data race on shared memory"),
    Case("divergent_barrier", r"barrier in a divergent branch: thread 0 waits in __syncthreads at "
         r"planted.cu:\d+, thread 20 at planted.cu:\d+"),
    Case("deadlock", r"deadlock: no thread can go on; 62 wait in a warp operation.*; 2 wait in "
         r"__syncthreads"),
    Case("mismatched_mask", r"mismatched masks: lane \d+ names 0x[0f]{4}ffff, lane \d+ 0x"),
    Case("lane_outside_of_mask", r"lane 31 is not in the mask 0x7fffffff"),
    Case("shuffle_from_absent_lane", r"lane 0 shuffles from lane 20, which does not take part"),
    Case("shuffle_from_lane_that_left", r"lane 0 shuffles from lane 31, which does not take part"),
    Case("misaligned_vector", r"misaligned access: the address is 4 bytes off a multiple of 16"),
    Case("signed_overflow", r"planted.cu:\d+: undefined behaviour: signed sum overflows"),
    Case("race_in_block", None, race=r"data race on shared memory"),
    Case("race_between_blocks", None, race=r"data race on out\[0\]: write by block \(\d,0,0\) "
         r"thread 0 at planted.cu:\d+", blocks=3),
    Case("last_block_wins", r"depends on the order of threads: out\[0\] is 2.0 ascending and 0.0 "
         r"descending", race=r"data race on out\[0\]", blocks=3),
]  # fmt: skip

# Bugs that need a launch or a check of their own.
OTHERS = ("endless", "shared_not_set")
INSTANCES = tuple(
    Instance(f"{name}<{bug}>", threads=THREADS, shared=256)
    for name in [*(case.name for case in CASES), *OTHERS]
    for bug in ("true", "false")
)


def launch(backend: EmulatorBackend, case: Case, bug: bool) -> np.ndarray:
    """Run a case; returns `out`."""
    x, out = np.arange(THREADS, dtype=np.float32), backend.xp.empty(THREADS, np.float32)
    kernel = backend.module(SOURCE, INSTANCES)(f"{case.name}<{str(bug).lower()}>")
    kernel((case.blocks,), (THREADS,), (x, out, np.int32(case.n)), shared_mem=case.shared)
    return out


def verdict(backend: EmulatorBackend, case: Case, bug: bool) -> str | None:
    """What is said of a case, or None."""
    try:
        launch(backend, case, bug)
    except EmulatorError as error:
        return str(error)
    return None


def main() -> None:
    backend = EmulatorBackend()
    quiet = [case for case in CASES if case.race is None]
    said = {case.name: [None, verdict(backend, case, False)] for case in quiet}
    for case in CASES:
        if case.race is not None:
            said[case.name] = [verdict(backend, case, bug) for bug in (True, False)]
    json.dump(said, sys.stdout)


if __name__ == "__main__":
    main()
