"""Replay numbers that other implementations computed; `--fixtures DIR` replays another folder.

`release_*` come from the authors' TensorFlow code in float32, `exact_pkef_*` from an independent
float64 implementation; both are replayed in float64 with each form of the kernels, or with that of
`--device NAME` alone. What the keys mean stands in tests/fixtures/README.md.
"""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import numpy as np
import pytest
from forms import MARKS, emulated, gpu

from pkef_fast.data.dataset import Csr, Dataset
from pkef_fast.device import device
from pkef_fast.evaluate import figures as evaluation
from pkef_fast.models.pkef.config import PkefConfig
from pkef_fast.models.pkef.model import Pkef
from pkef_fast.models.pkef.pkf import streams, streams_as_written
from pkef_fast.models.pkef.presets import preset
from pkef_fast.models.pkef.sampling import Rows, Sampler, Term, compacted, unique_pairs
from pkef_fast.tape.autograd import Tensor, no_grad
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


def close(found, wanted, tolerance, name):
    """Compare to a share of the largest wanted entry."""
    found = found.get() if hasattr(found, "get") else found  # CuPy's
    found, wanted = np.asarray(found, np.float64), np.asarray(wanted, np.float64)
    assert found.shape == wanted.shape, f"{name}: shape {found.shape}, wanted {wanted.shape}"
    if wanted.size == 0:
        return
    largest = np.abs(wanted).max()
    error = np.abs(found - wanted).max()
    assert error <= tolerance * largest, (
        f"{name}: off by {error / (largest or 1):.2e} of the largest"
    )


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


def batches(rows, config, data, place):
    """The batch of all terms, and that of the terms that have a loss."""
    live = {term: r for term, r in rows.items() if config.coefficients[term.k] > 0}
    placed = [{term: place.place(r) for term, r in some.items()} for some in (rows, live)]
    return [compacted(r, data.n_users, data.n_items, place.kernels) for r in placed]


def check_scores(model, data, ranks, wanted, tolerance, name):
    kernels = model.device.kernels
    scorer = model.scorer()
    everybody = np.arange(data.n_users, dtype=np.int32)
    close(kernels.rank.scores(*kernels.place((scorer, everybody))), wanted, tolerance, name)
    if ranks is not None:
        found = evaluation.evaluate(model.ranker(), data).ranks
        np.testing.assert_array_equal(found, ranks[data.test_users])


def test_exact(exact_file, kernels_of):
    with np.load(exact_file, allow_pickle=False) as archive:
        z = dict(archive)
    fields = json.loads(str(z["config"]))
    if (
        "model" in fields
        or "coefficients" not in fields
        or fields["head"] not in ("pme", "bilinear")
    ):
        pytest.skip(
            f"{exact_file.stem}: model {fields.get('model', fields.get('head'))!r} is not built yet"
        )
    n_behaviors = len(fields["layers"])
    behaviors = [f"b{k}" for k in range(n_behaviors)]
    config = PkefConfig(precision="float64").replaced(**fields).checked(behaviors)
    data = dataset_of(z, behaviors, z["test_item"])
    parameters = {n.removeprefix("param."): v for n, v in z.items() if n.startswith("param.")}
    model = Pkef(config, data, kernels_of, parameters)
    assert set(model.parameters) == set(parameters)
    rows = {}
    for name in z:
        if name.startswith("batch.") and name.endswith(".users"):
            *_, k = numbers = name.removesuffix(".users").removeprefix("batch.").split(".")
            other = int(numbers[1]) if numbers[0] == "unique" else None
            prefix = name.removesuffix("users")
            rows[Term(int(k), other)] = Rows(*(z[prefix + part] for part in Rows._fields))
    everything, live = batches(rows, config, data, kernels_of)

    # forward quantities, of every behaviour
    table = np.concatenate([parameters["user_embedding"], parameters["item_embedding"]])
    table = kernels_of.place(table)
    everyone = frozenset(range(n_behaviors))
    with no_grad():
        P, Z = streams(
            Tensor(table, kernels_of), model.graphs, config, model.parameters, everyone, everyone
        )
        written_P, written_Z = streams_as_written(
            Tensor(table, kernels_of), model.graphs, config, model.parameters
        )
    for k in range(n_behaviors):
        close(Z[k].data, z[f"cascade.{k}"], EXACT["forward"], f"cascade.{k}")
        close(written_Z[k].data, z[f"cascade.{k}"], EXACT["forward"], f"as written: cascade.{k}")
        if config.fusion != "none":
            close(P[k].data, z[f"parallel.{k}"], EXACT["forward"], f"parallel.{k}")
            close(written_P[k].data, z[f"parallel.{k}"], EXACT["forward"], f"as written: {k}")
        if f"gate.{k}.positives" in z and config.head == "pme":
            check_gate(model, Z, k, everything, z[f"gate.{k}.positives"])

    # scores and losses of every part
    scores, losses = model.scores(everything), model.losses(everything)
    expected = {n for n in z if n.startswith("loss.") and n.count(".") > 1}
    if config.fusion == "none":
        expected = {n for n in expected if not n.startswith("loss.parallel")}
    found = set()
    for (kind, term), loss in losses.items():
        numbers = f"{term.k}" if term.other is None else f"{term.other}.{term.k}"
        n = len(scores[kind, term].data) // 2
        for sign, piece in (("pos", slice(0, n)), ("neg", slice(n, None))):
            name = f"score.{kind}.{numbers}.{sign}"
            close(scores[kind, term].data[piece], z[name], EXACT["scores"], name)
        name = f"loss.{kind}.{numbers}"
        close(loss.data, z[name], EXACT["loss"], name)
        found.add(name)
    with_rows = {n for n in expected if not _is_empty_term(n, rows)}
    assert found == with_rows

    # the training step: loss, gradients, updates
    trainer = Trainer(model, data)
    for update in range(1, 4):
        values = trainer.gradients(live)
        if update == 1:
            close(values["loss.data"], z["loss.data"], EXACT["loss"], "loss.data")
            for name, tensor in model.parameters.items():
                gradient = 0.0 if tensor.grad is None else kernels_of.to_host(tensor.grad)
                if model.penalised(name):
                    penalty = kernels_of.to_host(tensor.data)
                    gradient = gradient + 2 * config.regularization * penalty
                gradient = np.broadcast_to(gradient, tensor.shape)
                close(gradient, z[f"grad.{name}"], EXACT["gradient"], f"grad.{name}")
        penalty = trainer.update()
        trainer.step += 1
        if update == 1:
            close(penalty, z["loss.regularization"], EXACT["loss"], "loss.regularization")
            close(values["loss.data"] + penalty, z["loss"], EXACT["loss"], "loss")
        if update in (1, 3):
            for name, tensor in model.parameters.items():
                wanted = z[f"param_after{update}.{name}"]
                close(tensor.data, wanted, EXACT["parameter"], f"param_after{update}.{name}")
    check_scores(model, data, None, z["scores_after3"], EXACT["parameter"], "scores_after3")
    before = Pkef(config, data, kernels_of, parameters)
    check_scores(before, data, z["rank"], z["scores"], EXACT["scores"], "scores")
    figures = evaluation.figures(z["rank"][z["rank"] >= 0], (3, 10))
    for name in ("HR@3", "NDCG@3", "HR@10", "NDCG@10"):
        close(figures[name], z[name], 1e-12, name)


def _is_empty_term(name, rows):
    _, kind, *numbers = name.split(".")
    other = int(numbers[0]) if kind == "unique" else None
    term = Term(int(numbers[-1]), other)
    return term not in rows or not len(rows[term].users)


def check_gate(model, Z, k, batch, wanted):
    """Gate weights of behaviour k's positives."""
    kernels, config = model.device.kernels, model.config
    tables = kernels.pairs.gather([Z[j].data for j in range(model.n_behaviors)], batch.nodes)
    weight, bias = (tensor.data for tensor in model.head._gate(model.parameters, k))
    gated = getattr(kernels.pme, f"gated_{config.projection_level}")
    _, saved = gated(
        tables,
        batch.n_users,
        k,
        weight,
        bias,
        batch.pairs[Term(k)],
        config.projection_scale,
        config.score_scale,
    )
    close(saved[0][: len(wanted)], wanted, EXACT["forward"], f"gate.{k}.positives")


NORMALIZATIONS = {"left": "left", "symm": "symmetric", "right": "right"}


def test_release(release_file, kernels_of):
    with np.load(release_file, allow_pickle=False) as archive:
        z = dict(archive)
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
    names = {
        "user_embedding": "uEmbed0",
        "item_embedding": "iEmbed0",
        "gate.weight": "gate111",
        "gate.bias": "gate111Bias",
    }
    parameters = {name: z[f"init.{theirs}"] for name, theirs in names.items()}
    model = Pkef(config, data, kernels_of, parameters)

    rows = {}
    for k in range(len(behaviors)):
        rows[Term(k)] = _halves(z[f"feed.uids.{k}"], z[f"feed.iids.{k}"])
        for j in range(len(behaviors)):
            if f"feed.uids2.{k}.{j}" in z:
                rows[Term(k, j)] = _halves(z[f"feed.uids2.{k}.{j}"], z[f"feed.iids_other.{k}.{j}"])
    admitted = set(unique_pairs(config, len(behaviors)))
    assert {term for term in rows if term.other is not None} <= admitted
    everything, live = batches(rows, config, data, kernels_of)

    # the positive sets that the release made
    sampler = Sampler(
        data, dataclasses.replace(config, coefficients=(1.0,) * len(behaviors)), kernels_of.kernels
    )
    for one in sampler.sets:
        if one.term.other is not None:
            dense = np.zeros((data.n_users, data.n_items), np.uint8)
            indptr, indices = map(kernels_of.to_host, one.positives)
            dense[np.repeat(np.arange(data.n_users), np.diff(indptr)), indices] = 1
            np.testing.assert_array_equal(dense, z[f"uni.{one.term.k}.{one.term.other}"] > 0)

    table = np.concatenate([parameters["user_embedding"], parameters["item_embedding"]])
    everyone = frozenset(range(len(behaviors)))
    with no_grad():
        P, Z = streams(
            Tensor(kernels_of.place(table.astype(np.float64)), kernels_of),
            model.graphs,
            config,
            model.parameters,
            everyone,
            everyone,
        )
    for k in range(len(behaviors)):
        for tables, kind in ((P, "par"), (Z, "cas")):
            wanted = np.concatenate([z[f"{kind}.user.{k}"], z[f"{kind}.item.{k}"]])
            close(tables[k].data, wanted, RELEASE["forward"], f"{kind}.{k}")
    theirs = {"cascade": "preds.{k}", "parallel": "preds_single.{k}", "unique": "preds_uni.{k}.{j}"}
    for (kind, term), scores in model.scores(everything).items():
        name = theirs[kind].format(k=term.k, j=term.other)
        if name in z:
            close(scores.data, z[name], RELEASE["scores"], name)
    for k in range(len(behaviors)):
        if f"gate.{k}" in z and Term(k) in everything.pairs:
            wanted = z[f"gate.{k}"]
            tables = kernels_of.kernels.pairs.gather(
                [Z[j].data for j in range(len(behaviors))], everything.nodes
            )
            _, saved = kernels_of.kernels.pme.gated_side(
                tables,
                everything.n_users,
                k,
                model.parameters["gate.weight"].data,
                model.parameters["gate.bias"].data,
                everything.pairs[Term(k)],
                config.projection_scale,
                config.score_scale,
            )
            close(saved[0], wanted, RELEASE["scores"], f"gate.{k}")

    trainer = Trainer(model, data)
    check_release_ranks(model, data, z, "init")
    for update in range(1, 6):
        values = trainer.gradients(live)
        if update == 1:
            close(values["loss.data"], z["preLoss"], RELEASE["loss"], "preLoss")
            for name, theirs_name in names.items():
                gradient = model.parameters[name].grad
                if model.penalised(name):
                    tensor = model.parameters[name]
                    gradient = gradient + 2 * config.regularization * tensor.data
                close(gradient, z[f"grad.{theirs_name}"], RELEASE["gradient"], f"grad.{name}")
        penalty = trainer.update()
        trainer.step += 1
        # From the second step on the loss is that of parameters which agree to 3.5e-6 of their
        # largest entry; scores are products of two of them.
        tolerance = RELEASE["loss"] if update == 1 else 2 * RELEASE["parameter"]
        close(values["loss.data"] + penalty, z["trace.loss"][update - 1], tolerance, "loss")
        if update == 1:
            close(penalty, z["regLoss"], RELEASE["loss"], "regLoss")
        if update in (1, 2, 5):
            for name, theirs_name in names.items():
                wanted = z[f"adam{update}.{theirs_name}"]
                close(
                    model.parameters[name].data,
                    wanted,
                    RELEASE["parameter"],
                    f"adam{update}.{name}",
                )
    check_release_ranks(model, data, z, "adam5")


def check_release_ranks(model, data, z, when):
    # After five updates the parameters' own tolerance carries over to the scores, which are
    # products of two sums over several layers each.
    tolerance = RELEASE["scores"] if when == "init" else 5 * RELEASE["parameter"]
    check_scores(model, data, None, z[f"eval.scores.{when}"], tolerance, f"eval.scores.{when}")
    result = evaluation.evaluate(model.ranker(), data, (3, 10))
    for name in ("HR3", "NDCG3", "HR10", "NDCG10"):
        figure = result[name.replace("R", "R@").replace("CG", "CG@")]
        close(figure, z[f"eval.{name}.{when}"], 1e-12, f"eval.{name}.{when}")


def _halves(users, items):
    """Rows laid out [positives; negatives] as triples; the users repeat."""
    n = len(users) // 2
    np.testing.assert_array_equal(users[:n], users[n:])
    return Rows(users[:n], items[:n], items[n:])
