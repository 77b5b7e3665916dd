"""What is known of each candidate: the second pass over neighbours, and the columns made from it.

All sums of a candidate are one row of a small table, so an entry of a neighbour list adds a line or
two to it; entries that are no candidates' are dropped before. Then all goes column by column:
logarithms, places and f are vectors over a user's candidates, and nothing is kept but what is asked
for.
"""

from __future__ import annotations

import numba as nb
import numpy as np

from ..jit import parallel, serial
from ..simd import load, logarithm, lowest, spread_over, store
from . import EPSILON, LANES
from .nominate import AHEAD, PIECES, WORD, add_to, emit, expect_row
from .ranks import scratch, write_ranks
from .score import score_columns

GROUP = 32  # own items whose lists are searched at a time: what is found stays in L2


@serial()
def _standardised(values, result):
    """Less the mean, over the deviation; values that are not finite count as the lowest one."""
    low = np.float64(np.inf)
    for value in values:
        if np.isfinite(value):
            low = min(low, value)
    if not np.isfinite(low):
        low = 0.0
    mean = square = 0.0
    for value in values:
        mean += value if np.isfinite(value) else low
    mean /= len(values)
    for value in values:
        square += ((value if np.isfinite(value) else low) - mean) ** 2
    deviation = np.sqrt(square / len(values))
    for c in range(len(values)):
        value = values[c] if np.isfinite(values[c]) else low
        result[c] = (value - mean) / deviation if deviation > 0 else 0.0


@serial()
def _touch(u, own, K, within, mine):
    """Mark each own item with the behaviours it is in, list it once; how many there are."""
    count = 0
    for s in range(K):
        for e in range(own.indptr[u * K + s], own.indptr[u * K + s + 1]):
            i = own.indices[e]
            if within[i] == 0:
                mine[count] = i
                count += 1
            within[i] |= 1 << s
    return count


@serial()
def _sum_up(mine, within, shares, graph, K, slots, hits, ends, weights, sums, nearest):
    """Add what the own items hand to the candidates: rows of `sums`, by their slots.

    First some lists are searched for candidates, then what is said of them is read: by then it has
    been fetched, all at a time.
    """
    near, values = graph.items, graph.values
    most, width, group = near.shape[1], values.shape[1], len(weights)
    alike, stages, total = K * K, K * K + K - 1, K * K + 2 * K - 1
    for first in range(0, len(mine), group):
        count = min(group, len(mine) - first)
        found = 0
        for n in range(count):
            i = mine[first + n]
            for t in range(width):
                weights[n, t] = 0
            for s in range(K):
                if within[i] >> s & 1:
                    for b in range(K):
                        weights[n, s * K + b] = shares[s]
                    if s:
                        weights[n, alike + s - 1] = shares[s]
                    weights[n, stages + s] = graph.stages[s] * shares[s]
            if first + n + AHEAD < len(mine):
                expect_row(near, mine[first + n + AHEAD], 0, most)
            before = found
            for start in range(0, most, LANES):
                # Bits, not branches: which are candidates is hard to foresee.
                bits = np.int64(0)
                for j in range(LANES):
                    bits |= np.int64(slots[near[i, start + j]] >= 0) << j
                while bits:
                    j = start + lowest(bits)
                    bits &= bits - 1
                    hits[found, 0], hits[found, 1] = i * most + j, slots[near[i, j]]
                    found += 1
            ends[n] = found
            for h in range(before, found):
                expect_row(values, hits[h, 0], 0, width)
        h = 0
        for n in range(count):
            while h < ends[n]:
                row, c = hits[h, 0], hits[h, 1]
                for t in range(0, width, LANES):
                    share = load(weights, n, t)
                    store(load(sums, c, t) + share * load(values, row, t), sums, c, t)
                nearest[c] = max(nearest[c], values[row, total])
                h += 1


@serial()
def _columns(items, here, within, active, sums, nearest, graph, K, of_rank, work, table):
    """Write all features of a user's candidates, column by column."""
    count, n_known = len(items), graph.known.shape[1]
    known, alike = 5 * K - 4, 5 * K - 4 + n_known  # the first of these columns
    whole = alike + K * K + K - 1
    floor = spread_over(EPSILON, table)
    table[: 4 * (K - 1)] = 0
    for c in range(count):
        v = items[c]
        inside = within[v]
        for s in range(K - 1):
            if inside >> s & 1:
                ratio = K + (K - 1) * (K - 2) // 2 + s  # of the target to behaviour s
                table[s, c] = 1
                table[K - 1 + s, c] = graph.known[v, K - 1]
                table[2 * (K - 1) + s, c] = graph.known[v, ratio]
                table[3 * (K - 1) + s, c] = active[s]
        for t in range(n_known):
            table[known + t, c] = graph.known[v, t]
    for t in range(K * K + K - 1):
        for c in range(count):
            table[alike + t, c] = sums[c, t]
    for c in range(count):
        g = np.float32(0)
        for t in range(K * K + K - 1, K * K + 2 * K - 1):
            g += sums[c, t]
        table[whole, c], table[whole + 1, c] = g, nearest[c]
    for s in range(K):
        table[4 * (K - 1) + s, :count] = active[s]
    write_ranks(table[whole, :count], of_rank, work, table[whole + 2])
    write_ranks(table[alike, :count], of_rank, work, table[whole + 3])
    _standardised(here, table[whole + 4])
    write_ranks(here, of_rank, work, table[whole + 5])
    for t in range(alike, whole + 2):
        for c in range(0, count, LANES):
            store(logarithm(load(table, t, c) + floor), table, t, c)


@serial()
def _soon(u, items, soon, slots, table):
    """Write the features of times of a user's candidates, columns of `sessions`."""
    mates, strength, weights = soon.mates, soon.strength, soon.weights
    count, most, kinds = len(items), mates.shape[1], weights.shape[1]
    table[: kinds + 1, :count] = 0
    for e in range(soon.indptr[u], soon.indptr[u + 1]):
        i = soon.items[e]
        for j in range(most):
            c = slots[mates[i, j]]
            if c >= 0:
                for t in range(kinds):
                    table[t, c] += weights[e, t] * strength[i, j]
                table[kinds, c] = max(table[kinds, c], strength[i, j])
    for c in range(count):
        times = soon.item_times[soon.item_indptr[items[c]] : soon.item_indptr[items[c] + 1]]
        table[kinds + 1, c] = _gap(times, soon.asked[u], soon.span)
    floor = spread_over(EPSILON, table)
    one = spread_over(np.float32(1), table)
    for t in range(kinds + 2):
        more = floor if t <= kinds else one
        for c in range(0, count, LANES):
            store(logarithm(load(table, t, c) + more), table, t, c)


@serial()
def _gap(times, asked, span):
    """From `asked` to the nearest of the rising times; `span` where there is none, or no asked."""
    if len(times) == 0 or np.isnan(asked):
        return np.float32(span)
    place = np.searchsorted(times, asked)
    gap = span
    if place < len(times):
        gap = min(gap, times[place] - asked)
    if place > 0:
        gap = min(gap, asked - times[place - 1])
    return np.float32(gap)


@parallel()
def describe(
    users,
    own,
    graph,
    soon,
    K,
    width,
    first_indptr,
    first_items,
    first_scores,
    best,
    best_scores,
    indptr,
    of_rank,
    form,
    items,
    features,
    result,
):
    """Candidates of each user by rising number: the first ones and the model's best.

    Written from indptr[w] on: items, and features (where it has rows) or f (where `result` has).
    """
    n_items = len(graph.known)
    most, wide = graph.items.shape[1], graph.values.shape[1]
    rows, outer, bias, linear = form
    pieces = min(len(users), PIECES)
    for piece in nb.prange(pieces):
        room = 0
        low, high = piece * len(users) // pieces, (piece + 1) * len(users) // pieces
        for w in range(low, high):
            room = max(room, indptr[w + 1] - indptr[w])
        room = -(-room // LANES) * LANES
        listed = np.zeros(n_items // WORD + 1, np.int64)
        within, mine = np.zeros(n_items, np.int64), np.empty(n_items, np.int32)
        slots = np.full(n_items + 1, -1, np.int32)
        score_of = np.empty(n_items, first_scores.dtype)
        hits, ends = np.empty((GROUP * most, 2), np.int64), np.empty(GROUP, np.int64)
        shares, active = np.empty(K, np.float32), np.empty(K, np.float32)
        weights, work = np.empty((GROUP, wide), np.float32), scratch(room)
        sums, nearest = np.zeros((room, wide), np.float32), np.zeros(room, np.float32)
        columns, found = np.zeros(width * room, np.float32), np.zeros((1, room), np.float32)
        here = np.empty(room, first_scores.dtype)
        for w in range(low, high):
            u = users[w]
            for e in range(first_indptr[w], first_indptr[w + 1]):
                add_to(listed, first_items[e])
                score_of[first_items[e]] = first_scores[e]
            for n in range(best.shape[1]):
                if best[w, n] >= 0:
                    add_to(listed, best[w, n])
                    score_of[best[w, n]] = best_scores[w, n]
            mine_here = items[indptr[w] : indptr[w + 1]]
            count = emit(listed, mine_here)
            if count == 0:
                continue
            for c in range(count):
                slots[mine_here[c]] = c
                here[c] = score_of[mine_here[c]]
            for s in range(K):
                size = own.indptr[u * K + s + 1] - own.indptr[u * K + s]
                active[s] = np.log1p(np.float32(size))
                shares[s] = np.float32(1) / np.float32(max(size, 1))
            # No wider than the user needs: so it stays in L1 or nearly so.
            stride = -(-count // LANES) * LANES
            table = columns[: width * stride].reshape(width, stride)
            touched = mine[: _touch(u, own, K, within, mine)]
            sums[:count] = 0
            nearest[:count] = 0
            _sum_up(touched, within, shares, graph, K, slots, hits, ends, weights, sums, nearest)
            _columns(
                mine_here,
                here[:count],
                within,
                active,
                sums,
                nearest,
                graph,
                K,
                of_rank,
                work,
                table,
            )
            if len(soon.mates):
                _soon(u, mine_here, soon, slots, table[width - soon.weights.shape[1] - 2 :])
            if len(features):
                for c in range(count):
                    for t in range(width):
                        features[indptr[w] + c, t] = table[t, c]
            if len(result):
                score_columns(table, count, rows, outer, bias, linear, found)
                result[indptr[w] : indptr[w + 1]] = found[0, :count]
            for c in range(count):
                slots[mine_here[c]] = -1
            for i in touched:
                within[i] = 0
