"""Threads of the CPU kernels: how many, how they wait, and what a fork does to them."""

from __future__ import annotations

import math
import os
import subprocess
import sys

import pytest

from pkef_fast.kernels import threads, waiting

# A small parallel kernel: `use()`. Its process prints what it finds.
START = """
import os, sys, time, threading, multiprocessing
import numpy as np
from pkef_fast.device import set_threads
from pkef_fast.kernels.bpr import cpu
def use():
    return cpu.bpr(np.zeros(4, np.float32))[0]
"""
linux = pytest.mark.skipif(sys.platform != "linux", reason="control groups, libgomp and /proc")


def run(code, **environment):
    """What a process prints; it fails unless the process ends well."""
    inherited = {
        name: text
        for name, text in os.environ.items()
        if name not in (*waiting.SETTINGS, "NUMBA_NUM_THREADS")
    }
    done = subprocess.run(
        [sys.executable, "-c", START + code],
        env=inherited | environment,
        capture_output=True,
        text=True,
        timeout=600,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


@pytest.fixture
def groups(tmp_path):
    """A function that lays out control groups, and returns their quota."""

    def lay_out(own: str, **files: str) -> float:
        (tmp_path / "cgroup").write_text(own, encoding="utf-8")
        for path, text in files.items():
            file = tmp_path / "fs" / path.replace("__", "/").replace("cpu_", "cpu.")
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(text, encoding="utf-8")
        return threads.quota(tmp_path / "fs", tmp_path / "cgroup")

    return lay_out


def test_a_quota_of_cgroup_v2_is_the_least_on_the_way_up(groups):
    own = "0::/user/session\n"
    assert groups(own) == math.inf
    assert groups(own, user__session__cpu_max="max 100000") == math.inf
    assert groups(own, user__cpu_max="250000 100000\n") == 2.5
    assert groups(own, user__session__cpu_max="50000 100000\n") == 0.5


def test_a_quota_of_a_container_stands_at_the_root_of_what_it_sees(groups):
    assert groups("0::/docker/1a2b\n", cpu_max="150000 100000") == 1.5


def test_a_quota_of_cgroup_v1(groups):
    own = "4:memory:/job\n2:cpu,cpuacct:/job\n"
    files = {"cpu__job__cpu_cfs_period_us": "100000", "cpu__job__cpu_cfs_quota_us": "-1"}
    assert groups(own, **files) == math.inf
    assert groups(own, cpu__job__cpu_cfs_quota_us="300000\n") == 3.0


def test_cores_are_the_quota_rounded_up_and_no_more_than_the_affinity(monkeypatch):
    monkeypatch.setattr(threads, "_affinity", lambda: 4)
    for granted, cores in ((math.inf, 4), (8.0, 4), (2.5, 3), (0.2, 1)):
        monkeypatch.setattr(threads, "quota", lambda granted=granted: granted)
        assert threads.cores() == cores


@linux
def test_threads_are_as_many_as_the_cores_of_the_process():
    one = f"os.sched_setaffinity(0, {{{min(os.sched_getaffinity(0))}}})\n"
    code = f"import os; {one}{START}print(set_threads(None))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "1\n"


def test_a_quota_reaches_numba():
    code = """
from unittest import mock
from pkef_fast.kernels import threads
import numba
del os.environ["NUMBA_NUM_THREADS"], sys.modules["numba"]
with mock.patch.multiple(threads, cores=lambda: 3, _affinity=lambda: 4):
    threads.settle()
    print(os.environ["NUMBA_NUM_THREADS"])
    os.environ["NUMBA_NUM_THREADS"] = "2"
    threads.settle()
    print(os.environ["NUMBA_NUM_THREADS"])
"""
    assert run(code, NUMBA_NUM_THREADS="1") == ["3", "2"]


def test_numba_num_threads_rules():
    assert run("print(set_threads(None), use() > 0)", NUMBA_NUM_THREADS="1") == ["1 True"]


# ---- a fork -------------------------------------------------------------------------------------

FORK = """
def in_child(work):
    sys.stdout.flush()
    child = os.fork()
    if child:
        return os.waitpid(child, 0)[1]
    try:
        print(work())
    except Exception as error:
        print(type(error).__name__, error)
    sys.stdout.flush()
    os._exit(0)
"""


@linux
def test_a_kernel_in_a_fork_of_a_process_that_used_kernels_is_one_sentence():
    lines = run(FORK + "use(); print(in_child(use)); print(use() > 0.69)")
    assert lines[0].startswith("DeviceError this process was forked")
    assert "'spawn'" in lines[0]
    assert lines[1:] == ["0", "True"]  # the child ended by itself, and the parent goes on


@linux
def test_a_fork_before_the_first_kernel_may_use_kernels():
    assert run(FORK + "print(in_child(lambda: use() > 0.69)); print(use() > 0.69)") == [
        "True",
        "0",
        "True",
    ]


@linux
def test_a_fork_imports_nothing_that_its_parent_has_not():
    code = """
import os, sys
import pkef_fast.kernels.threads
assert "numba" not in sys.modules
child = os.fork()
if not child:
    print("numba" in sys.modules, flush=True)
    os._exit(0)
os.waitpid(child, 0)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "False\n"


@linux
def test_forks_that_use_no_kernels_work_on():
    code = """
use()
with multiprocessing.get_context("fork").Pool(2) as pool:
    print(pool.map(abs, [-1, -2]))
"""
    assert run(code) == ["[1, 2]"]


# ---- waiting ------------------------------------------------------------------------------------

# Processor time of short pauses after a kernel: that of threads that look for work.
BURN = """
def burn():
    before = time.process_time()
    for _ in range(20):
        use()
        time.sleep(0.02)
    return time.process_time() - before
"""


@linux
@pytest.mark.skipif(threads.cores() < 2, reason="one thread waits for nobody")
def test_a_crowd_lets_threads_sleep_and_they_spin_again_without_it():
    code = """
waiting.watch = lambda: None
use()
if numba.threading_layer() != "omp" or waiting._libgomp() is None:
    print("not libgomp"); sys.exit()
alone = burn()
crowd = waiting._Crowd(waiting._libgomp())
time.sleep(0.5)
beside = burn()
crowd.leave()
time.sleep(0.5)
print(alone > 4 * beside, burn() > 4 * beside)
"""
    lines = run("import numba\nfrom pkef_fast.kernels import waiting\n" + BURN + code)
    if lines == ["not libgomp"]:
        pytest.skip("the kernels' threads are not libgomp's")
    assert lines == ["True True"]


class Stop(Exception):
    """Ends the watcher's loop."""


def watched(monkeypatch, late):
    """Whether there is a crowd after each look, when threads were late by these shares of it."""
    crowds, found, clock = [], [], [0.0]

    class Crowd:
        def __init__(self, libgomp):
            crowds.append(self)

        def leave(self):
            crowds.remove(self)

    class Delays:
        total, left = 0.0, iter(late)

        def seconds(self):
            if clock[0] > 0:
                found.append(bool(crowds))
                share = next(self.left, None)
                if share is None:
                    raise Stop
                self.total += share * waiting.LOOK_SECONDS
            return self.total

    def sleep(seconds):
        clock[0] += seconds

    monkeypatch.setattr(waiting, "_libgomp", lambda: object())
    monkeypatch.setattr(waiting, "_Crowd", Crowd)
    monkeypatch.setattr(waiting, "_Delays", Delays)
    monkeypatch.setattr(waiting.time, "sleep", sleep)
    monkeypatch.setattr(waiting.time, "monotonic", lambda: clock[0])
    monkeypatch.setattr(waiting.time, "process_time", lambda: clock[0])
    with pytest.raises(Stop):
        waiting._watch()
    return found[1:]


def test_threads_sleep_while_they_are_late_and_for_a_second_more(monkeypatch):
    calm = round(waiting.CALM_SECONDS / waiting.LOOK_SECONDS)
    assert watched(monkeypatch, [0, waiting.LATE / 2, 0]) == [False, False, False]
    late = [0.5, 1.5, *[0] * (calm + 3)]
    assert watched(monkeypatch, late) == [True] * (calm + 2) + [False] * 3


@pytest.mark.parametrize("name", waiting.SETTINGS)
def test_a_users_own_word_on_waiting_is_left_alone(monkeypatch, name):
    monkeypatch.setenv(name, "1000")
    monkeypatch.setattr(waiting, "_watcher", None)
    waiting.watch()
    assert waiting._watcher is None
    assert os.environ[name] == "1000"
