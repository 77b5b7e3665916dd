"""The native layout: `dataset.json` (facts) and `interactions.npz` (arrays, uncompressed).

The arrays are those of `stored`, `test_users` and `test_items`. Format 2 is format 1 with times,
format 3 is either of them with ids that are text, format 4 any of them with validation pairs; they
are only written where they are needed, so that older versions read all that they can.
"""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from ..errors import InputError
from ..store import npz
from ..store.files import write_folder
from . import checks, reading
from .dataset import Array, Dataset
from .stored import arrays_of, fields_of, has_names

PLAIN, TIMED, NAMED, VALIDATED = FORMATS = 1, 2, 3, 4
FACTS, ARRAYS = "dataset.json", "interactions.npz"
_WANTED = "a data set written by `pkef-fast data convert`"


def holds(folder: Path) -> bool:
    """Whether a folder looks like this layout."""
    return (folder / FACTS).is_file()


def save_native(dataset: Dataset, path: str | os.PathLike[str]) -> Path:
    """Write a data set as a folder, whole or not at all; returns the path.

    Raises
    ------
    InputError
        When the folder holds something already, or cannot be written; nothing is left behind.
    """
    path = Path(path)
    if path.is_file() or (path.is_dir() and any(path.iterdir())):
        raise InputError(f"{path} already exists; wanted a new or an empty folder.")
    facts = {
        "format": _format_of(dataset),
        "name": dataset.name,
        "behaviors": dataset.behaviors,
        "n_users": dataset.n_users,
        "n_items": dataset.n_items,
        "interactions": dataset.counts(),
        "test_items": len(dataset.test_items),
        **({} if dataset.validation is None else {"validation_items": len(dataset.validation[1])}),
        "source": dataset.source,
        "notes": dataset.notes,
        "leave_out": dataset.leave_out,
        "split": dataset.split,
        **({"reading": dataset.reading} if dataset.reading else {}),
        "fingerprint": dataset.fingerprint(),
    }
    arrays = {"test_users": dataset.test_users, "test_items": dataset.test_items}
    arrays |= arrays_of(dataset)
    with write_folder(path) as folder:
        for name, write in (
            (ARRAYS, lambda file: np.savez(file, **arrays)),
            (FACTS, lambda file: file.write(f"{json.dumps(facts, indent=2)}\n".encode())),
        ):
            with open(folder / name, "wb") as file:
                write(file)
                file.flush()
                os.fsync(file.fileno())
    return path


def _format_of(dataset: Dataset) -> int:
    if dataset.validation is not None:
        return VALIDATED
    if has_names(dataset):
        return NAMED
    return PLAIN if dataset.times is None else TIMED


def read(folder: Path, behaviors: Sequence[str] | None = None) -> Dataset:
    """The data set of a native folder, checked against its fingerprint.

    Raises
    ------
    InputError
        When a file is missing, damaged, of another format, or does not fit the others.
    """
    facts = _read_facts(folder / FACTS)
    arrays = _read_arrays(folder / ARRAYS)
    try:
        dataset = _assembled(facts, arrays)
        good = _consistent(dataset) and dataset.fingerprint() == facts["fingerprint"]
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise InputError(
            f"{folder} is damaged ({error!r} while its parts were put together); wanted {_WANTED}."
        ) from error
    if not good:
        raise InputError(
            f"{folder / ARRAYS} does not fit {FACTS}: its content has another fingerprint; one of "
            f"them was changed or damaged. Wanted {_WANTED}."
        )
    return dataset if behaviors is None else checks.chosen(dataset, behaviors)


def _read_facts(path: Path) -> dict:
    try:
        facts = json.loads(path.read_bytes())
        version = facts["format"]
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error.strerror}; wanted {_WANTED}.") from error
    except (ValueError, KeyError, TypeError) as error:
        raise InputError(f"{path} is damaged ({error}); wanted {_WANTED}.") from error
    if version not in FORMATS:
        raise InputError(f"{path} is of format {version!r}; wanted format 1, 2, 3 or 4.")
    return facts


def _read_arrays(path: Path) -> dict[str, Array]:
    try:
        return npz.read(path)
    except FileNotFoundError as error:
        raise InputError(f"{path} does not exist; wanted {_WANTED}.") from error
    except npz.Damaged as error:
        raise InputError(f"{path} cannot be read ({error}): it is damaged or cut short.") from error


def _assembled(facts: dict, arrays: dict[str, Array]) -> Dataset:
    behaviors = tuple(str(name) for name in facts["behaviors"])
    return Dataset(
        name=str(facts["name"]),
        behaviors=behaviors,
        n_users=int(facts["n_users"]),
        n_items=int(facts["n_items"]),
        test_users=arrays["test_users"],
        test_items=arrays["test_items"],
        notes=tuple(str(note) for note in facts["notes"]),
        reading=reading.checked(facts.get("reading", {})),
        **{  # in older files they stand in the source alone
            name: facts.get(name) or facts.get("source", {}).get(name)
            for name in ("leave_out", "split")
        },
        **fields_of(arrays, len(behaviors)),
    )


def _consistent(data: Dataset) -> bool:
    """Whether all arrays have the types, sizes and ranges that a Dataset promises."""
    pairs = [(data.test_users, data.n_users), (data.test_items, data.n_items)]
    for indptr, indices in data.interactions:
        if indptr.dtype != np.int32 or indptr.shape != (data.n_users + 1,) or indptr[0] != 0:
            return False
        if indptr[-1] != len(indices) or np.any(np.diff(indptr) < 0):
            return False
        falls = np.flatnonzero(np.diff(indices) <= 0) + 1
        if not np.all(np.isin(falls, indptr)):  # items rise but where a row begins
            return False
        pairs.append((indices, data.n_items))
    users_of_pairs = [data.test_users]
    if data.validation is not None:
        pairs += zip(data.validation, (data.n_users, data.n_items), strict=True)
        users_of_pairs.append(data.validation[0])
    times = [one for one in data.times or () if one is not None]
    ids = ((data.user_ids, data.n_users), (data.item_ids, data.n_items))
    return (
        data.n_users >= 0
        and len(data.behaviors) > 0
        and all(a.dtype == np.int32 and a.ndim == 1 for a, _ in pairs)
        and all(len(a) == 0 or (a.min() >= 0 and a.max() < limit) for a, limit in pairs)
        and all(one.dtype == np.int64 for one in times)
        and len(data.test_users) == len(data.test_items)
        and all(bool(np.all(np.diff(users) >= 0)) for users in users_of_pairs)
        and all(a is None or a.shape == (n,) for a, n in ids)
    )
