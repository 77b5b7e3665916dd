"""Heads on PKF's streams and the ablations: identities, rankings, gradients, devices, commands."""

from __future__ import annotations

import json
import tracemalloc

import numpy as np
import pytest
from forms import emulated
from recorder import Recorder

from pkef_fast import PKEF
from pkef_fast import device as devices
from pkef_fast.cli import main
from pkef_fast.data import generate
from pkef_fast.device import device
from pkef_fast.errors import InputError
from pkef_fast.kernels import OPERATIONS
from pkef_fast.models.pkef import Pkef, PkefConfig, preset
from pkef_fast.models.pkef.presets import PRESETS
from pkef_fast.models.pkef.sampling import Sampler
from pkef_fast.train.protocol import Shape
from pkef_fast.train.trainer import Trainer

NAMES = ("view", "cart", "buy")
SMALL = {"d": 6, "batch_users": 16, "epochs": 3}
ABLATIONS = [name for name in PRESETS if name not in ("official", "paper", "wide")]
HEADS = ["bilinear-full", "shared-bottom", "shared-bottom-hadamard", "mmoe", "ple"]
LITERAL = "shared-bottom-literal"
# Every switch of the coupled heads that is no preset.
SWITCHES = [
    ("mmoe", {"coupling": "coefficients"}),
    ("mmoe", {"coupling": "learned", "fusion": "none"}),
    ("ple", {"experts": "2,1", "coefficients": "0.2,0.5,0.3"}),
    ("ple", {"experts": "2,0", "loss": "softmax", "negatives": 2}),
    ("shared-bottom", {"coupling": "learned"}),
    ("shared-bottom-hadamard", {"coupling": "coefficients"}),
    ("shared-bottom-hadamard", {"literal": "yes"}),
    ("without-gate", {"shared_experts": "no"}),
    ("without-gate", {"projection_level": "interaction"}),
    ("own-expert", {"projection_level": "interaction", "gate": "per_behavior"}),
]
EVERY = [*((name, {}) for name in ABLATIONS), *SWITCHES]
ALL = pytest.mark.parametrize(("name", "changes"), EVERY, ids=str)


@pytest.fixture(scope="module")
def data():
    return generate(n_users=40, n_items=30, behaviors=NAMES, seed=0)


def config_of(name, **changes) -> PkefConfig:
    return preset(name, NAMES).replaced(**{**SMALL, **changes}).checked(NAMES)


def model_of(name, data, place="cpu", stored=None, **changes) -> Pkef:
    config = config_of(name, precision="float64", **changes)
    return Pkef(config, data, device(place) if isinstance(place, str) else place, stored)


def scores_of(model):
    return model.ranker().scores(np.arange(model.n_users))


def moved(model, seed=0):
    """The model with parameters away from zero biases and tiny tables."""
    rng = np.random.default_rng(seed)
    for name, tensor in model.parameters.items():
        # Sums over layers make large inputs of the tables: gates would be all or nothing.
        tensor.data += (0.02 if name.endswith("embedding") else 0.2) * rng.normal(size=tensor.shape)
    return model


# ---- what the heads are -------------------------------------------------------------------------


@ALL
def test_the_gradient_is_that_of_central_differences(name, changes, data):
    model = moved(model_of(name, data, "reference", d=3, **{"score_scale": 2, **changes}))
    trainer, rng = Trainer(model, data), np.random.default_rng(1)
    batch = trainer.next_batch()
    trainer.gradients(batch)
    gradients = {key: one.grad for key, one in model.parameters.items()}
    for key, tensor in model.parameters.items():
        direction, start, ends = rng.normal(size=tensor.shape), tensor.data.copy(), []
        for h in (1e-6, -1e-6):
            tensor.data[...] = start + h * direction
            ends.append(trainer.gradients(batch)["loss.data"])
        tensor.data[...] = start
        if gradients[key] is None:
            k = int(key.strip("abcdefghijklmnopqrstuvwxyz_.")[0])
            assert key == f"tower.{k}.bias" or model.config.coefficients[k] == 0, key
            assert ends[0] == pytest.approx(ends[1], rel=1e-13), key
            continue
        assert np.any(gradients[key] != 0), key
        exact = np.sum(gradients[key] * direction)
        assert (ends[0] - ends[1]) / 2e-6 == pytest.approx(exact, rel=2e-6, abs=1e-8), key


@ALL
def test_two_users_have_their_own_rankings(name, changes, data):
    model = moved(model_of(name, data, **changes))
    orders = np.argsort(-scores_of(model), axis=1, kind="stable")
    if name == LITERAL:
        assert np.all(orders == orders[0])
    else:
        assert len(np.unique(orders, axis=0)) > 1


@ALL
def test_a_score_is_the_same_in_a_batch_and_in_the_ranking(name, changes, data):
    model = moved(model_of(name, data, **changes))
    trainer = Trainer(model, data)
    batch = trainer.next_batch()
    found = 0
    for (kind, term), scores in model.scores(batch).items():
        if kind == "cascade" and term.k == len(NAMES) - 1:
            pairs = batch.pairs[term]
            nodes = batch.nodes if model.order is None else model.order.nodes[batch.nodes]
            users, items = nodes[pairs.left], nodes[pairs.right] - data.n_users
            wanted = scores_of(model)[users, items]
            np.testing.assert_allclose(
                scores.data, wanted, rtol=1e-9, atol=1e-9 * np.abs(wanted).max()
            )
            found += 1
    assert found == 1


def test_mmoe_with_one_expert_is_a_shared_bottom(data):
    mmoe = moved(model_of("mmoe", data, experts="0,1"))
    values = {key.replace("expert.shared.0", "bottom"): v for key, v in mmoe.stored().items()}
    bottom = model_of("shared-bottom", data, stored=values)
    np.testing.assert_allclose(scores_of(mmoe), scores_of(bottom), rtol=1e-12)
    losses = [Trainer(one, data) for one in (mmoe, bottom)]
    one, two = (trainer.gradients(trainer.next_batch()) for trainer in losses)
    assert one == pytest.approx(two, rel=1e-12)


def test_ple_without_own_experts_is_mmoe(data):
    mmoe = moved(model_of("mmoe", data, experts="0,2"))
    ple = model_of("ple", data, stored=mmoe.stored(), experts="0,2")
    np.testing.assert_array_equal(scores_of(mmoe), scores_of(ple))


@pytest.mark.parametrize("level", ["side", "interaction"])
def test_pme_with_its_own_expert_alone_is_an_inner_product(level, data):
    """Without a gate; under one, a share of it. Without the gate alone, the experts' sum."""
    changes = {"projection_level": level, "projection_scale": 0.3}
    values = moved(model_of("official", data, **changes)).stored()
    values["gate.weight"] *= 0.05  # else it is all or nothing
    plain, gated, summed = (
        model_of("official", data, stored=values, **changes, **more)
        for more in (
            {"shared_experts": False, "gate": "none"},
            {"shared_experts": False},
            {"gate": "none"},
        )
    )
    table = plain.cascade_tables([2])[2]
    product = plain.config.score_scale * table[: data.n_users] @ table[data.n_users :].T
    np.testing.assert_allclose(scores_of(plain), product, rtol=1e-9, atol=1e-9)
    share = scores_of(gated) / product
    assert np.all((share > 0) & (share < 1)) and np.ptp(share) > 0.01
    experts = [product]
    tables = plain.cascade_tables(range(3))
    own = tables[2]
    for j in (0, 1):
        if level == "side":
            c = np.sum(tables[j] * own, axis=1) / np.sum(own * own, axis=1)
            experts.append(0.3**2 * np.outer(c[: data.n_users], c[data.n_users :]) * product)
        else:
            q, q_own = (x[: data.n_users, None] * x[data.n_users :] for x in (tables[j], own))
            cosine = np.sum(q * q_own, 2) / np.sqrt(np.sum(q * q, 2) * np.sum(q_own * q_own, 2))
            experts.append(0.3 * cosine * product)
    np.testing.assert_allclose(scores_of(summed), sum(experts), rtol=1e-7)


def test_a_full_relation_that_is_diagonal_is_the_diagonal_form(data):
    diagonal = moved(model_of("without-pme", data))
    values = diagonal.stored()
    relation = values.pop("relation")
    full = {f"relation.{k}": np.diag(relation[k]) for k in range(3)}
    full = model_of("bilinear-full", data, stored=values | full)
    np.testing.assert_allclose(scores_of(full), scores_of(diagonal), rtol=1e-11)


def test_couplings_weigh_the_tables(data):
    """Ones, λ, and a softmax that is even at the start."""
    found = {}
    for coupling in ("ones", "coefficients", "learned"):
        model = model_of("mmoe", data, coupling=coupling, coefficients="0,0.75,0.25")
        tables = model.cascade_tables(model.head.reads(2))
        found[coupling] = model.head.coupled(tables, model.parameters), model.head.reads(2)
    Z = model.cascade_tables(range(3))
    np.testing.assert_allclose(found["ones"][0], Z[0] + Z[1] + Z[2], rtol=1e-13)
    np.testing.assert_allclose(found["coefficients"][0], 0.75 * Z[1] + 0.25 * Z[2], rtol=1e-13)
    np.testing.assert_allclose(found["learned"][0], (Z[0] + Z[1] + Z[2]) / 3, rtol=1e-13)
    assert found["coefficients"][1] == {1, 2}


def test_towers_biases_stay_where_they_are(data):
    """No loss sees them: their gradient is 0, not the rounding that Adam would blow up."""
    for name in ("shared-bottom", "shared-bottom-hadamard", LITERAL, "mmoe"):
        model = PKEF(name, **SMALL).fit(data).model
        for k in range(3):
            assert model.stored()[f"tower.{k}.bias"] == 0
        if name == "mmoe":
            assert np.any(model.stored()["gate.2.bias"] != 0)


# ---- choices ------------------------------------------------------------------------------------

CHANGED = {
    "base": {"fusion": "none", "head": "bilinear", "unique_loss": False},
    "without-pkf": {"fusion": "none"},
    "without-pme": {"head": "bilinear", "unique_loss": False},
    "own-expert": {"shared_experts": False},
    "without-gate": {"gate": "none"},
    "without-unique": {"unique_loss": False},
    "unscaled": {"score_scale": 1.0},
    "self-loops": {"self_loops": True},
    "full-fusion": {"fusion_scale": 1.0},
    "mmoe": {"head": "mmoe", "experts": [0, 3], "unique_loss": False},
    "ple": {"head": "ple", "experts": [1, 2], "unique_loss": False},
}


@pytest.mark.parametrize("name", CHANGED)
def test_an_ablation_changes_one_thing_of_the_official_preset(name):
    official, found = (preset(one, NAMES).as_dict() for one in ("official", name))
    changed = {key: value for key, value in found.items() if value != official[key]}
    wanted = CHANGED[name]
    assert {k: list(v) if isinstance(v, tuple) else v for k, v in changed.items()} == wanted


def test_four_behaviours_have_four_experts():
    four = ("click", "collect", "cart", "buy")
    assert preset("mmoe", four).experts == (0, 4)
    assert preset("ple", four).experts == (1, 3)


@pytest.mark.parametrize(
    ("name", "kinds"),
    [
        ("base", {"cascade"}),
        ("without-pkf", {"cascade", "unique"}),
        ("without-pme", {"cascade", "parallel"}),
        ("mmoe", {"cascade", "parallel"}),
        ("official", {"cascade", "parallel", "unique"}),
    ],
)
def test_a_loss_has_the_parts_that_the_ablation_leaves(name, kinds, data):
    trainer = Trainer(model_of(name, data), data)
    assert {key.split(".")[1] for key in trainer.model.losses(trainer.next_batch())} == kinds


BAD = [
    ("official", {"head": "mmoe"}, "'unique_loss' is true, but head 'mmoe' has no part that one"),
    ("mmoe", {"experts": "1,2"}, "'experts' cannot be '1,2'; wanted 0 own experts for head mmoe"),
    ("mmoe", {"experts": "3"}, "'experts' cannot be '3'; wanted two numbers"),
    ("ple", {"experts": "0,0"}, "'experts' cannot be '0,0'; wanted at least one expert"),
    ("ple", {"experts": "1,-1"}, "'experts' cannot be -1; wanted at least 0"),
    ("mmoe", {"coupling": "one"}, "'coupling' cannot be 'one'; did you mean 'ones'?"),
]


@pytest.mark.parametrize(("name", "changes", "sentence"), BAD, ids=str)
def test_bad_choices_are_refused_in_a_sentence(name, changes, sentence):
    with pytest.raises(InputError) as error:
        config_of(name, **changes)
    assert sentence in str(error.value)


def test_no_unique_loss_draws_no_unique_pairs(data):
    sampler = Sampler(data, config_of("without-unique"), device("cpu").kernels)
    assert sampler.terms and all(term.other is None for term in sampler.terms)


# ---- training -----------------------------------------------------------------------------------


@pytest.mark.parametrize("name", HEADS)
def test_the_loss_falls(name, data):
    model = PKEF(name, d=16, batch_users=16, epochs=25, lr=0.003).fit(data)
    losses = [one["loss.cascade.buy"] for one in model.history]
    assert losses[-1] < 0.9 * losses[0]


@pytest.mark.parametrize("name", [*HEADS, LITERAL])
def test_resuming_continues_bit_for_bit(tmp_path, name, data):
    fields = {**SMALL, "average": 0.9}
    whole = PKEF(name, **fields).fit(data, out=tmp_path / "whole", eval_every=1)
    asked = []

    def stop():
        asked.append(1)
        return len(asked) == 4

    cut = tmp_path / "cut"
    PKEF(name, **fields).fit(data, out=cut, eval_every=1, should_stop=stop)
    again = PKEF(name, **fields).fit(data, out=cut, eval_every=1, resume=True)
    assert again.history == whole.history
    assert (cut / "model.npz").read_bytes() == (tmp_path / "whole/model.npz").read_bytes()


@pytest.mark.emulator
@ALL
def test_devices_agree(name, changes, data, monkeypatch):
    """The CPU, the emulator, and a recorded step with CuPy's manners."""
    monkeypatch.setattr("pkef_fast.train.fit.warm_up", lambda *args: None)
    fields = {**SMALL, "d": 4, "precision": "float64", "epochs": 2, **changes}
    places = ("cpu", emulated(), devices.on(Recorder(), "recorder", capture=True))
    wanted, *others = (PKEF(name, place, **fields).fit(data) for place in places)
    users = np.arange(data.n_users)
    scores = wanted.ranker().scores(users)
    for other in others:
        for key, value in wanted.model.stored().items():
            error = np.abs(other.model.stored()[key] - value).max()
            assert error <= 1e-6 * np.abs(value).max(), key
        found = other.ranker().scores(users)
        np.testing.assert_allclose(found, scores, rtol=1e-6, atol=1e-6 * np.abs(scores).max())


@pytest.mark.parametrize("name", ["shared-bottom", "shared-bottom-hadamard", "mmoe", "ple"])
def test_the_estimate_is_near_what_a_step_takes(name):
    big = generate(n_users=900, n_items=700, behaviors=NAMES, seed=1)
    config = config_of(name, d=32, batch_users=64)
    edges = [len(csr.indices) for csr in big.interactions]
    wanted = Pkef.bytes(config, Shape(big.n_users, big.n_items, edges))
    tracemalloc.start()
    try:
        trainer = Trainer(Pkef(config, big, device("reference")), big)
        trainer.gradients(trainer.next_batch())
        trainer.update()
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert 0.4 < wanted / peak < 2.5


def test_experts_are_an_operation_of_every_device():
    assert "experts" in OPERATIONS


# ---- from the command line ----------------------------------------------------------------------


def run(runner, *words):
    done = runner.invoke(main, [str(word) for word in words])
    assert done.exit_code == 0, done.output
    return done


@pytest.mark.parametrize("name", ABLATIONS)
def test_every_preset_is_shown_and_trains(name, tmp_path):
    from click.testing import CliRunner

    runner, out = CliRunner(), tmp_path / "run"
    shown = run(runner, "config", "--preset", name).stdout
    assert "unique_loss = " in shown and "experts = " in shown
    small = ("--set", "d=8", "--set", "users_per_epoch=256")
    run(runner, "train", "--preset", name, "--epochs", 1, "--out", out, *small)
    result = json.loads(run(runner, "evaluate", out, "--json").stdout.splitlines()[-1])
    assert 0 <= result["metrics"]["HR@10"] <= 1


@pytest.mark.parametrize("name", ["base", "mmoe", "shared-bottom-hadamard"])
def test_every_command_takes_them(name, tmp_path, monkeypatch):
    """recommend, its explanation behind a re-ranker only, rerank, tune, selection by validation."""
    from click.testing import CliRunner

    monkeypatch.chdir(tmp_path)
    runner, out = CliRunner(), tmp_path / "run"
    small = ("--set", "d=8", "--set", "users_per_epoch=256")
    select = ("--select", "val", "--set", "patience=1", "--eval-every", 1)
    run(runner, "train", "--preset", name, "--epochs", 2, "--out", out, *small, *select)
    run(runner, "train", "--resume", out, "--epochs", 3)
    run(runner, "recommend", out, "--user", 0, "-k", 3)
    plain = runner.invoke(main, ["recommend", str(out), "--user", "0", "--explain"])
    assert plain.exit_code == 2 and "only a re-ranked order can be explained" in plain.output
    fields = ("--set", "epochs=1", "--set", "twin_epochs=1", "--set", "draws=1")
    run(runner, "rerank", out, *fields, "--set", "users=200")
    run(runner, "recommend", out, "--user", 0, "--explain")
    pytest.importorskip("optuna")
    tune = ("tune", "--preset", name, "--trials", 1, "--epochs", 1, "--out", "best.toml")
    run(runner, *tune, *small)
    assert "head" in (tmp_path / "best.toml").read_text(encoding="utf-8")
