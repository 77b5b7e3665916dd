"""Figure 7: the gates' weights, pair by pair from the parameters as the spec writes them."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from forms import emulated

from pkef_fast import InputError, Recommender, load_dataset
from pkef_fast.analysis import gates as module
from pkef_fast.analysis.gates import COLUMNS, gates, random_candidates
from pkef_fast.data import generate

NAMES = ("view", "cart", "buy")
SMALL = {"d": 5, "epochs": 2, "batch_users": 16, "score_scale": 7.0, "precision": "float64"}
LEAK = 0.1


@pytest.fixture(scope="module")
def data():
    return generate(n_users=30, n_items=20, behaviors=NAMES, seed=4)


def trained(data, preset, **changes):
    """A model whose parameters are far from where all gates are even."""
    model = Recommender("pkef", preset, **{**SMALL, **changes}).fit(data)
    rng = np.random.default_rng(1)
    for name, tensor in model.model.parameters.items():
        if not name.endswith("embedding"):
            tensor.data += 0.2 * rng.normal(size=tensor.shape)
        if name.startswith("gate") and name.endswith("weight"):
            tensor.data *= 0.02  # sums over layers are large inputs
    return model


def softmax(x):
    return np.exp(x - x.max()) / np.exp(x - x.max()).sum()


def projected(a, b):
    return (a @ b) / (b @ b + 1e-12) * b


def pme(model, user, item):
    """Weights and experts by slot: the target's, then the others in rising order."""
    config, values = model.model.config, model.model.stored()
    tables = model.model.cascade_tables(range(3))
    users = [tables[k][user] for k in range(3)]
    items = [tables[k][30 + item] for k in range(3)]
    gate = "gate" if config.gate == "shared" else "gate.2"
    x = np.concatenate([users[2], items[2]])
    weights = softmax(x @ values[f"{gate}.weight"] + values[f"{gate}.bias"])
    experts, c = [users[2] @ items[2]], config.projection_scale
    for j in (0, 1):
        if config.projection_level == "side":
            left, right = (c * projected(s[j], s[2]) for s in (users, items))
            experts.append(left @ right)
        else:
            q, own = users[j] * items[j], users[2] * items[2]
            cosine = q @ own / np.sqrt((q @ q + 1e-12) * (own @ own + 1e-12))
            experts.append(c * cosine * own.sum())
    return weights, experts


def mixed(model, user, item):
    """Weights and experts of MMoE and PLE: the target's own, then the shared ones."""
    values, tables = model.model.stored(), model.model.cascade_tables(range(3))
    e = sum(tables.values())
    x = np.concatenate([e[user], e[30 + item]])
    own = [name for name in (f"expert.2.{j}" for j in range(9)) if f"{name}.bias" in values]
    shared = [n for n in (f"expert.shared.{j}" for j in range(9)) if f"{n}.bias" in values]
    experts = []
    for name in own + shared:
        h = x @ values[f"{name}.weight"] + values[f"{name}.bias"]
        experts.append(np.where(h > 0, h, LEAK * h) @ values["tower.2.weight"][:, 0])
    return softmax(x @ values["gate.2.weight"] + values["gate.2.bias"]), experts


CASES = [
    ("official", {"projection_scale": 0.4}, pme, NAMES, (1, 2, 0)),
    ("official", {"projection_level": "interaction"}, pme, NAMES, (1, 2, 0)),
    ("paper", {"score_scale": 3.0}, pme, NAMES, (1, 2, 0)),
    ("mmoe", {}, mixed, ("expert 1", "expert 2", "expert 3"), (0, 1, 2)),
    ("ple", {}, mixed, ("buy 1", "shared 1", "shared 2"), (0, 1, 2)),
    ("ple", {"experts": (2, 1)}, mixed, ("buy 1", "buy 2", "shared 1"), (0, 1, 2)),
]


@pytest.mark.parametrize(("preset", "changes", "brute", "names", "slots"), CASES, ids=str)
def test_gates_are_those_of_each_held_out_pair(data, preset, changes, brute, names, slots):
    model = trained(data, preset, **changes)
    found = gates(model, data)
    pairs = list(zip(data.test_users, data.test_items, strict=True))
    weights, experts = (np.array(x) for x in zip(*(brute(model, *p) for p in pairs), strict=True))
    assert found.columns == COLUMNS
    assert found.column("model") == [preset] * 3
    assert tuple(found.column("expert_name")) == names
    assert tuple(found.column("slot")) == slots
    entropy = np.mean([-w @ np.log(w) for w in weights])
    assert 0.05 < entropy < 1.09  # neither all or nothing nor even, or the test shows little
    for one in found.records():
        g, q = weights[:, one["slot"]], experts[:, one["slot"]]
        assert one["mean"] == pytest.approx(g.mean(), rel=1e-9)
        assert one["std"] == pytest.approx(g.std(), rel=1e-7)
        assert one["entropy"] == pytest.approx(entropy, rel=1e-9)
        assert one["mean_term"] == pytest.approx(np.abs(g * q).mean(), rel=1e-6)
    scale = model.model.config.score_scale
    offset = model.model.stored().get("tower.2.bias", np.zeros(1))[0] if brute is mixed else 0
    scores = scale * (np.sum(weights * experts, axis=1) + offset)
    ranked = model.ranker().scores(data.test_users)[np.arange(len(pairs)), data.test_items]
    np.testing.assert_allclose(scores, ranked, rtol=1e-6)


@pytest.mark.parametrize(("preset", "brute"), [("official", pme), ("mmoe", mixed)])
def test_gates_over_random_candidates_are_those_of_each_of_them(data, preset, brute):
    model = trained(data, preset)
    pairs = list(zip(*random_candidates(data, 6, 3), strict=True))
    weights, experts = (np.array(x) for x in zip(*(brute(model, *p) for p in pairs), strict=True))
    found = gates(model, data, candidates=6, seed=3)
    for one in found.records():
        g, q = weights[:, one["slot"]], experts[:, one["slot"]]
        assert one["mean"] == pytest.approx(g.mean(), rel=1e-9)
        assert one["mean_term"] == pytest.approx(np.abs(g * q).mean(), rel=1e-6)
    assert found == gates(model, data, candidates=6, seed=3)
    others = (gates(model, data, candidates=6, seed=4), gates(model, data))
    assert all(found.column("mean") != one.column("mean") for one in others)


def test_candidates_are_different_items_that_are_not_bought(data):
    users, items = random_candidates(data, 5, 0)
    assert np.array_equal(users, np.repeat(np.unique(data.test_users), 5))
    bought = data.interactions[-1]
    drawn = np.zeros(data.n_items, int)
    for user in np.unique(users):
        own = items[users == user]
        assert len(set(own.tolist())) == 5
        assert not set(own.tolist()) & set(
            bought.indices[bought.indptr[user] : bought.indptr[user + 1]].tolist()
        )
        drawn[own] += 1
    assert drawn.all()
    again = random_candidates(data, 5, 0)
    assert np.array_equal(items, again[1])
    assert not np.array_equal(items, random_candidates(data, 5, 1)[1])
    # The held-out item is one of those that can be drawn; where there are fewer, all are.
    users, items = random_candidates(data, 99, 0)
    assert len(users) == sum(20 - np.diff(bought.indptr)[np.unique(data.test_users)])
    pairs = set(zip(users.tolist(), items.tolist(), strict=True))
    assert set(zip(data.test_users.tolist(), data.test_items.tolist(), strict=True)) <= pairs
    nobody = replace(data, test_users=data.test_users[:0], test_items=data.test_items[:0])
    assert [len(one) for one in random_candidates(nobody, 5, 0)] == [0, 0]


def test_a_number_of_candidates_that_cannot_be_is_refused(data):
    with pytest.raises(InputError, match="candidates cannot be -1"):
        gates(trained(data, "mmoe"), data, candidates=-1)


def test_pairs_are_weighed_in_pieces(data, monkeypatch):
    model = trained(data, "mmoe")
    whole = gates(model, data, name="mine")
    monkeypatch.setattr(module, "PAIRS", 7)
    pieces = gates(model, data, name="mine")
    assert whole.column("model") == ["mine"] * 3
    np.testing.assert_allclose(pieces.column("mean"), whole.column("mean"), rtol=1e-14)


@pytest.mark.emulator
@pytest.mark.parametrize("preset", ["official", "ple"])
def test_devices_agree(data, preset, monkeypatch):
    """Of the same model, loaded on both."""
    monkeypatch.setattr("pkef_fast.train.fit.warm_up", lambda *args: None)
    model = trained(data, preset)
    other = Recommender("pkef", preset, emulated(), **{**SMALL, "epochs": 0}).fit(data)
    other.model.start_from(model.model.stored())
    wanted, found = gates(model, data), gates(other, data)
    assert found.column("expert_name") == wanted.column("expert_name")
    for name in ("mean", "std", "entropy", "mean_term"):
        np.testing.assert_allclose(found.column(name), wanted.column(name), rtol=1e-8)


def test_a_model_without_a_gate_has_no_gates(data):
    for preset in ("without-gate", "base", "shared-bottom"):
        assert gates(Recommender("pkef", preset, **SMALL).fit(data), data) is None
    assert gates(Recommender("graph-rank").fit(data), data) is None


def test_another_data_set_is_refused(data):
    with pytest.raises(InputError, match="was trained on 30 and 20"):
        gates(trained(data, "mmoe"), load_dataset("demo"))
