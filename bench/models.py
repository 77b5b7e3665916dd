"""Every model on one data set, by one code: trained, chosen on validation items, evaluated.

    python bench/models.py --data-dir DATA --log bench/results/models.jsonl
    python bench/models.py --data-dir DATA --log LOG.jsonl --models lightgcn,pkef:mmoe --seeds 1,2,3
    python bench/models.py --log bench/results/models.jsonl --table

A run is `pkef-fast train --select val` with a model's own defaults, then `pkef-fast evaluate
--protocol all`: the test items are read once a run. MODEL:PRESET names a preset. Runs that the log
holds are not made again, so this can be stopped and gone on with.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
import subprocess
import sysconfig
import tempfile
import time
from datetime import date
from pathlib import Path

from pkef_fast.models import MODELS

COMMAND = os.path.join(sysconfig.get_path("scripts"), "pkef-fast")
PROTOCOLS = ("paper", "discovery", "return")
# HR@10 and NDCG@10 on Taobao: the paper's Tables 2, 3 and 5.
PUBLISHED = {
    "mf-bpr": (0.0076, 0.0036),
    "neumf": (0.0236, 0.0128),
    "lightgcn": (0.0411, 0.0240),
    "rgcn": (0.0215, 0.0104),
    "gnmr": (0.0368, 0.0216),
    "nmtr": (0.0282, 0.0137),
    "mbgcn": (0.0509, 0.0294),
    "crgcn": (0.0855, 0.0439),
    "mb-cgcn": (0.1233, 0.0677),
    "pkef:official": (0.1385, 0.0785),
    "pkef:base": (0.0849, 0.0452),
    "pkef:without-pkf": (0.1121, 0.0610),
    "pkef:without-pme": (0.0955, 0.0532),
    "pkef:shared-bottom": (0.0715, 0.0381),
    "pkef:mmoe": (0.1091, 0.0580),
    "pkef:ple": (0.1022, 0.0545),
}


def called(*words: str) -> dict:
    """A command's JSON; its own message where it fails."""
    done = subprocess.run([COMMAND, *words, "--json"], capture_output=True, encoding="utf-8")
    if done.returncode:
        raise SystemExit(f"pkef-fast {' '.join(words)}: {done.stderr}")
    return json.loads(done.stdout.splitlines()[-1])


def run(name: str, seed: int, data: list[str], extra: list[str], threads: int | None) -> dict:
    """Figures and costs of one run."""
    model, _, preset = name.partition(":")
    words = ["--model", model, *(["--preset", preset] if preset else [])]
    if threads:
        words += ["--threads", str(threads)]
    if MODELS[model].trained:
        words += ["--select", "val", "--seed", str(seed), *extra]
    start = time.perf_counter()
    with tempfile.TemporaryDirectory() as folder:
        out = f"{folder}/run"
        found = called("train", *data, *words, "--out", out)
        protocols = called("evaluate", out, "--protocol", "all")["protocols"]
    chosen = found.get("selection") or {}
    return {
        "dataset": data[1],
        "model": name,
        "seed": seed,
        "extra": " ".join(extra),
        "threads": threads,
        "epochs": found["epochs"],
        "chosen": chosen.get("epoch"),
        **{f"val.{name}": value for name, value in (chosen.get("metrics") or {}).items()},
        "milliseconds": 1000 * (found["seconds_per_step"] or 0),
        "bytes": found["peak_memory_bytes"],
        "seconds": time.perf_counter() - start,
        **{
            f"{protocol}.{figure}": protocols[protocol][figure]
            for protocol in PROTOCOLS
            for figure in ("HR@10", "NDCG@10")
        },
        "machine": f"{date.today()}, {platform.processor() or platform.machine()}",
    }


def table(records: list[dict]) -> str:
    """A line for each model and its options: means over seeds, ± their standard deviation."""
    groups: dict[tuple, list[dict]] = {}
    for record in records:
        groups.setdefault((record["model"], record["extra"]), []).append(record)
    heads = (
        "model | options | seeds | paper HR@10 / NDCG@10 | published | discovery | return | epochs "
        "(chosen) | ms a step | peak MB | minutes"
    )
    lines = [f"| {heads} |", "|---" * 11 + "|"]
    for (model, extra), group in groups.items():

        def pair(protocol, group=group):
            cells = []
            for figure in ("HR@10", "NDCG@10"):
                values = [one[f"{protocol}.{figure}"] for one in group]
                spread = f" ± {statistics.stdev(values):.4f}" if len(values) > 1 else ""
                cells.append(f"{statistics.mean(values):.4f}{spread}")
            return " / ".join(cells)

        known = PUBLISHED.get(model) if group[0]["dataset"] == "taobao" else None
        cells = [
            model,
            extra or "–",
            ", ".join(str(one["seed"]) for one in group),
            pair("paper"),
            "–" if known is None else f"{known[0]:.4f} / {known[1]:.4f}",
            pair("discovery"),
            pair("return"),
            ", ".join(f"{one['epochs']} ({one['chosen']})" for one in group),
            f"{statistics.median(one['milliseconds'] for one in group):.1f}",
            f"{max(one['bytes'] for one in group) / 1e6:.0f}",
            f"{statistics.mean(one['seconds'] for one in group) / 60:.1f}",
        ]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def main() -> None:
    """Run what the log lacks, or print its table."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--log", type=Path, required=True)
    parser.add_argument("--table", action="store_true")
    parser.add_argument("--dataset", default="taobao")
    parser.add_argument("--data-dir", default="")
    parser.add_argument("--models", default=",".join(MODELS), help="MODEL or MODEL:PRESET, …")
    parser.add_argument("--seeds", default="1")
    parser.add_argument("--threads", type=int, help="changes times, and no figure")
    options, extra = parser.parse_known_args()
    records = []
    if options.log.exists():
        lines = options.log.read_text(encoding="utf-8").splitlines()
        records = [json.loads(line) for line in lines]
    if options.table:
        print(table(records))
        return
    data = ["--dataset", options.dataset]
    if options.data_dir:
        data += ["--data-dir", options.data_dir]
    done = {(one["model"], one["seed"], one["extra"]) for one in records}
    for seed in map(int, options.seeds.split(",")):
        for name in options.models.split(","):
            if (name, seed, " ".join(extra)) in done:
                continue
            record = run(name, seed, data, extra, options.threads)
            with options.log.open("a", encoding="utf-8") as file:
                file.write(json.dumps(record) + "\n")
            print(json.dumps(record), flush=True)


if __name__ == "__main__":
    main()
