"""Held-out items to choose by: from the train target rows, so that the test items are never asked.

What is left out of a row is hidden in the way the data set itself was split: of the target alone,
where the test items stay visible in the other behaviours, or of all behaviours.
"""

from __future__ import annotations

import numpy as np

from ..data.dataset import Dataset
from ..data.patterns import without
from ..errors import InputError

LEAST = 3  # target items of a user whose one is held out: two are left to train on
_STREAM = 0x76616C  # keeps these draws apart from those of tables and samples of the same seed


def validation_split(
    dataset: Dataset, seed: int = 0, *, visible: float = 1.0, least: int = LEAST
) -> Dataset:
    """The data set with one train target item of each user with at least three held out.

    Which item goes, and whether it is hidden, depends on (seed, user, the user's row) alone: not on
    the test items, and not on what other users did.

    Parameters
    ----------
    dataset : Dataset
        Left as it is.
    seed : int, 0 ≤ seed < 2⁶³
    visible : float, 0 to 1
        Chance that a held-out item stays in the user's other behaviours. 1: it is taken out of the
        target alone, as Taobao's test items were; 0: out of all behaviours.
    least : int, at least 2
        Train target items that a user must have.

    Returns
    -------
    Dataset
        Its test pairs are the held-out ones, users rising; the original's are not in it. It cannot
        be loaded by name, so its `source` is empty.

    Raises
    ------
    InputError
        For a `visible` or `least` out of range, and when no user has enough target items.

    Examples
    --------
    >>> from pkef_fast.data import load_dataset
    >>> data = load_dataset("demo")
    >>> held_out = validation_split(data)
    >>> len(data.interactions[-1].indices) - len(held_out.interactions[-1].indices)
    449
    >>> len(held_out.test_items)
    449
    """
    if not 0 <= visible <= 1:
        raise InputError(f"visible cannot be {visible!r}; wanted a share from 0 to 1.")
    if least < 2:
        raise InputError(f"least cannot be {least!r}; wanted at least 2, so that one is left.")
    indptr, indices = dataset.interactions[-1]
    degrees = np.diff(indptr).astype(np.int64)
    draws = np.random.Generator(np.random.Philox(key=[seed, _STREAM])).random((dataset.n_users, 2))
    users = np.flatnonzero(degrees >= least)
    if not len(users):
        raise InputError(
            f"data set {dataset.name!r} has no user with {least} or more train "
            f"{dataset.target!r} items, so none can be held out for validation."
        )
    place = np.minimum(draws[users, 0] * degrees[users], degrees[users] - 1).astype(np.int64)
    items = indices[indptr[users] + place]
    hidden = draws[users, 1] >= visible
    upstream = [(users[hidden], items[hidden])] * (len(dataset.behaviors) - 1)
    return without(
        dataset,
        [*upstream, (users, items)],
        test_users=users.astype(np.int32),
        test_items=items.astype(np.int32),
        source={},
    )
