"""Figures 4 and 5: one config with other layers, or other weights of the losses, run by run."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import NamedTuple

from ..config.fields import Fields
from ..errors import InputError
from ..report.table import Table

LAYERS = ("lv", "lc", "lb", "seed", "hr", "ndcg")
COEFFICIENTS = ("l1", "l2", "l3", "seed", "hr", "ndcg")


class Trial(NamedTuple):
    """A run of a sweep: what it is called, its config, and its HR@10 and NDCG@10."""

    name: str
    config: Fields
    metrics: Mapping[str, float]


def layers(trials: Iterable[Trial]) -> Table:
    """HR@10 and NDCG@10 by the layers of the first behaviour, the ones between and the target.

    Of four behaviours the middle ones have equally many.

    Raises
    ------
    InputError
        For a config that is no point of such a sweep.
    """
    wanted = "as many of the third as of the second"
    return Table(LAYERS, _rows(trials, "layers", lambda v: v[1] == v[2], wanted))


def coefficients(trials: Iterable[Trial]) -> Table:
    """HR@10 and NDCG@10 by the weights λ of three behaviours; of four, the third one's is 0.

    Raises
    ------
    InputError
        For a config that is no point of such a sweep.
    """
    rows = _rows(trials, "coefficients", lambda v: not v[2], "0 for the third")
    return Table(COEFFICIENTS, rows)


def _rows(
    trials: Iterable[Trial], name: str, fits: Callable[[tuple], bool], wanted: str
) -> list[tuple]:
    """A field's first, second and last value with a run's figures; four values must fit a sweep."""
    rows = []
    for one in trials:
        values = _values(one, name)
        if len(values) == 4 and not fits(values):
            raise _no_point(one, name, values, wanted)
        rows.append((*values[:2], values[-1], *_figures(one)))
    return rows


def _values(trial: Trial, name: str) -> tuple:
    values = getattr(trial.config, name, None)
    if not isinstance(values, tuple) or len(values) not in (3, 4):
        raise _no_point(trial, name, values, "one for each of three or four behaviours")
    return values


def _no_point(trial: Trial, name: str, found: object, wanted: str) -> InputError:
    if isinstance(found, tuple):
        found = ",".join(f"{value:g}" for value in found)
    return InputError(f"{trial.name}: config field {name!r} is {found}; wanted {wanted}.")


def _figures(trial: Trial) -> tuple:
    return trial.config.seed, trial.metrics["HR@10"], trial.metrics["NDCG@10"]
