"""Whether one ranking is better than another for the users of a test, or for these users by chance.

Both tests draw users, each with all their held-out pairs, so several pairs of a user count as what
they are: one witness. They say nothing about seeds that were not run; that is what the standard
deviation over seeds is for.

They are `scipy.stats.bootstrap(method="percentile")` and `scipy.stats.permutation_test(
permutation_type="samples")` of the mean difference, with the draws shared: all differences of the
same users are means under the same drawn users and the same exchanged ones, so each takes one
column of a product. For 15,449 users and 9,999 draws SciPy takes 13 s a difference, and a
comparison of ten models has 234; this takes 1.9 s for one and 2.6 s for 18 of the same users (one
thread).
`tests/compare/test_significance.py` holds the two together.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np

from ..config.streams import stream
from ..data.dataset import Array

RESAMPLES = 9999
SHARE = 0.95
CHUNK = 2**22  # draws held at a time


class Difference(NamedTuple):
    """Mean difference, its 95 % bootstrap interval, and two-sided p of the randomisation test."""

    mean: float
    low: float
    high: float
    p: float


def paired(users: Array, a: Array, b: Array, seed: int = 0, flips: int = RESAMPLES) -> Difference:
    """The mean of a − b over pairs of users and held-out items.

    Parameters
    ----------
    users : (T,) integers
        The user of each pair.
    a, b : (T,) floats
        A metric of each pair by the one and by the other ranking; means over seeds.
    seed : int
        Equal input and seed give equal results.
    flips : int
        Draws of the randomisation test, whose p is at least 1 / (flips + 1).

    Returns
    -------
    Difference
        NaN and a p of 1 without pairs.

    Notes
    -----
    The interval is that of the mean under drawing users with replacement. The test exchanges a and
    b for all pairs of a user with chance ½: p is the share of such draws whose mean is as far from
    0 as the one found, itself counted as a draw.
    """
    (found,) = all_paired(users, [np.subtract(a, b)], seed, flips)
    return found


def all_paired(
    users: Array, differences: Sequence[Array], seed: int = 0, flips: int = RESAMPLES
) -> list[Difference]:
    """`paired` of several differences a − b, (T,) each, of the same pairs of users and items."""
    if not len(users):
        return [Difference(np.nan, np.nan, np.nan, 1.0) for _ in differences]
    _, number = np.unique(users, return_inverse=True)
    pairs = np.bincount(number).astype(np.float64)
    sums = np.stack([np.bincount(number, one) for one in differences], axis=1)
    means = sums.sum(axis=0) / pairs.sum()
    columns = zip(means, *_ends(sums, pairs, seed), _p(sums, seed, flips), strict=True)
    return [Difference(*map(float, column)) for column in columns]


def _ends(sums: Array, pairs: Array, seed: int) -> Array:
    """(2, C) bootstrap intervals of Σ sums (n, C) / Σ pairs (n,) over drawn users."""
    count, random = len(pairs), stream(seed, "bootstrap of a difference")
    both = np.column_stack([sums, pairs])
    means = []
    for rows in _chunks(RESAMPLES, count):
        drawn = random.integers(count, size=(rows, count))
        drawn += count * np.arange(rows)[:, None]
        often = np.bincount(drawn.ravel(), minlength=rows * count).reshape(rows, count)
        totals = often.astype(np.float64) @ both
        means.append(totals[:, :-1] / totals[:, -1:])
    return np.quantile(np.concatenate(means), [(1 - SHARE) / 2, (1 + SHARE) / 2], axis=0)


def _p(sums: Array, seed: int, flips: int) -> Array:
    """(C,) two-sided p of Σ sums (n, C) under random signs of the rows."""
    count, random = len(sums), stream(seed, "randomisation test of a difference")
    total, size = sums.sum(axis=0), np.abs(sums).sum(axis=0)
    # Sums that are equal but for rounding are as far from 0.
    found = np.abs(total) - 1e-10 * size
    as_far = np.ones(len(total), np.int64)
    for rows in _chunks(flips, count):
        drawn = random.integers(256, size=(rows, -(-count // 8)), dtype=np.uint8)
        kept = np.unpackbits(drawn, axis=1, count=count).astype(np.float64)
        as_far += np.count_nonzero(np.abs(2 * (kept @ sums) - total) >= found, axis=0)
    return as_far / (flips + 1)


def _chunks(count: int, width: int) -> Iterator[int]:
    """`count` in parts, so that each part's rows of this width fit."""
    rows = max(1, CHUNK // width)
    for start in range(0, count, rows):
        yield min(rows, count - start)


def holm(p: Sequence[float]) -> list[float]:
    """Holm's adjusted p of several tests: below α, the test is significant among all of them.

    >>> holm([0.01, 0.5, 0.02])
    [0.03, 0.5, 0.04]
    """
    result = [0.0] * len(p)
    largest = 0.0
    for place, n in enumerate(sorted(range(len(p)), key=lambda n: p[n])):
        largest = max(largest, min(1.0, (len(p) - place) * p[n]))
        result[n] = largest
    return result
