"""The GPU gate without a GPU: what bench/gpu.sh would run and say, and the code of bench/gpu.py."""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
from pathlib import Path

import pytest
from forms import emulated
from recorder import Recorder

from pkef_fast import device as devices
from pkef_fast.data import generate

ROOT = Path(__file__).parents[1]
SCRIPT = ROOT / "bench" / "gpu.sh"


def run(*arguments, results, **environment):
    return subprocess.run(
        ["bash", SCRIPT, *arguments],
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHON": sys.executable, "RESULTS": str(results), **environment},
    )


def test_all_of_it_ends_within_ten_minutes(tmp_path):
    done = run("--dry-run", "DATA", results=tmp_path / "results.md")
    assert done.returncode == 0, done.stderr
    lines = [line.split(maxsplit=1) for line in done.stdout.splitlines()]
    assert sum(int(seconds) for seconds, _ in lines) <= 600
    text = done.stdout
    assert "pytest -q -m gpu tests" in text
    assert "tests/test_fixtures.py --device cuda:0 -m gpu" in text
    for tool in ("memcheck", "racecheck", "initcheck"):
        assert f"compute-sanitizer --tool {tool} " in text
    assert lines[-1][1].endswith("bench/gpu.py --dataset taobao --data-dir DATA")
    assert not (tmp_path / "results.md").exists()
    for path in (word for word in text.split() if word.startswith(("tests/", "bench/"))):
        assert (ROOT / path).exists(), path


def test_without_a_gpu_it_says_so_and_claims_nothing(tmp_path):
    if devices.device("auto").name != "cpu":
        pytest.skip("there is a GPU")
    done = run(results=tmp_path / "results.md")
    assert done.returncode == 2
    assert done.stderr.startswith("No GPU was available: device 'cuda:0' cannot be used: ")
    text = (tmp_path / "results.md").read_text(encoding="utf-8")
    assert "Nothing was run or timed, and no figure is claimed." in text
    assert " ms" not in text


STUB = """#!/usr/bin/env bash
# A Python that finds a GPU, whose commands succeed but for those with the word in $FAILING.
case "$*" in
    -) cat >/dev/null ;;
    *"$FAILING"*) echo "it failed" ; exit 1 ;;
    *) echo "ran $*" ;;
esac
"""


@pytest.mark.parametrize(
    ("failing", "code"), [("nothing", 0), ("-m gpu tests", 1), ("--tool racecheck", 1)]
)
def test_what_fails_is_in_the_results_and_in_the_exit_code(tmp_path, failing, code):
    for name in ("python", "nvidia-smi", "compute-sanitizer"):
        (tmp_path / name).write_text(STUB, encoding="utf-8")
        (tmp_path / name).chmod(0o755)
    done = run(
        results=tmp_path / "results.md",
        PYTHON=str(tmp_path / "python"),
        PATH=f"{tmp_path}{os.pathsep}{os.environ['PATH']}",
        FAILING=failing,
    )
    assert done.returncode == code, done.stderr
    text = (tmp_path / "results.md").read_text(encoding="utf-8")
    assert text.count(": passed") == 5 - code
    assert text.count(": FAILED") == code
    assert ("it failed" in text) == bool(code)
    assert text.rstrip().endswith("ran bench/gpu.py")


# ---- the benchmarks ------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def bench():
    spec = importlib.util.spec_from_file_location("gpu_benchmarks", ROOT / "bench" / "gpu.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.emulator
def test_the_benchmarks_run_and_make_a_table(bench, monkeypatch):
    """On the emulator, with a clock that stands still at 2 ms: the code, not the times."""
    monkeypatch.setattr(bench, "D", 8)
    monkeypatch.setattr("pkef_fast.train.fit.warm_up", lambda *args: None)
    data = generate(n_users=20, n_items=15, behaviors=("view", "cart", "buy"), seed=0)
    ran = []

    def timed(function):
        ran.append(function())
        return 2.0

    h100 = bench.known("NVIDIA H100 80GB HBM3")
    rows = bench.products(emulated(), data, timed, h100)
    small = {"d": 4, "layers": (1, 1, 1), "batch_users": 16}
    rows += bench.steps(emulated(), data, h100, **small)
    assert len(ran) == 3
    names = [row.what for row in rows]
    assert set(bench.TARGETS) <= set(names) and len(set(names)) == len(names) == 8
    assert all(row.ms > 0 for row in rows)
    lines = bench.report("a card", data, rows).splitlines()
    assert lines[0] == "## Times on a card"
    spread = next(line for line in lines if line.startswith("| spread |"))
    bound = rows[0].bound_ms
    assert f"| 2.000 | {bound:.3f} | {bound / 2:.0%} | ≥ 70 % of the bound |" in spread
    assert bench.known("some other card") is None


@pytest.mark.emulator
def test_the_products_are_timed_on_arrays_that_are_not_of_numpy(bench, monkeypatch):
    monkeypatch.setattr(bench, "D", 8)
    data = generate(n_users=20, n_items=15, behaviors=("view", "buy"), seed=0)
    place = devices.on(Recorder(), "recorder")
    rows = bench.products(place, data, lambda function: (function(), 1.0)[1], None)
    assert [row.bound_ms for row in rows] == [None] * 3
