"""Fixtures `exact_pkef_*`."""

from __future__ import annotations

import numpy as np

from pkef_fast.models.pkef import Pkef, PkefConfig
from pkef_fast.models.pkef.pkf import streams, streams_as_written
from pkef_fast.models.pkef.sampling import Rows, Term, compacted
from pkef_fast.tape.autograd import Tensor, no_grad


def build(fields, data, place, parameters) -> Pkef:
    """The model of a fixture."""
    config = PkefConfig(precision="float64").replaced(**fields).checked(data.behaviors)
    return Pkef(config, data, place, parameters)


def batch(z, model, data):
    """The rows of the terms that have a loss."""
    rows = _rows(z)
    live = {term: r for term, r in rows.items() if model.config.coefficients[term.k] > 0}
    return batch_of(live, model, data)


def batch_of(rows, model, data):
    """These rows as the model's batch."""
    place = model.device
    placed = {term: place.place(r) for term, r in rows.items()}
    return compacted(placed, data.n_users, data.n_items, place.kernels, model.places)


def _rows(z) -> dict[Term, Rows]:
    """All terms' rows, also of behaviours without a loss."""
    rows = {}
    for name in z:
        if name.startswith("batch.") and name.endswith(".users"):
            *_, k = numbers = name.removesuffix(".users").removeprefix("batch.").split(".")
            other = int(numbers[1]) if numbers[0] == "unique" else None
            prefix = name.removesuffix("users")
            rows[Term(int(k), other)] = Rows(*(z[prefix + part] for part in Rows._fields))
    return rows


def check(z, model, data, close):
    """Both streams, as they are written and fused; gates, scores and losses of every part."""
    rows = _rows(z)
    everything = batch_of(rows, model, data)
    P, Z = all_streams(model)
    cascade, parallel = _names_of_streams(z)
    for k in range(model.n_behaviors):
        if f"gate.{k}.positives" in z and model.config.head == "pme":
            gates = gates_of(model, Z, k, everything)
            wanted = z[f"gate.{k}.positives"]
            close(gates[: len(wanted)], wanted, "forward", f"gate.{k}.positives")
    written_P, written_Z = all_streams(model, streams_as_written)
    for k in range(model.n_behaviors):
        close(Z[k].data, z[f"{cascade}.{k}"], "forward", f"cascade.{k}")
        close(written_Z[k].data, z[f"{cascade}.{k}"], "forward", f"as written: cascade.{k}")
        if model.config.fusion != "none":
            close(P[k].data, z[f"{parallel}.{k}"], "forward", f"parallel.{k}")
            close(written_P[k].data, z[f"{parallel}.{k}"], "forward", f"as written: parallel.{k}")
    scores, losses = model.scores(everything), model.part_losses(everything)
    found = set()
    for (kind, term), loss in losses.items():
        numbers = f"{term.k}" if term.other is None else f"{term.other}.{term.k}"
        n = len(scores[kind, term].data) // 2
        for sign, piece in (("pos", slice(0, n)), ("neg", slice(n, None))):
            name = f"score.{kind}.{numbers}.{sign}"
            close(scores[kind, term].data[piece], z[name], "scores", name)
        name = f"loss.{kind}.{numbers}"
        close(loss.data, z[name], "loss", name)
        found.add(name)
    expected = {n for n in z if n.startswith("loss.") and n.count(".") > 1}
    if model.config.fusion == "none":
        expected = {n for n in expected if not n.startswith("loss.parallel")}
    assert found == {n for n in expected if not _is_empty_term(n, rows)}


def _names_of_streams(z):
    """Keys of the two streams' tables: files of heads begin them with `out.`."""
    before = "" if "cascade.0" in z else "out."
    return f"{before}cascade", f"{before}parallel"


def _is_empty_term(name, rows):
    _, kind, *numbers = name.split(".")
    other = int(numbers[0]) if kind == "unique" else None
    term = Term(int(numbers[-1]), other)
    return term not in rows or not len(rows[term].users)


def all_streams(model, function=streams):
    """P^k and Z^k of every behaviour, nothing recorded."""
    place, values = model.device, model.parameters
    tables = [place.to_host(values[f"{side}_embedding"].data) for side in ("user", "item")]
    table = Tensor(place.place(np.concatenate(tables)), place)
    everyone = frozenset(range(model.n_behaviors))
    more = (everyone, everyone) if function is streams else ()
    with no_grad():
        return function(table, model.graphs, model.config, values, *more)


def gates_of(model, Z, k, batch):
    """Gate weights (R, K) of behaviour k's pairs."""
    kernels, config = model.device.kernels, model.config
    tables = kernels.pairs.gather([Z[j].data for j in range(model.n_behaviors)], batch.nodes)
    weight, bias = (tensor.data for tensor in model.head._gate(model.parameters, k))
    _, saved = getattr(kernels.pme, f"gated_{config.projection_level}")(
        tables,
        batch.n_users,
        k,
        weight,
        bias,
        batch.pairs[Term(k)],
        config.projection_scale,
        config.score_scale,
    )
    return saved[0]
