"""Replay numbers that other implementations computed; `--fixtures DIR` replays another folder.

`release_*` come from the authors' TensorFlow code in float32, `exact_*` from independent float64
implementations; both are replayed in float64 with each form of the kernels, or with that of
`--device NAME` alone. What the keys mean stands in tests/fixtures/README.md; how they map to a
model, in its module of tests/adapters.
"""

from __future__ import annotations

import dataclasses
import functools
import json
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from adapters import adapter_of
from adapters.pkef import all_streams, batch_of, gates_of
from forms import MARKS, emulated, gpu

from pkef_fast.data.dataset import Csr, Dataset
from pkef_fast.device import device
from pkef_fast.evaluate import figures
from pkef_fast.models.pkef import Pkef, preset
from pkef_fast.models.pkef.sampling import Rows, Sampler, Term, unique_pairs
from pkef_fast.train.trainer import Trainer

# Largest difference over the largest entry. Exact files: rounding of a long chain of float64
# operations; release files: what an independent float64 implementation reached (fixtures' README:
# 2e-7, 3e-7, 2e-6, 3e-6, 1e-6), with half a unit of the one digit that is given.
EXACT = {"forward": 1e-9, "loss": 1e-9, "gradient": 1e-9, "parameter": 1e-7, "scores": 1e-9}
RELEASE = {
    "forward": 2.5e-7,
    "loss": 3.5e-7,
    "gradient": 2.5e-6,
    "parameter": 3.5e-6,
    "scores": 1.5e-6,
}


def pytest_generate_tests(metafunc):
    folder = Path(metafunc.config.getoption("fixture_folder"))
    kinds = {"release_file": "release_*.npz", "exact_file": "exact_*.npz"}
    for argument, pattern in kinds.items():
        if argument in metafunc.fixturenames:
            files = sorted(folder.glob(pattern))
            metafunc.parametrize(argument, files, ids=[file.stem for file in files])
    if "kernels_of" in metafunc.fixturenames:
        name = metafunc.config.getoption("fixture_device")
        names = [name] if name else ["reference", "cpu", "emulator"]
        params = [pytest.param(n, marks=MARKS.get(n.partition(":")[0], ())) for n in names]
        metafunc.parametrize("kernels_of", params, indirect=True)


@pytest.fixture
def kernels_of(request):
    """The device to replay on."""
    if request.param == "emulator":
        return emulated()
    if request.param.startswith("cuda"):
        gpu()  # skips where there is none
    return device(request.param)


def test_the_folder_holds_fixtures(request):
    folder = Path(request.config.getoption("fixture_folder"))
    assert list(folder.glob("*.npz")), f"{folder} holds no .npz files"


def close(found, wanted, tolerance, name, floor=0.0):
    """Compare to a share of the largest wanted entry, or of `floor` where that is larger."""
    found = found.get() if hasattr(found, "get") else found  # CuPy's
    found, wanted = np.asarray(found, np.float64), np.asarray(wanted, np.float64)
    assert found.shape == wanted.shape, f"{name}: shape {found.shape}, wanted {wanted.shape}"
    if wanted.size == 0:
        return
    largest = np.abs(wanted).max()
    error = np.abs(found - wanted).max()
    assert error <= tolerance * max(largest, floor), (
        f"{name}: off by {error / (largest or 1):.2e} of the largest"
    )


def close_exact(found, wanted, kind, name):
    close(found, wanted, EXACT[kind], name)


def dataset_of(z, behaviors, test_item) -> Dataset:
    interactions = []
    for k in range(len(behaviors)):
        users, items = np.nonzero(z[f"R.{k}"])
        counts = np.bincount(users, minlength=z[f"R.{k}"].shape[0])
        indptr = np.concatenate([[0], np.cumsum(counts)]).astype(np.int32)
        interactions.append(Csr(indptr, items.astype(np.int32)))
    n_users, n_items = z["R.0"].shape
    users = np.flatnonzero(test_item >= 0).astype(np.int32)
    return Dataset(
        name="fixture",
        behaviors=tuple(behaviors),
        n_users=n_users,
        n_items=n_items,
        interactions=tuple(interactions),
        test_users=users,
        test_items=test_item[users].astype(np.int32),
    )


def scores_of(model, data):
    """Scores of all items for all users."""
    return model.ranker().scores(np.arange(data.n_users, dtype=np.int32))


def gradient_of(model, name):
    """Of the whole loss: penalties on parameters are Adam's own."""
    tensor, to_host = model.parameters[name], model.device.to_host
    gradient = 0.0 if tensor.grad is None else to_host(tensor.grad)
    return np.broadcast_to(gradient + 2 * model.decay(name) * to_host(tensor.data), tensor.shape)


# ---- exact files --------------------------------------------------------------------------------


@functools.cache
def _read(path: Path) -> dict:
    with np.load(path, allow_pickle=False) as archive:
        return dict(archive)


@pytest.fixture
def exact(exact_file, kernels_of):
    """A file's numbers z, its data, a new model's maker, and the adapter."""
    z = _read(exact_file)
    fields = json.loads(str(z["config"]))
    adapter = adapter_of(fields)
    if adapter is None:
        name = fields.get("model", fields.get("head"))
        pytest.skip(f"{exact_file.stem}: model {name!r} is not built yet")
    count = sum(name.startswith("R.") for name in z)
    data = dataset_of(z, [f"b{k}" for k in range(count)], z["test_item"])
    parameters = {n.removeprefix("param."): v for n, v in z.items() if n.startswith("param.")}

    def model():
        return adapter.build(fields, data, kernels_of, parameters)

    assert set(model().parameters) == set(parameters)
    return SimpleNamespace(z=z, data=data, model=model, adapter=adapter)


def test_exact_parts(exact):
    """What the file holds of the forward pass: representations, gates, scores, losses."""
    exact.adapter.check(exact.z, exact.model(), exact.data, close_exact)


def test_exact_training(exact):
    """Loss, gradients, and parameters after one and three updates with one batch."""
    z, data, model = exact.z, exact.data, exact.model()
    trainer = Trainer(model, data)
    batch = exact.adapter.batch(z, model, data)
    for update in range(1, 4):
        values = trainer.gradients(batch)
        if update == 1:
            # A bias before a softmax has a gradient of zero, in which there is rounding alone.
            floor = 1e-6 * max(np.abs(z[f"grad.{name}"]).max() for name in model.parameters)
            for name in model.parameters:
                wanted = z[f"grad.{name}"]
                close(gradient_of(model, name), wanted, EXACT["gradient"], f"grad.{name}", floor)
        penalty = trainer.update()
        trainer.step += 1
        if update == 1:
            close(values["loss.data"] + penalty, z["loss"], EXACT["loss"], "loss")
            if "loss.data" in z:
                close(values["loss.data"], z["loss.data"], EXACT["loss"], "loss.data")
                close(penalty, z["loss.regularization"], EXACT["loss"], "loss.regularization")
        if update in (1, 3):
            for name, tensor in model.parameters.items():
                wanted = z[f"param_after{update}.{name}"]
                close(tensor.data, wanted, EXACT["parameter"], f"param_after{update}.{name}")
    if "scores_after3" in z:
        wanted = z["scores_after3"]
        close(scores_of(model, data), wanted, EXACT["parameter"], "scores_after3")


def test_exact_ranks(exact):
    """Scores of everything, ranks and figures before any update."""
    z, data, model = exact.z, exact.data, exact.model()
    close(scores_of(model, data), z["scores"], EXACT["scores"], "scores")
    found = figures.evaluate(model.ranker(), data, (3, 10))
    np.testing.assert_array_equal(found.ranks, z["rank"][data.test_users])
    for name in ("HR@3", "NDCG@3", "HR@10", "NDCG@10"):
        close(found[name], z[name], 1e-12, name)


# ---- the release's files ------------------------------------------------------------------------

NORMALIZATIONS = {"left": "left", "symm": "symmetric", "right": "right"}
# Our names of its parameters.
NAMES = {
    "user_embedding": "uEmbed0",
    "item_embedding": "iEmbed0",
    "gate.weight": "gate111",
    "gate.bias": "gate111Bias",
}


@pytest.fixture
def release(release_file, kernels_of):
    """A file's numbers z, its data, the model with the initial parameters, and the fed rows."""
    z = _read(release_file)
    behaviors = tuple(str(name) for name in z["cfg.behs"])
    data = dataset_of(z, behaviors, z["tst_int"])
    excluded = (2,) if len(behaviors) == 4 and not z["cfg.all_pairs"] else ()
    config = dataclasses.replace(
        preset("official", behaviors),
        precision="float64",
        d=int(z["cfg.embed_dim"]),
        layers=tuple(int(v) for v in z["cfg.layers"]),
        coefficients=tuple(float(v) for v in z["cfg.coef"]),
        score_scale=float(z["cfg.mult"]),
        fusion_scale=float(z["cfg.denoise_scale"]),
        projection_scale=float(z["cfg.denoise_pme_scale"]),
        loss_scale=float(z["cfg.loss_scale"]),
        regularization=float(z["cfg.reg"]),
        lr=float(z["cfg.lr"]),
        lr_decay=float(z["cfg.decay"]),
        lr_decay_steps=int(z["cfg.decay_step"]),
        normalization=NORMALIZATIONS[str(z["cfg.normalization"])],
        beta1=float(z["cfg.adam_beta1"]),
        beta2=float(z["cfg.adam_beta2"]),
        adam_epsilon=float(z["cfg.adam_eps"]),
        unique_excluded=excluded,
    ).checked(behaviors)
    parameters = {name: z[f"init.{theirs}"] for name, theirs in NAMES.items()}
    rows = {}
    for k in range(len(behaviors)):
        rows[Term(k)] = _halves(z[f"feed.uids.{k}"], z[f"feed.iids.{k}"])
        for j in range(len(behaviors)):
            if f"feed.uids2.{k}.{j}" in z:
                rows[Term(k, j)] = _halves(z[f"feed.uids2.{k}.{j}"], z[f"feed.iids_other.{k}.{j}"])
    model = Pkef(config, data, kernels_of, parameters)
    return SimpleNamespace(z=z, data=data, model=model, rows=rows)


def _halves(users, items):
    """Rows laid out [positives; negatives] as triples; the users repeat."""
    n = len(users) // 2
    np.testing.assert_array_equal(users[:n], users[n:])
    return Rows(users[:n], items[:n], items[n:])


def test_release_positive_sets(release):
    """The unique pairs that there are, and the sets that their positives are drawn from."""
    model, data, z = release.model, release.data, release.z
    count = len(data.behaviors)
    admitted = set(unique_pairs(model.config, count))
    assert {term for term in release.rows if term.other is not None} <= admitted
    config = dataclasses.replace(model.config, coefficients=(1.0,) * count)
    for one in Sampler(data, config, model.device.kernels).sets:
        if one.term.other is not None:
            dense = np.zeros((data.n_users, data.n_items), np.uint8)
            indptr, indices = map(model.device.to_host, one.positives)
            dense[np.repeat(np.arange(data.n_users), np.diff(indptr)), indices] = 1
            np.testing.assert_array_equal(dense, z[f"uni.{one.term.k}.{one.term.other}"] > 0)


def test_release_streams(release):
    """P^k and Z^k of users and items."""
    for tables, kind in zip(all_streams(release.model), ("par", "cas"), strict=True):
        for k in range(release.model.n_behaviors):
            wanted = np.concatenate([release.z[f"{kind}.{side}.{k}"] for side in ("user", "item")])
            close(tables[k].data, wanted, RELEASE["forward"], f"{kind}.{k}")


def test_release_scores_and_gates(release):
    """Every part's scores of the fed rows, and the gates of each behaviour."""
    model, z = release.model, release.z
    batch = batch_of(release.rows, model, release.data)
    theirs = {"cascade": "preds.{k}", "parallel": "preds_single.{k}", "unique": "preds_uni.{k}.{j}"}
    for (kind, term), scores in model.scores(batch).items():
        name = theirs[kind].format(k=term.k, j=term.other)
        if name in z:
            close(scores.data, z[name], RELEASE["scores"], name)
    _, Z = all_streams(model)
    for k in range(model.n_behaviors):
        if f"gate.{k}" in z and Term(k) in batch.pairs:
            gates = gates_of(model, Z, k, batch)
            close(gates, z[f"gate.{k}"], RELEASE["scores"], f"gate.{k}")


def test_release_training(release):
    """Loss and gradients, parameters and losses over five updates, and the ranking after them."""
    model, data, z = release.model, release.data, release.z
    trainer = Trainer(model, data)
    live = {t: r for t, r in release.rows.items() if model.config.coefficients[t.k] > 0}
    batch = batch_of(live, model, data)
    for update in range(1, 6):
        values = trainer.gradients(batch)
        if update == 1:
            close(values["loss.data"], z["preLoss"], RELEASE["loss"], "preLoss")
            for name, theirs in NAMES.items():
                wanted = z[f"grad.{theirs}"]
                close(gradient_of(model, name), wanted, RELEASE["gradient"], f"grad.{name}")
        penalty = trainer.update()
        trainer.step += 1
        # From the second step on the loss is that of parameters which agree to 3.5e-6 of their
        # largest entry; scores are products of two of them.
        tolerance = RELEASE["loss"] if update == 1 else 2 * RELEASE["parameter"]
        close(values["loss.data"] + penalty, z["trace.loss"][update - 1], tolerance, "loss")
        if update == 1:
            close(penalty, z["regLoss"], RELEASE["loss"], "regLoss")
        if update in (1, 2, 5):
            for name, theirs in NAMES.items():
                found, wanted = model.parameters[name].data, z[f"adam{update}.{theirs}"]
                close(found, wanted, RELEASE["parameter"], f"adam{update}.{name}")
    # The parameters' own tolerance carries over to the scores, which are products of two sums over
    # several layers each.
    check_release_ranks(release, "adam5", 5 * RELEASE["parameter"])


def test_release_ranks(release):
    """Scores of everything and figures with the initial parameters."""
    check_release_ranks(release, "init", RELEASE["scores"])


def check_release_ranks(release, when, tolerance):
    model, data, z = release.model, release.data, release.z
    name = f"eval.scores.{when}"
    close(scores_of(model, data), z[name], tolerance, name)
    result = figures.evaluate(model.ranker(), data, (3, 10))
    for name in ("HR3", "NDCG3", "HR10", "NDCG10"):
        figure = result[name.replace("R", "R@").replace("CG", "CG@")]
        close(figure, z[f"eval.{name}.{when}"], 1e-12, f"eval.{name}.{when}")
