"""Small shops, and the sums and rankers that tests of the re-ranker hold it to."""

from __future__ import annotations

import numpy as np

from pkef_fast.data import generate
from pkef_fast.data.patterns import row_of_each
from pkef_fast.device import device
from pkef_fast.evaluate.rankers import TableRanker
from pkef_fast.kernels.rank import RowsScorer

NAMES = ("view", "collect", "cart", "buy")
QUICK = {"epochs": 2, "twin_epochs": 1, "hidden": 4, "draws": 1}


def shop(n_behaviors=3, seed=0, n_users=60, n_items=40):
    names = NAMES[:1] if n_behaviors == 1 else NAMES[: n_behaviors - 1] + NAMES[-1:]
    return generate(n_users=n_users, n_items=n_items, behaviors=names, seed=seed)


def dense(csr, data):
    result = np.zeros((data.n_users, data.n_items))
    result[row_of_each(csr), csr.indices] = 1
    return result


def rng_scores(data, seed=0):
    return np.random.default_rng(seed).normal(size=(data.n_users, data.n_items)).astype(np.float32)


def ranker_of(scores):
    """A ranker of given scores (U, I)."""
    return TableRanker(RowsScorer(scores), device("cpu"))
