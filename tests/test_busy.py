"""bench/busy.py: its programs come and go, and its table says what was measured."""

from __future__ import annotations

import math
import subprocess

import pytest

import busy


def test_the_programs_of_a_case_run_and_are_stopped(monkeypatch):
    started = []

    class Popen(subprocess.Popen):
        def __init__(self, *words, **named):
            super().__init__(*words, **named)
            started.append(self)

    monkeypatch.setattr(busy.subprocess, "Popen", Popen)
    monkeypatch.setattr(busy, "CASES", {"two": [(busy.LOOP, 1), (busy.BLAS, None)]})
    monkeypatch.setattr(busy, "SETTLING_SECONDS", 1.0)
    with pytest.raises(KeyError), busy.others("two"):
        assert [one.poll() for one in started] == [None, None]
        raise KeyError
    assert all(one.poll() is not None for one in started)


def test_a_variant_is_a_name_or_variables():
    assert busy.variables("ours") == {}
    assert busy.variables("GOMP_SPINCOUNT=10+THREADS=1") == {"GOMP_SPINCOUNT": "10", "THREADS": "1"}
    with pytest.raises(SystemExit, match="'theirs'"):
        busy.variables("theirs")


def test_the_table_compares_medians_with_the_better_of_libgomp_and_passive():
    found = {
        ("idle", "ours"): [11.0, 10.0, 30.0],
        ("idle", "libgomp"): [10.0, 10.0, 10.0],
        ("idle", "passive"): [math.inf, 15.0, 14.0],
    }
    lines = busy.table(found, ["idle"], ["ours", "libgomp", "passive"]).splitlines()
    assert lines[2] == "| idle | ours | 11.0 | 1.10 | 2.73 | 11.0, 10.0, 30.0 |"
    assert lines[4] == "| idle | passive | 15.0 | 1.50 | inf | inf, 15.0, 14.0 |"
