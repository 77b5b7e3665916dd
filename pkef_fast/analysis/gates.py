"""Figure 7: what the target's gate weighs, over test users and their held-out items.

A weight multiplies an expert, and experts differ in size: of PME, the other behaviours' are some
10⁻⁴ of the own one. So the table has both, the weight and how much of a score it makes.
"""

from __future__ import annotations

import numpy as np

from ..data.dataset import Dataset
from ..errors import InputError
from ..kernels.rank import Scorer
from ..kernels.rank.mixture import mixture
from ..recommender import Recommender
from ..report.table import Table

COLUMNS = ("model", "slot", "expert_name", "mean", "std", "entropy", "mean_term")
PAIRS = 4096  # weighed at a time


def gates(model: Recommender, dataset: Dataset, name: str | None = None) -> Table | None:
    """The weights of the target's experts, over all held-out pairs of a data set.

    Parameters
    ----------
    model : Recommender
        Trained; a re-ranker behind it is left aside.
    dataset : Dataset
        The one that it was trained on.
    name : str, optional
        What column `model` says; left out: the preset.

    Returns
    -------
    Table or None
        A row an expert: `slot` of the gate; `mean` and `std` of its weight; `entropy` of the whole
        gate, the mean of −Σ g·ln g, the same in each row; `mean_term`, the mean of |g·q| with q the
        expert's part of a score without the factor `score_scale`. Experts that are behaviours
        stand in the behaviours' order. None where there is no gate, or nothing held out.

    Raises
    ------
    InputError
        When the data set is of another size.
    """
    inner = model.model
    names = inner.experts() if hasattr(inner, "experts") else ()
    if not names or not len(dataset.test_users):
        return None
    if (inner.n_users, inner.n_items) != (dataset.n_users, dataset.n_items):
        raise InputError(
            f"data set {dataset.name!r} has {dataset.n_users} users and {dataset.n_items} items; "
            f"this model was trained on {inner.n_users} and {inner.n_items}."
        )
    with model.device.active():
        scorer = _on_host(inner.scorer(), model)
    weights, terms = _of_pairs(scorer, dataset)
    terms /= abs(inner.config.score_scale)
    logs = np.log(weights, where=weights > 0, out=np.zeros_like(weights))
    entropy = float(-np.sum(weights * logs, axis=1).mean())
    order = {behavior: k for k, behavior in enumerate(inner.behaviors)}
    rows = [
        (
            name or model.preset or model.model_name,
            slot,
            expert,
            float(weights[:, slot].mean()),
            float(weights[:, slot].std()),
            entropy,
            float(terms[:, slot].mean()),
        )
        for slot, expert in sorted(enumerate(names), key=lambda one: order.get(one[1], one[0]))
    ]
    return Table(COLUMNS, rows)


def _of_pairs(scorer: Scorer, dataset: Dataset) -> tuple[np.ndarray, np.ndarray]:
    """Weights g and sizes of their parts of the score |g·q|, (T, S) each, in float64."""
    found: tuple[list, list] = ([], [])
    for start in range(0, len(dataset.test_users), PAIRS):
        some = slice(start, start + PAIRS)
        parts = mixture(scorer, dataset.test_users[some], dataset.test_items[some])
        weights = parts.gate.astype(np.float64)
        factor = np.broadcast_to(parts.factor, len(weights)).astype(np.float64)
        found[0].append(weights)
        found[1].append(np.abs(weights * parts.experts * factor[:, None]))
    return np.concatenate(found[0]), np.concatenate(found[1])


def _on_host(scorer: Scorer, model: Recommender) -> Scorer:
    parts = (model.device.to_host(one) if getattr(one, "ndim", 0) else one for one in scorer)
    return type(scorer)(*parts)
