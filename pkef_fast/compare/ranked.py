"""What is compared: the ranks of the held-out items, by a pool's models or from a file."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ..data.dataset import Array, Dataset
from ..data.ids import Ids
from ..device import Device
from ..errors import InputError
from ..evaluate.figures import TOP, gains
from ..evaluate.protocols import protocols
from ..recommender import Recommender
from ..report.ranks import COLUMN, RUN, read_ranks
from .pooled import Pool

METRICS = (f"HR@{TOP}", f"NDCG@{TOP}")
LAST, NOTHING, UNKNOWN = "the last epoch", "nothing to choose", "not known"


@dataclass(frozen=True)
class Ranked:
    """Ranks of the same pairs by one or several seeds.

    Attributes
    ----------
    name : str
    sources : tuple of S str
        The runs' folders, or the file.
    seeds : tuple of S int or None
    chosen : str
        What the models were chosen by.
    users : dict of protocol → (T,) int32
    ranks : dict of protocol → (S, T) int32
        From 0. A file knows nothing of the protocol "discovery", which has other candidates.
    """

    name: str
    sources: tuple[str, ...]
    seeds: tuple[int | None, ...]
    chosen: str
    users: dict[str, Array]
    ranks: dict[str, Array]

    def values(self, protocol: str) -> tuple[Array, Array]:
        """HR@10 and NDCG@10 of each seed and pair, (S, T) each."""
        return gains(self.ranks[protocol], TOP)


@dataclass(frozen=True)
class RanksFile:
    """A file of ranks (`pkef-fast evaluate --ranks`), of any program, to be compared with runs."""

    path: str | os.PathLike[str]


def of_pool(
    pool: Pool, dataset: Dataset, device: Device, told: Callable[[str], None] = lambda text: None
) -> Ranked:
    """Evaluate the models of a pool by all protocols."""
    users, ranks, chosen = {}, {}, ""
    for run in pool.runs:
        told(str(run.path))
        run.check_data(dataset)
        model = Recommender.load(run.path, device)
        if not pool.reranked:
            model.reranker = None
        for name, one in model.evaluate(dataset, protocol="all").protocols.items():
            users[name] = one.test_users
            ranks.setdefault(name, []).append(one.ranks)
        chosen = _chosen(model)
    return Ranked(
        pool.name,
        tuple(str(run.path) for run in pool.runs),
        pool.seeds,
        chosen,
        users,
        {name: np.stack(rows) for name, rows in ranks.items()},
    )


def _chosen(model: Recommender) -> str:
    if model.selection is not None:
        return f"validation items, {model.selection.share:.0%} of them visible elsewhere"
    return LAST if model.model_class.trained else NOTHING


def of_file(file: RanksFile, dataset: Dataset) -> list[Ranked]:
    """The runs of a file of ranks; each must rank all held-out pairs, and these alone.

    Raises
    ------
    InputError
        When it does not, or is no such file.
    """
    table = read_ranks(file.path)
    if not table.rows:
        raise InputError(f"{file.path} has a header alone; wanted a row for each held-out pair.")
    names = table.column(RUN) if RUN in table.columns else [Path(file.path).stem] * len(table.rows)
    try:
        users = Ids("user", dataset).numbers(table.column("user")).astype(np.int64)
        keys = users * dataset.n_items + Ids("item", dataset).numbers(table.column("item"))
    except InputError as error:
        raise InputError(f"{file.path}: {error}") from error
    places = np.array(table.column(COLUMN), np.int64)
    wanted = dataset.test_users.astype(np.int64) * dataset.n_items + dataset.test_items
    (returning,) = protocols(dataset, ["return"])
    found = []
    for name in dict.fromkeys(names):
        of_run = np.array([one == name for one in names])
        order = np.argsort(keys[of_run], kind="stable")
        place = np.argsort(wanted, kind="stable")
        if not np.array_equal(keys[of_run][order], wanted[place]):
            right = len(np.intersect1d(keys[of_run], wanted))
            raise InputError(
                f"{file.path}: the {int(of_run.sum())} pairs of {name!r} have {right} of the "
                f"{len(wanted)} held-out pairs of {dataset.name!r}; wanted each of them once, as "
                "`pkef-fast evaluate RUN --ranks FILE` writes them by the paper's protocol."
            )
        ranks = np.empty((1, len(wanted)), np.int64)
        ranks[0, place] = places[of_run][order] - 1
        kept = returning.chosen
        found.append(
            Ranked(
                name,
                (str(file.path),),
                (None,),
                UNKNOWN,
                {"paper": dataset.test_users, "return": dataset.test_users[kept]},
                {"paper": ranks, "return": ranks[:, kept]},
            )
        )
    return found
