"""experts in Numba. Contract: `__init__.py`.

In the adjoint every node is summed by one owner over the pairs it takes part in. Nodes are cut into
pieces of about as many pairs each, as a user has tens of them and most items one or two.
"""

import numba as nb
import numpy as np

from ..jit import FAST, inlined, parallel
from . import check

__all__ = ["mixture", "mixture_adjoint"]

PIECES = 64  # of nodes in an adjoint, whatever the number of threads


@inlined(fastmath=FAST)
def _expert(user, item, tower, slope):
    """Σ_a tower_a·LReLU(user_a + item_a)."""
    total = tower.dtype.type(0)
    for a in range(len(tower)):
        x = user[a] + item[a]
        total += tower[a] * (x if x > 0 else slope * x)
    return total


@parallel(fastmath=FAST)
def _pair_stage(
    users, items, tower, offset, left, right, starts, gate, slope, scale, gates, parts, scores
):
    width, count, n_users = len(tower), len(starts), len(users)
    for r in nb.prange(len(left)):
        if left[r] < 0:
            scores[r] = 0
            for j in range(count):
                gates[r, j] = parts[r, j] = 0
            continue
        user, item = users[left[r]], items[right[r] - n_users]
        top = users.dtype.type(-np.inf)
        for j in range(count):
            first = starts[j]
            parts[r, j] = _expert(
                user[first : first + width], item[first : first + width], tower, slope
            )
            gates[r, j] = user[gate + j] + item[gate + j] if gate >= 0 else 0
            top = max(top, gates[r, j])
        total = mixed = users.dtype.type(0)
        for j in range(count):
            gates[r, j] = np.exp(gates[r, j] - top)
            total += gates[r, j]
        for j in range(count):
            gates[r, j] /= total
            mixed += gates[r, j] * parts[r, j]
        scores[r] = scale * (mixed + offset[0])


def mixture(users, items, tower, offset, pairs, columns, slope, score_scale):
    """(scores, (gates (R, n), parts (R, n))): what each expert says, weighed."""
    check(columns)
    rows, F = len(pairs.left), users.dtype.type
    gates, parts = np.empty((2, rows, columns.count), F)
    scores = np.empty(rows, F)
    starts = np.array(columns.starts(len(tower)))
    _pair_stage(
        users,
        items,
        tower,
        offset,
        pairs.left,
        pairs.right,
        starts,
        columns.gate,
        F(slope),
        F(score_scale),
        gates,
        parts,
        scores,
    )
    return scores, (gates, parts)


@parallel(fastmath=FAST)
def _pair_weights(d_scores, left, scale, gates, parts, weights, d_logits):
    """weights = gradients of the parts, d_logits = those of the gate's logits."""
    for r in nb.prange(len(left)):
        g = scale * d_scores[r] if left[r] >= 0 else scale * 0
        mean = g * 0
        for j in range(gates.shape[1]):
            mean += gates[r, j] * parts[r, j]
        for j in range(gates.shape[1]):
            weights[r, j] = g * gates[r, j]
            d_logits[r, j] = g * gates[r, j] * (parts[r, j] - mean)


@inlined(fastmath=FAST)
def _add_slopes(own, other, weight, low, sums):
    """sums += weight, or low where own + other is not above 0."""
    for a in range(len(sums)):
        sums[a] += weight if own[a] + other[a] > 0 else low


@inlined(fastmath=FAST)
def _settle(own, tower, sums, d_own, d_tower):
    """d_own += tower∘sums, d_tower += own∘sums."""
    for a in range(len(tower)):
        d_own[a] += tower[a] * sums[a]
        d_tower[a] += own[a] * sums[a]


@parallel(fastmath=FAST)
def _owners(
    users,
    items,
    tower,
    left,
    right,
    ptr,
    slots,
    starts,
    gate,
    slope,
    weights,
    d_logits,
    bounds,
    d_users,
    d_items,
    d_towers,
):
    width, count, n_users, rows = len(tower), len(starts), len(users), len(left)
    for piece in nb.prange(len(d_towers)):
        sums = np.empty((count, width), users.dtype)
        d_tower = d_towers[piece]
        d_tower[:] = 0
        for n in range(bounds[piece], bounds[piece + 1]):
            if ptr[n] == ptr[n + 1]:
                continue
            is_user = n < n_users
            own = users[n] if is_user else items[n - n_users]
            d_own = d_users[n] if is_user else d_items[n - n_users]
            sums[:] = 0
            for s in range(ptr[n], ptr[n + 1]):
                pair = slots[s] if is_user else slots[s] - rows
                other = items[right[pair] - n_users] if is_user else users[left[pair]]
                for j in range(count):
                    part = slice(starts[j], starts[j] + width)
                    weight = weights[pair, j]
                    _add_slopes(own[part], other[part], weight, slope * weight, sums[j])
                    if gate >= 0:
                        d_own[gate + j] += d_logits[pair, j]
            for j in range(count):
                part = slice(starts[j], starts[j] + width)
                _settle(own[part], tower, sums[j], d_own[part], d_tower)


def pieces_of(ptr):
    """Ends of PIECES pieces of the nodes, of about as many slots each."""
    wanted = np.arange(1, PIECES) * (int(ptr[-1]) / PIECES)
    return np.concatenate([[0], np.searchsorted(ptr, wanted), [len(ptr) - 1]])


def mixture_adjoint(
    d_scores,
    users,
    items,
    tower,
    offset,
    pairs,
    columns,
    slope,
    score_scale,
    saved,
    d_users,
    d_items,
):
    """d_tower of `mixture`; adds to d_users and d_items."""
    F = users.dtype.type
    weights, d_logits = np.empty((2, *saved[0].shape), F)
    _pair_weights(d_scores, pairs.left, F(score_scale), *saved, weights, d_logits)
    d_towers = np.empty((PIECES, len(tower)), F)
    _owners(
        users,
        items,
        tower,
        *pairs,
        np.array(columns.starts(len(tower))),
        columns.gate,
        F(slope),
        weights,
        d_logits,
        pieces_of(pairs.owner_ptr),
        d_users,
        d_items,
        d_towers,
    )
    return d_towers.sum(axis=0)
