"""Every CUDA kernel, on the emulator: all orders of threads, undefined behaviour, races."""

from __future__ import annotations

import json
from pathlib import Path

import background
import every_kernel
import pytest
from recorder import Recorder

from cuda_emulator import tsan
from pkef_fast.kernels import OPERATIONS

pytestmark = pytest.mark.emulator

SCRIPT = Path(every_kernel.__file__)


def test_the_list_of_operations_is_complete():
    assert set(every_kernel.EVERY) == set(OPERATIONS)


def races() -> dict:
    """What ThreadSanitizer says of all operations, in a process of its own."""
    reason = tsan.why_not()
    if reason:
        pytest.skip(f"no ThreadSanitizer: {reason}")
    done = tsan.run([SCRIPT])
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


@pytest.mark.parametrize("operation", OPERATIONS)
def test_any_order_of_threads_gives_the_same_bits_and_nothing_is_undefined(operation):
    """Under UBSan, guard pages and all five orders, two of them on OS threads or at random."""
    found = every_kernel.run([operation])[operation]
    assert found["said"] is None
    assert set(found["launched"]) == every_kernel.functions(operation)


def test_the_way_of_a_gpu():
    """With arrays that are not NumPy's, as `--device 0` runs under NVIDIA's tools."""
    found = every_kernel.run([*OPERATIONS, "common"], Recorder, hosted=True)
    assert {one["said"] for one in found.values()} == {None}
    assert all(found[one]["launched"] for one in found)


@pytest.mark.late(work=races)
@pytest.mark.parametrize("operation", [*OPERATIONS, "common"])
def test_no_threads_race(operation):
    found = background.result(races)[operation]
    assert found["said"] is None
    if operation in OPERATIONS:
        assert set(found["launched"]) == every_kernel.functions(operation)
