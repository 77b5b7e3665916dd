"""Large tables: all rows arrive, within memory. `bench/tables.py` has the times."""

from __future__ import annotations

import os
import subprocess
import sys

import numpy as np
import polars as pl
import pytest

from pkef_fast.data import load_dataset

pytestmark = pytest.mark.slow
ALLOCATOR = "_RJEM_MALLOC_CONF"  # polars tells its children how to keep memory
# The peak of this process alone: what `resource` says begins with the parent's.
CONVERT = """
import sys
from pathlib import Path
from pkef_fast.data import load_dataset, save_native
save_native(load_dataset(sys.argv[1]), sys.argv[2])
status = Path("/proc/self/status").read_text()
print(status.partition("VmHWM:")[2].split()[0])
"""


def drawn(count, users, items):
    random = np.random.default_rng(0)
    names = np.array(["view", "cart", "buy"])[random.choice(3, count, p=[0.8, 0.15, 0.05])]
    return pl.DataFrame(
        {
            "user_id": random.integers(0, users, count) * 7 + 512_000_000,
            "item_id": random.integers(0, items, count),
            "event": pl.Series(names),
            "timestamp": random.integers(1_511_578_972, 1_511_978_972, count),
        }
    )


@pytest.mark.parametrize(
    ("name", "size", "megabytes"),
    [
        ("big.parquet", (20_000_000, 1_000_000, 200_000), 3000),
        ("shop.csv", (2_300_000, 200_000, 50_000), 400),
    ],
)
def test_all_rows_arrive_within_memory(tmp_path, name, size, megabytes):
    frame = drawn(*size)
    path, out = tmp_path / name, tmp_path / "native"
    (frame.write_parquet if name.endswith("parquet") else frame.write_csv)(path)
    pairs = frame.select("user_id", "item_id", "event").unique()["event"].value_counts()
    wanted = dict(pairs.iter_rows())
    del frame, pairs
    words = [sys.executable, "-c", CONVERT, str(path), str(out)]
    own = {name: one for name, one in os.environ.items() if name != ALLOCATOR}
    peak = int(subprocess.check_output(words, env=own)) / 1024
    data = load_dataset(out)
    found = data.counts()
    found["buy"] += len(data.test_users)
    assert found == wanted
    assert peak < megabytes
