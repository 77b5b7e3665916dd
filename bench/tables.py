"""Large tables into a data set: seconds and memory of what `pkef-fast data convert` does.

    python bench/tables.py                      20 M rows of Parquet, 2.3 M rows of CSV
    python bench/tables.py --rounds 5

Rows are drawn: 1 M users and 200 k items of falling popularity, views, carts and buys, times of
five days; the CSV has 200 k users and 50 k items. Each conversion is a process of its own.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import polars as pl

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


def rows(count: int, users: int, items: int, seed: int = 0) -> pl.DataFrame:
    """Interactions with hashed ids, most of few users and items."""
    random = np.random.default_rng(seed)

    def drawn(size: int) -> np.ndarray:
        return (random.random(count) ** 2 * size).astype(np.int64)

    names = np.array(["view", "cart", "buy"])[random.choice(3, count, p=[0.8, 0.15, 0.05])]
    return pl.DataFrame(
        {
            "user_id": drawn(users) * 7 + 512_000_000,
            "item_id": drawn(items) + 1000,
            "event": pl.Series(names),
            "timestamp": random.integers(1_511_578_972, 1_511_978_972, count),
        }
    )


def converted(table: Path, folder: Path) -> tuple[float, float]:
    """Seconds and MB of a conversion."""
    start = time.perf_counter()
    words = [sys.executable, "-c", CONVERT, str(table), str(folder)]
    own = {name: one for name, one in os.environ.items() if name != ALLOCATOR}
    kilobytes = int(subprocess.check_output(words, env=own))
    return time.perf_counter() - start, kilobytes / 1024


def main() -> None:
    """Print a line a table."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--rounds", type=int, default=3)
    rounds = parser.parse_args().rounds
    print("| table | file MB | seconds | peak MB |\n|---|---|---|---|")
    with tempfile.TemporaryDirectory() as folder:
        for name, size, write in (
            ("big.parquet", (20_000_000, 1_000_000, 200_000), pl.DataFrame.write_parquet),
            ("shop.csv", (2_300_000, 200_000, 50_000), pl.DataFrame.write_csv),
        ):
            path = Path(folder) / name
            write(rows(*size), path)
            found = [converted(path, Path(folder) / f"{name}.{n}") for n in range(rounds)]
            seconds, peak = (statistics.median(column) for column in zip(*found, strict=True))
            megabytes = path.stat().st_size / 1e6
            print(f"| {size[0]:,} rows, {name} | {megabytes:.0f} | {seconds:.1f} | {peak:.0f} |")


if __name__ == "__main__":
    main()
