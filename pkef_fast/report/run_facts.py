"""All that a report says of a run, read from its folder, its data set and its model."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from ..config.fields import Fields
from ..data import load_dataset, summary
from ..data.dataset import Array, Dataset
from ..data.ids import Ids
from ..device import Device
from ..device import device as make_device
from ..evaluate.figures import TOP, Evaluation, ProtocolFigures, gains
from ..evaluate.protocols import interval
from ..recommender import Recommender
from ..store.runs import Run
from . import stages
from .audit import audit
from .table import Table

USERS, ITEMS = 10, 5  # whose recommendations are shown, and how many of each
ROUNDS = 3  # of timing the stages
SLOWEST = 8  # stages that are listed


class Suggested(NamedTuple):
    """An item that is recommended, and why."""

    item: Any
    score: float
    why: str


class Shown(NamedTuple):
    """A user of the report: what they did in train, the held-out item and its place from 1."""

    user: Any
    did: dict[str, int]
    held_out: Any
    place: int
    best: list[Suggested]


@dataclass(frozen=True)
class RunFacts:
    """What is known of a run.

    Attributes
    ----------
    path, model, preset : str
    config : Fields
    config_text : str
        Its config.toml.
    settings, source : dict
        What the run noted besides its config: how it was made, and its data.
    records : list of dict
        metrics.jsonl.
    data, audit : dict
        `data.summary` and `report.audit`.
    found : Evaluation
        By all protocols.
    selection : str
        How the model was chosen.
    reranked : bool
    stages : Table, optional
        The slowest of a training step, on this machine.
    shown : list of Shown
    tables : dict of name → Table
        What analyses found: "groups", "gates".
    """

    path: str
    model: str
    preset: str | None
    config: Fields
    config_text: str
    settings: dict[str, Any]
    source: dict[str, Any]
    records: list[dict[str, Any]]
    data: dict[str, Any]
    audit: dict[str, Any]
    found: Evaluation
    selection: str
    reranked: bool
    stages: Table | None
    shown: list[Shown]
    tables: dict[str, Table]


# From a model, its data and its evaluation: a table, or None where it has nothing to say.
Analysis = Callable[[Recommender, Dataset, Evaluation], Table | None]


class DataFacts(NamedTuple):
    """A data set, and what is found out of it once for all runs on it."""

    data: Dataset
    summary: dict[str, Any]
    audit: dict[str, Any]


def facts_of(
    run: Run,
    device: Device,
    threads: int | None = None,
    analyses: Mapping[str, Analysis] | None = None,
    known: dict[str, DataFacts] | None = None,
) -> RunFacts:
    """Evaluate a finished run, and gather what there is to say of it.

    Parameters
    ----------
    run : Run
    device : Device
        Where the model is evaluated.
    threads : int, optional
        Those in use, for the stages of a step; None: no stages are timed.
    analyses : mapping of name → callable, optional
        What more to find out.
    known : dict, optional
        Keeps data sets, so that several runs on one read it once.

    Raises
    ------
    InputError
        When the run is not finished, or its data set is not what it was.
    """
    _, source, settings = run.settings()
    model = Recommender.load(run.path, device)
    shop = _data_facts(source, {} if known is None else known)
    data = shop.data
    run.check_data(data)
    found = model.evaluate(data, protocol="all")
    tables = {name: one(model, data, found) for name, one in (analyses or {}).items()}
    return RunFacts(
        path=str(run.path),
        model=model.model_name,
        preset=model.preset,
        config=model.model.config,
        config_text=run.config_file.read_text(encoding="utf-8"),
        settings=settings,
        source=source,
        records=run.records(),
        data=shop.summary,
        audit=shop.audit,
        found=found,
        selection=_selection(model),
        reranked=model.reranker is not None,
        stages=None if threads is None else _slowest(model, data, threads),
        shown=_shown(model, data, found),
        tables={name: one for name, one in tables.items() if one is not None},
    )


def _data_facts(source: Mapping[str, Any], known: dict[str, DataFacts]) -> DataFacts:
    """The data set that a run notes, loaded unless it is known."""
    loaded = {name: value for name, value in source.items() if name != "fingerprint"}
    key = repr(sorted(loaded.items()))
    if key not in known:
        data = load_dataset(**loaded)
        known[key] = DataFacts(data, summary(data), audit(data, make_device("cpu")))
    return known[key]


def _selection(model: Recommender) -> str:
    if model.selection is not None:
        return model.selection.sentence(model.target)
    return "the last epoch, whatever it is like" if model.model_class.trained else "not trained"


def _slowest(model: Recommender, data: Dataset, threads: int) -> Table | None:
    """The stages of a step that take longest, timed now on the CPU."""
    if not model.model_class.trained:
        return None
    config = model.model.config
    timed = stages.measure(model.model_class, data, config, str(model.preset), threads, ROUNDS)
    step = next(n for n, row in enumerate(timed.rows) if row.what == "a step")
    rows = sorted(timed.rows[:step], key=lambda row: -row.seconds)[:SLOWEST]
    rows.append(timed.rows[step])
    return Table(
        ("stage", "ms", "of a step"),
        [(row.what, round(1000 * row.seconds, 3), f"{row.share:.0%}") for row in rows],
    )


def by_group(names: Sequence[str], users: Sequence[Array], found: ProtocolFigures) -> Table:
    """Figures of groups of test users, with 95 % intervals; figures are None for an empty group."""
    hit, gain = gains(found.ranks, TOP)
    rows = []
    for name, members in zip(names, users, strict=True):
        chosen = np.isin(found.test_users, members)
        row: list[Any] = [name, len(np.unique(found.test_users[chosen]))]
        for values in (hit, gain):
            low_high = interval(found.test_users[chosen], values[chosen]) or (None, None)
            row += [float(values[chosen].mean()) if chosen.any() else None, *low_high]
        rows.append(tuple(row))
    columns = (f"{name}{end}" for name in ("HR@10", "NDCG@10") for end in ("", " low", " high"))
    return Table(("group", "users", *columns), rows)


def _shown(model: Recommender, data: Dataset, found: Evaluation) -> list[Shown]:
    """Users with a held-out item, spread evenly over all, with their first items."""
    paper = found.protocols["paper"]
    if not len(paper.test_users):
        return []
    of_user, of_item = Ids("user", data), Ids("item", data)
    pairs = np.unique(np.linspace(0, len(paper.test_users) - 1, USERS).astype(int))
    users = paper.test_users[pairs]
    ids = [of_user.id(user) for user in users]
    best = model.recommend(ids, ITEMS)
    why = {}
    if model.reranker is not None:
        why = model.explain(best, ([one.item for one in row] for row in best.values()))
    result = []
    for pair, number, user in zip(pairs, users, ids, strict=True):
        own = {
            name: csr.indices[csr.indptr[number] : csr.indptr[number + 1]]
            for name, csr in zip(data.behaviors, data.interactions, strict=True)
        }
        if user in why:
            said = [one.text for one in why[user]]
        else:
            said = [_touched(of_item.number(one.item), own) for one in best[user]]
        suggested = [
            Suggested(one.item, one.score, text) for one, text in zip(best[user], said, strict=True)
        ]
        did = {name: len(row) for name, row in own.items()}
        held_out = of_item.id(paper.test_items[pair])
        result.append(Shown(user, did, held_out, int(paper.ranks[pair]) + 1, suggested))
    return result


def _touched(item: int, own: Mapping[str, Array]) -> str:
    """What is known without a re-ranker: in which behaviours the user has the item."""
    names = [name for name, row in own.items() if item in row]
    return f"in the user's {' and '.join(names)}" if names else "new to the user"
