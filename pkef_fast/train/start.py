"""Starting from another model's parameters: its tables go on where it stopped (pre-training).

Those parameters are taken that both models have, by name; the others are drawn as ever.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from ..data.dataset import Array
from ..errors import InputError
from .protocol import Trained


class Start(NamedTuple):
    """Another model's stored parameters.

    source : where they come from, as the run notes it
    values : arrays by name, of the same data set
    items : digest of the validation items that it was not trained on; empty: trained on everything
    """

    source: str
    values: Mapping[str, Array]
    items: str = ""


def begin(model: Trained, start: Start, items: str = "") -> None:
    """Let `model` start from these parameters.

    Parameters
    ----------
    model : Trained
    start : Start
    items : str
        Digest of the validation items that the run is chosen by; empty where there are none.

    Raises
    ------
    InputError
        When the other model has seen these items, has no parameter of a name that this one has, or
        one of another shape.
    """
    if items and start.items != items:
        raise InputError(
            f"{start.source} was trained on validation items that this run is to be chosen by; "
            "train it with --select val too, or this one with --select last."
        )
    taken = {name: one for name, one in start.values.items() if name in model.parameters}
    if not taken:
        raise InputError(
            f"{start.source} has no parameters to start from: it has "
            f"{', '.join(start.values) or 'none'}; wanted some of {', '.join(model.parameters)}."
        )
    for name, one in taken.items():
        wanted = model.parameters[name].shape
        if one.shape != wanted:
            raise InputError(
                f"{start.source} cannot be started from: its {name} is {one.shape}; wanted "
                f"{wanted}, so the same d and layers."
            )
    model.start_from(taken)
