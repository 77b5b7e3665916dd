"""`bench`: times of stages, and peers."""

from __future__ import annotations

import sys

import pytest
from commands import call, check_refusal, last_json


def test_bench(shop, tmp_path, monkeypatch):
    small = ("bench", "--dataset", shop, "--rounds", 1, "--set", "d=8")
    found = last_json(call(*small, "--json", "--threads", 1))
    rows = {row["what"]: row for row in found["rows"]}
    for what in ("sample", "experts", "experts, adjoint", "loss", "update", "a step"):
        assert rows[what]["seconds"] > 0, what
    assert any(row["against"] == "T" for row in found["rows"])
    assert found["threads"] == 1
    text = call(*small).stdout
    for word in ("propagate view: both streams", "of gather", "T: SciPy", "an evaluation", "GB/s"):
        assert word in text
    # without a clone around, or without the libraries, --peers is one sentence
    monkeypatch.setattr(sys.modules["pkef_fast.cli.bench"], "ROOT", tmp_path)
    monkeypatch.chdir(tmp_path)
    check_refusal(call(*small, "--peers", code=2), ["bench/peers", "a clone"])


def test_bench_with_peers(shop, monkeypatch):
    small = ("bench", "--dataset", shop, "--rounds", 1, "--set", "d=8", "--peers")
    import peers

    with monkeypatch.context() as patched:
        patched.setattr(peers, "missing", lambda: list(peers.LIBRARIES))
        check_refusal(call(*small, code=2), ["torch", "implicit", "pip install 'pkef-fast[peers]'"])
    if peers.missing():
        pytest.skip(f"{' and '.join(peers.missing())} not installed (extra `peers`)")
    text = call(*small).stdout
    for word in ("PyTorch sparse CSR", "PyTorch step", "implicit BPR", "× step", "× epoch"):
        assert word in text
