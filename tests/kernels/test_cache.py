"""The cache of compiled CPU kernels: where it is asked to be, and used again."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest

BPR = """
import numpy as np
from pkef_fast.kernels.bpr import cpu
cpu.bpr(np.zeros(4, np.float32))
compiled = [f for f in vars(cpu).values() if hasattr(f, "stats") and f.signatures]
print(len(compiled), sum(sum(f.stats.cache_hits.values()) for f in compiled))
"""


@pytest.fixture
def elsewhere(tmp_path):
    """An environment with an empty cache of its own."""
    return {**os.environ, "NUMBA_CACHE_DIR": str(tmp_path / "cache")}


def printed(environment, *words):
    command = [sys.executable, *words]
    return subprocess.run(
        command, env=environment, check=True, capture_output=True, text=True
    ).stdout


def test_kernels_are_kept_in_numba_cache_dir(elsewhere, tmp_path):
    count, hits = map(int, printed(elsewhere, "-c", BPR).split())
    assert (count > 0, hits) == (True, 0)  # all compiled
    files = sorted(p.name for p in (tmp_path / "cache").rglob("*.nbc"))
    assert len(files) >= count
    again, hits = map(int, printed(elsewhere, "-c", BPR).split())
    assert count >= again == hits > 0  # none compiled; inlined helpers are not even asked for
    assert sorted(p.name for p in (tmp_path / "cache").rglob("*.nbc")) == files
    words = ("-m", "pkef_fast.cli", "doctor", "--json")
    cache = json.loads(printed(elsewhere, *words).splitlines()[-1])["kernel cache"]
    assert cache == f"{tmp_path / 'cache'} (NUMBA_CACHE_DIR), {len(files)} compiled kernels"
