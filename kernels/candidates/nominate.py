"""Which items of a user are candidates before the model is asked: the first pass over neighbours.

Two sums are enough to choose by, g and x_1 of `funnel`; each entry of a list adds to one number of
either. A bitmap says what is listed, so that candidates come out by rising number.
"""

from __future__ import annotations

import numba as nb
import numpy as np

from ..buffers import LINE
from ..jit import parallel, serial
from ..select import at_least
from ..simd import above, expect, larger, load, lowest, spread_over, store
from . import LANES

PIECES = 64  # of the users of a call: each has tables of its own, whatever the number of threads
WORD = 64  # items of a word of a bitmap
SMALLEST = np.float32(1e-45)  # above 0
AHEAD = 2  # lists that are fetched while one is read


@serial()
def add_to(bitmap, item):
    """List an item."""
    bitmap[item // WORD] |= np.int64(1) << (item % WORD)


@serial()
def _threshold(values, n, most):
    """A number that n or more values reach, at most `most` of them if there is such a one.

    There are more than n values above 0. Bit by bit, for such floats sort as their bits; the last
    one tried is the n-th largest.
    """
    number = np.zeros(1, np.float32)
    bits = number.view(np.int32)
    for place in range(30, -1, -1):
        bits[0] |= np.int32(1) << place
        # Bits beyond infinity are reached by none.
        count = at_least(values, number[0])
        if count < n:
            bits[0] ^= np.int32(1) << place
        elif count <= most:
            break
    return number[0]


@serial()
def _choose(sums, column, most, highest, keys, places):
    """The `most` items with the largest sums above 0, of equal ones the lowest numbers.

    They are written to `places`; returns how many. `highest` is scratch for a quarter of the sums.
    """
    if most == 0:
        return 0
    # As many items as there are high ones among the highest of each four, or more, are as high.
    for start in range(0, sums.shape[1], WORD):
        a, b = load(sums, column, start), load(sums, column, start + LANES)
        c, d = load(sums, column, start + 2 * LANES), load(sums, column, start + 3 * LANES)
        store(larger(larger(a, b), larger(c, d)), highest, 0, start // 4)
    least = np.zeros(1, np.float32)
    if at_least(highest[0], SMALLEST) > most:
        least[0] = _threshold(highest[0], most, 2 * most)
        least.view(np.int32)[0] -= 1  # the next number below
    found = 0
    floor = spread_over(least[0], sums)
    for start in range(0, sums.shape[1], LANES):
        bits = above(load(sums, column, start), floor)
        while bits:
            v = start + lowest(bits)
            bits &= bits - 1
            keys[found], places[found] = sums[column, v], v
            found += 1
    if found <= most:
        return found
    exact = _threshold(keys[:found], most, most)
    equal = most  # how many of the sums that are equal to the least are chosen
    for t in range(found):
        equal -= keys[t] > exact
    chosen = 0
    for t in range(found):
        places[chosen] = places[t]
        chosen += keys[t] > exact or (keys[t] == exact and equal > 0)
        equal -= keys[t] == exact
    return chosen


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


@serial()
def expect_row(x, row, first, last):
    """Have x[row, first : last] fetched, for later."""
    for t in range(first, last, LINE // x.itemsize):
        expect(x, row, t)


@serial()
def _gather(u, own, graph, K, sums):
    """Add what the own items of a user hand on: g, and x_1."""
    near, weights = graph.items, graph.choosing
    most = near.shape[1]
    last = own.indptr[u * K + K]
    for s in range(K):
        begin, end = own.indptr[u * K + s], own.indptr[u * K + s + 1]
        share = np.float32(1) / np.float32(max(end - begin, 1))
        stage = graph.stages[s] * share
        for e in range(begin, end):
            if e + AHEAD < last:
                following = own.indices[e + AHEAD]
                expect_row(near, following, 0, most)
                expect_row(weights, following, s * most, (s + 1) * most)
                if s == 0:
                    expect_row(weights, following, K * most, (K + 1) * most)
            i = own.indices[e]
            for j in range(most):
                sums[0, near[i, j]] += stage * weights[i, s * most + j]
            if s == 0:
                for j in range(most):
                    sums[1, near[i, j]] += share * weights[i, K * most + j]


@serial()
def _gather_soon(u, soon, sums):
    """Add what a user's touches hand on to their mates."""
    near = soon.mates
    most = near.shape[1]
    for e in range(soon.indptr[u], soon.indptr[u + 1]):
        i, share = soon.items[e], soon.choosing[e]
        for j in range(most):
            sums[2, near[i, j]] += share * soon.strength[i, j]


@parallel()
def nominate(users, own, graph, soon, limits, K, starts, counts, items):
    """items[starts[w]…] and how many: own auxiliary items, the best by g, x_1 and S, not bought."""
    n_items = len(graph.known)
    from_graph, from_alike, _, from_soon = limits
    kinds = 2 if len(soon.mates) == 0 else 3
    words = n_items // WORD + 1
    pieces = min(len(users), PIECES)
    for piece in nb.prange(pieces):
        sums = np.zeros((kinds, words * WORD), np.float32)
        listed = np.zeros(words, np.int64)
        highest = np.empty((1, words * WORD // 4), np.float32)
        keys, places = np.empty(n_items + 1, np.float32), np.empty(n_items + 1, np.int32)
        for w in range(piece * len(users) // pieces, (piece + 1) * len(users) // pieces):
            u = users[w]
            _gather(u, own, graph, K, sums)
            if kinds == 3:
                _gather_soon(u, soon, sums)
            sums[:, n_items:] = 0  # what fills up the lists went there
            for e in range(own.indptr[u * K], own.indptr[u * K + K]):
                i = own.indices[e]
                sums[:, i] = 0
                add_to(listed, i)
            for e in range(own.indptr[u * K + K - 1], own.indptr[u * K + K]):
                i = own.indices[e]
                listed[i // WORD] &= ~(np.int64(1) << (i % WORD))
            for kind in range(kinds):
                wanted = from_graph if kind == 0 else from_alike if kind == 1 else from_soon
                for t in range(_choose(sums, kind, wanted, highest, keys, places)):
                    sums[:, places[t]] = 0
                    add_to(listed, places[t])
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
