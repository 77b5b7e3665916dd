"""allpairs in NumPy. Contract: `__init__.py`."""

from __future__ import annotations

import numpy as np

__all__ = ["everything", "met"]


def everything(users, items, relation, weight):
    """w·Σ_ab U_ab I_ab r_a r_b and its gradients (loss, d_users, d_items, d_relation)."""
    u, i, r = (x.astype(np.float64) for x in (users, items, relation))
    along = (u * i) @ r
    outer = weight * np.outer(r, r)
    gradients = i * outer, u * outer, 2 * weight * along
    loss = np.asarray(weight * np.sum(r * along))
    return (loss, *(one.astype(users.dtype) for one in gradients))


def met(scores, weight):
    """Σ (1 − w)·s² − 2·s and its gradient (loss, d_scores)."""
    share, two = scores.dtype.type(1 - weight), scores.dtype.type(2)
    loss = np.asarray(np.sum(share * scores * scores - two * scores, dtype=np.float64))
    return loss, two * share * scores - two
