"""Data sets by name or path: `load_dataset`."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

from ..arguments import listed, whole, wrong
from ..errors import InputError, did_you_mean, shown
from . import checks, layouts, synthetic
from .dataset import Dataset


class Entry(NamedTuple):
    """A data set that is known by name.

    behaviors : upstream first, the target last
    test : how its held-out items were chosen
    leave_out : whether they were taken out of the target behaviour alone or out of all; None where
        its publishers do not say
    """

    behaviors: tuple[str, ...]
    test: str
    leave_out: str | None


_LATEST = "the latest buy of each user, by the authors"
_SHOP = ("pv", "cart", "buy")
DATASETS = {
    "demo": Entry(("view", "cart", "buy"), "a random buy of each user with at least two", "target"),
    "taobao": Entry(_SHOP, _LATEST, "target"),
    "tmall": Entry(("click", "collect", "cart", "buy"), _LATEST, "target"),
    "beibei": Entry(_SHOP, _LATEST, "target"),
    "retail_rocket": Entry(
        ("view", "cart", "buy"), "one buy of each user, by its publishers", None
    ),
}
"""Registered data sets. All but `demo` are read from files."""


def load_dataset(
    dataset: str | os.PathLike[str] | None = None,
    data_dir: str | os.PathLike[str] | None = None,
    behaviors: Sequence[str] | None = None,
    seed: int = 0,
    split: str | None = None,
    leave_out: str = "target",
) -> Dataset:
    """A data set by its registered name or its path.

    Parameters
    ----------
    dataset : str or path, optional
        demo, taobao, tmall, beibei, retail_rocket, or the path of a table file or of a folder in
        any known layout (native, release, matrices, texts, table). Left out: the content of
        `data_dir`, or `demo` without one.
    data_dir : path, optional
        The folder with the data set's files, or one that holds a folder named after it. Without it
        a registered data set is looked for in ./data/NAME and ./NAME.
    behaviors : sequence of str, optional
        Behaviours to use, upstream first, the target last.
    seed : int
        Of `demo`, and of a table's random split.
    split : {"time", "random"}, optional
        How a table's held-out items are chosen: the latest target interaction of a user, or a
        random one. Left out: by time where the table has a timestamp column.
    leave_out : {"target", "all"}
        Whether a table's held-out pair is left out of the target behaviour alone, as in the
        paper's data sets, or of every behaviour.

    Returns
    -------
    Dataset
        Its `source` holds the arguments that load it again from anywhere.

    Raises
    ------
    InputError
        When it is not there or cannot be used; one sentence says where, what was found, and what
        was wanted.

    Examples
    --------
    >>> load_dataset("demo").counts()["buy"] > 1000
    True
    """
    for name, value in (("dataset", dataset), ("data_dir", data_dir)):
        if value is not None and not isinstance(value, (str, os.PathLike)):
            raise wrong(name, value, "the name of a data set, or the path of a file or folder")
    if isinstance(behaviors, str):
        behaviors = [name.strip() for name in behaviors.split(",")]
    if behaviors is not None:
        behaviors = tuple(listed("behaviors", behaviors, "the names of behaviours"))
    seed = whole("seed", seed, 0)
    chosen = {} if behaviors is None else {"behaviors": list(behaviors)}
    if dataset is None and data_dir is None:
        dataset = "demo"
    if str(dataset) == "demo":
        data = _demo(seed, behaviors, data_dir)
        return replace(data, source={"dataset": "demo", "seed": seed, **chosen})
    path, name = _locate(dataset, data_dir)
    expected = DATASETS[name].behaviors if name in DATASETS else None
    options = layouts.TableOptions(seed=seed, split=split, leave_out=leave_out)
    data, used = layouts.read(path, behaviors, expected, options)
    if data.leave_out is None and name.lower() in DATASETS:
        data = replace(data, leave_out=DATASETS[name.lower()].leave_out)
    source = {"dataset": str(path)}
    if name in DATASETS:
        source = {"dataset": name, "data_dir": str(path)}
        data = replace(data, name=name)
    return replace(data, source={**source, **chosen, **used})


def _demo(seed: int, behaviors: Sequence[str] | None, data_dir) -> Dataset:
    data = synthetic.demo(seed)
    if behaviors is not None:
        data = checks.chosen(data, behaviors)
    if data_dir is not None:
        data = replace(data, notes=(*data.notes, f"demo is made up; {data_dir} was not read."))
    return data


def _locate(dataset, data_dir) -> tuple[Path, str]:
    """Absolute path of a data set's file or folder, and its name."""
    name = None if dataset is None else str(dataset)
    if data_dir is not None:
        return _in_folder(name, Path(data_dir))
    if name not in DATASETS:
        path = Path(name)
        if not _exists(path):
            raise InputError(
                f"data set {shown(name)} is neither registered nor a file or folder"
                f"{did_you_mean(name, DATASETS)}"
            )
        return path.resolve(), path.resolve().name
    tried = [Path("data") / name, Path(name)]
    for folder in tried:
        if folder.is_dir():
            return folder.resolve(), name
    raise InputError(
        f"data set {name!r} was not found: looked for the folders "
        f"{' and '.join(f'./{folder}' for folder in tried)}; get its files "
        f"({layouts.described(DATASETS[name].behaviors)}), for example Datasets/<name> of the "
        "authors' release MC-CV/PKEF on GitHub, and name their folder with --data-dir."
    )


def _exists(path: Path) -> bool:
    try:
        return path.exists()
    except (OSError, ValueError):  # no file can have such a name
        return False


def _in_folder(name: str | None, folder: Path) -> tuple[Path, str]:
    if not folder.is_dir():
        raise InputError(f"the data folder {folder} does not exist; wanted a folder as --data-dir.")
    if name is not None:
        for inner in sorted(folder.iterdir()):
            if inner.name.lower() == name.lower():
                return inner.resolve(), name
    if layouts.layout_of(folder) is not None:
        return folder.resolve(), name or folder.resolve().name
    expected = DATASETS[name].behaviors if name in DATASETS else ("<behaviour>",)
    wanted = f"a folder {name!r} in it, or files of a data set" if name else "files of a data set"
    raise InputError(
        f"{folder} holds no data set{f' {name!r}' if name else ''}; wanted {wanted} "
        f"({layouts.described(expected)})."
    )
