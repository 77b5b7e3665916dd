"""Graph ranking in dense float64 matrices, from its equations alone; writes its fixtures.

`python tests/dense_graph_rank.py` writes `tests/fixtures/graph_rank_*.npz` anew: interactions
`R.{k}` (U × I), `alpha`, `beta`, and the scores `scores.{k}` (U × I) after each behaviour, of walks
that went on until nothing changed.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

CASES = {  # users, items, behaviours, α, β
    "taobao_k3": (13, 17, 3, 0.0, 0.9),
    "tmall_k4": (11, 9, 4, 0.7, 0.2),
    "slow_k2": (8, 15, 2, 0.1, 0.2),
    "one_k1": (6, 5, 1, 0.3, 0.3),
}


def walk(matrices, alpha, beta, tolerance=1e-15, rounds=10_000):
    """K × (U, I) scores of every user by himself, and the rounds (U, K) that each took."""
    n_users, n_items = matrices[0].shape
    result = np.zeros((len(matrices), n_users, n_items))
    taken = np.zeros((n_users, len(matrices)), int)
    for u in range(n_users):
        carried = None
        for k, m in enumerate(matrices):
            a = np.zeros((n_users + n_items,) * 2)
            a[:n_users, n_users:], a[n_users:, :n_users] = m, m.T
            degree = a.sum(1)
            root = np.zeros_like(degree)
            root[degree > 0] = degree[degree > 0] ** -0.5
            a = root[:, None] * a * root
            q = np.zeros(n_users + n_items)
            q[u] = 1
            if m[u].any():
                q[n_users:] = m[u] / m[u].sum()
            c = q if carried is None else carried
            r, change = q, np.inf
            while change > tolerance and taken[u, k] < rounds:
                new = (1 - alpha - beta) * a @ r + alpha * q + beta * c
                change, r = np.abs(new - r).sum(), new
                taken[u, k] += 1
            carried = r
            result[k, u] = r[n_users:]
    return result, taken


def interactions(seed, n_users, n_items, n_behaviors):
    """Random matrices with an idle user, an untouched item and a user without the target."""
    random = np.random.default_rng(seed)
    matrices = [
        (random.random((n_users, n_items)) < 0.35 / (1 + k)).astype(float)
        for k in range(n_behaviors)
    ]
    for m in matrices:
        m[1], m[:, 2] = 0, 0
        m[0, 0] = 1
    matrices[-1][3] = 0
    return matrices


def write(folder: Path) -> None:
    """All fixtures."""
    for seed, (name, (n_users, n_items, n_behaviors, alpha, beta)) in enumerate(CASES.items()):
        matrices = interactions(seed, n_users, n_items, n_behaviors)
        scores, _ = walk(matrices, alpha, beta)
        np.savez(
            folder / f"graph_rank_{name}.npz",
            alpha=alpha,
            beta=beta,
            **{f"R.{k}": m.astype(np.int8) for k, m in enumerate(matrices)},
            **{f"scores.{k}": s for k, s in enumerate(scores)},
        )


if __name__ == "__main__":
    write(Path(__file__).parent / "fixtures")
