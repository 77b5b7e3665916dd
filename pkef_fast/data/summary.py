"""What a data set looks like in numbers: counts, degrees, overlaps, and what the test gives away."""

from __future__ import annotations

from typing import Any

import numpy as np

from .checks import also_in
from .dataset import Csr, Dataset
from .patterns import pairs_of


def _degrees(counts: np.ndarray) -> dict[str, float]:
    return {
        "with_any": int(np.count_nonzero(counts)),
        "mean": float(np.mean(counts)),
        "median": float(np.median(counts)),
        "p90": float(np.percentile(counts, 90)),
        "max": int(counts.max(initial=0)),
    }


def _share(csr: Csr, users: np.ndarray, items: np.ndarray, n_items: int) -> float | None:
    return float(np.mean(also_in(csr, users, items, n_items))) if len(users) else None


def summary(dataset: Dataset) -> dict[str, Any]:
    """Facts of a data set, ready for JSON.

    For each behaviour: interactions, density, degrees of users and items, the share of the target's
    train pairs that it holds too, and the share of held-out pairs visible in it.
    """
    target = dataset.interactions[-1]
    target_pairs = pairs_of(target)
    test = (dataset.test_users, dataset.test_items)
    behaviors = {}
    for name, csr in zip(dataset.behaviors, dataset.interactions, strict=True):
        behaviors[name] = {
            "interactions": len(csr.indices),
            "density": len(csr.indices) / (dataset.n_users * dataset.n_items),
            "users": _degrees(np.diff(csr.indptr)),
            "items": _degrees(np.bincount(csr.indices, minlength=dataset.n_items)),
            "target_pairs_also_here": _share(csr, *target_pairs, dataset.n_items),
            "held_out_visible_here": _share(csr, *test, dataset.n_items),
        }
    return {
        "name": dataset.name,
        "users": dataset.n_users,
        "items": dataset.n_items,
        "target": dataset.target,
        "behaviors": behaviors,
        "held_out": len(dataset.test_users),
        "test_users": len(np.unique(dataset.test_users)),
        "users_without_target": int(np.sum(np.diff(target.indptr) == 0)),
        "notes": list(dataset.notes),
        "fingerprint": dataset.fingerprint(),
    }
