"""sample in Numba. Contract: `__init__.py`.

One thread: a batch of 256 users takes well below a millisecond, less than a parallel region's
compilation is worth.
"""

import numpy as np

from ..jit import serial
from . import check_term, draw_caps, epoch_counters, key_of

__all__ = ["draw", "draw_caps", "epoch_users", "philox4x32"]

MASK = np.uint64(0xFFFFFFFF)
WORD = np.uint64(32)
M0, M1 = np.uint64(0xD2511F53), np.uint64(0xCD9E8D57)
W0, W1 = np.uint64(0x9E3779B9), np.uint64(0xBB67AE85)


@serial()
def _words(x0, x1, x2, x3, k0, k1):
    """Ten Philox rounds on 32-bit words held in uint64."""
    for _ in range(10):
        a = M0 * x0
        b = M1 * x2
        x0 = (b >> WORD) ^ x1 ^ k0
        x1 = b & MASK
        x2 = (a >> WORD) ^ x3 ^ k1
        x3 = a & MASK
        k0 = (k0 + W0) & MASK
        k1 = (k1 + W1) & MASK
    return x0, x1, x2, x3


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


@serial()
def _draw(indptr, indices, n_items, caps, users, key, step, term, rows, positives, negatives):
    k0, k1 = np.uint64(key[0]), np.uint64(key[1])
    n = 0
    for user in users:
        start, stop = indptr[user], indptr[user + 1]
        degree = np.int64(stop - start)
        for i in range(caps[user]):
            w0, w1, _, _ = _words(np.uint64(i), np.uint64(user), step, term, k0, k1)
            positive = start + np.int64((w0 * np.uint64(degree)) >> WORD)
            r = np.int64((w1 * np.uint64(n_items - degree)) >> WORD)
            # How many of the row have at most r outside items below them.
            low, high = np.int64(0), degree
            while low < high:
                middle = (low + high) // 2
                if indices[start + middle] - middle <= r:
                    low = middle + 1
                else:
                    high = middle
            rows[n] = user
            positives[n] = indices[positive]
            negatives[n] = r + low
            n += 1


def draw(indptr, indices, n_items, caps, users, seed, step, term):
    """Positives and negatives of a batch: (rows, positives, negatives), (n,) int32 each."""
    check_term(term)
    rows, positives, negatives = np.empty((3, int(caps[users].sum())), np.int32)
    _draw(
        indptr,
        indices,
        n_items,
        caps,
        users,
        key_of(seed),
        np.uint64(step),
        np.uint64(term),
        rows,
        positives,
        negatives,
    )
    return rows, positives, negatives
