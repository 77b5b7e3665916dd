"""Models of triples and of labels: gradients, and that everything works with them unchanged.

Here are the batches of triples as well; those of labels: test_labels.py.
"""

from __future__ import annotations

import json

import numpy as np
import pytest
from forms import emulated
from gradient_checks import check_gradients
from recorder import Recorder

from pkef_fast import Recommender
from pkef_fast import device as devices
from pkef_fast.cli import main
from pkef_fast.data import generate
from pkef_fast.data.patterns import contains, row_of_each
from pkef_fast.device import device
from pkef_fast.errors import InputError
from pkef_fast.models import MODELS
from pkef_fast.models.triples import OnePerUser, TripleList
from pkef_fast.train.protocol import Shape
from pkef_fast.train.trainer import Trainer

NAMES = ("view", "cart", "buy")
OF_TRIPLES = ["mf-bpr", "lightgcn", "mbgcn", "mb-cgcn", "crgcn", "rgcn"]
OF_LABELS = ["neumf", "nmtr"]
MODEL = pytest.mark.parametrize("name", [*OF_TRIPLES, *OF_LABELS, "ghcf", "gnmr"])
SMALL = {"d": 6, "batch": 16, "epochs": 4, "patience": None}


def shop(**changes):
    return generate(**{"n_users": 40, "n_items": 30, "behaviors": NAMES, "seed": 0, **changes})


def fields_of(name, **changes):
    """`SMALL` with these changes; NeuMF's sizes have names of their own."""
    fields = {**SMALL, **changes}
    if name == "neumf":
        d = fields.pop("d")
        fields |= {"gmf_factors": d, "layers": (2 * d, d)}
    return fields


def trainer_of(name, data, place="cpu", **changes):
    kind = MODELS[name]
    config = kind.preset("comparison", data.behaviors).replaced(**fields_of(name, **changes))
    return Trainer(kind(config.checked(data.behaviors), data, device(place)), data)


def sampler(kind, data, batch=16, seed=3):
    return kind(data, batch, seed, device("cpu").kernels, None, np.float64)


# ---- batches ------------------------------------------------------------------------------------


def test_an_epoch_of_triples_has_every_train_pair_once():
    data = shop()
    target = data.interactions[-1]
    batches = sampler(TripleList, data)
    users, positives, negatives = batches.lists(0)
    order = np.lexsort((positives, users))
    np.testing.assert_array_equal(users[order], row_of_each(target))
    np.testing.assert_array_equal(positives[order], target.indices)
    assert not contains(target, users, negatives, data.n_items).any()
    assert not np.array_equal(users, np.sort(users))  # in random order
    assert sum(batches.size(i) for i in range(batches.steps_per_epoch)) == len(users)
    other = batches.lists(1)
    assert not np.array_equal(users, other[0])
    assert not np.array_equal(negatives[order], other[2][np.lexsort(other[1::-1])])
    again = sampler(TripleList, data).lists(0)
    np.testing.assert_array_equal(again, (users, positives, negatives))


def test_a_step_of_one_per_user_has_distinct_users():
    data = shop()
    target = data.interactions[-1]
    batches = sampler(OnePerUser, data)
    assert batches.steps_per_epoch == len(target.indices) // 16 + 1
    users, positives, negatives = batches.lists(2)
    for start in range(0, len(users), 16):
        assert len(set(users[start : start + 16].tolist())) == 16
    assert contains(target, users, positives, data.n_items).all()
    assert not contains(target, users, negatives, data.n_items).any()


def test_one_per_user_of_another_behaviour_takes_its_pairs():
    data = shop()
    views = data.interactions[0]
    kernels = device("cpu").kernels
    batches = OnePerUser(data, 16, 3, kernels, None, np.float64, behavior=0)
    assert batches.steps_per_epoch == len(views.indices) // 16 + 1
    users, positives, negatives = batches.lists(0)
    assert contains(views, users, positives, data.n_items).all()
    assert not contains(views, users, negatives, data.n_items).any()


@pytest.mark.parametrize("kind", [TripleList, OnePerUser])
def test_users_with_nothing_or_everything_are_in_no_triple(kind):
    """The first has no positive, the second no negative; both stay in the tables."""
    data = shop(n_users=12, n_items=5, degree=4.0, keep=0.9)
    indptr, indices = data.interactions[-1]
    rows = [indices[indptr[u] : indptr[u + 1]] for u in range(12)]
    rows[3], rows[7] = rows[3][:0], np.arange(5, dtype=np.int32)
    pointers = np.concatenate([[0], np.cumsum([len(row) for row in rows])]).astype(np.int32)
    target = type(data.interactions[-1])(pointers, np.concatenate(rows))
    data = type(data)(**{**vars(data), "interactions": (*data.interactions[:-1], target)})
    batches = sampler(kind, data, batch=4)
    for step in range(batches.steps_per_epoch):
        batch = batches.batch(step)
        assert batch.count == batches.size(step) > 0
        there = batch.nodes[batch.pairs.left]
        assert 3 not in there and 7 not in there


@pytest.mark.parametrize("kind", [TripleList, OnePerUser])
def test_appearances_count_the_triples_of_a_node(kind):
    data = shop()
    batches = sampler(kind, data)
    batch = batches.batch(1)
    here = slice(batches.most, batches.most + batches.size(1))
    users, positives, negatives = (one[here] for one in batches.lists(0))
    nodes = np.concatenate([users, positives + data.n_users, negatives + data.n_users])
    wanted = np.bincount(nodes, minlength=data.n_users + data.n_items)
    found = np.zeros(len(wanted))
    found[batch.nodes] = batch.appearances
    np.testing.assert_array_equal(found, wanted)


# ---- gradients ----------------------------------------------------------------------------------


@pytest.mark.parametrize("name", [*OF_TRIPLES, "ghcf"])
def test_the_gradient_is_that_of_central_differences(name):
    data = shop()
    trainer = trainer_of(name, data, "reference", precision="float64", regularization=0.3)
    model, rng = trainer.model, np.random.default_rng(0)
    for tensor in model.parameters.values():
        tensor.data += 0.5 * rng.normal(size=tensor.shape)
    batch = trainer.next_batch()
    check_gradients(trainer, batch, rng, 1e-5, rel=1e-7)


def test_lightgcn_without_layers_is_mf():
    data = shop()
    mf, light = (trainer_of(name, data, precision="float64") for name in ("mf-bpr", "lightgcn"))
    deep = trainer_of("lightgcn", data, precision="float64", layers=0)
    users = np.arange(data.n_users)
    np.testing.assert_array_equal(
        deep.model.ranker().scores(users), mf.model.ranker().scores(users)
    )
    assert not np.allclose(light.model.ranker().scores(users), mf.model.ranker().scores(users))


def test_lightgcn_of_another_behaviour_reads_its_graph_and_ranks_for_the_target():
    data = shop()
    fields = {"precision": "float64", "epochs": 2}
    by_name, by_number = (
        Recommender("lightgcn", **{**SMALL, **fields}, behavior=one).fit(data)
        for one in ("view", "0")
    )
    assert by_name.model.config.behavior == "0" and by_name.model.reads == ("view",)
    assert by_name.history == by_number.history
    target, named = (
        trainer_of("lightgcn", data, behavior=one).model.config for one in ("target", "buy")
    )
    assert target == named
    (graph,) = by_name.model.graphs
    assert len(graph.indices) == 2 * len(data.interactions[0].indices)
    seen = data.interactions[-1].indices[: data.interactions[-1].indptr[1]]
    assert not set(seen) & {one.item for one in by_name.recommend([0], 20)[0]}
    with pytest.raises(InputError, match="'behavior' cannot be 'vew'; wanted target, view"):
        trainer_of("lightgcn", data, behavior="vew")


# ---- training -----------------------------------------------------------------------------------


@pytest.mark.parametrize("name", [*OF_TRIPLES, *OF_LABELS])
def test_the_loss_falls_and_two_users_have_their_own_rankings(name):
    data = generate(n_users=120, n_items=60, behaviors=NAMES, seed=1)
    # An epoch of labels has five rows a pair, and NMTR's has the pairs of all behaviours.
    epochs = {"neumf": 15, "nmtr": 6}.get(name, 60)
    fields = fields_of(name, d=16, batch=64, epochs=epochs, lr=0.01)
    model = Recommender(name, **fields).fit(data)
    parts = "loss.bpr", "loss.bce", "loss.hinge"
    losses = [sum(one[n] for n in one if n.startswith(parts)) for one in model.history]
    assert losses[-1] < 0.7 * losses[0]
    assert model.evaluate(data)["HR@10"] > 10 / data.n_items
    first, second = model.recommend([0, 1], 5).values()
    assert [one.item for one in first] != [one.item for one in second]


@MODEL
@pytest.mark.parametrize("names", [("buy",), ("click", "collect", "cart", "buy")])
def test_any_number_of_behaviours(name, names):
    data = shop(behaviors=names)
    model = Recommender(name, **fields_of(name)).fit(data, select="last")
    assert all(np.isfinite(one).all() for one in model.model.stored().values())
    assert len(model.recommend([3], 5)[3]) == 5


@MODEL
@pytest.mark.parametrize("stop_after", [1, 9])
def test_resuming_continues_bit_for_bit(tmp_path, name, stop_after):
    data, fields = shop(), fields_of(name, average=0.9)
    whole = Recommender(name, **fields).fit(data, out=tmp_path / "whole", eval_every=1)
    asked = []

    def stop():
        asked.append(1)
        return len(asked) == stop_after

    cut = tmp_path / "cut"
    Recommender(name, **fields).fit(data, out=cut, eval_every=1, should_stop=stop)
    again = Recommender(name, **fields).fit(data, out=cut, eval_every=1, resume=True)
    assert again.history == whole.history
    assert (cut / "model.npz").read_bytes() == (tmp_path / "whole/model.npz").read_bytes()


@MODEL
def test_patience_ends_a_fit_and_what_stopped_stays_stopped(tmp_path, name):
    data = shop()
    fields = fields_of(name, epochs=60, patience=3)
    model = Recommender(name, **fields).fit(data, out=tmp_path / "run", select="val", eval_every=1)
    figures = [one["val.NDCG@10"] for one in model.history]
    best = figures.index(max(figures)) + 1
    assert model.selection.epoch == best
    assert len(figures) == best + 3 < 60
    before = (tmp_path / "run" / "model.npz").read_bytes()
    again = Recommender(name, **fields).fit(
        data, out=tmp_path / "run", select="val", eval_every=1, resume=True
    )
    assert again.trainer.step == model.trainer.step
    assert (tmp_path / "run" / "model.npz").read_bytes() == before


@pytest.mark.emulator
@MODEL
def test_devices_agree(name, monkeypatch):
    """The CPU, the emulator, and a recorded step with CuPy's manners."""
    monkeypatch.setattr("pkef_fast.train.fit.warm_up", lambda *args: None)
    data, fields = shop(), fields_of(name, d=4, precision="float64", epochs=2)
    if name in OF_LABELS:  # the emulator is slow, and an epoch of labels long
        fields |= {"batch": 128, "epochs": 1}
    if name == "gnmr":  # its gates have gradients of rounding alone, which Adam would blow up
        fields |= {"adam_epsilon": 1e-3}
    places = ("cpu", emulated(), devices.on(Recorder(), "recorder", capture=True))
    wanted, *others = (Recommender(name, device=place, **fields).fit(data) for place in places)
    for other in others:
        for key, value in wanted.model.stored().items():
            found = other.model.stored()[key]
            np.testing.assert_allclose(found, value, rtol=1e-9, atol=1e-12, err_msg=key)
        for one, two in zip(wanted.history, other.history, strict=True):
            assert one == pytest.approx(two, rel=1e-9)


@MODEL
def test_the_predicted_memory_is_near_what_a_step_takes(name):
    import tracemalloc

    data = generate(n_users=900, n_items=700, behaviors=NAMES, seed=1)
    kind = MODELS[name]
    fields = fields_of(name, d=32, batch=64)
    config = kind.preset("comparison", NAMES).replaced(**fields).checked(NAMES)
    edges = [len(csr.indices) for csr in data.interactions]
    wanted = kind.bytes(config, Shape(data.n_users, data.n_items, edges))

    def step():
        trainer = Trainer(kind(config, data, device("cpu")), data)
        trainer.gradients(trainer.next_batch())
        trainer.update()

    step()  # what compiling takes does not count; tables are too small to be recycled
    tracemalloc.start()
    try:
        step()
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert 0.4 < wanted / peak < 2.5


# ---- from the command line ----------------------------------------------------------------------


def run(runner, *words):
    done = runner.invoke(main, [str(word) for word in words])
    assert done.exit_code == 0, done.output
    return done


@MODEL
def test_every_command_takes_them(name, tmp_path, monkeypatch):
    """train, --resume, evaluate, recommend, rerank and tune: none of them knows the model."""
    from click.testing import CliRunner

    monkeypatch.chdir(tmp_path)
    runner, out = CliRunner(), tmp_path / "run"
    sizes = ("gmf_factors=8", "layers=16,8") if name == "neumf" else ("d=8",)
    small = [word for one in (*sizes, "batch=256") for word in ("--set", one)]
    run(runner, "train", "--model", name, "--epochs", 2, "--out", out, "--eval-every", 1, *small)
    run(runner, "train", "--resume", out, "--epochs", 3)
    result = json.loads(run(runner, "evaluate", out, "--json").stdout.splitlines()[-1])
    assert 0 <= result["metrics"]["HR@10"] <= 1
    assert result["selection"]["users"] > 0  # chosen by validation where nobody says otherwise
    run(runner, "recommend", out, "--user", 0, "-k", 3)
    fields = ("--set", "epochs=1", "--set", "twin_epochs=1", "--set", "draws=1")
    run(runner, "rerank", out, *fields, "--set", "users=200")
    run(runner, "recommend", out, "--user", 0, "--explain")
    pytest.importorskip("optuna")
    run(runner, "tune", "--model", name, "--trials", 1, "--epochs", 1, "--out", "best.toml", *small)
    assert "model" in (tmp_path / "best.toml").read_text(encoding="utf-8")
