"""A model in a file: its arrays, its config, and the train part that it needs to recommend."""

from __future__ import annotations

import os
from typing import Any, NamedTuple

import numpy as np

from .config.fields import Fields
from .data.dataset import Dataset
from .data.stored import arrays_of, fields_of, has_names, train_arrays
from .device import Device
from .errors import InputError
from .holdout.selection import Selection
from .models import Model, model_class
from .rerank import Reranker
from .store import checkpoint
from .train.start import Start

PLAIN, NAMED = checkpoint.FORMATS  # without and with ids that are text


class Saved(NamedTuple):
    """What a model file holds; see `Recommender`."""

    name: str
    preset: str | None
    config: Fields
    model: Model
    data: Dataset
    reranker: Reranker | None
    selection: Selection | None


def write(path: str | os.PathLike[str], saved: Saved) -> None:
    """Write a model file, whole or not at all."""
    data = saved.data
    arrays = _named("parameter", saved.model.stored()) | arrays_of(data)
    facts: dict[str, Any] = {
        "model": saved.name,
        "config": saved.config.as_dict(),
        "preset": saved.preset,
        "name": data.name,
        "behaviors": data.behaviors,
        "n_users": data.n_users,
        "n_items": data.n_items,
    }
    if saved.reranker is not None:
        facts["reranker"] = saved.reranker.facts()
        arrays |= _named("reranker", saved.reranker.arrays())
    if saved.selection is not None:
        facts["selection"] = saved.selection.facts()
    checkpoint.write(path, "model", facts, arrays, NAMED if has_names(data) else PLAIN)


def read(path: str | os.PathLike[str], device: Device) -> Saved:
    """The model of a file, ready to rank on a device."""
    facts, arrays = checkpoint.read(path, "model")
    data = _data_of(facts, arrays)
    name = facts.get("model", "pkef")
    kind = model_class(name)
    config = kind.Config().replaced(**facts["config"]).checked(data.behaviors)
    with device.active():
        model = kind(config, data, device, _below("parameter", arrays))
    reranker = selection = None
    if "reranker" in facts:
        reranker = Reranker.of(facts["reranker"], _below("reranker", arrays))
    if "selection" in facts:
        selection = Selection(**facts["selection"])
    return Saved(name, facts["preset"], config, model, data, reranker, selection)


def _data_of(facts: dict[str, Any], arrays: dict[str, np.ndarray]) -> Dataset:
    """The train part of the data set, which holds nothing out."""
    behaviors = tuple(facts["behaviors"])
    return Dataset(
        name=facts["name"],
        behaviors=behaviors,
        n_users=facts["n_users"],
        n_items=facts["n_items"],
        test_users=np.empty(0, np.int32),
        test_items=np.empty(0, np.int32),
        **fields_of(arrays, len(behaviors)),
    )


def start_of(path: str | os.PathLike[str], data: Dataset) -> Start:
    """The parameters of a model file, to start another model on `data` from.

    Raises
    ------
    InputError
        When it was trained on other data.
    """
    facts, arrays = checkpoint.read(path, "model")
    sizes = (tuple(facts["behaviors"]), facts["n_users"], facts["n_items"])
    same = sizes == (data.behaviors, data.n_users, data.n_items)
    if same:  # through a data set, because an older file holds the same ids in another form
        found, wanted = train_arrays(_data_of(facts, arrays)), train_arrays(data)
        same = all(name in found and np.array_equal(found[name], wanted[name]) for name in wanted)
    if not same:
        raise InputError(
            f"{path} was trained on other data than {data.name!r}; wanted a model of the same "
            "train interactions."
        )
    chosen = facts.get("selection", {})
    items = "" if chosen.get("refit") else chosen.get("items", "")
    return Start(str(path), _below("parameter", arrays), items)


def _named(kind: str, arrays: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    return {f"{kind}.{name}": array for name, array in arrays.items()}


def _below(kind: str, arrays: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    prefix = f"{kind}."
    return {n.removeprefix(prefix): one for n, one in arrays.items() if n.startswith(prefix)}
