"""Names of data sets, and the one function that loads any of them."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from ..errors import InputError, did_you_mean
from . import matrices, native, release, synthetic, tables
from .dataset import Dataset


@dataclass(frozen=True)
class Known:
    """What is known of a published data set.

    behaviors: upstream → target. left_out: "target" where the split took the test pairs out of the
    target behaviour alone, "all" where out of every behaviour.
    """

    behaviors: tuple[str, ...]
    left_out: str


KNOWN = {
    "taobao": Known(("pv", "cart", "buy"), "target"),
    "beibei": Known(("pv", "cart", "buy"), "target"),
    "tmall": Known(("click", "collect", "cart", "buy"), "target"),
    "retail_rocket": Known(("view", "cart", "buy"), "all"),
}
NAMES = ("demo", *KNOWN)
LAYOUTS = (
    "trn_<behaviour> and tst_int, train_mat_<behaviour> and test_mat, dataset.json (native), or one "
    ".csv, .tsv or .parquet table"
)


def load_dataset(
    dataset: str | os.PathLike[str] = "demo",
    data_dir: str | os.PathLike[str] | None = None,
    behaviors: Sequence[str] | None = None,
    seed: int = 0,
    leave_out: str = "target",
) -> Dataset:
    """Load a data set by name or path.

    Parameters
    ----------
    dataset : str or path
        A known name (demo, taobao, beibei, tmall, retail_rocket), or a folder or table file.
    data_dir : path, optional
        The folder with a named data set's files, or one that holds a folder of that name. Without
        it ./data/NAME and ./NAME are tried.
    behaviors : sequence of str, optional
        Which behaviours, upstream → target; found out from their names otherwise.
    seed : int
        Of `demo`, and of a table's random split.
    leave_out : str
        For tables: remove held-out pairs from the "target" behaviour or from "all".

    Raises
    ------
    InputError
        One sentence naming the file, what was found and what was wanted.

    Examples
    --------
    >>> load_dataset("demo").behaviors
    ('view', 'cart', 'buy')
    """
    source = {"dataset": str(dataset), "seed": seed, "leave_out": leave_out}
    if behaviors:
        behaviors = tuple(behaviors)
        source["behaviors"] = list(behaviors)
    if str(dataset) == "demo" and data_dir is None:
        data = synthetic.demo(seed)
        if behaviors:
            data = _chosen(data, behaviors)
        return replace(data, source=source)
    path, name = _find(dataset, data_dir)
    source.update(dataset=str(path) if name not in KNOWN else name)
    if name in KNOWN:
        source["data_dir"] = str(path)
    return _load(path, name, behaviors, source, seed, leave_out)


def _chosen(data: Dataset, behaviors: tuple[str, ...]) -> Dataset:
    from .order import ordered

    names, _ = ordered(data.counts(), behaviors, data.name)
    return replace(
        data,
        behaviors=names,
        interactions=tuple(data.interactions[data.behaviors.index(n)] for n in names),
    )


def _find(dataset, data_dir) -> tuple[Path, str]:
    """The absolute path of a data set, and its name."""
    text = str(dataset)
    if data_dir is not None:
        tried = [Path(data_dir) / text, Path(data_dir)]
        if not Path(data_dir).exists():
            raise InputError(f"--data-dir {data_dir} does not exist.")
        for path in tried:
            if path.exists() and (path.is_file() or _layout(path)):
                return path.resolve(), Path(text).stem if path.is_file() else Path(text).name
        raise InputError(
            f"data set {text!r} is neither in {tried[1]} nor in {tried[0]}; wanted {LAYOUTS}."
        )
    path = Path(dataset)
    if path.exists() and (text not in NAMES or (path.is_dir() and _layout(path))):
        path = path.resolve()
        return path, path.stem if path.is_file() else path.name
    if text in KNOWN:
        tried = [Path("data") / text, Path(text)]
        for path in tried:
            if path.is_dir() and _layout(path):
                return path.resolve(), text
        raise InputError(
            f"data set {text!r} is neither in {tried[0]} nor in {tried[1]}; name its folder with "
            "--data-dir. The authors' files are in their repository MC-CV/PKEF, folder "
            f"Datasets/{text}."
        )
    raise InputError(
        f"data set {text!r} is neither a known name nor an existing file or folder"
        f"{did_you_mean(text, NAMES)}"
    )


def _layout(path: Path) -> str | None:
    """Which layout a folder has."""
    if native.is_native(path):
        return "native"
    if release.is_release(path):
        return "release"
    if matrices.is_matrices(path):
        return "matrices"
    return "table" if tables.find_table(path) else None


def _load(path, name, behaviors, source, seed, leave_out) -> Dataset:
    if path.is_dir():
        layout = _layout(path)
        if layout == "native":
            return native.load_native(path, behaviors, source)
        if layout == "release":
            return release.load_release(path, name, _known_order(path, name, behaviors), source)
        if layout == "matrices":
            return matrices.load_matrices(path, name, behaviors, source)
        if layout is None:
            raise InputError(f"{path} holds no data set; wanted {LAYOUTS}.")
    table = tables.find_table(path)
    if table is None:
        raise InputError(f"{path} is no table; wanted a .csv, .tsv or .parquet file.")
    return tables.load_table(table, name, behaviors, source, seed, leave_out)


def _known_order(path: Path, name: str, behaviors):
    """A registered data set's own order, where all its files are there."""
    if behaviors or name not in KNOWN:
        return behaviors
    for behavior in KNOWN[name].behaviors:
        file = path / f"{release.PREFIX}{behavior}"
        if not file.is_file():
            raise InputError(
                f"{file} does not exist; data set {name!r} has the behaviours "
                f"{', '.join(KNOWN[name].behaviors)}; --behaviors chooses among them."
            )
    return KNOWN[name].behaviors
