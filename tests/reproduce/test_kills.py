"""Killed at random moments and called again, the command leaves the files of an undisturbed one."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time

import pytest

from pkef_fast.data import generate, save_native

NOT_COMPARED = {"state"}  # what was timed, and who holds which run


def command(folder, out, what, epochs):
    words = ["reproduce", *what, "--dataset", folder, "--out", out, "--seeds", 1]
    words += ["--epochs", epochs, "--threads", 1]
    return [sys.executable, "-m", "pkef_fast.cli", *map(str, words)]


def finish(*order):
    done = subprocess.run(command(*order), capture_output=True, encoding="utf-8")
    assert done.returncode == 0, done.stderr
    return done


def signal_by_default():
    signal.signal(signal.SIGINT, signal.SIG_DFL)


def contents(folder):
    found = {}
    for path in sorted(folder.rglob("*")):
        parts = path.relative_to(folder).parts
        if path.is_file() and parts[0] not in NOT_COMPARED:
            found["/".join(parts)] = path.read_bytes()
    return found


def check(folder, tmp_path, what, epochs, moments):
    """Kill as many times as there are `moments`: seconds since a run has begun to be made.

    Returns how often there was something left to kill.
    """
    killed = 0
    for seconds in moments:
        process = subprocess.Popen(
            command(folder, tmp_path / "killed", what, epochs),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        while process.poll() is None and not any(tmp_path.glob("killed/runs/*/checkpoint.npz")):
            time.sleep(0.01)
        try:
            process.wait(seconds)
        except subprocess.TimeoutExpired:
            os.kill(process.pid, signal.SIGKILL)
            process.wait()
            killed += 1
    finish(folder, tmp_path / "killed", what, epochs)
    finish(folder, tmp_path / "whole", what, epochs)
    assert contents(tmp_path / "killed") == contents(tmp_path / "whole")
    return killed


def test_killed_twice(folder, tmp_path):
    drawn = random.Random(3)
    assert check(folder, tmp_path, ["fig2"], 60, [drawn.uniform(0, 0.3) for _ in range(2)]) > 0


def test_two_at_once_make_each_run_once_and_ctrl_c_ends_one_with_a_checkpoint(tmp_path_factory):
    shop, tmp_path = (tmp_path_factory.mktemp(name) for name in ("larger", "reproduced"))
    # A second's work: Ctrl-C is to come between the first checkpoint and the end.
    save_native(generate(n_users=800, n_items=300, seed=5), shop / "shop")
    order = command(shop / "shop", tmp_path, ["fig2"], 100)
    pipes = {"stdout": subprocess.DEVNULL, "stderr": subprocess.PIPE, "encoding": "utf-8"}
    # A shell starts what it puts into the background with SIGINT ignored, and pytest with it.
    first = subprocess.Popen(order, **pipes, preexec_fn=signal_by_default)
    while first.poll() is None and not any(tmp_path.glob("runs/*/checkpoint.npz")):
        time.sleep(0.01)
    first.send_signal(signal.SIGINT)
    said = first.communicate()[1].splitlines()
    assert (first.returncode, said[-1]) == (130, "stopped; the same command goes on.")
    assert len(list(tmp_path.glob("runs/*/checkpoint.npz"))) == 1
    both = [subprocess.Popen(order, **pipes) for _ in range(2)]
    lines = [line for one in both for line in one.communicate()[1].splitlines()]
    assert [one.returncode for one in both] == [0, 0]
    assert sum(line.startswith("[") for line in lines) >= 2
    assert len(list(tmp_path.glob("runs/*/result.npz"))) == 2
    assert not any(tmp_path.glob("runs/*/checkpoint.npz"))


@pytest.mark.slow
def test_killed_ten_times(folder, tmp_path):
    drawn = random.Random(10)
    what = ["table3", "table4", "fig2", "fig6"]
    assert check(folder, tmp_path, what, 150, [drawn.uniform(0, 6) for _ in range(10)]) > 5
