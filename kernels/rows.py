"""Rows of different lengths in one array."""

from __future__ import annotations

import numpy as np


def offsets(counts: np.ndarray) -> np.ndarray:
    """(n + 1,) int64: where rows of these sizes start, and where the last one ends."""
    result = np.zeros(len(counts) + 1, np.int64)
    np.cumsum(counts, out=result[1:])
    return result


def filled(room: np.ndarray, counts: np.ndarray) -> np.ndarray:
    """(Σ room,) bool: the first counts[n] places of each row of room[n]."""
    starts = offsets(room)
    place = np.arange(starts[-1]) - np.repeat(starts[:-1], room)
    return place < np.repeat(counts, room)
