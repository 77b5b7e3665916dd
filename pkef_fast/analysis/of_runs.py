"""The table of finished runs that each kind of picture is drawn from."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from ..data import load_dataset
from ..data.dataset import Dataset
from ..device import Device
from ..errors import InputError
from ..evaluate.figures import TOP, gains
from ..recommender import Recommender
from ..report.table import Table
from ..store.runs import Run
from . import behavior_inheritance, sweeps, user_groups
from .curves import curves
from .gates import COLUMNS, gates
from .interaction_counts import counts


def table_of(kind: str, runs: Sequence[Run], device: Device, candidates: int = 0) -> Table:
    """What `report.drawing` draws as one of its kinds; `candidates` are those of `gates`.

    Raises
    ------
    InputError
        For a run that is not finished, or has nothing of this kind.
    """
    if kind == "curves":
        return curves(runs)
    if kind == "hist":
        return _hist(runs)
    if kind == "gates":
        return _gates(runs, device, candidates)
    if kind == "groups":
        return _groups(runs, device)
    if kind == "inheritance":
        return _inheritance(runs, device)
    trials = [
        sweeps.Trial(str(run.path), model.model.config, model.evaluate(data).metrics)
        for run, model, data in _loaded(runs, device)
    ]
    return {"layers": sweeps.layers, "coefficients": sweeps.coefficients}[kind](trials)


def _hist(runs: Sequence[Run]) -> Table:
    """Of the one data set of all runs."""
    first, *others = (run.settings()[1] for run in runs)
    for run, other in zip(runs[1:], others, strict=True):
        if other.get("fingerprint") != first.get("fingerprint"):
            raise InputError(
                f"{run.path} was trained on other data than {runs[0].path}; wanted one data set."
            )
    data = _data(first)
    runs[0].check_data(data)
    return counts(data)


def _gates(runs: Sequence[Run], device: Device, candidates: int) -> Table:
    rows = []
    for run, model, data in _loaded(runs, device):
        found = gates(model, data, name=run.path.name, candidates=candidates)
        if found is None:
            raise InputError(
                f"{run.path} has no gate: model {model.model_name!r}, preset {model.preset!r}; "
                "wanted a head with a gate, such as the presets official, mmoe and ple."
            )
        rows += found.rows
    return Table(COLUMNS, rows)


def _groups(runs: Sequence[Run], device: Device) -> Table:
    """Figures of the users of each group by correlation; heads are presets, or other models."""
    rows, known = [], {}
    for run, model, data in _loaded(runs, device):
        if id(data) not in known:
            known[id(data)] = data, user_groups.by_correlation(data)
        _, groups = known[id(data)]
        head = model.preset if model.model_name == "pkef" else model.model_name
        seed = getattr(model.model.config, "seed", None)
        found = model.evaluate(data).protocols["paper"]
        rows += user_groups.rows_of(groups, found.test_users, gains(found.ranks, TOP), head, seed)
        if not rows:
            raise InputError(f"{run.path} has nothing to draw as groups; {groups.sentence()}")
    return Table(user_groups.COLUMNS, rows)


def _inheritance(runs: Sequence[Run], device: Device) -> Table:
    rows = []
    for run in runs:
        model = Recommender.load(run.path, device)
        try:
            rows += behavior_inheritance.inheritance(model, name=run.path.name).rows
        except InputError as error:
            raise InputError(f"{run.path}: {error}") from error
    return Table(behavior_inheritance.COLUMNS, rows)


def _loaded(runs: Sequence[Run], device: Device) -> Iterator[tuple[Run, Recommender, Dataset]]:
    """Each run with its model and its data, which runs on one data set share."""
    known: dict[str, Dataset] = {}
    for run in runs:
        _, source, _ = run.settings()
        key = source.get("fingerprint") or repr(source)
        model = Recommender.load(run.path, device)
        if key not in known:
            known[key] = _data(source)
        run.check_data(known[key])
        if not len(known[key].test_users):
            raise InputError(
                f"nothing was evaluated of {run.path}: its data set has no held-out items; wanted "
                "some to draw figures of."
            )
        yield run, model, known[key]


def _data(source: dict) -> Dataset:
    return load_dataset(**{name: one for name, one in source.items() if name != "fingerprint"})
