"""From names in cells, or ratings, to behaviours."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from ...errors import InputError, did_you_mean
from ..dataset import Array
from ..reading import left_out
from . import cells
from .rows import ONE_BEHAVIOR, Read


def rows_of_each(
    read: Read, renamed: Mapping[str, str], rated: Mapping[float, str], where: str
) -> tuple[dict[str, Array | slice], list[str]]:
    """Behaviour → its rows, and sentences on what was made one or left out.

    Parameters
    ----------
    read : Read
    renamed : dict of name in the data → name here
        Compared without case.
    rated : dict of least rating → behaviour, rising
        A row is of every behaviour whose least rating it reaches.
    where : str
        The file, for sentences.
    """
    if rated and renamed:
        raise InputError(
            "--ratings gives behaviors their names; --rename-behaviors cannot be used."
        )
    if rated:
        return _by_rating(read, rated)
    if read.behaviors is None:
        names, notes = _names({ONE_BEHAVIOR: 1}, renamed, where)
        return {names[ONE_BEHAVIOR]: slice(None)}, notes
    codes, labels = cells.coded(read.behaviors)
    counts = np.bincount(codes, minlength=len(labels))
    names, notes = _names(dict(zip(labels, counts.tolist(), strict=True)), renamed, where)
    number = {name: n for n, name in enumerate(dict.fromkeys(names.values()))}
    of_label = np.array([number[names[label]] for label in labels])
    if len(number) == 1:
        return dict.fromkeys(number, slice(None)), notes
    of_row = of_label[codes]
    return {name: np.flatnonzero(of_row == n) for name, n in number.items()}, notes


def _by_rating(read: Read, rated: Mapping[float, str]) -> tuple[dict[str, Array], list[str]]:
    values = read.ratings.to_numpy()
    least = min(rated)
    found = {name: np.flatnonzero(values >= at) for at, name in rated.items()}
    below = int(np.count_nonzero(values < least))
    unread = read.roles.columns.get("behavior")
    notes = [] if unread is None else [f"Column {unread!r} is not read: ratings say what rows are."]
    notes += [left_out(below, f"with a rating below {least:g}")] if below else []
    return found, notes


def _names(
    counts: Mapping[str, int], renamed: Mapping[str, str], where: str
) -> tuple[dict[str, str], list[str]]:
    """Label → name here: as it was renamed, or the most frequent spelling but for case."""
    by_case = {key.casefold(): name for key, name in renamed.items()}
    if len(by_case) < len(renamed):
        raise InputError("--rename-behaviors names a behavior twice, but for case; wanted it once.")
    spellings: dict[str, str] = {}
    for label in sorted(counts, key=lambda one: (-counts[one], one)):
        spellings.setdefault(label.casefold(), label)
    unknown = [key for key in renamed if key.casefold() not in spellings]
    if unknown:
        raise InputError(
            f"--rename-behaviors names {unknown[0]!r}, which is no behavior of {where}"
            f"{did_you_mean(unknown[0], list(spellings.values()))}"
        )
    names = {label: by_case.get(label.casefold(), spellings[label.casefold()]) for label in counts}
    here: dict[str, str] = {}  # names that differ in case are one here, too
    for label in sorted(counts, key=lambda one: (names[one] not in renamed.values(), one)):
        names[label] = here.setdefault(names[label].casefold(), names[label])
    notes = []
    for key, spelling in spellings.items():
        others = sorted(one for one in counts if one.casefold() == key and one != spelling)
        if others:
            listed = ", ".join(map(repr, others))
            notes.append(f"{listed} {'is' if len(others) == 1 else 'are'} taken for {spelling!r}.")
    return names, notes
