"""sample: who is in an epoch, and which positives and negatives a batch sees.    Source: release

Every number comes from a counter, none from a state: Philox4x32-10 (Salmon et al., "Parallel
random numbers: as easy as 1, 2, 3", SC 2011). A draw therefore depends on (seed, epoch or step,
term, user, draw) alone: the same on every device, in any order, and after a restart at any step.

Entry points (reference.py and cpu.py have the same)
----------------------------------------------------
philox4x32(counter, key) → words
    counter (n, 4) uint32, key (2,) uint32, words (n, 4) uint32. Ten rounds.

epoch_users(n_users, take, seed, epoch) → users (min(take, n_users),) int32
    Users without replacement: sorted by the rising 64-bit number 2³²·w₀ + w₁ with
    w = philox(counter = (user, 0, epoch, EPOCH_STREAM), key), equal ones by user, and cut.

draw(indptr, indices, n_items, caps, users, seed, step, term, negatives=1, mix=None)
    → (rows, positives, negatives)
    indptr (U+1,) int32    rising, indptr[0] = 0       users (b,) int32   0 ≤ user < U
    indices (E,) int32     items of the positive set, rising in a row, 0 ≤ item < n_items
    caps (U,) int32        draws of each user; > 0 only where the row is neither empty nor full
    rows, positives (n,) int32, n = Σ caps[users]: users in the given order, draws in theirs.
    negatives (negatives·n,) int32: a first one of each draw, then a second one of each, …
    Draw i of a user takes w = philox(counter = (i, user, step, term), key):
        positive   row[⌊w₀·degree / 2³²⌋]                           with replacement
        negative   the r-th item outside the row, r = ⌊w₁·(n_items − degree) / 2³²⌋, found by
                   bisection of the row: no rejection loop, so a fixed count of numbers a draw
    All items are equally likely to within 2⁻³² (the floor of a 32-bit product).
    Its negative number j takes w of counter (i + j·caps[user], user, step, term).
    With a `Mix` a negative may be another item, provided that it is not in the row:
        w₂ < popular           the item of w₃ by popularity: how many of `bounds` are ≤ w₃
        popular ≤ w₂ < batch   a positive drawn for the batch: of user v = users[⌊w₃·b / 2³²⌋], draw
                               i = ⌊(w₃·b mod 2³²)·caps[v] / 2³²⌋, where caps[v] > 0

positives(indptr, indices, users, capacity=None) → (rows, items)
    All of a positive set that the users (b,) int32 have: rows, items (n,) int32, n = Σ degree,
    users in the given order, items as in their rows. With a capacity both are that long, −1 beyond
    n. A capacity below n is a ValueError in `reference` and `cpu`; CUDA leaves out what is beyond
    it, and waits for the device only where there is no capacity.

mix_of(counts, exponent, popular, batch) → Mix or None
    for shares of popular and of batch negatives, popularity = counts (n_items,) to the exponent;
    None where both shares are 0.

draw_caps(samples_per_user, degrees, set_degree, n_items) → caps (U,) int32
    min(samples_per_user, degrees (m, U), set_degree (U,)), and 0 where the positive set has all
    items, since nothing is left to be a negative.

A step whose shapes are fixed, so that a device can record it once and replay it, needs these
(cuda.py alone); `clock` (2,) uint32 on the device is the step's number in its epoch and in the run:

take_users(epoch_users, clock, batch, users)
    fills users (b,) with epoch_users[clock[0]·batch + …]
draw_slots(indptr, indices, n_items, caps, users, seed, clock, term, samples, negatives=1, mix=None)
    → (left, right, count): the rows of `draw` at step clock[1], each user's in `samples` slots of
    its own. left, right ((1 + negatives)·b·samples,) int32 are nodes (item v is U + v),
    [positives; negatives], −1 where a user has fewer draws; count () int32 is the number of draws.
record(values, clock, log)   log[clock[0]] = values: n of () float64; log (steps, n) float64
advance(clock)               clock += 1

key = (seed mod 2³², ⌊seed / 2³²⌋), 0 ≤ seed < 2⁶⁴; epoch, step in 0…2³²−1; term in
0…EPOCH_STREAM−1 (the last stream is the epoch's). Inputs are only read.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

# The term number that no term has: its counters order the users of an epoch.
EPOCH_STREAM = 2**32 - 1


def key_of(seed: int) -> np.ndarray:
    """Philox key (2,) uint32 of a seed: its low and its high word."""
    if not 0 <= seed < 2**64:
        raise ValueError(f"seed {seed} is out of range; wanted 0 to 2**64 - 1.")
    return np.array([seed & 0xFFFFFFFF, seed >> 32], np.uint32)


def epoch_counters(n_users: int, epoch: int) -> np.ndarray:
    """Counters (n_users, 4) uint32 of an epoch's order."""
    counter = np.zeros((n_users, 4), np.uint32)
    counter[:, 0] = np.arange(n_users)
    counter[:, 2] = epoch
    counter[:, 3] = EPOCH_STREAM
    return counter


def draw_caps(
    samples_per_user: int, degrees: np.ndarray, set_degree: np.ndarray, n_items: int
) -> np.ndarray:
    """Draws of each user (U,) int32; see the contract above."""
    caps = np.minimum(degrees.min(axis=0, initial=samples_per_user), set_degree)
    return np.where(set_degree < n_items, caps, 0).astype(np.int32)


class Mix(NamedTuple):
    """Where negatives come from besides the items outside a row; thresholds as in the contract.

    popular, batch: uint32; bounds (n_items − 1,) uint32 rising.
    """

    popular: np.uint32
    batch: np.uint32
    bounds: np.ndarray


def mix_of(counts: np.ndarray, exponent: float, popular: float, batch: float) -> Mix | None:
    """A mix for these shares; see the contract above."""
    if not 0 <= popular <= popular + batch <= 1:
        raise ValueError(f"shares {popular} and {batch} are not two parts of a whole.")
    if popular + batch == 0:
        return None
    weights = np.asarray(counts, np.float64) ** exponent
    ends = np.cumsum(weights if weights.any() else np.ones_like(weights))
    bounds = _words(ends[:-1] / ends[-1])
    return Mix(*_words(np.array([popular, popular + batch])), bounds)


def _words(shares: np.ndarray) -> np.ndarray:
    """⌊2³²·share⌋ as uint32; a share of 1 is 2³² − 1."""
    return np.minimum(np.floor(shares * 2.0**32), 2**32 - 1).astype(np.uint32)


def check_term(term: int) -> None:
    """ValueError for a term whose counters would be the epoch's."""
    if not 0 <= term < EPOCH_STREAM:
        raise ValueError(f"term {term} is out of range; wanted 0 to {EPOCH_STREAM - 1}.")


def length(count: int, capacity: int | None) -> int:
    """How long the arrays of `positives` are; ValueError where they do not hold all."""
    if capacity is not None and count > capacity:
        raise ValueError(f"a batch of {count} positives exceeds the capacity of {capacity}.")
    return count if capacity is None else capacity
