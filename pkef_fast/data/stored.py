"""A data set's train and validation parts as named arrays, for files.

`indptr.k` and `indices.k` of behaviour k, `times.k` where it has times, and `user_ids` and
`item_ids`, as `id_column` writes them, where the data set has ids of its own; `validation_users`
and `validation_items` where it has validation pairs.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from . import id_column
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
    for name in IDS:
        arrays |= id_column.arrays_of(name, getattr(dataset, name))
    return arrays


def has_names(dataset: Dataset) -> bool:
    """Whether ids are text, which older versions look for in another form and do not find."""
    return any(id_column.is_text(getattr(dataset, name)) for name in IDS)


def fields_of(arrays: Mapping[str, Array], n_behaviors: int) -> dict[str, Any]:
    """The fields of a `Dataset` that these arrays are; KeyError where one is missing."""
    ks = range(n_behaviors)
    return {
        "interactions": tuple(Csr(arrays[f"indptr.{k}"], arrays[f"indices.{k}"]) for k in ks),
        "times": tuple(arrays.get(f"times.{k}") for k in ks),
        **{name: id_column.of_arrays(name, arrays) for name in IDS},
        "validation": tuple(arrays[name] for name in VALIDATION)
        if any(name in arrays for name in VALIDATION)
        else None,
    }
