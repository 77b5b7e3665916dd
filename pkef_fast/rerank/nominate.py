"""Which items of a user are candidates before the model is asked: the first pass over neighbours.

Two sums are enough to choose by, g and x_1 of `funnel`; each entry of a list adds to one number of
either. A bitmap says what is listed, so that candidates come out by rising number.
"""

from __future__ import annotations

import numba as nb
import numpy as np

from ..kernels.jit import parallel, serial
from ..kernels.simd import above, load, lowest, zero

PIECES = 64  # of the users of a call: each has tables of its own, whatever the number of threads
WORD = 64  # items of a word of a bitmap
LANES = 16  # float32 of a line


@serial()
def add_to(bitmap, item):
    """List an item."""
    bitmap[item // WORD] |= np.int64(1) << (item % WORD)


# Counts in float32 are exact below 2²⁴ in any order; so the loop vectorises.
@serial(fastmath={"reassoc"})
def _at_least(values, least):
    """How many values are as high as `least`."""
    one, none = np.float32(1), np.float32(0)
    count = none
    for j in range(len(values)):
        count += one if values[j] >= least else none
    return count


@serial()
def _nth_largest(values, n):
    """The n-th largest of more than n values above 0: bit by bit, as such floats sort by bits."""
    value = np.zeros(1, np.float32)
    bits = value.view(np.int32)
    for place in range(30, -1, -1):
        bits[0] |= np.int32(1) << place
        # Bits of infinity and beyond count nothing, for every sum is finite.
        count = _at_least(values, value[0])
        if count < n:
            bits[0] ^= np.int32(1) << place
        elif count == n:  # the n largest are told apart: the least of them is as good
            break
    return value[0]


@serial()
def _choose(sums, column, most, listed, taken, keys, places):
    """List the `most` items with the largest sums above 0 of those neither listed nor taken.

    Of equal sums the lowest numbers.
    """
    found = 0
    nothing = zero(sums)
    for word in range(len(listed)):
        free = ~(listed[word] | taken[word])
        for part in range(0, WORD, LANES):
            start = word * WORD + part
            bits = above(load(sums, column, start), nothing) & (free >> part) & 0xFFFF
            while bits:
                v = start + lowest(bits)
                bits &= bits - 1
                keys[found], places[found] = sums[column, v], v
                found += 1
    least, room = np.float32(0), found
    if found > most:
        if most == 0:
            return
        least = _nth_largest(keys[:found], most)
        room = most - found  # of sums that are equal to the least
        for t in range(found):
            room += keys[t] <= least
    for t in range(found):
        if keys[t] == least:
            room -= 1
            if room < 0:
                continue
        if keys[t] >= least:
            add_to(listed, places[t])


@serial()
def emit(bitmap, items):
    """Write the listed items by rising number and empty the list; how many there were."""
    count = 0
    for word in range(len(bitmap)):
        bits = bitmap[word]
        while bits:
            items[count] = word * WORD + lowest(bits)
            bits &= bits - 1
            count += 1
        bitmap[word] = 0
    return count


@parallel()
def nominate(users, own, graph, from_graph, from_alike, K, starts, counts, items):
    """items[starts[w]…] and how many: own auxiliary items, the best by g and by x_1, not bought."""
    n_items = len(graph.known)
    words = -(-(n_items + 1) // WORD)
    near, weights = graph.items, graph.choosing
    pieces = min(len(users), PIECES)
    for piece in nb.prange(pieces):
        sums = np.zeros((2, words * WORD), np.float32)
        listed, taken = np.zeros((2, words), np.int64)
        keys, places = np.empty(n_items, np.float32), np.empty(n_items, np.int32)
        for w in range(piece * len(users) // pieces, (piece + 1) * len(users) // pieces):
            u = users[w]
            for s in range(K):
                begin, end = own.indptr[u * K + s], own.indptr[u * K + s + 1]
                share = np.float32(1) / np.float32(max(end - begin, 1))
                stage = graph.stages[s] * share
                for e in range(begin, end):
                    i = own.indices[e]
                    if s < K - 1:
                        add_to(listed, i)
                    else:
                        add_to(taken, i)
                    for j in range(near.shape[1]):
                        sums[0, near[i, j]] += stage * weights[i, s, j]
                    if s == 0:
                        for j in range(near.shape[1]):
                            sums[1, near[i, j]] += share * weights[i, K, j]
            sums[:, n_items:] = 0  # places that are no items' gather what fills up the lists
            _choose(sums, 0, from_graph, listed, taken, keys, places)
            _choose(sums, 1, from_alike, listed, taken, keys, places)
            for word in range(words):
                listed[word] &= ~taken[word]
                taken[word] = 0
            counts[w] = emit(listed, items[starts[w] : starts[w + 1]])
            sums[:] = 0


@parallel()
def count_new(indptr, items, best, n_items, counts):
    """How many of best[w], −1 where there is none, are not among the items of row w."""
    pieces = min(len(counts), PIECES)
    for piece in nb.prange(pieces):
        listed = np.zeros(n_items, nb.boolean)
        for w in range(piece * len(counts) // pieces, (piece + 1) * len(counts) // pieces):
            for e in range(indptr[w], indptr[w + 1]):
                listed[items[e]] = True
            for v in best[w]:
                counts[w] += v >= 0 and not listed[v]
            for e in range(indptr[w], indptr[w + 1]):
                listed[items[e]] = False
