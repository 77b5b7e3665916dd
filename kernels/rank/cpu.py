"""rank in Numba. Contract: `__init__.py`.

Every score here is made of inner products of a row of the user with a row of the item:

    DotScorer           one product
    GatedScorer         softmax needs no exponential a pair: with A = exp(a − max a) of the user,
                        B = exp(b − max b) of the item,
                        s = ⟨L,R⟩ · ⟨A∘c_u, B∘c_v⟩ / ⟨A,B⟩
    InteractionScorer   ⟨q^j,q^own⟩ = ⟨Zu^j∘Zu^own, Zv^j∘Zv^own⟩ and |q^j|² = ⟨(Zu^j)²,(Zv^j)²⟩
    ExpertsScorer       Σ_a tower_a·max(left_ua, −right_va) in place of a product: see the contract

So the launcher lays out one row of features a user and one an item (`_features`), and a matrix
product in tiles does nearly all the work. Item tiles stay in L1 while a chunk of users passes.
Where A and B are so far apart that ⟨A,B⟩ nears underflow, the pair gets its exact softmax.
Rows of given scores pass through the same tiles.
"""

from typing import NamedTuple

import numba as nb
import numpy as np

from ..buffers import LINE
from ..jit import inlined, parallel, serial
from ..select import at_least, nth_largest
from ..simd import above, load, lowest, spread_over
from . import (
    EPSILON,
    DotScorer,
    ExpertsScorer,
    GatedScorer,
    RowsScorer,
    check_items,
    float_type,
    n_items,
    slots,
)

__all__ = ["ranks", "scores", "survey", "top_k"]

BLOCK = 4  # users of a micro-kernel: 4 × UNROLL factors stay in the 32 vector registers
UNROLL = 4  # features of a micro-kernel: an accumulator is read and written once for four FMAs
TILE = 128  # items of a tile: 70 features in float32 take 35 KiB, of the 48 KiB of L1
CHUNK = TILE  # users of a task; no more than TILE, for their held-out items make one extra tile
HALVINGS = 12  # of the range of scores in search of a floor
SLAB = 8192  # users whose features are laid out at a time: bounds the memory

DOT, GATED, INTERACTION, ROWS, EXPERTS = 0, 1, 2, 3, 4
SCORES, RANKS, TOP = 0, 1, 2

# No reassociation: an item's score must not depend on its place in a tile.
EXACT = {"contract", "nsz"}


# ---- what the tiles are made of ----------------------------------------------------------------


def _weights(logits):
    return np.exp(logits - logits.max(axis=1, keepdims=True, initial=-np.inf))


def _features(scorer, side, rows):
    """Features of some users (side 0) or items (side 1): (parts to multiply, parts to keep).

    The last product is always ⟨A,B⟩; what is kept serves the exact softmax.
    """
    if isinstance(scorer, DotScorer):
        return [scorer[side][rows]], []
    if isinstance(scorer, GatedScorer):
        vectors, logits, scale = (scorer[2 * part + side][rows] for part in range(3))
        weights = _weights(logits)
        return [vectors, weights * scale, weights], [logits, scale]
    if isinstance(scorer, ExpertsScorer):
        sums, logits = scorer[side][rows], scorer[2 + side][rows]
        experts = sums.reshape(*logits.shape, len(scorer.tower))
        # Row by row, not a matrix product: a row's bits must not depend on the others.
        linear = np.sum(experts * scorer.tower, axis=2)
        if side == 0:
            linear *= sums.dtype.type(scorer.slope)
        else:
            linear += sums.dtype.type(scorer.offset)
            experts = -experts
        linear *= sums.dtype.type(scorer.score_scale)
        return [*experts.transpose(1, 0, 2), _weights(logits)], [logits, linear]
    own, *others = (scorer[side][j][rows] for j in slots(len(scorer[side]), scorer.own))
    logits = scorer[3 + side][rows]
    along = [own * other for other in others]
    squares = [table * table for table in (own, *others)]
    return [own, *along, *squares, _weights(logits)], [logits]


class _Layout(NamedTuple):
    """Where the parts of a feature row start; products are padded to UNROLL columns with zeros."""

    bounds: np.ndarray  # (products + 1,) int64
    width: int


def _layout(scorer):
    multiplied, kept = _features(scorer, 1, slice(0, 0))
    widths = [-(-part.shape[1] // UNROLL) * UNROLL for part in multiplied]
    bounds = np.concatenate([[0], np.cumsum(widths)]).astype(np.int64)
    return _Layout(bounds, int(bounds[-1]) + sum(part.shape[1] for part in kept))


def _rows(scorer, side, rows, layout):
    """Feature rows (len(rows), width)."""
    multiplied, kept = _features(scorer, side, rows)
    result = np.zeros((len(rows), layout.width), multiplied[0].dtype)
    for start, part in zip(layout.bounds[:-1], multiplied, strict=True):
        result[:, start : start + part.shape[1]] = part
    start = layout.bounds[-1]
    for part in kept:
        result[:, start : start + part.shape[1]] = part
        start += part.shape[1]
    return result


def _padded(rows, multiple):
    """Rows up to a multiple by repeating the last one: an empty row would look like underflow."""
    return np.pad(rows, (0, -len(rows) % multiple), mode="edge")


# ---- scores of a block of users and a tile of items ----------------------------------------------


@serial(fastmath=EXACT)
def _multiply(left, width, first, last, panel, out):
    """out (BLOCK·TILE,) = the inner products over features first…last; all arrays are flat."""
    for j in range(BLOCK * TILE):
        out[j] = 0
    w2, w3 = 2 * width, 3 * width
    for a in range(first, last, UNROLL):
        # Flat slices with constant distances: LLVM then needs one overlap check and vectorises.
        y = panel[a * TILE : (a + UNROLL) * TILE]
        a0, a1, a2, a3 = left[a], left[a + 1], left[a + 2], left[a + 3]
        b = a + width
        b0, b1, b2, b3 = left[b], left[b + 1], left[b + 2], left[b + 3]
        c = a + w2
        c0, c1, c2, c3 = left[c], left[c + 1], left[c + 2], left[c + 3]
        d = a + w3
        d0, d1, d2, d3 = left[d], left[d + 1], left[d + 2], left[d + 3]
        for j in range(TILE):
            y0, y1, y2, y3 = y[j], y[j + TILE], y[j + 2 * TILE], y[j + 3 * TILE]
            out[j] = out[j] + a0 * y0 + a1 * y1 + a2 * y2 + a3 * y3
            out[j + TILE] = out[j + TILE] + b0 * y0 + b1 * y1 + b2 * y2 + b3 * y3
            out[j + 2 * TILE] = out[j + 2 * TILE] + c0 * y0 + c1 * y1 + c2 * y2 + c3 * y3
            out[j + 3 * TILE] = out[j + 3 * TILE] + d0 * y0 + d1 * y1 + d2 * y2 + d3 * y3


@inlined(fastmath=EXACT)
def _larger(a, b):
    return a if a > b else b


@serial(fastmath=EXACT)
def _maxima(left, width, first, last, tower, panel, out):
    """out (BLOCK·TILE,) = Σ_a tower_a·max(left_a, panel_a) over features first…last, as above."""
    for j in range(BLOCK * TILE):
        out[j] = 0
    for a in range(first, last, UNROLL):
        y = panel[a * TILE : (a + UNROLL) * TILE]
        t = a - first
        t0, t1, t2, t3 = tower[t], tower[t + 1], tower[t + 2], tower[t + 3]
        for u in range(BLOCK):
            b = a + u * width
            b0, b1, b2, b3 = left[b], left[b + 1], left[b + 2], left[b + 3]
            row = out[u * TILE : (u + 1) * TILE]
            for j in range(TILE):
                row[j] = (
                    row[j]
                    + t0 * _larger(b0, y[j])
                    + t1 * _larger(b1, y[j + TILE])
                    + t2 * _larger(b2, y[j + 2 * TILE])
                    + t3 * _larger(b3, y[j + 3 * TILE])
                )


@serial(fastmath=EXACT)
def _mixed(left, at, panel, n_slots, products, out):
    """out = Σ_j A_j·B_j·(linear parts and maximum) / ⟨A,B⟩ of one user; A, B start at `at`."""
    size = BLOCK * TILE
    linear = at + (n_slots + UNROLL - 1) // UNROLL * UNROLL + n_slots
    for j in range(TILE):
        out[j] = 0
    for slot in range(n_slots):
        weight, own = left[at + slot], left[linear + slot]
        b = panel[(at + slot) * TILE : (at + slot + 1) * TILE]
        others = panel[(linear + slot) * TILE : (linear + slot + 1) * TILE]
        maximum = products[slot * size : slot * size + TILE]
        for j in range(TILE):
            out[j] += weight * b[j] * (own + others[j] + maximum[j])
    total = products[n_slots * size : n_slots * size + TILE]
    for j in range(TILE):
        out[j] /= total[j]


@serial(fastmath=EXACT)
def _gated(products, out):
    """out = ⟨L,R⟩ · ⟨A∘c_u, B∘c_v⟩ / ⟨A,B⟩."""
    size = BLOCK * TILE
    for j in range(size):
        out[j] = products[j] * (products[j + size] / products[j + 2 * size])


@serial(fastmath=EXACT)
def _interaction(left, at, panel, n_slots, projection_scale, score_scale, products, out):
    """out = m·S·(A_0·B_0 + t·Σ_{j>0} A_j·B_j·cos_j) / ⟨A,B⟩ of one user; A, B start at `at`."""
    size = BLOCK * TILE
    epsilon = out.dtype.type(EPSILON)
    b = panel[at * TILE : (at + n_slots) * TILE]
    for j in range(TILE):
        out[j] = left[at] * b[j]
    own = products[n_slots * size : n_slots * size + TILE]
    for slot in range(1, n_slots):
        weight = projection_scale * left[at + slot]
        along = products[slot * size : slot * size + TILE]
        square = products[(n_slots + slot) * size : (n_slots + slot) * size + TILE]
        b_slot = b[slot * TILE : (slot + 1) * TILE]
        for j in range(TILE):
            length = np.sqrt(own[j] + epsilon) * np.sqrt(square[j] + epsilon)
            out[j] += weight * b_slot[j] * (along[j] / length)
    total = products[2 * n_slots * size : 2 * n_slots * size + TILE]
    for j in range(TILE):
        out[j] *= score_scale * products[j] / total[j]


@serial()
def _exact(kind, left, panel, bounds, n_slots, projection_scale, score_scale, products, j):
    """Score of one pair with the softmax in full; `products` and `panel` start at its column."""
    size = BLOCK * TILE
    logits = bounds[-1]
    top = left[logits] + panel[logits * TILE + j]
    for slot in range(1, n_slots):
        top = max(top, left[logits + slot] + panel[(logits + slot) * TILE + j])
    total = left.dtype.type(0)
    mixed = left.dtype.type(0)
    for slot in range(n_slots):
        weight = np.exp(left[logits + slot] + panel[(logits + slot) * TILE + j] - top)
        share = left.dtype.type(1)
        if kind == GATED:
            scale = logits + n_slots + slot
            share = left[scale] * panel[scale * TILE + j]
        elif kind == EXPERTS:
            linear = logits + n_slots + slot
            share = left[linear] + panel[linear * TILE + j] + products[slot * size + j]
        elif slot:
            epsilon = left.dtype.type(EPSILON)
            length = np.sqrt(products[n_slots * size + j] + epsilon)
            length *= np.sqrt(products[(n_slots + slot) * size + j] + epsilon)
            share = projection_scale * (products[slot * size + j] / length)
        total += weight
        mixed += weight * share
    return mixed / total if kind == EXPERTS else score_scale * products[j] * (mixed / total)


@serial()
def _tile(
    kind,
    left,
    width,
    panel,
    bounds,
    n_slots,
    tower,
    projection_scale,
    score_scale,
    tiny,
    products,
    out,
):
    """Scores out (BLOCK·TILE,) of a block of users and a tile of items."""
    size = BLOCK * TILE
    n_products = len(bounds) - 1
    if kind == DOT:
        _multiply(left, width, bounds[0], bounds[1], panel, out)
        return
    for g in range(n_products):
        part = products[g * size : (g + 1) * size]
        if kind == EXPERTS and g < n_slots:
            _maxima(left, width, bounds[g], bounds[g + 1], tower, panel, part)
        else:
            _multiply(left, width, bounds[g], bounds[g + 1], panel, part)
    if kind == GATED:
        _gated(products, out)
    elif kind == EXPERTS:
        for u in range(BLOCK):
            _mixed(
                left[u * width : (u + 1) * width],
                bounds[n_slots],
                panel,
                n_slots,
                products[u * TILE :],
                out[u * TILE : (u + 1) * TILE],
            )
    else:
        for u in range(BLOCK):
            _interaction(
                left[u * width : (u + 1) * width],
                bounds[n_products - 1],
                panel,
                n_slots,
                projection_scale,
                score_scale,
                products[u * TILE :],
                out[u * TILE : (u + 1) * TILE],
            )
    total = products[(n_products - 1) * size : n_products * size]
    underflows = 0
    for j in range(size):
        underflows += total[j] < tiny
    if underflows:
        for j in range(size):
            if total[j] < tiny:
                u = j // TILE
                out[j] = _exact(
                    kind,
                    left[u * width : (u + 1) * width],
                    panel,
                    bounds,
                    n_slots,
                    projection_scale,
                    score_scale,
                    products[u * TILE :],
                    j - u * TILE,
                )


# ---- what is done with the scores of one user and one tile ---------------------------------------


@serial()
def _higher_and_equal(s, own):
    """How many scores are higher than `own` (or NaN, on either side), and how many equal it."""
    higher = 0
    equal = 0
    for j in range(len(s)):
        higher += not (s[j] <= own)
        equal += s[j] == own
    return higher, equal


@serial()
def _count(s, start, own, item, seen):
    """(rank, tied) among the items start…start + len(s) without `seen` and `item` itself."""
    rank, tied = _higher_and_equal(s, own)
    if tied:
        rank += _higher_and_equal(s[: max(item - start, 0)], own)[1]
    for v in seen:
        if v != item:
            rank -= (not (s[v - start] <= own)) + (s[v - start] == own and v < item)
            tied -= s[v - start] == own
    if start <= item < start + len(s):
        rank -= not (own <= own)
        tied -= own == own
    return rank, tied


@serial()
def _push(out, u, start, values, items, size, floor):
    """Append what is above the floor in a tile's scores, out[u]; returns the new size."""
    for j in range(0, TILE, LINE // out.itemsize):
        bits = above(load(out, u, j), spread_over(floor, out))
        while bits:
            v = j + lowest(bits)
            bits &= bits - 1
            values[size], items[size] = out[u, v], start + v
            size += 1
    return size


@serial()
def _raised(values, items, size, k):
    """(size, floor): keep what at least k, and soon no more than 1.5·k, of the values reach.

    Whatever comes later has a higher number, so what equals the floor is worse than k others.
    """
    low = high = values[0]
    for t in range(size):
        low, high = min(low, values[t]), max(high, values[t])
    for _ in range(HALVINGS):
        middle = low + (high - low) / 2
        count = at_least(values[:size], middle)
        if count < k:
            high = middle
        else:
            low = middle
            if count <= k + k // 2:
                break
    kept = 0
    for t in range(size):
        value, item = values[t], items[t]
        values[kept], items[kept] = value, item
        kept += value >= low
    return kept, low


@serial()
def _best(values, items, size, k, work):
    """Keep the k best of more, in the order in which they were appended; returns the worst.

    Items were appended by rising number, so that of equal scores the first ones stay.
    """
    work[:size] = values[:size]
    least = nth_largest(work, size, k)
    equal = k
    for t in range(size):
        equal -= values[t] > least
    kept = 0
    for t in range(size):
        value, item = values[t], items[t]
        if kept < k:
            values[kept], items[kept] = value, item
            kept += value > least or (value == least and equal > 0)
            equal -= value == least
    return least


@serial()
def _copied(left, width, start, stop, out):
    """`_tile` of rows of scores: the columns start…stop."""
    for u in range(BLOCK):
        for j in range(stop - start):
            out[u * TILE + j] = left[u * width + start + j]


# One parallel function for all three uses and all scorers, as each would compile for seconds.
@parallel()
def _sweep(
    use,
    kind,
    left,
    right,
    bounds,
    n_slots,
    tower,
    projection_scale,
    score_scale,
    tiny,
    n_users,
    n_items,
    items,
    seen_start,
    seen_stop,
    seen_indices,
    asked_indptr,
    asked_items,
    asked_scores,
    rank,
    tied,
    values,
    best,
):
    """Score all items for the users of `left` (blocks, BLOCK·width), by chunks of users."""
    width, k = left.shape[1] // BLOCK, values.shape[1] if use == TOP else 0
    for chunk in nb.prange(-(-n_users // CHUNK)):
        first = chunk * CHUNK
        count = min(CHUNK, n_users - first)
        n_blocks = -(-count // BLOCK)
        products = np.empty((len(bounds) - 1) * BLOCK * TILE, left.dtype)
        out = np.empty(BLOCK * TILE, left.dtype)
        lines = out.reshape(BLOCK, TILE)
        own = np.empty(count, left.dtype)
        size, floor = np.zeros(count, np.int64), np.full(count, -np.inf, left.dtype)
        room = k + 2 * max(k, TILE) if k else 0
        kept, kept_items = np.empty((count, room), left.dtype), np.empty((count, room), np.int32)
        work = np.empty(room, left.dtype)
        seen = seen_start[first : first + count].copy()
        asked = asked_indptr[first : first + count].copy()

        if use == RANKS and kind == ROWS:
            for u in range(count):
                n = first + u
                own[u] = left[n // BLOCK, (n % BLOCK) * width + items[n]]
        elif use == RANKS:  # the held-out items' own scores, by the same arithmetic
            panel = np.empty(width * TILE, left.dtype)
            for a in range(width):
                for j in range(TILE):
                    v = items[first + min(j, count - 1)]
                    panel[a * TILE + j] = right[v // TILE, a * TILE + v % TILE]
            for block in range(n_blocks):
                row = left[first // BLOCK + block]
                _tile(
                    kind,
                    row,
                    width,
                    panel,
                    bounds,
                    n_slots,
                    tower,
                    projection_scale,
                    score_scale,
                    tiny,
                    products,
                    out,
                )
                for u in range(block * BLOCK, min((block + 1) * BLOCK, count)):
                    own[u] = out[(u - block * BLOCK) * TILE + u]

        for tile in range(len(right)):
            start = tile * TILE
            stop = min(start + TILE, n_items)
            for block in range(n_blocks):
                row = left[first // BLOCK + block]
                if kind == ROWS:
                    _copied(row, width, start, stop, out)
                else:
                    _tile(
                        kind,
                        row,
                        width,
                        right[tile],
                        bounds,
                        n_slots,
                        tower,
                        projection_scale,
                        score_scale,
                        tiny,
                        products,
                        out,
                    )
                for u in range(block * BLOCK, min((block + 1) * BLOCK, count)):
                    s = out[(u - block * BLOCK) * TILE :][: stop - start]
                    n = first + u
                    if use == SCORES:
                        values[n, start:stop] = s
                        continue
                    seen_here = seen[u]
                    while seen[u] < seen_stop[n] and seen_indices[seen[u]] < stop:
                        seen[u] += 1
                    hidden = seen_indices[seen_here : seen[u]]
                    if use == RANKS:
                        more, same = _count(s, start, own[u], items[n], hidden)
                        rank[n] += more
                        tied[n] += same
                        continue
                    while asked[u] < asked_indptr[n + 1] and asked_items[asked[u]] < stop:
                        asked_scores[asked[u]] = s[asked_items[asked[u]] - start]
                        asked[u] += 1
                    if k:
                        for v in hidden:
                            s[v - start] = -np.inf
                        for j in range(stop - start, TILE):
                            lines[u % BLOCK, j] = -np.inf
                        size[u] = _push(
                            lines, u % BLOCK, start, kept[u], kept_items[u], size[u], floor[u]
                        )
                        if size[u] > room - TILE:
                            size[u], floor[u] = _raised(kept[u], kept_items[u], size[u], k)
                        if size[u] > room - TILE:  # many are equal
                            floor[u] = _best(kept[u], kept_items[u], size[u], k, work)
                            size[u] = k
        if use == TOP and k:
            for u in range(count):
                if size[u] > k:
                    _best(kept[u], kept_items[u], size[u], k, work)
                    size[u] = k
                order = np.argsort(-kept[u, : size[u]], kind="mergesort")  # stable
                for place in range(size[u]):
                    values[first + u, place] = kept[u, order[place]]
                    best[first + u, place] = kept_items[u, order[place]]


def _tiles(scorer, total):
    """(layout, features of the items in tiles): what a scorer's users are multiplied with."""
    if isinstance(scorer, RowsScorer):
        return _Layout(np.zeros(2, np.int64), total), np.empty(
            (-(-total // TILE), 0), scorer[0].dtype
        )
    layout = _layout(scorer)
    features = _rows(scorer, 1, _padded(np.arange(total), TILE), layout)
    right = features.reshape(-1, TILE, layout.width).transpose(0, 2, 1)
    return layout, np.ascontiguousarray(right).reshape(len(right), -1)


def _parts(scorer):
    """Kind, slots, projection_scale and score_scale of a scorer."""
    if isinstance(scorer, RowsScorer):
        return ROWS, 0, 1.0, 1.0
    if isinstance(scorer, DotScorer):
        return DOT, 0, 1.0, 1.0
    if isinstance(scorer, GatedScorer):
        return GATED, scorer.user_logits.shape[1], 1.0, 1.0
    if isinstance(scorer, ExpertsScorer):
        return EXPERTS, scorer.user_logits.shape[1], 1.0, scorer.score_scale
    return INTERACTION, scorer.user_logits.shape[1], scorer.projection_scale, scorer.score_scale


def _tower(scorer, dtype):
    """Factors of the maxima, a whole number of UNROLLs; empty where a scorer has none."""
    if not isinstance(scorer, ExpertsScorer):
        return np.empty(0, dtype)
    factor = dtype.type(scorer.score_scale * (1 - scorer.slope))
    return np.pad(factor * scorer.tower, (0, -len(scorer.tower) % UNROLL))


def _run(use, scorer, users, items, seen_indptr, seen_indices, asked, rank, tied, values, best):
    """Sweep over all items, a slab of users at a time; `asked` is (indptr, items, scores)."""
    total = n_items(scorer)
    if not (len(users) and total):
        return
    dtype = float_type(scorer)
    layout, right = _tiles(scorer, total)
    kind, n_slots, projection_scale, score_scale = _parts(scorer)
    tower = _tower(scorer, dtype)
    # Far above the smallest normal number, so that what underflows in ⟨A,B⟩ is below 1e-12 of it.
    tiny = np.sqrt(np.finfo(dtype).tiny) * np.finfo(dtype).eps
    for first in range(0, len(users), SLAB):
        slab = slice(first, min(first + SLAB, len(users)))
        padded = _padded(users[slab], BLOCK)
        left = scorer.rows[padded] if kind == ROWS else _rows(scorer, 0, padded, layout)
        _sweep(
            use,
            kind,
            np.ascontiguousarray(left).reshape(-1, BLOCK * layout.width),
            right,
            layout.bounds,
            n_slots,
            tower,
            dtype.type(projection_scale),
            dtype.type(score_scale),
            dtype.type(tiny),
            slab.stop - first,
            total,
            items[slab],
            seen_indptr[users[slab]],
            seen_indptr[users[slab] + 1],
            seen_indices,
            asked[0][first : slab.stop + 1],
            *asked[1:],
            rank[slab],
            tied[slab],
            values[slab],
            best[slab],
        )


def _nothing_asked(scorer, users):
    none = np.empty(0, np.int32)
    return np.zeros(len(users) + 1, np.int64), none, np.empty(0, float_type(scorer))


def scores(scorer, users):
    """Scores (b, I) of users against all items."""
    values = np.empty((len(users), n_items(scorer)), float_type(scorer))
    none = np.zeros(len(users), np.int32)
    no_rows = np.zeros(scorer[0].shape[-2] + 1, np.int32)
    asked = _nothing_asked(scorer, users)
    _run(SCORES, scorer, users, none, no_rows, none, asked, none, none, values, none.reshape(-1, 1))
    return values


def ranks(scorer, users, items, seen_indptr, seen_indices):
    """Rank of each user's item among the candidates, from 0, and how many others tie with it."""
    items = np.ascontiguousarray(items, np.int32)
    total = n_items(scorer)
    if len(items):
        check_items(int(items.min()), int(items.max()), total)
    rank, tied = np.zeros((2, len(users)), np.int32)
    values = np.empty((len(users), 1), float_type(scorer))
    _run(
        RANKS,
        scorer,
        users,
        items,
        seen_indptr,
        seen_indices,
        _nothing_asked(scorer, users),
        rank,
        tied,
        values,
        items.reshape(-1, 1),
    )
    return rank, tied


def top_k(scorer, users, k, seen_indptr, seen_indices):
    """The k best unseen items of each user and their scores."""
    nothing = _nothing_asked(scorer, users)
    return survey(scorer, users, k, seen_indptr, seen_indices, *nothing[:2])[:2]


def survey(scorer, users, k, seen_indptr, seen_indices, asked_indptr, asked_items):
    """`top_k`, and the scores of the asked items of each user."""
    best = np.full((len(users), k), -1, np.int32)
    values = np.full((len(users), k), -np.inf, float_type(scorer))
    found = np.empty(len(asked_items), float_type(scorer))
    none = np.zeros(len(users), np.int32)
    asked = np.ascontiguousarray(asked_indptr, np.int64), asked_items.astype(np.int32), found
    if k or len(found):
        _run(TOP, scorer, users, none, seen_indptr, seen_indices, asked, none, none, values, best)
    return best, values, found
