"""Synthetic shops with a funnel: most of what is carted was viewed, most of what is bought carted.

Users and items have latent tastes, items a Zipf popularity. What a user views follows both; what
the next stage keeps follows taste more sharply; a few purchases come from outside the funnel.
"""

from __future__ import annotations

import numpy as np

from .dataset import Csr, Dataset
from .patterns import from_pairs

DEMO = {"n_users": 1200, "n_items": 800}
TASTES = 8  # latent dimensions
ZIPF = 0.7  # exponent of the popularity
KEPT = 0.4  # share of a stage's items that the next stage keeps, on average
UNSEEN = 0.08  # share of a stage's items that come from outside the stage before


def generate(
    n_users: int,
    n_items: int,
    behaviors: tuple[str, ...] = ("view", "cart", "buy"),
    seed: int = 0,
    mean_first: float = 40.0,
    name: str = "synthetic",
) -> Dataset:
    """A data set of any size; the same for the same arguments.

    Parameters
    ----------
    n_users, n_items : int
    behaviors : tuple of str
        Upstream → target; each keeps about 0.4 of the one before.
    seed : int
    mean_first : float
        Mean number of items of a user in the first behaviour.
    name : str

    Returns
    -------
    Dataset
        One target item held out for each user with two or more.
    """
    rng = np.random.Generator(np.random.PCG64(seed))
    tastes = rng.normal(size=(n_users, TASTES)) / np.sqrt(TASTES)
    traits = rng.normal(size=(n_items, TASTES))
    popularity = -ZIPF * np.log1p(rng.permutation(n_items))
    first = rng.gamma(2.0, mean_first / 2, n_users)
    counts = np.clip(np.rint(first), 2, max(1, n_items // 2)).astype(np.int64)
    liking = tastes @ traits.T  # U × I, standard normal: this is for small shops
    # Gumbel noise and the top n: a draw of n items without replacement, by softmax weights
    pools = _top(3 * liking + popularity + rng.gumbel(size=liking.shape), counts)
    stages = [pools]
    for _ in behaviors[1:]:
        before = stages[-1]
        kept = np.maximum(np.rint(before.sum(axis=1) * KEPT * rng.uniform(0.5, 1.5, n_users)), 1)
        score = 3 * liking + rng.gumbel(size=liking.shape)
        inside = _top(np.where(before, score, -np.inf), kept.astype(np.int64)) & before
        outside = rng.random(liking.shape) < (UNSEEN * kept / n_items)[:, None]
        stages.append(inside | outside)
    patterns = [from_pairs(*np.nonzero(stage), n_users, n_items) for stage in stages]
    patterns[-1], test_users, test_items = _hold_out(patterns[-1], rng)
    return Dataset(
        name=name,
        behaviors=tuple(behaviors),
        n_users=n_users,
        n_items=n_items,
        interactions=tuple(patterns),
        test_users=test_users,
        test_items=test_items,
        source={},
    )


def demo(seed: int = 0) -> Dataset:
    """The demonstration shop: small enough to train in under a minute."""
    return generate(**DEMO, seed=seed, name="demo")


def _top(score: np.ndarray, counts: np.ndarray) -> np.ndarray:
    """Which entries are among the `counts` highest of their row."""
    order = np.argsort(-score, axis=1)
    chosen = np.arange(score.shape[1]) < counts[:, None]
    result = np.zeros(score.shape, bool)
    np.put_along_axis(result, order, chosen, axis=1)
    return result


def _hold_out(csr: Csr, rng: np.random.Generator) -> tuple[Csr, np.ndarray, np.ndarray]:
    """One random item of each user with two or more, and the rest."""
    counts = np.diff(csr.indptr)
    users = np.flatnonzero(counts >= 2).astype(np.int32)
    places = csr.indptr[users] + rng.integers(0, counts[users])
    keep = np.ones(len(csr.indices), bool)
    keep[places] = False
    left = counts - (counts >= 2)
    indptr = np.concatenate([[0], np.cumsum(left)]).astype(np.int32)
    return Csr(indptr, csr.indices[keep]), users, csr.indices[places]
