"""Figure 2: how much of a behaviour's table comes from the behaviours before it.

    cos[a, b]      cosine of a node's rows in Z^a and Z^b
    inherit[k]     |projection of Z^k onto z^{k,0}| / |Z^k|, k ≥ 2: the share of a row that what
                   the behaviours before handed down explains
    source[k, j]   |Z^k with only graph j's messages| / Σ_j of the same, j = 1 … k, and j = 0, the
                   embedding alone, with no messages at all

Each is a number a node; the table has means and standard deviations over users and over items.
"""

from __future__ import annotations

import numpy as np

from ..data.dataset import Array
from ..errors import InputError
from ..recommender import Recommender
from ..report.table import Table

COLUMNS = ("model", "metric", "side", "row", "col", "mean", "std")
EMBEDDING = "embedding"  # column of source[k, 0]
LEAST = 1e-300  # a length that is divided by; a row of zeros gives zeros


def inheritance(model: Recommender, name: str | None = None) -> Table:
    """The three measures of a trained PKEF, by behaviours' names.

    Parameters
    ----------
    model : Recommender
    name : str, optional
        What column `model` says; left out: the preset.

    Raises
    ------
    InputError
        For a model whose behaviours do not follow one another as PKEF's do.
    """
    if not hasattr(model.model, "cascade"):
        raise InputError(
            f"model {model.model_name!r} has no cascade of behaviours to measure what one inherits "
            "from another; wanted pkef, such as its presets official and base."
        )
    called = name or model.preset or model.model_name
    names, n_users = model.model.behaviors, model.model.n_users
    with model.device.active():
        whole = _on_host(model, None)
        # Of each behaviour: the lengths with no messages, then with those of one graph alone.
        heard = [_on_host(model, {j}) for j in range(len(names))]
        nothing = _on_host(model, set())
    rows = []
    for side, nodes in (("user", slice(None, n_users)), ("item", slice(n_users, None))):
        starts = [start[nodes] for start, _ in whole]
        Z = [table[nodes] for _, table in whole]
        found = [
            ("cos", a, b, _cosine(Z[i], Z[j]))
            for i, a in enumerate(names)
            for j, b in enumerate(names)
        ]
        found += [
            ("inherit", name, None, np.abs(_cosine(Z[k], starts[k])))
            for k, name in enumerate(names)
            if k
        ]
        for k, name in enumerate(names):
            alone = [nothing, *heard[: k + 1]]
            lengths = np.array([_length(tables[k][1][nodes]) for tables in alone])
            shares = lengths / np.maximum(lengths.sum(axis=0), LEAST)
            columns = (EMBEDDING, *names)
            found += [("source", name, columns[j], share) for j, share in enumerate(shares)]
        rows += [
            (called, metric, side, row, col, float(values.mean()), float(values.std()))
            for metric, row, col, values in found
        ]
    return Table(COLUMNS, rows)


def _on_host(model: Recommender, heard: set[int] | None) -> list[tuple[Array, Array]]:
    """(z^{k,0}, Z^k) of every behaviour in float64."""
    return [
        tuple(model.device.to_host(one).astype(np.float64) for one in pair)
        for pair in model.model.cascade(heard)
    ]


def _length(x: Array) -> Array:
    return np.sqrt(np.sum(x * x, axis=1))


def _cosine(a: Array, b: Array) -> Array:
    return np.sum(a * b, axis=1) / np.maximum(_length(a) * _length(b), LEAST)
