"""How long a training step takes beside other programs, by how the kernels' threads wait.

    python bench/busy.py                                     # demo, all cases, 5 runs each
    python bench/busy.py --dataset taobao --data-dir DATA --epochs 1
    python bench/busy.py --cases idle,loops --variants ours,GOMP_SPINCOUNT=1000,THREADS=1 --runs 3

A run is one `pkef-fast train`. Before each, the programs of its case are started; they are stopped
after it, and stop by themselves where this one is gone. A round has one run of every case and
variant, and each round begins with another variant, so that what changes with time meets all of
them. Prints Markdown: the median of a run's steps in ms, over runs.

Variants are how this package sets the threads (`ours`), libgomp's own choice (`libgomp`), waiting
asleep (`passive`), and any variables of the environment as NAME=VALUE, several joined by a +;
THREADS=N is `--threads N`.
"""

from __future__ import annotations

import argparse
import contextlib
import datetime
import json
import math
import os
import platform
import statistics
import subprocess
import sys
import sysconfig
import tempfile
import time
from collections import defaultdict
from collections.abc import Iterator

import numba

COMMAND = os.path.join(sysconfig.get_path("scripts"), "pkef-fast")
# What other programs do, over and over; each line is one program's.
LOOP = "sum(range(10_000))"
BLAS = "a = a @ a; a /= abs(a).max()"
SORT = "numpy.sort(a, axis=None)"
BURSTS = "now = time.time()\n while time.time() < now + 0.05: pass\n time.sleep(0.05)"
STARTS = "subprocess.run([sys.executable, '-c', 'import json, decimal, email.message'])"
PROGRAM = """
import os, subprocess, sys, time, numpy
parent, a = os.getppid(), numpy.random.default_rng(0).random((800, 800))
while os.getppid() == parent:
 {work}
"""
# (work, its threads) of each program of a case. A mixture of six or seven is what builds, tests and
# a browser do to a laptop.
CASES: dict[str, list[tuple[str, int | None]]] = {
    "idle": [],
    "loops": [(LOOP, 1)] * 6,
    "blas": [(BLAS, None)] * 3,
    "single": [(SORT, 1)],
    "mixture": [(LOOP, 1)] * 2 + [(BLAS, 1)] * 2 + [(BURSTS, 1)] * 2 + [(STARTS, 1)] * 2,
}
NAMES = {
    "idle": "idle",
    "loops": "six busy loops",
    "blas": "three BLAS programs",
    "single": "one single-threaded program",
    "mixture": "other programs, load 6 to 7",
}
VARIANTS = {
    "ours": {},
    # What libgomp does where no variable is set, and this package neither.
    "libgomp": {"GOMP_SPINCOUNT": "300000"},
    "passive": {"OMP_WAIT_POLICY": "passive"},
}
SETTLING_SECONDS = 2.0  # other programs run for so long before a run starts


def variables(variant: str) -> dict[str, str]:
    """The environment's variables of a variant."""
    if variant in VARIANTS:
        return VARIANTS[variant]
    pairs = dict(pair.partition("=")[::2] for pair in variant.split("+"))
    if "" in pairs.values():
        raise SystemExit(f"variant {variant!r}: wanted {', '.join(VARIANTS)} or NAME=VALUE+…")
    return pairs


@contextlib.contextmanager
def others(case: str) -> Iterator[None]:
    """The programs of a case run meanwhile."""
    programs = []
    try:
        for work, threads in CASES[case]:
            environment = dict(os.environ)
            if threads:
                environment["OPENBLAS_NUM_THREADS"] = environment["OMP_NUM_THREADS"] = str(threads)
            words = [sys.executable, "-c", PROGRAM.format(work=work)]
            programs.append(subprocess.Popen(words, env=environment))
        time.sleep(SETTLING_SECONDS if programs else 0)
        yield
    finally:
        for program in programs:
            program.kill()
        for program in programs:
            program.wait()


def ms_a_step(variant: str, words: list[str], limit: float) -> float:
    """One training run's median step; inf where it was not over after `limit` seconds."""
    extra = dict(variables(variant))
    threads = extra.pop("THREADS", None)
    environment = {
        name: value
        for name, value in os.environ.items()
        if name not in ("GOMP_SPINCOUNT", "OMP_WAIT_POLICY")
    }
    with tempfile.TemporaryDirectory() as folder:
        command = [COMMAND, "train", "--json", "--out", f"{folder}/run", *words]
        if threads:
            command += ["--threads", threads]
        try:
            done = subprocess.run(
                command,
                env=environment | extra,
                capture_output=True,
                timeout=limit,
                text=True,
                check=True,
            )
        except subprocess.TimeoutExpired:
            return math.inf
        except subprocess.CalledProcessError as error:
            raise SystemExit(f"{' '.join(command)}: {error.stderr}") from None
    return 1000 * json.loads(done.stdout.splitlines()[-1])["seconds_per_step"]


def machine() -> str:
    """The processor, its cores and what runs on them."""
    name = platform.processor() or platform.machine()
    with contextlib.suppress(OSError), open("/proc/cpuinfo", encoding="utf-8") as lines:
        name = next(line.partition(": ")[2].strip() for line in lines if "model name" in line)
    return (
        f"{datetime.date.today()}, {name}, {os.cpu_count()} cores, "
        f"Python {platform.python_version()}, Numba {numba.__version__}"
    )


def table(found: dict[tuple[str, str], list[float]], cases: list[str], variants: list[str]) -> str:
    """Markdown: for each case and variant the median run, the slowest by it, and all runs."""
    lines = [
        "| beside | threads | ms a step | ÷ better of libgomp, passive | max ÷ median | runs |",
        "|---|---|---|---|---|---|",
    ]
    for case in cases:
        middle = {name: statistics.median(found[case, name]) for name in variants}
        known = [middle[name] for name in ("libgomp", "passive") if name in middle]
        for name in variants:
            runs = found[case, name]
            ratio = f"{middle[name] / min(known):.2f}" if known else "–"
            lines.append(
                f"| {NAMES[case]} | {name} | {middle[name]:.1f} | {ratio} | "
                f"{max(runs) / middle[name]:.2f} | {', '.join(f'{one:.1f}' for one in runs)} |"
            )
    return "\n".join(lines)


def main() -> None:
    options = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    options.add_argument("--dataset", default="demo")
    options.add_argument("--data-dir")
    options.add_argument("--epochs", type=int, default=30)
    options.add_argument("--set", action="append", default=[], metavar="FIELD=VALUE")
    options.add_argument("--cases", default=",".join(CASES))
    options.add_argument("--variants", default=",".join(VARIANTS))
    options.add_argument("--runs", type=int, default=5)
    options.add_argument("--limit", type=float, default=600.0, help="seconds of a run at most")
    args = options.parse_args()

    cases, variants = args.cases.split(","), args.variants.split(",")
    for name in cases:
        if name not in CASES:
            raise SystemExit(f"case {name!r}: wanted {', '.join(CASES)}")
    for name in variants:
        variables(name)
    words = ["--dataset", args.dataset, "--eval-every", "0", "--epochs"]
    words += [str(args.epochs), *(["--data-dir", args.data_dir] if args.data_dir else [])]
    for pair in args.set:
        words += ["--set", pair]
    print(f"{args.dataset}, {machine()}; load before: {os.getloadavg()[0]:.1f}\n", flush=True)
    ms_a_step("ours", words, 3600)  # compiles
    found = defaultdict(list)
    for number in range(args.runs):
        turn = number % len(variants)
        for case in cases:
            for name in variants[turn:] + variants[:turn]:
                with others(case):
                    found[case, name].append(ms_a_step(name, words, args.limit))
                print(f"{case} {name}: {found[case, name][-1]:.1f} ms", file=sys.stderr, flush=True)
    print(table(found, cases, variants))


if __name__ == "__main__":
    main()
