"""A data set's train and validation parts as named arrays, for files.

`indptr.k` and `indices.k` of behaviour k, `times.k` where it has times, and `user_ids` and
`item_ids` where the data set has ids of its own; `validation_users` and `validation_items` where it
has validation pairs.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from .dataset import Array, Csr, Dataset

IDS = ("user_ids", "item_ids")
VALIDATION = ("validation_users", "validation_items")


def arrays_of(dataset: Dataset) -> dict[str, Array]:
    """The arrays by name."""
    return train_arrays(dataset) | dict(zip(VALIDATION, dataset.validation or (), strict=False))


def train_arrays(dataset: Dataset) -> dict[str, Array]:
    """Those of them that are trained on, and the ids."""
    arrays = {}
    for k, csr in enumerate(dataset.interactions):
        arrays[f"indptr.{k}"], arrays[f"indices.{k}"] = csr
    for k, one in enumerate(dataset.times or ()):
        if one is not None:
            arrays[f"times.{k}"] = one
    return arrays | {name: one for name in IDS if (one := getattr(dataset, name)) is not None}


def fields_of(arrays: Mapping[str, Array], n_behaviors: int) -> dict[str, Any]:
    """The fields of a `Dataset` that these arrays are; KeyError where one is missing."""
    ks = range(n_behaviors)
    return {
        "interactions": tuple(Csr(arrays[f"indptr.{k}"], arrays[f"indices.{k}"]) for k in ks),
        "times": tuple(arrays.get(f"times.{k}") for k in ks),
        **{name: arrays.get(name) for name in IDS},
        "validation": tuple(arrays[name] for name in VALIDATION)
        if any(name in arrays for name in VALIDATION)
        else None,
    }
