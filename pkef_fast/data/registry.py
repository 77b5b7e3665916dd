"""Data sets by name or path: `load_dataset`."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from ..arguments import listed, wrong
from ..errors import InputError, did_you_mean, shown
from . import checks, layouts, synthetic
from .dataset import Dataset
from .in_memory import in_memory
from .known import DATASETS, Entry
from .tables import TableOptions, is_glob


def load_dataset(
    dataset: str | os.PathLike[str] | None = None,
    data_dir: str | os.PathLike[str] | None = None,
    behaviors: Sequence[str] | None = None,
    **options: Any,
) -> Dataset:
    """A data set by its registered name or its path.

    Parameters
    ----------
    dataset : str, path or table in memory, optional
        A name in `DATASETS`, or the path of a table file, of a folder in any known layout, or a
        glob of tables; see below. Or a table in memory as `from_frame` takes it, or a dict of
        matrices as `from_matrices` does. Left out: the content of `data_dir`, or `demo` without.
    data_dir : path, optional
        The folder with the data set's files, or one that holds a folder named after it. Without it
        a registered data set is looked for in ./data/NAME and ./NAME.
    behaviors : sequence of str, optional
        Behaviours to use, upstream first, the target last.
    **options
        What a table's reader is told: columns, rename_behaviors, ratings, separator, bad_rows,
        time_format, split, leave_out, since, k_core and seed (also of `demo`); see `TableOptions`.

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
    if data_dir is not None and not isinstance(data_dir, (str, os.PathLike)):
        raise wrong("data_dir", data_dir, "the path of a folder")
    if isinstance(behaviors, str):
        behaviors = [name.strip() for name in behaviors.split(",")]
    if behaviors is not None:
        behaviors = tuple(listed("behaviors", behaviors, "the names of behaviours"))
    if dataset is not None and not isinstance(dataset, (str, os.PathLike)):
        if data_dir is not None:
            raise wrong("dataset", dataset, "a name or a path where there is a data_dir")
        return in_memory(dataset, behaviors, **options)
    chosen = {} if behaviors is None else {"behaviors": list(behaviors)}
    if dataset is None and data_dir is None:
        dataset = "demo"
    told = TableOptions.of(**options)
    if str(dataset) == "demo":
        told.refuse("demo is no table")
        data = _demo(told.seed, behaviors, data_dir)
        return replace(data, source={"dataset": "demo", "seed": told.seed, **chosen})
    path, name = _locate(dataset, data_dir)
    entry = DATASETS.get(name)
    if entry is not None and path.is_dir():
        _check_fetched(path, name)
    data, used = layouts.read(path, behaviors, entry and entry.behaviors, told)
    source = {"dataset": str(path)}
    by_path = entry is None
    entry = entry or DATASETS.get(path.name.lower())
    if entry is not None and _is(entry, data, by_path):
        if data.leave_out is None:
            data = replace(data, leave_out=entry.leave_out)
        if not by_path:
            source = {"dataset": name, "data_dir": str(path)}
            data = replace(data, name=name, reading={**data.reading, "held_out": entry.test})
    elif not by_path:
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
    data = replace(synthetic.demo(seed), reading={"held_out": DATASETS["demo"].test})
    if behaviors is not None:
        data = checks.chosen(data, behaviors)
    if data_dir is not None:
        data = replace(data, notes=(*data.notes, f"demo is made up; {data_dir} was not read."))
    return data


def _locate(dataset, data_dir) -> tuple[Path, str | None]:
    """Absolute path of a data set's file or folder, and the name that it was asked for by."""
    name = None if dataset is None else str(dataset)
    if data_dir is not None:
        return _in_folder(name, Path(data_dir)), name
    if name not in DATASETS:
        path = Path(name)
        if is_glob(name) and not _exists(path):
            return path.absolute(), None
        if not _exists(path):
            raise InputError(
                f"data set {shown(name, 400)} is neither registered nor a file or folder"
                f"{did_you_mean(name, DATASETS)}"
            )
        return path.resolve(), None
    tried = [Path("data") / name, Path(name)]
    for folder in tried:
        if folder.is_dir():
            return folder.resolve(), name
    raise InputError(
        f"data set {name!r} was not found: looked for the folders "
        f"{' and '.join(f'./{folder}' for folder in tried)}; `pkef-fast data fetch {name}` gets "
        f"it, or name the folder with its files ({layouts.described(DATASETS[name].behaviors)}) "
        "with --data-dir."
    )


def _exists(path: Path) -> bool:
    try:
        return path.exists()
    except (OSError, ValueError):  # no file can have such a name
        return False


def _in_folder(name: str | None, folder: Path) -> Path:
    way = f"; `pkef-fast data fetch {name} --data-dir {folder}` gets it" if name in DATASETS else ""
    if not folder.is_dir():
        raise InputError(
            f"the data folder {folder} does not exist; wanted a folder as --data-dir{way}."
        )
    if name is not None:
        for inner in sorted(folder.iterdir()):
            if inner.name.lower() == name.lower():
                return inner.resolve()
    if layouts.layout_of(folder) is not None:
        return folder.resolve()
    expected = DATASETS[name].behaviors if name in DATASETS else ("<behaviour>",)
    wanted = f"a folder {name!r} in it, or files of a data set" if name else "files of a data set"
    raise InputError(
        f"{folder} holds no data set{f' {name!r}' if name else ''}; wanted {wanted} "
        f"({layouts.described(expected)}){way}."
    )


def _check_fetched(path: Path, name: str) -> None:
    """InputError when a data set's folder holds a part of it, or nothing."""
    where = f" --data-dir {path.parent}" if path.name == name else ""
    way = f"`pkef-fast data fetch {name}{where}`"
    part = next(iter(sorted(path.glob("*.part"))), None)
    if part is not None:
        raise InputError(
            f"data set {name!r} is not whole: {part} was not fetched to its end; {way} goes on."
        )
    if layouts.layout_of(path) is None:
        raise InputError(
            f"{path} holds no data set {name!r}; wanted "
            f"{layouts.described(DATASETS[name].behaviors)}; {way} gets it."
        )
