"""Counts and checks of a data set, for `pkef-fast data info`."""

from __future__ import annotations

from typing import Any

import numpy as np

from .dataset import Array, Csr, Dataset
from .known import papers
from .patterns import contains, row_of_each


def summary(dataset: Dataset) -> dict[str, Any]:
    """What a data set holds, as values that JSON can write.

    Returns
    -------
    dict
        name, users, items, target, source, notes, fingerprint, papers (see `known.papers`);
        behaviors : dict of name → interactions, density (share of all pairs), users and items with
        any interaction, user_degrees and item_degrees (mean, median, p90, max over all users or
        items), target_overlap (share of train target pairs that this behaviour has too),
        test_seen (share of held-out pairs that it has), times (the first and the last, or None);
        test : items, users, also_train_target (held-out pairs that are train target pairs too);
        validation : items, users of the publishers' validation pairs, or None;
        users_without_target : users without a train target interaction;
        roles (role → a table's column), time_unit, split (its kind), held_out (in words), skipped
        (reason → rows of a table that were left out), guessed (which of these nobody said).
    """
    target = dataset.interactions[-1]
    target_rows = row_of_each(target)
    test = (dataset.test_users, dataset.test_items)
    behaviors = {}
    times = dataset.times or (None,) * len(dataset.behaviors)
    for name, csr, time in zip(dataset.behaviors, dataset.interactions, times, strict=True):
        users = np.diff(csr.indptr)
        items = np.bincount(csr.indices, minlength=dataset.n_items)
        behaviors[name] = {
            "interactions": len(csr.indices),
            "density": _share(len(csr.indices), dataset.n_users * dataset.n_items),
            "users": int(np.count_nonzero(users)),
            "items": int(np.count_nonzero(items)),
            "user_degrees": _degrees(users),
            "item_degrees": _degrees(items),
            "target_overlap": _overlap(csr, target_rows, target.indices, dataset.n_items),
            "test_seen": _overlap(csr, *test, dataset.n_items),
            "times": None if time is None else [int(time.min()), int(time.max())],
        }
    return {
        "name": dataset.name,
        "users": dataset.n_users,
        "items": dataset.n_items,
        "target": dataset.target,
        "behaviors": behaviors,
        "test": {
            "items": len(dataset.test_items),
            "users": len(np.unique(dataset.test_users)),
            "also_train_target": int(contains(target, *test, dataset.n_items).sum()),
        },
        "roles": dataset.reading.get("roles", {}),
        "time_unit": dataset.reading.get("time"),
        "split": dataset.split,
        "held_out": dataset.reading.get("held_out"),
        "skipped": dataset.reading.get("skipped", {}),
        "guessed": list(dataset.reading.get("guessed", ())),
        "validation": dataset.validation
        and {
            "items": len(dataset.validation[1]),
            "users": len(np.unique(dataset.validation[0])),
        },
        "users_without_target": int(np.count_nonzero(np.diff(target.indptr) == 0)),
        "source": dataset.source,
        "papers": papers(dataset),
        "notes": list(dataset.notes),
        "fingerprint": dataset.fingerprint(),
    }


def _share(part: int, whole: int) -> float | None:
    return part / whole if whole else None


def _overlap(csr: Csr, rows: Array, columns: Array, n_items: int) -> float | None:
    """Share of the given pairs that the pattern has; None where there are none."""
    return _share(int(contains(csr, rows, columns, n_items).sum()), len(rows))


def _degrees(degrees: Array) -> dict[str, float]:
    if not len(degrees):
        return {"mean": 0.0, "median": 0.0, "p90": 0.0, "max": 0}
    return {
        "mean": float(degrees.mean()),
        "median": float(np.median(degrees)),
        "p90": float(np.percentile(degrees, 90)),
        "max": int(degrees.max()),
    }
