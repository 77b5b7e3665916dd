"""Training options of PKEF against each other, on validation items alone.

    python bench/training_options.py --data-dir DATA --epochs 20 --seeds 1,2,3 --log LOG.jsonl
    python bench/training_options.py --log LOG.jsonl --table

`--base 'layers=1,1,1;d=32'` trains a smaller model throughout, which is enough to screen by. A seed
draws the validation items, the tables and the samples, so runs of one seed are compared with each
other. Runs that the log holds are not made again. Test items are never read.
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
from pathlib import Path

from pkef_fast import Recommender, load_dataset
from pkef_fast.holdout.validation import validation_items, validation_split

OPTIONS: dict[str, dict] = {
    "official": {},
    "negatives 4": {"negatives": 4},
    "softmax": {"loss": "softmax"},
    "softmax, negatives 4": {"loss": "softmax", "negatives": 4},
    "softmax, negatives 16": {"loss": "softmax", "negatives": 16},
    "popular 0.5": {"popular_negatives": 0.5},
    "batch 0.5": {"batch_negatives": 0.5},
    "learned weights": {"behavior_weights": "learned"},
    "average 0.98": {"average": 0.98},
    "d 128": {"d": 128},
}
FIGURES = [f"{name}.{one}" for name in ("discovery", "paper") for one in ("HR@10", "NDCG@10")]


def run(dataset, seed: int, epochs: int, fields: dict, device: str) -> dict:
    """Figures of one run on the validation items of this seed, after every five epochs."""
    start = time.perf_counter()
    held_out = validation_split(dataset, validation_items(dataset, 1.0, seed))
    model = Recommender("pkef", "official", device, seed=seed, epochs=epochs, **fields)
    model.fit(held_out, eval_every=5, protocol="all")
    curve = {
        record["epoch"]: {name: record[name] for name in FIGURES}
        for record in model.history
        if FIGURES[0] in record
    }
    return {"curve": curve, "seconds": time.perf_counter() - start}


def fields_of(text: str) -> dict[str, str]:
    """Fields of "a=1;b=2"."""
    return dict(one.split("=", 1) for one in text.split(";") if one)


def table(records: list[dict]) -> str:
    """Means over seeds at the last epoch, best discovery first."""
    groups: dict[tuple, list[dict]] = {}
    for record in records:
        groups.setdefault((record["base"], record["epochs"], record["option"]), []).append(record)
    lines = [
        "| base | epochs | option | seeds | " + " | ".join(FIGURES) + " |",
        "|---" * (4 + len(FIGURES)) + "|",
    ]
    rows = []
    for (base, epochs, option), group in groups.items():
        last = [one["curve"][str(epochs)] for one in group]
        means = [statistics.mean(one[name] for one in last) for name in FIGURES]
        seeds = ", ".join(str(one["seed"]) for one in group)
        cells = [base or "official", str(epochs), option, seeds, *(f"{x:.4f}" for x in means)]
        rows.append((base, epochs, -means[0], f"| {' | '.join(cells)} |"))
    return "\n".join(lines + [text for *_, text in sorted(rows)])


def main() -> None:
    """Run what the log lacks, or print its table."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--log", type=Path, required=True)
    parser.add_argument("--table", action="store_true")
    parser.add_argument("--dataset", default="taobao")
    parser.add_argument("--data-dir")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--epochs", type=int, default=20)
    parser.add_argument("--seeds", default="1")
    parser.add_argument("--options", help="some of them, separated by ';' [default: all]")
    parser.add_argument("--base", default="", help="FIELD=VALUE;… of every run")
    parser.add_argument("--set", action="append", default=[], help="NAME:FIELD=VALUE;… as another")
    arguments = parser.parse_args()
    log = arguments.log
    records = (
        [json.loads(line) for line in log.read_text(encoding="utf-8").splitlines()]
        if log.exists()
        else []
    )
    if arguments.table:
        print(table(records))
        return
    options = dict(OPTIONS)
    names = arguments.options.split(";") if arguments.options else list(OPTIONS)
    for text in arguments.set:
        name, _, fields = text.partition(":")
        options[name] = fields_of(fields)
        names.append(name)
    dataset = load_dataset(arguments.dataset, data_dir=arguments.data_dir)
    base, epochs = arguments.base, arguments.epochs
    done = {(one["base"], one["epochs"], one["option"], one["seed"]) for one in records}
    for seed in map(int, arguments.seeds.split(",")):
        for name in names:
            if (base, epochs, name, seed) in done:
                continue
            found = run(dataset, seed, epochs, fields_of(base) | options[name], arguments.device)
            record = {"base": base, "option": name, "seed": seed, "epochs": epochs, **found}
            with log.open("a", encoding="utf-8") as file:
                file.write(json.dumps(record) + "\n")
            print(json.dumps(record), flush=True)


if __name__ == "__main__":
    main()
