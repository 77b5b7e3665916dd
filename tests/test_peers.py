"""bench/peers/: the PyTorch step is that of the model; pkef_fast imports none of its peers."""

from __future__ import annotations

import ast
import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from adapters import lightgcn
from test_fixtures import EXACT, close, dataset_of

from pkef_fast.data import generate
from pkef_fast.device import device
from pkef_fast.models.lightgcn import LightGcn, LightGcnConfig
from pkef_fast.models.pkef.config import PkefConfig
from pkef_fast.models.pkef.model import Pkef
from pkef_fast.models.pkef.presets import preset
from pkef_fast.models.pkef.sampling import Sampler

ROOT = Path(__file__).parents[1]
PEERS = {"torch", "implicit"}


def the_torch_peer():
    """The module; skips the test where PyTorch is not installed."""
    pytest.importorskip("torch", reason="PyTorch is not installed (extra `peers`)")
    from peers import torch_pkef

    return torch_pkef


def parameters_of(z):
    return {n.removeprefix("param."): v for n, v in z.items() if n.startswith("param.")}


def official_fixtures():
    """Those that the peer covers: projection fusion, as in the official preset."""
    for path in sorted((ROOT / "tests" / "fixtures").glob("exact_pkef_official_*.npz")):
        with np.load(path) as z:
            if json.loads(str(z["config"]))["fusion"] == "projection":
                yield pytest.param(path, id=path.stem.removeprefix("exact_pkef_official_"))


@pytest.mark.parametrize("sparse", ["both", "coo", "csr"])
@pytest.mark.parametrize("path", list(official_fixtures()))
def test_the_torch_step_is_that_of_the_fixtures(path, sparse):
    peer = the_torch_peer()
    z = dict(np.load(path))
    fields = json.loads(str(z["config"]))
    behaviors = [f"b{k}" for k in range(len(fields["layers"]))]
    config = PkefConfig(precision="float64").replaced(**fields).checked(behaviors)
    assert peer.covers(config)
    parameters = parameters_of(z)
    training = peer.Training(
        dataset_of(z, behaviors, z["test_item"]), config, parameters, sparse=sparse
    )
    batch = {}
    for name in z:
        if name.startswith("batch.") and name.endswith(".users") and len(z[name]):
            *middle, k = name.split(".")[1:-1]
            rows = (
                z[name.removesuffix("users") + part] for part in ("users", "positives", "negatives")
            )
            if config.coefficients[int(k)]:
                batch[int(k), int(middle[1]) if middle else None] = tuple(rows)
    assert {(k, None) for k in range(len(behaviors)) if config.coefficients[k]} <= set(batch)

    for (kind, (k, other)), loss in training.model.losses(batch).items():
        name = f"loss.{kind}.{k}" if other is None else f"loss.{kind}.{other}.{k}"
        close(loss.item(), z[name], EXACT["loss"], name)
    for update in (1, 2, 3):
        loss = training.learn(batch)
        for name in parameters:
            weight = training.model.weights[name.replace(".", "_")]
            if update == 1:
                close(weight.grad.numpy(), z[f"grad.{name}"], EXACT["gradient"], f"grad.{name}")
            if update in (1, 3):
                wanted = z[f"param_after{update}.{name}"]
                close(weight.detach().numpy(), wanted, EXACT["parameter"], f"{name} {update}")
        if update == 1:
            close(loss, z["loss"], EXACT["loss"], "loss")


def test_the_torch_peer_draws_what_the_sampler_draws():
    """The same terms and numbers of rows, positives from the sets and negatives from outside."""
    peer = the_torch_peer()
    data = generate(n_users=60, n_items=30, seed=4)
    config = preset("official", data.behaviors).checked(data.behaviors)
    ours, theirs = Sampler(data, config, device("cpu").kernels), peer.Sampler(data, config)
    users = np.arange(60, dtype=np.int32)
    wanted = {tuple(term): rows for term, rows in ours.rows(users, 0).items() if len(rows.users)}
    found = theirs.batch(users)
    assert found.keys() == wanted.keys()
    for term, (rows, positives, negatives) in found.items():
        np.testing.assert_array_equal(rows, wanted[term].users)
        inside = theirs.sets[term][0].toarray() != 0
        assert inside[rows, positives].all()
        assert not inside[rows, negatives].any()
    assert sum(len(batch) > 0 for batch in theirs.epoch()) == 1


def test_the_torch_peer_trains():
    peer = the_torch_peer()
    data = generate(n_users=60, n_items=30, seed=4)
    config = preset("official", data.behaviors).replaced(d=8).checked(data.behaviors)
    training = peer.Training(data, config, Pkef(config, data, device("cpu")).stored())
    losses = [training.make_step() for _ in range(30)]
    assert np.mean(losses[-3:]) < 0.9 * np.mean(losses[:3])


@pytest.mark.parametrize("plain", [False, True])
def test_the_torch_lightgcn_is_that_of_the_fixture(plain):
    pytest.importorskip("torch", reason="PyTorch is not installed (extra `peers`)")
    from peers import torch_lightgcn

    z = dict(np.load(ROOT / "tests" / "fixtures" / "exact_lightgcn_default.npz"))
    data = dataset_of(
        z, [f"b{k}" for k in range(sum(n.startswith("R.") for n in z))], z["test_item"]
    )
    model = lightgcn.build(json.loads(str(z["config"])), data, device("cpu"), parameters_of(z))
    training = torch_lightgcn.Training(data, model.config, parameters_of(z), plain)
    assert torch_lightgcn.covers(model.config)
    batch = tuple(z[f"batch.{part}"] for part in ("users", "positives", "negatives"))
    for update in (1, 2, 3):
        loss = training.learn(batch)
        for name, weight in training.weights.items():
            if update == 1:
                close(loss, z["loss"], EXACT["loss"], "loss")
                close(weight.grad.numpy(), z[f"grad.{name}"], EXACT["gradient"], f"grad.{name}")
        if update in (1, 3):
            for name, weight in training.weights.items():
                wanted = z[f"param_after{update}.{name}"]
                close(weight.detach().numpy(), wanted, EXACT["parameter"], f"{name} {update}")


def test_the_torch_lightgcn_trains_on_pairs_and_items_outside():
    pytest.importorskip("torch", reason="PyTorch is not installed (extra `peers`)")
    from peers import torch_lightgcn

    data = generate(n_users=60, n_items=30, seed=4)
    config = LightGcnConfig(d=8, lr=1e-2).checked(data.behaviors)
    training = torch_lightgcn.Training(data, config, LightGcn(config, data, device("cpu")).stored())
    drawn = []
    learn = training.learn
    training.learn = lambda batch: drawn.append(batch) or learn(batch)
    losses = [training.make_step() for _ in range(40)]
    assert np.mean(losses[-3:]) < np.mean(losses[:3])
    inside = training.matrix.toarray() != 0
    for users, positives, negatives in drawn:
        assert len(set(users)) == len(users)
        assert inside[users, positives].all() and not inside[users, negatives].any()


def test_no_module_of_the_package_imports_a_peer():
    for folder in ("pkef_fast", "kernels", "cli"):
        for path in (ROOT / folder).rglob("*.py"):
            for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
                names = []
                if isinstance(node, ast.Import):
                    names = [alias.name for alias in node.names]
                elif isinstance(node, ast.ImportFrom) and not node.level:
                    names = [node.module]
                assert not {name.partition(".")[0] for name in names} & (PEERS | {"peers"}), path
    code = (
        "import pkgutil, sys, pkef_fast\n"
        "for one in pkgutil.walk_packages(pkef_fast.__path__, 'pkef_fast.'):\n"
        "    if not one.name.endswith('__main__') and 'cupy' not in one.name: "
        "__import__(one.name)\n"
        f"print(sorted({PEERS!r} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert done.stdout == "[]\n"
