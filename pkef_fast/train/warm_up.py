"""Compiling the kernels before the first step, so that nobody waits without knowing why.

Numba compiles a kernel when it is first called and keeps the result on disk. A tiny model with the
run's own config goes once through everything a run does; with a warm cache this takes a second.
"""

from __future__ import annotations

from collections.abc import Callable

from ..data.synthetic import generate
from ..device import Device
from ..evaluate import figures
from ..tape.autograd import backward
from .config import TrainConfig
from .protocol import Trained
from .trainer import Trainer

STAGES = ("sampling", "the model", "adjoints", "update", "ranking")


def warm_up(
    kind: type[Trained],
    config: TrainConfig,
    n_behaviors: int,
    device: Device,
    on_stage: Callable[[str, int, int], None] = lambda name, number, total: None,
) -> None:
    """Run a tiny problem of K behaviours; `on_stage(name, number, total)` before each stage."""
    stages = (*device.compiled_ahead, *STAGES)

    def stage(name):
        on_stage(name, stages.index(name) + 1, len(stages))

    for operation in device.compiled_ahead:
        stage(operation)
        device.compile(operation)
    names = tuple(f"b{k}" for k in range(n_behaviors))
    data = generate(n_users=12, n_items=10, behaviors=names, seed=0)
    stage("sampling")
    trainer = Trainer(kind(kind.tiny(config), data, device), data)
    batch = trainer.next_batch()
    stage("the model")
    losses = trainer.model.losses(batch)
    stage("adjoints")
    if losses:
        backward(trainer.model.total(losses))
    stage("update")
    trainer.update()
    stage("ranking")
    popularity = figures.popularity(data, device, trainer.model.dtype)
    for ranker in (trainer.model.ranker(), popularity):
        figures.evaluate(ranker, data)
