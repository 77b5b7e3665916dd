"""End to end: one training step (sampling to update) and one full-ranking evaluation."""

from __future__ import annotations

import pytest

from pkef_fast.device import device
from pkef_fast.evaluate import figures as evaluation
from pkef_fast.models.pkef.model import Pkef
from pkef_fast.models.pkef.presets import preset
from pkef_fast.train.trainer import Trainer


@pytest.fixture(scope="module", params=["official", "paper"])
def trainer(request, dataset):
    config = preset(request.param, dataset.behaviors).checked(dataset.behaviors)
    trainer = Trainer(Pkef(config, dataset, device("cpu")), dataset)
    trainer.make_step()  # compiles
    return trainer


@pytest.mark.benchmark(group="step")
def test_step(benchmark, trainer):
    benchmark(trainer.make_step)


@pytest.mark.benchmark(group="evaluation")
def test_evaluation(benchmark, trainer):
    def run():
        return evaluation.evaluate(trainer.model.ranker(), trainer.dataset)

    result = benchmark(run)
    assert result.users > 0


@pytest.mark.benchmark(group="sampling")
def test_batch(benchmark, trainer):
    benchmark(trainer.next_batch)
