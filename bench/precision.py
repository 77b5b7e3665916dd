"""What `--precision bf16-gather` does to a step's time and to the figures: trained beside float32.

    python bench/precision.py --dataset taobao --data-dir DATA [--epochs 20] [--seed 42]

Both runs start from the same tables and draw the same batches; their steps are made in turns in one
process. Prints Markdown rows: median time of a step as a share of float32's, and full ranking on
the way.
"""

from __future__ import annotations

import argparse
import dataclasses
import datetime
import platform
import statistics

from pkef_fast import load_dataset
from pkef_fast.device import device, set_threads
from pkef_fast.evaluate import figures as evaluation
from pkef_fast.models.pkef.model import Pkef
from pkef_fast.models.pkef.presets import preset
from pkef_fast.train.trainer import Trainer

PRECISIONS = ("float32", "bf16-gather")


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    options.add_argument("--dataset", default="taobao")
    options.add_argument("--data-dir")
    options.add_argument("--preset", default="official")
    options.add_argument("--epochs", type=int, default=20)
    options.add_argument("--every", type=int, default=5, help="Epochs between evaluations.")
    options.add_argument("--seed", type=int, default=42)
    options.add_argument("--threads", type=int, default=2)
    args = options.parse_args()
    set_threads(args.threads)
    data = load_dataset(args.dataset, data_dir=args.data_dir)
    config = preset(args.preset, data.behaviors).replaced(seed=args.seed).checked(data.behaviors)
    trainers = {
        name: Trainer(Pkef(dataclasses.replace(config, precision=name), data, device("cpu")), data)
        for name in PRECISIONS
    }
    found: dict[str, list[str]] = {name: [] for name in PRECISIONS}
    for epoch in range(1, args.epochs + 1):
        for _ in range(trainers[PRECISIONS[0]].steps_per_epoch):
            for trainer in trainers.values():
                trainer.make_step()
        if epoch % args.every == 0 or epoch == args.epochs:
            for name, trainer in trainers.items():
                figures = evaluation.evaluate(trainer.model.ranker(), data)
                found[name].append(f"{epoch}: {figures['HR@10']:.4f}, {figures['NDCG@10']:.4f}")
    medians = {
        # The first step of each compiles.
        name: statistics.median(trainer.step_seconds[1:])
        for name, trainer in trainers.items()
    }
    for name, median in medians.items():
        print(
            f"| {datetime.date.today()} | {data.name} | {args.preset} | {args.seed} | "
            f"{args.threads} | {name} | {median * 1e3:.1f} ms | "
            f"{median / medians[PRECISIONS[0]]:.2f} | {'; '.join(found[name])} | "
            f"{platform.processor() or platform.machine()} |"
        )


if __name__ == "__main__":
    main()
