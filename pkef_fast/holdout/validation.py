"""The validation split: target items to choose by, and the test never asked.

They are the publishers' own where the data set has some, else one more item of each user.
It is the same for `tune`, for `--select val`, and for the re-ranker of a model that was so chosen.
"""

from __future__ import annotations

from dataclasses import replace

from ..data.dataset import Dataset
from ..data.patterns import pattern, union
from ..errors import InputError
from .left_out import LeftOut, leave_out, published, without_left_out
from .visibility import Visibility, visibility_of

LEAST = 3  # target interactions of a user who gives one away: two are left to train on


def validation_visibility(dataset: Dataset, leave_out: str | float | None) -> Visibility:
    """The share of validation items that stays visible in the other behaviours, and why.

    As was asked for; else publishers' own items stay as they are, and drawn ones are hidden as the
    test's were.

    Raises
    ------
    InputError
        As `visibility_of`.
    """
    if dataset.validation is not None and leave_out is None:
        return Visibility(1.0, "they are the validation pairs that came with the data set")
    return visibility_of(dataset, leave_out)


def validation_items(dataset: Dataset, share: float, seed: int) -> LeftOut:
    """The validation items: the data set's own (`Dataset.validation`), where it has some.

    Else one of each user with LEAST train target interactions or more. Which one, and whether it is
    hidden in the other behaviours too, is said by `leave_out`: the latest where there are times,
    else a random one.

    Parameters
    ----------
    dataset : Dataset
        Its test pairs are not read.
    share : float, 0 to 1
        Chance that an item stays visible in the user's other behaviours. 1: it is taken out of the
        target alone, as Taobao's test items were; 0: out of all behaviours.
    seed : int

    Raises
    ------
    InputError
        For a share out of range, and when no user has so many interactions.
    """
    own = published(dataset, share, seed)
    if own is not None:
        return own
    (held,) = leave_out(dataset, share, LEAST, seed)
    if not len(held.users):
        raise InputError(
            f"no user of data set {dataset.name!r} has {LEAST} train {dataset.target!r} "
            "interactions, so none can be held out for validation; wanted at least one such user."
        )
    return held


def validation_split(dataset: Dataset, held: LeftOut) -> Dataset:
    """The data set to train on, whose test pairs are the validation items.

    It cannot be loaded by name, so its `source` is empty.

    Examples
    --------
    >>> from pkef_fast.data import load_dataset
    >>> data = load_dataset("demo")
    >>> split = validation_split(data, validation_items(data, share=1.0, seed=0))
    >>> len(data.interactions[-1].indices) - len(split.interactions[-1].indices)
    449
    >>> len(split.test_items)
    449
    """
    rest = without_left_out(dataset, held)
    return replace(rest, test_users=held.users, test_items=held.items, source={})


def everything(dataset: Dataset) -> Dataset:
    """The data set with its own validation pairs, if any, among its train pairs.

    Nobody knows when they happened, so the target then has no times. It cannot be loaded by name,
    so its `source` is empty.
    """
    if dataset.validation is None:
        return dataset
    *others, target = dataset.interactions
    users, items = dataset.validation
    own = pattern(users, items, dataset.n_users, dataset.n_items)
    times = dataset.times and (*dataset.times[:-1], None)
    return replace(
        dataset,
        interactions=(*others, union([target, own], dataset.n_items)),
        times=times,
        validation=None,
        source={},
    )
