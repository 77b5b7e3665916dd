"""sample in NumPy: the truth that the fast forms are held to. Contract: `__init__.py`."""

from __future__ import annotations

import numpy as np

from . import check_term, draw_caps, epoch_counters, key_of, length, mix_of

__all__ = ["draw", "draw_caps", "epoch_users", "mix_of", "philox4x32", "positives"]

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


def draw(indptr, indices, n_items, caps, users, seed, step, term, negatives=1, mix=None):
    """Positives and negatives of a batch: (rows, positives, negatives), int32 each."""
    check_term(term)
    counts = caps[users].astype(np.int64)
    rows = np.repeat(users, counts).astype(np.int64)
    index = np.arange(len(rows)) - np.repeat(np.cumsum(counts) - counts, counts)

    start = indptr.astype(np.int64)
    degrees = np.diff(start)
    owner = np.repeat(np.arange(len(degrees)), degrees)

    def words_of(index, rows):
        counter = np.empty((len(rows), 4), np.uint32)
        counter[:, 0], counter[:, 1], counter[:, 2], counter[:, 3] = index, rows, step, term
        return philox4x32(counter, key_of(seed))

    def positives_of(words, rows):
        return indices[start[rows] + _scaled(words[:, 0], degrees[rows])]

    def outside(words):
        # Item `indices[p]`, the p'-th of its row, has indices[p] − p' items outside the row below
        # it. So the r-th item outside is r + (how many of the row have at most r of them below).
        r = _scaled(words[:, 1], n_items - degrees[rows])
        below = indices - (np.arange(len(indices)) - start[owner])
        stride = n_items + 1  # keeps the rows apart in one sorted list
        place = np.searchsorted(owner * stride + below, rows * stride + r, side="right")
        return r + place - start[rows]

    def mixed(words, items):
        choice, word = words[:, 2], words[:, 3]
        popular = choice < mix.popular
        from_batch = ~popular & (choice < mix.batch)
        other = np.searchsorted(mix.bounds, word, side="right")
        product = word.astype(np.uint64) * np.uint64(len(users))
        whose = users[(product >> WORD).astype(np.int64)].astype(np.int64)
        whose = np.where(caps[whose] > 0, whose, rows)  # none there: the own row, so not taken
        draw = _scaled(product.astype(np.uint32), caps[whose])
        other[from_batch] = positives_of(words_of(draw, whose), whose)[from_batch]
        taken = (popular | from_batch) & ~np.isin(rows * n_items + other, owner * n_items + indices)
        return np.where(taken, other, items)

    first = words_of(index, rows)
    drawn = []
    for number in range(negatives):
        words = words_of(index + number * caps[rows], rows) if number else first
        items = outside(words)
        drawn.append(items if mix is None else mixed(words, items))
    positives = positives_of(first, rows)
    return tuple(x.astype(np.int32) for x in (rows, positives, np.concatenate(drawn)))


def positives(indptr, indices, users, capacity=None):
    """All that the users have: (rows, items), int32 each."""
    parts = [indices[indptr[user] : indptr[user + 1]] for user in users]
    n = sum(map(len, parts))
    rows, items = np.full((2, length(n, capacity)), -1, np.int32)
    rows[:n] = np.repeat(users, [len(part) for part in parts])
    items[:n] = np.concatenate([*parts, np.empty(0, np.int32)])
    return rows, items
