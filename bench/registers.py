"""Registers, shared memory and theoretical occupancy of every CUDA kernel, as a table.

    python bench/registers.py [--output bench/results/cuda-registers.md]

Compiled, not run: no GPU is needed and nothing here is a measurement of time. Needs the extra
`cuda-compile`.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import nvrtc
from pkef_fast.kernels.cuda import launchers
from pkef_fast.store.files import write_text

ROOT = Path(__file__).parents[1]


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    options.add_argument("--output", type=Path, default=ROOT / "bench/results/cuda-registers.md")
    args = options.parse_args()
    sources = {name: (module.SOURCE, module.INSTANCES) for name, module in launchers().items()}
    usages = nvrtc.usages(sources.values(), ROOT / "build" / "nvrtc")
    versions = " and ".join(compiler.version for compiler in nvrtc.compilers())
    pieces = [_head(versions)]
    for name, (source, instances) in sources.items():
        pieces.append(_table(name, instances, usages[source]))
    write_text(args.output, "\n".join(pieces))


def _head(versions: str) -> str:
    return f"""# CUDA kernels: registers, shared memory, theoretical occupancy

Written by `python bench/registers.py` from the assembler's log of NVRTC {versions}; compiled, not
run. A cell is registers a thread (the larger of both compilers) · occupancy, the share of a
multiprocessor's warps that can be resident at the largest block and shared memory the launcher
declares. `shared` is static + dynamic bytes a block, `stack` bytes a thread, `spills` bytes stored
+ loaded; the last two are the largest of all columns.
"""


def _table(operation: str, instances, rows) -> str:
    columns = " | ".join(f"sm_{architecture}" for architecture in nvrtc.ARCHITECTURES)
    lines = [
        f"## {operation}\n",
        f"| kernel | threads | shared | stack | spills | {columns} |",
        "|---|" + "---:|" * (4 + len(nvrtc.ARCHITECTURES)),
    ]
    for instance in instances:
        own = [row for row in rows if row.name == instance.name]
        cells = []
        for architecture in nvrtc.ARCHITECTURES:
            here = [row for row in own if row.architecture == architecture]
            most = max(here, key=lambda row: row.registers)
            occupancy = min(row.occupancy(instance) for row in here)
            cells.append(f"{most.registers} · {occupancy:.0%}")
        static, stack = max(row.shared for row in own), max(row.stack for row in own)
        stores, loads = max(row.spill_stores for row in own), max(row.spill_loads for row in own)
        shown = instance.name.replace("|", "\\|")
        lines.append(
            f"| `{shown}` | {instance.threads} | {static} + {instance.shared} | {stack} | "
            f"{stores} + {loads} | {' | '.join(cells)} |"
        )
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    main()
