"""Figure 1: how many users have how many train interactions, behaviour by behaviour."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise

import numpy as np

from ..data.dataset import Dataset
from ..errors import InputError
from ..report.table import Table

BINS = (0, 1, 5, 10, 20, 50, 100, 200, 500, math.inf)
COUNTS = ("behavior", "bin_lo", "bin_hi", "users")
SUMMARY = ("behavior", "total", "mean", "median", "p90", "p99", "max", "share")


def counts(dataset: Dataset, bins: Sequence[float] = BINS) -> Table:
    """Users by their number of train interactions.

    Parameters
    ----------
    dataset : Dataset
    bins : sequence of numbers
        Rising; a bin holds its lower end and not its upper one.

    Returns
    -------
    Table
        A row a behaviour and bin.

    Raises
    ------
    InputError
        When `bins` do not rise.
    """
    if len(bins) < 2 or any(not low < high for low, high in pairwise(bins)):
        found = ", ".join(f"{one:g}" for one in bins)
        raise InputError(f"bins cannot be {found}; wanted at least two numbers that rise.")
    rows = []
    for behavior, csr in zip(dataset.behaviors, dataset.interactions, strict=True):
        place = np.searchsorted(bins, np.diff(csr.indptr), side="right")
        users = np.bincount(place, minlength=len(bins) + 1)
        rows += [
            (behavior, low, high, int(users[n])) for n, (low, high) in enumerate(pairwise(bins), 1)
        ]
    return Table(COUNTS, rows)


def summary(dataset: Dataset) -> Table:
    """Each behaviour's interactions over all users, and its share of all; None without users."""
    total = sum(dataset.counts().values())
    rows = []
    for behavior, csr in zip(dataset.behaviors, dataset.interactions, strict=True):
        found, own = np.diff(csr.indptr), len(csr.indices)
        share = own / total if total else None
        if not len(found):
            rows.append((behavior, own, None, None, None, None, None, share))
            continue
        median, p90, p99 = (float(one) for one in np.percentile(found, [50, 90, 99]))
        rows.append((behavior, own, float(found.mean()), median, p90, p99, int(found.max()), share))
    return Table(SUMMARY, rows)
