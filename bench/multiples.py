"""Step, evaluation, start and memory of a training run, as multiples of SciPy's product.

    python bench/multiples.py --dataset taobao --data-dir DATA [--preset official] [--threads 2]

T is the median time of SciPy's `csr @ dense` with the view adjacency (N × 64, float32), measured in
the same process. Prints one Markdown row; see bench/results/.
"""

from __future__ import annotations

import argparse
import datetime
import platform
import resource
import statistics
import time

STARTED = time.perf_counter()  # before the imports: they belong to the time to the first step


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    options.add_argument("--dataset", default="taobao")
    options.add_argument("--data-dir")
    options.add_argument("--preset", default="official")
    options.add_argument("--threads", type=int, default=2)
    options.add_argument("--steps", type=int, default=40)
    options.add_argument("--evaluations", type=int, default=20)
    args = options.parse_args()

    from pkef_fast import PKEF, load_dataset
    from pkef_fast.device import set_threads
    from pkef_fast.graph.adjacency import adjacency
    from pkef_fast.models.pkef.model import Pkef
    from pkef_fast.report import stages as benchmark
    from pkef_fast.train.trainer import Trainer
    from pkef_fast.train.warm_up import warm_up

    set_threads(args.threads)
    data = load_dataset(args.dataset, data_dir=args.data_dir)
    model = PKEF(args.preset, "cpu")
    config = model.config_for(data.behaviors)
    warm_up(config, len(data.behaviors), model.device)
    model.model, model._train = Pkef(config, data, model.device), data
    model.trainer = trainer = Trainer(model.model, data)
    trainer.make_step()
    start = time.perf_counter() - STARTED
    for _ in range(args.steps):
        trainer.make_step()
    evaluations = []
    for _ in range(args.evaluations):
        model._ranker = None  # propagation belongs to an evaluation
        evaluations.append(model.evaluate(data).seconds)
    # SciPy's matrix and result belong to the yardstick, so the peak is read before it is made.
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    # In the data set's own order: the model's is a part of what is measured.
    graph = adjacency(data.interactions[0], data.n_items)
    (x,) = benchmark.tables(1, len(graph.indptr) - 1, config.d, trainer.model.dtype)
    product = statistics.median(
        benchmark.in_turns({"T": benchmark.scipy_product(graph, x)}, benchmark.ROUNDS)["T"]
    )
    step, evaluation = (
        statistics.median(times) for times in (trainer.step_seconds[1:], evaluations)
    )
    print(
        f"| {datetime.date.today()} | {data.name} | {args.preset} | {args.threads} | "
        f"{product * 1e3:.1f} ms | {step * 1e3:.0f} ms = {step / product:.1f} T | "
        f"{evaluation * 1e3:.0f} ms = {evaluation / product:.1f} T | {peak / 2**20:.0f} MiB | "
        f"{start:.1f} s | {platform.processor() or platform.machine()} |"
    )


if __name__ == "__main__":
    main()
