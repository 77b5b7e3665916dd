"""Every model on one data set, by one code: trained, chosen on validation items, evaluated.

    python bench/models.py --data-dir DATA --log bench/results/models.jsonl
    python bench/models.py --data-dir DATA --log LOG.jsonl --models lightgcn,pkef:mmoe --seeds 1,2,3
    python bench/models.py --data-dir DATA --log LOG.jsonl --runs reproduce/taobao --models ghcf
    python bench/models.py --log bench/results/models.jsonl --table

A run is `pkef-fast train --select val` with a model's own defaults, then `pkef-fast evaluate
--protocol all`: the test items are read once a run. MODEL:PRESET names a preset. Runs that the log
holds are not made again, so this can be stopped and gone on with. With --runs, runs that
`pkef-fast reproduce` has made are taken from its folder; one epoch is trained for its memory.
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

from pkef_fast.data import load_dataset
from pkef_fast.models import MODELS
from pkef_fast.reproduce.experiments import ROWS, Configuration
from pkef_fast.reproduce.published import published
from pkef_fast.reproduce.runs import Store, Task

COMMAND = os.path.join(sysconfig.get_path("scripts"), "pkef-fast")
PROTOCOLS = ("paper", "discovery", "return")


def known_figures(name: str, dataset: str) -> tuple[float, float] | None:
    """HR@10 and NDCG@10 that the paper prints for MODEL or MODEL:PRESET."""
    model, _, preset = name.partition(":")
    for table, rows in ROWS.items():
        for row, one in rows.items():
            same = (one.model, one.preset or "") == (model, preset) and not one.fields
            if same and (found := published(table, row, dataset)):
                return found
    return None


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
    found["protocols"] = protocols
    return record(name, seed, data[1], extra, threads, found, time.perf_counter() - start)


def record(
    name: str,
    seed: int,
    dataset: str,
    extra: list[str],
    threads: int | None,
    found: dict,
    seconds: float,
) -> dict:
    """A line of the log."""
    chosen = found.get("selection") or {}
    return {
        "dataset": dataset,
        "model": name,
        "seed": seed,
        "extra": " ".join(extra),
        "threads": threads,
        "epochs": found["epochs"],
        "chosen": chosen.get("epoch"),
        **{f"val.{name}": value for name, value in (chosen.get("metrics") or {}).items()},
        "milliseconds": 1000 * (found["seconds_per_step"] or 0),
        "bytes": found["peak_memory_bytes"],
        "seconds": seconds,
        **{
            f"{protocol}.{figure}": found["protocols"][protocol][figure]
            for protocol in PROTOCOLS
            for figure in ("HR@10", "NDCG@10")
        },
        "machine": f"{date.today()}, {platform.processor() or platform.machine()}",
    }


def stored(name: str, seed: int, data: list[str], options: argparse.Namespace) -> dict | None:
    """A run of `pkef-fast reproduce`, with what one epoch costs; None where it is not there."""
    dataset = load_dataset(options.dataset, data_dir=options.data_dir or None)
    model, _, preset = name.partition(":")
    task = Task.of(
        Configuration(model, preset or None), dataset, dataset.fingerprint(), "val", seed
    )
    result = Store(options.runs).result(task)
    if result is None:
        return None
    words = [*data, "--model", model, *(["--preset", preset] if preset else [])]
    words += ["--threads", str(options.threads)] if options.threads else []
    start = time.perf_counter()
    with tempfile.TemporaryDirectory() as folder:
        once = called("train", *words, "--select", "val", "--epochs", "1", "--out", f"{folder}/run")
    facts = result.facts
    found = once | {
        "epochs": facts["epochs"],
        "selection": {"epoch": facts["chosen"]},
        "protocols": facts["protocols"],
    }
    seconds = time.perf_counter() - start
    return record(name, seed, options.dataset, [], options.threads, found, seconds)


def table(records: list[dict]) -> str:
    """A line for each model and its options: means over seeds, ± their standard deviation.

    Times are left out: runs are long, and share the machine; bench/steps.py has them.
    """
    groups: dict[tuple, list[dict]] = {}
    for record in records:
        groups.setdefault((record["model"], record["extra"]), []).append(record)
    heads = (
        "model | options | seeds | paper HR@10 / NDCG@10 | published | discovery | return | epochs "
        "(chosen) | peak MB"
    )
    lines = [f"| {heads} |", "|---" * 9 + "|"]
    for (model, extra), group in groups.items():

        def pair(protocol, group=group):
            cells = []
            for figure in ("HR@10", "NDCG@10"):
                values = [one[f"{protocol}.{figure}"] for one in group]
                spread = f" ± {statistics.stdev(values):.4f}" if len(values) > 1 else ""
                cells.append(f"{statistics.mean(values):.4f}{spread}")
            return " / ".join(cells)

        known = known_figures(model, group[0]["dataset"])
        cells = [
            model,
            extra or "–",
            ", ".join(str(one["seed"]) for one in group),
            pair("paper"),
            "–" if known is None else f"{known[0]:.4f} / {known[1]:.4f}",
            pair("discovery"),
            pair("return"),
            ", ".join(f"{one['epochs']} ({one['chosen']})" for one in group),
            f"{max(one['bytes'] for one in group) / 1e6:.0f}",
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
    parser.add_argument("--runs", type=Path, help="a folder of `pkef-fast reproduce`")
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
            if options.runs is None:
                found = run(name, seed, data, extra, options.threads)
            else:
                found = stored(name, seed, data, options)
                if found is None:
                    continue
            with options.log.open("a", encoding="utf-8") as file:
                file.write(json.dumps(found) + "\n")
            print(json.dumps(found), flush=True)


if __name__ == "__main__":
    main()
