"""Every model's step and evaluation, beside the bytes that they move and the machine's limit.

    python bench/steps.py --dataset taobao --data-dir DATA --threads 2
    python bench/steps.py --dataset taobao --data-dir DATA --models lightgcn,pkef:mmoe

For each model `pkef-fast bench` in a process of its own; MODEL:PRESET names a preset. Bytes are
those of the kernels' calls, from shapes: rows gathered at random and arrays streamed. The limit is
what they would take at the rates that the same process measured; dense products, whose time goes
into multiplications, have no bytes to show for it. The last column is the time that propagation
takes for each neighbour's row that it reads, forward and backward.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sysconfig

from pkef_fast.models import MODELS

COMMAND = os.path.join(sysconfig.get_path("scripts"), "pkef-fast")
HEADS = ("shared-bottom", "shared-bottom-hadamard", "mmoe", "ple", "bilinear-full")
HEADER = (
    "model",
    "step ms",
    "MB gathered",
    "MB streamed",
    "at the machine's rates ms",
    "evaluation ms",
    "MB moved",
    "at the machine's rates ms",
    "ns a neighbour's row",
)


def report(name: str, words: list[str]) -> dict:
    """What `pkef-fast bench --json` says of a model."""
    model, _, preset = name.partition(":")
    call = [COMMAND, "bench", *words, "--model", model, *(["--preset", preset] if preset else [])]
    done = subprocess.run([*call, "--json"], capture_output=True, encoding="utf-8")
    if done.returncode:
        raise SystemExit(f"{' '.join(call[1:])}: {done.stderr}")
    return json.loads(done.stdout)


def cells(name: str, found: dict) -> list[str]:
    """A model's line of the table."""
    rows = {row["what"]: row for row in found["rows"]}
    evaluating = "evaluation: "
    whole = list(rows).index("a step")
    step = list(rows.values())[:whole]
    evaluation = [row for what, row in rows.items() if what.startswith(evaluating)]
    propagated = [row for row in step if row["what"].startswith("propagate")]
    row_bytes = found["d"] * (8 if found["precision"] == "float64" else 4)
    gathered = sum(row["gathered"] for row in propagated)
    seconds = sum(row["seconds"] for row in propagated)
    read = gathered / row_bytes
    return [
        name,
        f"{1e3 * rows['a step']['seconds']:.1f}",
        *(f"{moved(step, kind) / 1e6:.1f}" for kind in ("gathered", "streamed")),
        f"{1e3 * limit(step, found):.1f}",
        f"{1e3 * rows['an evaluation']['seconds']:.0f}",
        f"{(moved(evaluation, 'gathered') + moved(evaluation, 'streamed')) / 1e6:.0f}",
        f"{1e3 * limit(evaluation, found):.1f}",
        f"{1e9 * seconds / read:.2f}" if read else "–",
    ]


def moved(rows: list[dict], kind: str) -> float:
    """Bytes of this kind over some stages."""
    return sum(row[kind] or 0 for row in rows)


def limit(rows: list[dict], found: dict) -> float:
    """Seconds of these stages' bytes at the measured rates."""
    return moved(rows, "gathered") / found["gather"] + moved(rows, "streamed") / found["copy"]


def main() -> None:
    """Print a line for each model as it is measured."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    trained = [name for name, kind in MODELS.items() if kind.trained]
    names = ",".join([*trained, *(f"pkef:{head}" for head in HEADS)])
    parser.add_argument("--models", default=names, help="MODEL or MODEL:PRESET, …")
    options, words = parser.parse_known_args()
    print(f"| {' | '.join(HEADER)} |\n{'|---' * len(HEADER)}|")
    for name in options.models.split(","):
        print(f"| {' | '.join(cells(name, report(name, words)))} |", flush=True)


if __name__ == "__main__":
    main()
