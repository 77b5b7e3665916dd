"""allpairs in Numba. Contract: `__init__.py`."""

import numba as nb
import numpy as np

from ..jit import parallel, serial

__all__ = ["everything", "met"]

ROWS = 1024  # of a piece of a sum


@serial()
def _everything(users, items, relation, weight, d_users, d_items, d_relation):
    loss = 0.0
    for a in range(len(relation)):
        along, r_a = 0.0, np.float64(relation[a])
        for b in range(len(relation)):
            u, i, r_b = np.float64(users[a, b]), np.float64(items[a, b]), np.float64(relation[b])
            along += u * i * r_b
            d_users[a, b] = weight * i * r_a * r_b
            d_items[a, b] = weight * u * r_a * r_b
        d_relation[a] = 2 * weight * along
        loss += r_a * along
    return weight * loss


def everything(users, items, relation, weight):
    """w·Σ_ab U_ab I_ab r_a r_b and its gradients (loss, d_users, d_items, d_relation)."""
    gradients = tuple(np.empty_like(x) for x in (users, items, relation))
    loss = _everything(users, items, relation, float(weight), *gradients)
    return (np.asarray(loss), *gradients)


@parallel()
def _met(scores, share, partial, d_scores):
    two = scores.dtype.type(2)
    for piece in nb.prange(len(partial)):
        total = 0.0
        for n in range(piece * ROWS, min(len(scores), (piece + 1) * ROWS)):
            s = scores[n]
            total += np.float64(share * s * s - two * s)
            d_scores[n] = two * share * s - two
        partial[piece] = total


def met(scores, weight):
    """Σ (1 − w)·s² − 2·s and its gradient (loss, d_scores)."""
    partial, d_scores = np.empty(-(-len(scores) // ROWS)), np.empty_like(scores)
    _met(scores, scores.dtype.type(1 - weight), partial, d_scores)
    return np.asarray(partial.sum()), d_scores
