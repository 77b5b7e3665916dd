"""sample in Numba. Contract: `__init__.py`.

Every draw depends on its own counter alone, so threads share the users of a batch.
"""

import numba as nb
import numpy as np

from ..jit import inlined, parallel, serial
from ..philox import MASK, WORD
from ..philox import words as _words
from ..rows import offsets
from . import check_term, draw_caps, epoch_counters, key_of, length, mix_of

__all__ = ["draw", "draw_caps", "epoch_users", "mix_of", "philox4x32", "positives"]


@serial()
def _philox4x32(counter, key, words):
    k0, k1 = np.uint64(key[0]), np.uint64(key[1])
    for n in range(len(counter)):
        x0, x1, x2, x3 = _words(
            np.uint64(counter[n, 0]),
            np.uint64(counter[n, 1]),
            np.uint64(counter[n, 2]),
            np.uint64(counter[n, 3]),
            k0,
            k1,
        )
        words[n, 0] = x0
        words[n, 1] = x1
        words[n, 2] = x2
        words[n, 3] = x3


def philox4x32(counter, key):
    """Philox4x32-10: four random words (n, 4) uint32 of each counter."""
    words = np.empty(counter.shape, np.uint32)
    _philox4x32(counter, key, words)
    return words


def epoch_users(n_users, take, seed, epoch):
    """The users of an epoch in order, without replacement, (min(take, n_users),) int32."""
    words = philox4x32(epoch_counters(n_users, epoch), key_of(seed))
    numbers = (words[:, 0].astype(np.uint64) << WORD) | words[:, 1]
    return np.argsort(numbers, kind="stable")[:take].astype(np.int32)


@inlined()
def _scaled(word, count):
    """⌊word · count / 2³²⌋: a number below count."""
    return np.int64((word * np.uint64(count)) >> WORD)


@serial()
def _at_most(values, bound):
    """How many of the rising values are ≤ bound."""
    low, high = 0, len(values)
    while low < high:
        middle = (low + high) // 2
        if values[middle] <= bound:
            low = middle + 1
        else:
            high = middle
    return low


@serial()
def _outside(row, r):
    """The r-th item that is not in the row."""
    # How many of the row have at most r outside items below them.
    low, high = 0, len(row)
    while low < high:
        middle = (low + high) // 2
        if row[middle] - middle <= r:
            low = middle + 1
        else:
            high = middle
    return r + low


@parallel()
def _draw(
    indptr,
    indices,
    n_items,
    caps,
    users,
    starts,
    key,
    step,
    term,
    mix,
    bounds,
    rows,
    positives,
    negatives,
):
    k0, k1 = np.uint64(key[0]), np.uint64(key[1])
    popular, batch = np.uint64(mix[0]), np.uint64(mix[1])
    for place in nb.prange(len(users)):
        user = users[place]
        row = indices[indptr[user] : indptr[user + 1]]
        cap = caps[user]
        for i in range(cap):
            n = starts[place] + i
            for number in range(len(negatives)):
                counter = np.uint64(i + number * cap)
                w0, w1, w2, w3 = _words(counter, np.uint64(user), step, term, k0, k1)
                if number == 0:
                    rows[n] = user
                    positives[n] = row[_scaled(w0, len(row))]
                item = -1
                if w2 < popular:
                    item = _at_most(bounds, w3)
                elif w2 < batch:
                    product = w3 * np.uint64(len(users))
                    other = users[product >> WORD]
                    if caps[other] > 0:
                        draw = np.uint64(_scaled(product & MASK, caps[other]))
                        v0, _, _, _ = _words(draw, np.uint64(other), step, term, k0, k1)
                        start, stop = indptr[other], indptr[other + 1]
                        item = indices[start + _scaled(v0, stop - start)]
                if item >= 0:
                    below = _at_most(row, item)
                    if below > 0 and row[below - 1] == item:
                        item = -1
                if item < 0:
                    item = _outside(row, _scaled(w1, n_items - len(row)))
                negatives[number, n] = item


def draw(indptr, indices, n_items, caps, users, seed, step, term, negatives=1, mix=None):
    """Positives and negatives of a batch: (rows, positives, negatives), int32 each."""
    check_term(term)
    ends = np.cumsum(caps[users], dtype=np.int64)
    rows, positives = np.empty((2, int(ends[-1]) if len(ends) else 0), np.int32)
    drawn = np.empty((negatives, len(rows)), np.int32)
    thresholds = np.array([0, 0] if mix is None else mix[:2], np.uint32)
    _draw(
        indptr,
        indices,
        n_items,
        caps,
        users,
        ends - caps[users],
        key_of(seed),
        np.uint64(step),
        np.uint64(term),
        thresholds,
        np.empty(0, np.uint32) if mix is None else mix.bounds,
        rows,
        positives,
        drawn,
    )
    return rows, positives, drawn.reshape(-1)


@parallel()
def _positives(indptr, indices, users, starts, rows, items):
    for place in nb.prange(len(users)):
        user = users[place]
        first = indptr[user]
        for i in range(indptr[user + 1] - first):
            rows[starts[place] + i] = user
            items[starts[place] + i] = indices[first + i]


def positives(indptr, indices, users, capacity=None):
    """All that the users have: (rows, items), int32 each."""
    starts = offsets(indptr[users + 1] - indptr[users])
    rows, items = np.full((2, length(int(starts[-1]), capacity)), -1, np.int32)
    _positives(indptr, indices, users, starts, rows, items)
    return rows, items
