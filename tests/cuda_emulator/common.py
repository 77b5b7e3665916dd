"""common.cu, the kernels that call every helper of common.cuh: its instances."""

from __future__ import annotations

from pathlib import Path

from pkef_fast.kernels.cuda import Instance

SOURCE = Path(__file__).with_name("common.cu")
INSTANCES = (
    Instance("random_words", threads=128),
    Instance("narrow", threads=256),
    Instance("widen", threads=256),
    *(Instance(f"over_lanes<{t}, {n}>", 64) for t in ("float", "int") for n in (32, 8)),
    Instance("over_block<float, 96>", threads=96),
    Instance("over_block<double, 256>", threads=256),
    Instance("over_block<unsigned int, 32>", threads=32),
    Instance("over_numbers", threads=64),
    *(Instance(f"column_sums<{t}, 256>", threads=256) for t in ("float", "double")),
    Instance("sum_tables<float>", threads=64),
    Instance("add_one", threads=32),
    Instance("fill_shared", threads=64, shared=256),
    Instance("votes", threads=64),
    Instance("bit_counts", threads=64),
    Instance("integer_atomics", threads=64),
)
