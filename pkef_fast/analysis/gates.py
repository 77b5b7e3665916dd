"""Figure 7: what the target's gate weighs, over test users and their held-out items.

Or over random items that they have not bought: what the gate does where it ranks, not only at the
item that is wanted.

A weight multiplies an expert, and experts differ in size: of PME, the other behaviours' are some
10⁻⁴ of the own one. So the table has both, the weight and how much of a score it makes.
"""

from __future__ import annotations

import numpy as np

from ..config.streams import stream
from ..data.dataset import Array, Dataset
from ..errors import InputError
from ..kernels.rank import Scorer
from ..kernels.rank.mixture import mixture
from ..recommender import Recommender
from ..report.table import Table

COLUMNS = ("model", "slot", "expert_name", "mean", "std", "entropy", "mean_term")
PAIRS = 4096  # weighed at a time


def gates(
    model: Recommender,
    dataset: Dataset,
    name: str | None = None,
    *,
    candidates: int = 0,
    seed: int = 0,
) -> Table | None:
    """The weights of the target's experts, over the test users of a data set.

    Parameters
    ----------
    model : Recommender
        Trained; a re-ranker behind it is left aside.
    dataset : Dataset
        The one that it was trained on.
    name : str, optional
        What column `model` says; left out: the preset.
    candidates : int
        Random items of each test user that stand for the held-out ones; 0: the held-out ones. See
        `random_candidates`.
    seed : int
        What they are drawn by.

    Returns
    -------
    Table or None
        A row an expert: `slot` of the gate; `mean` and `std` of its weight; `entropy` of the whole
        gate, the mean of −Σ g·ln g, the same in each row; `mean_term`, the mean of |g·q| with q the
        expert's part of a score without the factor `score_scale`. Experts that are behaviours
        stand in the behaviours' order. None where there is no gate, or no pair to weigh.

    Raises
    ------
    InputError
        When the data set is of another size, or `candidates` is below 0.
    """
    if candidates < 0:
        raise InputError(f"candidates cannot be {candidates}; wanted 0 (held-out items) or more.")
    inner = model.model
    names = inner.experts() if hasattr(inner, "experts") else ()
    if not names or not len(dataset.test_users):
        return None
    if (inner.n_users, inner.n_items) != (dataset.n_users, dataset.n_items):
        raise InputError(
            f"data set {dataset.name!r} has {dataset.n_users} users and {dataset.n_items} items; "
            f"this model was trained on {inner.n_users} and {inner.n_items}."
        )
    users, items = dataset.test_users, dataset.test_items
    if candidates:
        users, items = random_candidates(dataset, candidates, seed)
        if not len(users):
            return None
    with model.device.active():
        scorer = _on_host(inner.scorer(), model)
    weights, terms = _of_pairs(scorer, users, items)
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


def random_candidates(dataset: Dataset, count: int, seed: int) -> tuple[Array, Array]:
    """(users, items) of `count` items a test user, which differ: any but train target items.

    That is what full ranking ranks, the held-out item among it. Fewer where there are not as many.
    The same seed gives the same items, whatever the model.
    """
    target = dataset.interactions[-1]
    random = stream(seed, "candidates of gates")
    users = np.unique(dataset.test_users)
    free = np.ones(dataset.n_items, bool)
    found = []
    for user in users:
        bought = target.indices[target.indptr[user] : target.indptr[user + 1]]
        free[bought] = False
        left = np.flatnonzero(free)
        free[bought] = True
        found.append(random.choice(left, min(count, len(left)), replace=False))
    sizes = np.array([len(items) for items in found], np.int64)
    return np.repeat(users, sizes), np.concatenate([*found, np.empty(0)]).astype(np.int32)


def _of_pairs(scorer: Scorer, users: Array, items: Array) -> tuple[Array, Array]:
    """Weights g and sizes of their parts of the score |g·q|, (T, S) each, in float64."""
    found: tuple[list, list] = ([], [])
    for start in range(0, len(users), PAIRS):
        some = slice(start, start + PAIRS)
        parts = mixture(scorer, users[some], items[some])
        weights = parts.gate.astype(np.float64)
        factor = np.broadcast_to(parts.factor, len(weights)).astype(np.float64)
        found[0].append(weights)
        found[1].append(np.abs(weights * parts.experts * factor[:, None]))
    return np.concatenate(found[0]), np.concatenate(found[1])


def _on_host(scorer: Scorer, model: Recommender) -> Scorer:
    parts = (model.device.to_host(one) if getattr(one, "ndim", 0) else one for one in scorer)
    return type(scorer)(*parts)
