"""Data sets by name or path: `load_dataset`."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

from ..errors import InputError, did_you_mean
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
        any known layout; see below. Left out: the content of `data_dir`, or `demo` without one.
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

    Notes
    -----
    Folders are read as they are published, with nothing renamed; notes say what was assumed and
    which files were not read:

    - native: what `save_native` writes.
    - release: `trn_<behaviour>` and `tst_int`, pickled or .npz; or text, `user item` a line, with
      `tst_<target>` and `vld_<target>` (VCGAE).
    - matrices: `train_mat_<behaviour>`, `test_mat` and perhaps `valid_mat`, pickled or .npz
      (SSLRec).
    - plain: `<behaviour>.npz` or `.pkl`, and `test`, perhaps `validation`.
    - texts: `<behaviour>.txt` and `test.txt`, of lines of numbers or `_dict.txt` of JSON, perhaps
      with `validation.txt` or `valid.txt`, `train.txt` (the target's train part), `data_size.txt`,
      `count.txt` or `statistics.json` (GHCF, EHCF, MBGCN, CascadingRank, CRGCN).
    - nested: `<behaviour>/train.txt`, and `test.txt` of the target (MB-CGCN).
    - table: a table of interactions, split here.

    Examples
    --------
    >>> load_dataset("demo").counts()["buy"] > 1000
    True
    """
    if isinstance(behaviors, str):
        behaviors = [name.strip() for name in behaviors.split(",")]
    behaviors = None if behaviors is None else tuple(behaviors)
    chosen = {} if behaviors is None else {"behaviors": list(behaviors)}
    if dataset is None and data_dir is None:
        dataset = "demo"
    if str(dataset) == "demo":
        data = _demo(seed, behaviors, data_dir)
        return replace(data, source={"dataset": "demo", "seed": seed, **chosen})
    path, name = _locate(dataset, data_dir)
    entry = DATASETS.get(name.lower())
    by_path = str(dataset) not in DATASETS
    expected = None if by_path or entry is None else entry.behaviors
    options = layouts.TableOptions(seed=seed, split=split, leave_out=leave_out)
    data, used = layouts.read(path, behaviors, expected, options)
    source = {"dataset": str(path)}
    if entry is not None and _is(entry, data, by_path):
        if data.leave_out is None:
            data = replace(data, leave_out=entry.leave_out)
        if name in DATASETS:
            source = {"dataset": name, "data_dir": str(path)}
            data = replace(data, name=name)
    elif entry is not None and not by_path:
        note = (
            f"{path} holds other behaviours than the registered {name!r} "
            f"({', '.join(entry.behaviors)}) and was read as it is."
        )
        data = replace(data, notes=(*data.notes, note))
    return replace(data, source={**source, **chosen, **used})


def _is(entry: Entry, data: Dataset, by_path: bool) -> bool:
    """Whether what was read is a registered data set, and not one whose folder has its name.

    Asked for by its name it may be a part of it; a path is a path, so all behaviours must be there.
    """
    found, known = set(data.behaviors), set(entry.behaviors)
    return found == known if by_path else found <= known


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
        if not path.exists():
            raise InputError(
                f"data set {name!r} is neither registered nor a file or folder"
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
