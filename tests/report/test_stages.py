"""benchmark: what is counted is what the shapes say, and a recorded step is a step."""

from __future__ import annotations

import statistics

import numpy as np
import pytest

from pkef_fast.data import generate
from pkef_fast.device import device
from pkef_fast.models import MODELS
from pkef_fast.models.pkef.model import Pkef
from pkef_fast.models.pkef.presets import preset
from pkef_fast.report import bandwidth
from pkef_fast.report import stages as benchmark
from pkef_fast.report.stages import Recorder, Row, array_bytes, in_turns, measure, scipy_product
from pkef_fast.train.trainer import Trainer

D, ITEM = 16, 4


@pytest.fixture(scope="module")
def data():
    return generate(n_users=60, n_items=40, seed=1)


def config_of(data, name="official", **changes):
    return preset(name, data.behaviors).replaced(d=D, **changes).checked(data.behaviors)


def recorded(data, name="official", **changes):
    """(the stages of one recorded step, its trainer)."""
    recorder = Recorder(device("cpu"))
    trainer = Trainer(Pkef(config_of(data, name, **changes), data, recorder.device), data)
    recorder.name_graphs(data.behaviors, trainer.model.graphs)
    return recorder.record(trainer.make_step), trainer


def test_arrays_count_once():
    a, b = np.zeros(10), np.zeros((3, 2), np.float32)
    assert array_bytes([a, (b, {"again": a})], None, 3) == 80 + 24
    assert array_bytes(a[:5], a[5:]) == 80


def test_a_layers_bytes_are_those_of_its_shapes(data):
    stages, trainer = recorded(data, layers=(2, 1, 1))
    table = (data.n_users + data.n_items) * D * ITEM
    row = D * ITEM
    for k, (name, count) in enumerate(data.counts().items()):
        edges = 2 * count
        for back in ("", ", adjoint"):
            assert stages[f"propagate {name}: both streams{back}"].gathered == 2 * edges * row
            assert stages[f"propagate {name}: both streams{back}"].calls == 1
        if k == 0:
            for back in ("", ", adjoint"):
                stage = stages[f"propagate {name}: both streams from one table{back}"]
                assert stage.gathered == edges * row
        assert edges == len(trainer.model.graphs[k].indices)
    # p, z, p', z', c and both sums, which begin here; r and 1/(⟨c,c⟩ + ε) of each node; the pattern
    wanted = 7 * table + 2 * table // D + array_bytes(trainer.model.graphs[-1])
    assert stages[f"propagate {data.behaviors[-1]}: both streams"].streamed == wanted
    assert stages["update"].streamed == 7 * sum(
        tensor.data.nbytes for tensor in trainer.model.parameters.values()
    )  # θ, m, v read and written, the gradient read


def test_narrow_gathers_move_half_the_bytes(data):
    exact, narrow = (recorded(data, precision=name)[0] for name in ("float32", "bf16-gather"))
    for name, stage in exact.items():
        if name.startswith("propagate"):
            assert stage.gathered == 2 * narrow[name].gathered > 0


def test_every_stage_of_a_step_is_there_and_the_step_is_the_same(data):
    stages, trainer = recorded(data)
    assert {"sample", "experts", "experts, adjoint", "loss", "update"} <= set(stages)
    assert all(stage.seconds > 0 and stage.streamed > 0 for stage in stages.values())
    plain = Trainer(Pkef(config_of(data), data, device("cpu")), data)
    plain.make_step()
    for name, tensor in plain.model.parameters.items():
        assert tensor.data.tobytes() == trainer.model.parameters[name].data.tobytes(), name


def test_in_turns():
    order = []
    calls = {name: lambda name=name: order.append(name) for name in "ab"}
    seconds = in_turns(calls, rounds=2, warm=1)
    assert "".join(order) == "aabbaabb"
    assert [len(times) for times in seconds.values()] == [2, 2]


def test_the_yardsticks_compute_what_they_time(data):
    trainer = Trainer(Pkef(config_of(data, normalization="symmetric"), data, device("cpu")), data)
    graph = trainer.model.graphs[0]
    (x,) = benchmark.tables(1, data.n_users + data.n_items, D, np.float32)
    wanted = device("cpu").kernels.propagate.spread(graph, x)
    np.testing.assert_allclose(scipy_product(graph, x)(), wanted, rtol=1e-4, atol=1e-5)
    sums = bandwidth.read_rows(x, graph.indices)
    np.testing.assert_allclose(sums.sum(0), x[graph.indices].sum(0), rtol=1e-3, atol=1e-3)
    y = np.zeros(x.size, x.dtype)
    bandwidth.copy(x.reshape(-1), y)
    np.testing.assert_array_equal(y.reshape(x.shape), x)


@pytest.mark.parametrize(
    ("name", "changes"), [("official", {}), ("paper", {}), ("official", {"fusion": "none"})]
)
def test_a_report_adds_up(data, name, changes):
    peer = benchmark.Peer("a nap", "step", seconds=lambda: 0.25)
    config = config_of(data, name, **changes)
    found = measure(Pkef, data, config, name, 1, rounds=2, peers=lambda trainer, graph, x: [peer])
    rows = {row.what: row for row in found.rows}
    step = rows["a step"]
    parts = found.rows[: found.rows.index(step)]
    assert sum(row.seconds for row in parts) >= 0.99 * step.seconds
    unit = next(row for row in found.rows if row.what.startswith("T: ")).seconds
    assert step.multiple == pytest.approx(step.seconds / unit)
    assert rows["a nap"] == Row("a nap", 0.25, multiple=0.25 / step.seconds, against="step")
    assert found.copy > 0
    assert found.gather > 0
    gathered = rows[f"product: one stream, {data.behaviors[0]}"]
    assert gathered.of_gather == pytest.approx(gathered.gathered / gathered.seconds / found.gather)


def test_stages_that_are_not_in_every_step_count_by_how_often_they_are():
    stage = benchmark.Stage(seconds=4.0, calls=1, gathered=0, streamed=8)
    machine = benchmark._Machine(copy=1.0, gather=1.0)
    rows = list(machine.stages([{"loss": stage}, {}], 10.0, "rest"))
    assert [(row.what, row.seconds) for row in rows] == [("loss", 2.0), ("rest", 8.0)]
    assert statistics.fsum(row.share for row in rows) == pytest.approx(1.0)


@pytest.mark.parametrize("name", [name for name, kind in MODELS.items() if kind.trained])
def test_every_model_has_a_report(data, name):
    """Whatever it calls the widths of its tables."""
    kind = MODELS[name]
    config = kind.tiny(kind.preset(kind.default_preset(data.name), data.behaviors))
    found = measure(kind, data, config.checked(data.behaviors), "tiny", 1, rounds=1)
    rows = {row.what: row for row in found.rows}
    assert rows["a step"].seconds > 0
    assert sum(row.streamed or 0 for row in found.rows) > 0
    assert found.d in (8, config.checked(data.behaviors).as_dict().get("d"))
