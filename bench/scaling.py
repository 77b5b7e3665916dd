"""How a training step grows with the edges of its graphs and with d, on synthetic shops.

    python bench/scaling.py [--threads 2] [--rounds 21]

The shops have Taobao's users and items. One has its numbers of interactions too, another exactly
twice as many of each behaviour, of which the first's are a random half. Steps of all are made in
turns in one process; prints Markdown rows of median times, as multiples of the first's.
"""

from __future__ import annotations

import argparse
import dataclasses
import datetime
import platform
import statistics

import numpy as np

from pkef_fast.data import Dataset, generate
from pkef_fast.data.patterns import keys_of, pattern
from pkef_fast.device import device, set_threads
from pkef_fast.models.pkef.config import PkefConfig
from pkef_fast.models.pkef.model import Pkef
from pkef_fast.models.pkef.presets import preset
from pkef_fast.report import stages as benchmark
from pkef_fast.train.trainer import Trainer

TAOBAO = {"n_users": 15449, "n_items": 11953}
COUNTS = {"view": 873_954, "cart": 195_476, "buy": 92_180}
# More draws than are needed: repeats count once, and thinning takes exact numbers.
DRAWS = {"degree": 200.0, "keep": 0.3, "unseen": 0.1}


def thinned(dataset: Dataset, counts: dict[str, int], seed: int) -> Dataset:
    """The data set with so many interactions of each behaviour, chosen at random."""
    random, kept = np.random.default_rng(seed), []
    for name, csr in zip(dataset.behaviors, dataset.interactions, strict=True):
        keys = np.sort(random.choice(keys_of(csr, dataset.n_items), counts[name], replace=False))
        pairs = np.divmod(keys, dataset.n_items)
        kept.append(pattern(*pairs, dataset.n_users, dataset.n_items))
    return dataclasses.replace(dataset, interactions=tuple(kept), times=None)


def shops(size: dict[str, int] = TAOBAO, counts: dict[str, int] = COUNTS, draws: dict = DRAWS):
    """(a shop, one with twice its interactions)."""
    rich = generate(**size, behaviors=tuple(counts), seed=0, **draws)
    double = thinned(rich, {name: 2 * count for name, count in counts.items()}, 1)
    return thinned(double, counts, 2), double


def trainer(dataset: Dataset, config: PkefConfig) -> Trainer:
    """A trainer on the CPU."""
    return Trainer(Pkef(config, dataset, device("cpu")), dataset)


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    options.add_argument("--threads", type=int, default=2)
    options.add_argument("--rounds", type=int, default=benchmark.ROUNDS)
    options.add_argument("--preset", default="official")
    args = options.parse_args()
    set_threads(args.threads)
    single, double = shops()
    config = preset(args.preset, single.behaviors).checked(single.behaviors)
    wide = dataclasses.replace(config, d=2 * config.d)
    d = config.d
    steps = {
        f"a step, d = {d}": trainer(single, config).make_step,
        "twice the edges": trainer(double, config).make_step,
        f"twice d: {2 * d}": trainer(single, wide).make_step,
        "twice both": trainer(double, wide).make_step,
    }
    seconds = benchmark.in_turns(steps, args.rounds)
    medians = {name: statistics.median(times) for name, times in seconds.items()}
    base = next(iter(medians.values()))
    for name, median in medians.items():
        print(
            f"| {datetime.date.today()} | {args.preset} | {args.threads} | {name} | "
            f"{median * 1e3:.0f} ms | {median / base:.2f} | "
            f"{platform.processor() or platform.machine()} |"
        )


if __name__ == "__main__":
    main()
