"""Figure 2 against the cascade written out with dense matrices."""

from __future__ import annotations

import numpy as np
import pytest
from forms import emulated
from shops import dense

from pkef_fast import InputError, Recommender
from pkef_fast.analysis.behavior_inheritance import COLUMNS, inheritance
from pkef_fast.data import generate

NAMES = ("view", "cart", "buy")
SMALL = {"d": 4, "epochs": 3, "batch_users": 16, "precision": "float64", "layers": (2, 1, 1)}


@pytest.fixture(scope="module")
def data():
    return generate(n_users=30, n_items=20, behaviors=NAMES, seed=5)


def cascade(model, data, heard):
    """z^{k,0} and Z^k with the messages, and what is fused with them, of some graphs alone."""
    config, values = model.model.config, model.model.stored()
    E = np.concatenate([values["user_embedding"], values["item_embedding"]])
    z, found = E, []
    for k, csr in enumerate(data.interactions):
        M = dense(csr, data.n_items).astype(float)
        A = np.block([[np.zeros((30, 30)), M], [M.T, np.zeros((20, 20))]])
        A = A + np.eye(50) * config.self_loops
        A = A / np.maximum(A.sum(axis=1, keepdims=True), 1)
        p, start, Z = E, z, z.copy()
        for layer in range(config.layers[k]):
            c = A @ z if k in heard else np.zeros_like(z)
            e = A @ p
            p = e + p
            a = e if config.fusion_source == "message" else p
            fused = np.zeros_like(z)
            if k in heard and config.fusion == "projection":
                fused = np.sum(a * c, 1, keepdims=True) / (np.sum(c * c, 1, keepdims=True) + 1e-12)
                fused = fused * c
            elif k in heard and config.fusion == "linear":
                weight, bias = (values[f"fusion.{k}.{layer}.{n}"] for n in ("weight", "bias"))
                fused = a @ weight + bias
            z = z + c + config.fusion_scale * fused
            Z += z
        found.append((start, Z))
        z = z + start
    return found


def length(x):
    return np.linalg.norm(x, axis=1)


@pytest.mark.parametrize("preset", ["official", "paper", "linear", "base", "without-pkf"])
def test_measures_are_those_of_the_cascade(data, preset):
    model = Recommender("pkef", preset, **SMALL).fit(data)
    table = inheritance(model)
    assert table.columns == COLUMNS
    assert set(table.column("model")) == {preset}
    found = {row[1:5]: row[5:] for row in table.rows}
    assert len(found) == len(table.rows) == 2 * (9 + 2 + 2 + 3 + 4)
    whole = cascade(model, data, {0, 1, 2})
    alone = {j: cascade(model, data, {j} - {-1}) for j in (-1, 0, 1, 2)}
    for side, nodes in (("user", slice(0, 30)), ("item", slice(30, 50))):
        Z = [pair[1][nodes] for pair in whole]
        for i, a in enumerate(NAMES):
            for j, b in enumerate(NAMES):
                cos = np.sum(Z[i] * Z[j], axis=1) / length(Z[i]) / length(Z[j])
                assert found["cos", side, a, b] == pytest.approx((cos.mean(), cos.std()), abs=1e-9)
        for k in (1, 2):
            start = whole[k][0][nodes]
            part = np.sum(Z[k] * start, 1, keepdims=True) / length(start)[:, None] ** 2 * start
            share = length(part) / length(Z[k])
            assert found["inherit", side, NAMES[k], None] == pytest.approx(
                (share.mean(), share.std()), rel=1e-8
            )
        for k, name in enumerate(NAMES):
            sizes = np.array([length(alone[j][k][1][nodes]) for j in range(-1, k + 1)])
            shares = sizes / sizes.sum(axis=0)
            for col, share in zip(("embedding", *NAMES), shares, strict=False):
                assert found["source", side, name, col] == pytest.approx(
                    (share.mean(), share.std()), rel=1e-8
                )


def test_the_cascade_is_what_is_ranked_by(data):
    """All graphs heard: the tables that score; none: multiples of the embedding."""
    model = Recommender("pkef", "official", **SMALL).fit(data).model
    tables = model.cascade_tables(range(3))
    for k, (_, Z) in enumerate(model.cascade()):
        np.testing.assert_array_equal(Z, tables[k])
    silent = model.cascade(set())
    E = silent[0][0]
    for (start, Z), factors in zip(silent, ((1, 3), (2, 4), (4, 8)), strict=True):
        np.testing.assert_array_equal(start, factors[0] * E)
        np.testing.assert_array_equal(Z, factors[1] * E)


@pytest.mark.emulator
def test_devices_agree(data, monkeypatch):
    """Of the same model on both."""
    monkeypatch.setattr("pkef_fast.train.fit.warm_up", lambda *args: None)
    model = Recommender("pkef", "official", **SMALL).fit(data)
    other = Recommender("pkef", "official", emulated(), **{**SMALL, "epochs": 0}).fit(data)
    other.model.start_from(model.model.stored())
    wanted, found = inheritance(model, "one"), inheritance(other, "one")
    assert [row[:5] for row in found.rows] == [("one", *row[1:5]) for row in wanted.rows]
    for name in ("mean", "std"):
        np.testing.assert_allclose(found.column(name), wanted.column(name), atol=1e-9)


def test_other_models_are_refused(data):
    model = Recommender("mf-bpr", d=4, epochs=1).fit(data)
    with pytest.raises(InputError, match="model 'mf-bpr' has no cascade of behaviours"):
        inheritance(model)
