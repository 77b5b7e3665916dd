"""sample in NumPy: the truth that the fast forms are held to. Contract: `__init__.py`."""

from __future__ import annotations

import numpy as np

from . import check_term, draw_caps, epoch_counters, key_of

__all__ = ["draw", "draw_caps", "epoch_users", "philox4x32"]

ROUNDS = 10
MULTIPLIERS = np.uint64(0xD2511F53), np.uint64(0xCD9E8D57)
KEY_STEPS = np.array([0x9E3779B9, 0xBB67AE85], np.uint32)  # golden ratio, √3 − 1
WORD = np.uint64(32)


def philox4x32(counter, key):
    """Philox4x32-10: four random words (n, 4) uint32 of each counter."""
    x0, x1, x2, x3 = counter.T
    key = key.astype(np.uint32)
    for _ in range(ROUNDS):
        a, b = MULTIPLIERS[0] * x0.astype(np.uint64), MULTIPLIERS[1] * x2.astype(np.uint64)
        a_high, a_low = (a >> WORD).astype(np.uint32), a.astype(np.uint32)
        b_high, b_low = (b >> WORD).astype(np.uint32), b.astype(np.uint32)
        x0, x1, x2, x3 = b_high ^ x1 ^ key[0], b_low, a_high ^ x3 ^ key[1], a_low
        key = key + KEY_STEPS
    return np.stack([x0, x1, x2, x3], axis=1)


def epoch_users(n_users, take, seed, epoch):
    """The users of an epoch in order, without replacement, (min(take, n_users),) int32."""
    words = philox4x32(epoch_counters(n_users, epoch), key_of(seed))
    numbers = (words[:, 0].astype(np.uint64) << WORD) | words[:, 1]
    return np.argsort(numbers, kind="stable")[:take].astype(np.int32)


def _scaled(word, count):
    """⌊word · count / 2³²⌋: a number below count."""
    return ((word.astype(np.uint64) * count.astype(np.uint64)) >> WORD).astype(np.int64)


def draw(indptr, indices, n_items, caps, users, seed, step, term):
    """Positives and negatives of a batch: (rows, positives, negatives), (n,) int32 each."""
    check_term(term)
    counts = caps[users].astype(np.int64)
    rows = np.repeat(users, counts).astype(np.int64)
    index = np.arange(len(rows)) - np.repeat(np.cumsum(counts) - counts, counts)
    counter = np.empty((len(rows), 4), np.uint32)
    counter[:, 0], counter[:, 1], counter[:, 2], counter[:, 3] = index, rows, step, term
    words = philox4x32(counter, key_of(seed))

    start = indptr.astype(np.int64)
    degrees = np.diff(start)
    positives = indices[start[rows] + _scaled(words[:, 0], degrees[rows])]

    # Item `indices[p]`, the p'-th of its row, has indices[p] − p' items outside the row below it.
    # So the r-th item outside is r + (how many of the row have at most r of them below).
    r = _scaled(words[:, 1], n_items - degrees[rows])
    owner = np.repeat(np.arange(len(degrees)), degrees)
    below = indices - (np.arange(len(indices)) - start[owner])
    stride = n_items + 1  # keeps the rows apart in one sorted list
    inside = np.searchsorted(owner * stride + below, rows * stride + r, side="right") - start[rows]
    negatives = r + inside
    return rows.astype(np.int32), positives.astype(np.int32), negatives.astype(np.int32)
