"""The native format: a folder with `dataset.json` and `interactions.npz`, loaded in milliseconds."""

from __future__ import annotations

import json
import os
import zipfile
import zlib
from pathlib import Path

import numpy as np

from ..errors import InputError
from ..files import write_folder
from .dataset import Csr, Dataset

FORMAT = 1
FACTS, ARRAYS = "dataset.json", "interactions.npz"


def is_native(folder: Path) -> bool:
    """Whether a folder has this layout."""
    return (folder / FACTS).is_file()


def save_native(dataset: Dataset, folder: str | os.PathLike[str]) -> None:
    """Write a data set as a new folder, whole or not at all."""
    folder = Path(folder)
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise InputError(f"{folder} already exists; choose a new folder.")
    arrays = {"test_users": dataset.test_users, "test_items": dataset.test_items}
    for k, csr in enumerate(dataset.interactions):
        arrays[f"indptr.{k}"], arrays[f"indices.{k}"] = csr
    for name in ("user_ids", "item_ids"):
        if getattr(dataset, name) is not None:
            arrays[name] = getattr(dataset, name)
    facts = {
        "format": FORMAT,
        "name": dataset.name,
        "behaviors": dataset.behaviors,
        "n_users": dataset.n_users,
        "n_items": dataset.n_items,
        "notes": dataset.notes,
        "fingerprint": dataset.fingerprint(),
    }
    with write_folder(folder) as beside:
        np.savez(beside / ARRAYS, **arrays)
        (beside / FACTS).write_text(json.dumps(facts, indent=1) + "\n")


def load_native(folder: Path, behaviors: tuple[str, ...] | None, source: dict) -> Dataset:
    """The data set in a folder of this layout."""
    from .order import ordered

    try:
        facts = json.loads((folder / FACTS).read_text())
        version = facts["format"]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise InputError(f"{folder / FACTS} cannot be read: {error!r}; convert anew.") from error
    if version != FORMAT:
        raise InputError(f"{folder / FACTS} has format {version}; wanted {FORMAT}; convert anew.")
    try:
        with np.load(folder / ARRAYS, allow_pickle=False) as archive:
            arrays = {name: archive[name] for name in archive.files}
        found = tuple(
            Csr(arrays[f"indptr.{k}"], arrays[f"indices.{k}"])
            for k in range(len(facts["behaviors"]))
        )
        dataset = Dataset(
            name=facts["name"],
            behaviors=tuple(facts["behaviors"]),
            n_users=facts["n_users"],
            n_items=facts["n_items"],
            interactions=found,
            test_users=arrays["test_users"],
            test_items=arrays["test_items"],
            user_ids=arrays.get("user_ids"),
            item_ids=arrays.get("item_ids"),
            source=source,
            notes=tuple(facts["notes"]),
        )
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile, zlib.error) as error:
        raise InputError(
            f"{folder / ARRAYS} is damaged or cut short: {error!r}; convert anew."
        ) from error
    if dataset.fingerprint() != facts["fingerprint"]:
        raise InputError(
            f"{folder} does not hold what its {FACTS} says: the fingerprints differ; convert anew."
        )
    if behaviors:
        names, _ = ordered(dataset.counts(), behaviors, folder)
        chosen = tuple(found[dataset.behaviors.index(name)] for name in names)
        return Dataset(**{**dataset.__dict__, "behaviors": names, "interactions": chosen})
    return dataset
