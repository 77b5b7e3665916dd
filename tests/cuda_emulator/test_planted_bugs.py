"""The emulator finds each planted bug, names it, and finds nothing in its repaired form."""

from __future__ import annotations

import functools
import json
import re

import background
import numpy as np
import pytest

from cuda_emulator import EmulatorBackend, EmulatorError, tsan
from cuda_emulator.planted import CASES, INSTANCES, SOURCE, THREADS, Case, launch, verdict
from pkef_fast.kernels.cuda import Instance

pytestmark = pytest.mark.emulator

SEEN = [case for case in CASES if case.report]
RACES = [case for case in CASES if case.race]


@functools.cache
def backend(portable: bool = False) -> EmulatorBackend:
    return EmulatorBackend(portable=portable)


@pytest.mark.parametrize("case", SEEN, ids=lambda case: case.name)
def test_each_planted_bug_is_found_and_named(case):
    said = verdict(backend(), case, bug=True)
    assert said is not None
    assert said.startswith(f"{case.name}<true>")
    assert re.search(case.report, said), said


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_no_false_alarm_in_the_repaired_form(case):
    assert verdict(backend(), case, bug=False) is None


@pytest.mark.parametrize("case", SEEN, ids=lambda case: case.name)
def test_fibers_by_ucontext_find_the_same(case):
    assert re.search(case.report, verdict(backend(portable=True), case, bug=True))
    assert verdict(backend(portable=True), case, bug=False) is None


def test_a_loop_that_never_ends_is_ended():
    case = Case("endless")
    np.testing.assert_array_equal(launch(backend(), case, bug=False), 1)
    impatient = EmulatorBackend(patience=0.5)
    assert re.search("endless<true>.*does not end", verdict(impatient, case, bug=True))


def test_shared_memory_that_nobody_set_is_not_a_number():
    case = Case("shared_not_set")
    np.testing.assert_array_equal(launch(backend(), case, bug=False), np.arange(THREADS))
    assert np.flatnonzero(np.isnan(launch(backend(), case, bug=True))).tolist() == [7]


def test_a_bug_leaves_the_hosts_arrays_as_they_were():
    x, out = np.ones(THREADS, np.float32), np.full(THREADS, 5, np.float32)
    kernel = backend().module(SOURCE, INSTANCES)("write_out_of_bounds<true>")
    with pytest.raises(EmulatorError):
        kernel((2,), (THREADS,), (x, out, np.int32(THREADS)))
    np.testing.assert_array_equal(out, 5)


def good_arguments():
    x, out = np.zeros(THREADS, np.float32), np.zeros(THREADS, np.float32)
    return [x, out, np.int32(THREADS)]


@pytest.mark.parametrize(
    ("position", "value", "sentence"),
    [
        (2, 64, "n is a Python int; wanted a NumPy scalar of type int32"),
        (2, np.int64(64), "n is a NumPy scalar of type int64; wanted a NumPy scalar of type int32"),
        (2, np.float32(64), "n is a NumPy scalar of type float32; wanted"),
        (2, None, "n is None; wanted a NumPy scalar"),
        (0, np.float32(1), "x is a NumPy scalar of type float32; wanted an array of float32"),
        (0, np.zeros(THREADS), "x is an array of float64; wanted an array of float32"),
        (1, np.zeros(THREADS, np.int32), "out is an array of int32; wanted an array of float32"),
        (0, np.zeros((8, 2, 8), np.float32).T, "x is an array that is not in C order"),
        (1, np.broadcast_to(np.float32(0), 1), "out is a read-only array"),
    ],
)
def test_a_wrong_argument_is_refused(position, value, sentence):
    kernel = backend().module(SOURCE, INSTANCES)("read_out_of_bounds<false>")
    arguments = good_arguments()
    kernel((1,), (THREADS,), tuple(arguments))
    arguments[position] = value
    with pytest.raises(EmulatorError, match=re.escape(sentence)):
        kernel((1,), (THREADS,), tuple(arguments))


@pytest.mark.parametrize("count", [2, 4])
def test_a_wrong_number_of_arguments_is_refused(count):
    kernel = backend().module(SOURCE, INSTANCES)("read_out_of_bounds<false>")
    arguments = [*good_arguments(), np.int32(0)][:count]
    with pytest.raises(EmulatorError, match=rf"{count} arguments; it takes 3 \(x, out, n\)"):
        kernel((1,), (THREADS,), tuple(arguments))


@pytest.mark.parametrize(
    ("grid", "block", "shared_mem", "sentence"),
    [
        ((1,), (THREADS + 1,), 0, "exceeds its 64 threads"),
        ((1,), (1, 1, 65), 0, r"block \(1, 1, 65\) exceeds"),
        ((1, 65536), (1,), 0, r"grid \(1, 65536\) exceeds"),
        ((1,), (0,), 0, r"block \(0,\) exceeds"),
        ((1,), (1,), 257, "257 bytes of shared memory; it declares 256"),
        ((1, 1, 1, 1), (1,), 0, "need one to three sizes"),
    ],
)
def test_a_launch_outside_of_what_is_declared_is_refused(grid, block, shared_mem, sentence):
    kernel = backend().module(SOURCE, INSTANCES)("read_out_of_bounds<false>")
    with pytest.raises(EmulatorError, match=sentence):
        kernel(grid, block, tuple(good_arguments()), shared_mem=shared_mem)


def test_an_unknown_instance_is_refused():
    with pytest.raises(EmulatorError, match="no declared instance"):
        backend().module(SOURCE, INSTANCES)("read_out_of_bounds<0>")


def test_results_may_depend_on_the_order_where_that_is_declared():
    declared = (Instance("last_block_wins<true>", threads=THREADS, unordered=True),)
    kernel = EmulatorBackend().module(SOURCE, declared)("last_block_wins<true>")
    arguments = good_arguments()
    kernel((3,), (THREADS,), tuple(arguments))
    assert arguments[1][0] == 2  # that of the first order, ascending


def races() -> dict:
    """What ThreadSanitizer says of each case, broken and repaired."""
    reason = tsan.why_not()
    if reason:
        pytest.skip(f"no ThreadSanitizer: {reason}")
    done = tsan.run(["-m", "cuda_emulator.planted"])
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


@pytest.mark.late(work=races)
@pytest.mark.parametrize("case", RACES, ids=lambda case: case.name)
def test_thread_sanitizer_finds_each_race(case):
    said, _ = background.result(races)[case.name]
    assert said is not None
    assert re.search(case.race, said), said


@pytest.mark.late(work=races)
def test_thread_sanitizer_raises_no_false_alarm():
    found = background.result(races)
    assert {name: good for name, (_, good) in found.items() if good} == {}
