"""What a run is chosen by: its last epoch, or validation items.

With "val" target interactions are held out of the training, as `validation` says: the data set's
own validation pairs, else one of each user with three or more. The epoch with the best NDCG@10 on
them is kept, and so is a re-ranker if it is better there. The held-out items of the test play no
part.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from ..data.dataset import Dataset
from ..errors import InputError, did_you_mean
from .left_out import LeftOut
from .validation import validation_items, validation_visibility

SELECT = ("last", "val")
SEED = 20  # of the validation items: the same for all seeds of a model, so that figures compare
METRIC = "NDCG@10"


@dataclass
class Selection:
    """How a model was chosen on validation items.

    Attributes
    ----------
    share : float
        Share of the items that stayed visible in the auxiliary behaviours.
    users : int
        Users who gave an item.
    epoch : int, optional
        The chosen one; None where there is none to choose.
    metrics : dict
        Its HR@10 and NDCG@10 on the validation items.
    reranker : dict, optional
        NDCG@10 of the model's own order and of the re-ranked one, on validation users that the
        re-ranker was not trained on (None without such users), and whether it was kept.
    items : str
        Digest of the items (`LeftOut.digest`); empty where an older version chose them.
    refit : bool
        Whether the model was then trained anew on everything, these items too.
    published : int
        How many of them came with the data set as its validation part; 0: they were drawn.
    """

    share: float
    users: int
    epoch: int | None
    metrics: dict[str, float]
    reranker: dict[str, Any] | None = None
    items: str = ""
    refit: bool = False
    published: int = 0

    def facts(self) -> dict[str, Any]:
        """Values that JSON can write."""
        return asdict(self)

    def sentence(self, target: str) -> str:
        """For people."""
        figures = ", ".join(f"{name} {value:.4f}" for name, value in self.metrics.items())
        what = f"one more held-out {target}"
        if self.published:
            what = f"the data set's own {self.published} validation {target}s"
        text = f"chosen on {what} of {self.users} users, never on the test: "
        text += f"epoch {self.epoch} ({figures})" if self.epoch else figures
        if self.reranker and self.reranker["model"] is None:
            text += "; re-ranker kept, with no user left to test it on"
        elif self.reranker:
            text += (
                f"; re-ranker {'kept' if self.reranker['kept'] else 'not kept'} ({METRIC} "
                f"{self.reranker['re-ranked']:.4f}, the model alone {self.reranker['model']:.4f}, "
                "on users that it was not trained on)"
            )
        if self.refit:
            text += "; then trained anew on everything, for as many epochs"
        return f"{text}."


def checked(select: str) -> str:
    """`select`, or an InputError."""
    if select not in SELECT:
        raise InputError(f"select cannot be {select!r}{did_you_mean(select, SELECT)}")
    return select


def selection_items(data: Dataset, leave_out: str | float | None) -> tuple[float, LeftOut]:
    """The share that stays visible, and the validation items of --select val.

    The data set's own stay where they are in other behaviours. Drawn ones are hidden as the test's
    were; where nobody knows how, in the target alone.

    Raises
    ------
    InputError
        When no user has enough interactions.
    """
    try:
        share = validation_visibility(data, leave_out).share
    except InputError:
        if leave_out is not None:
            raise
        share = 1.0
    try:
        return share, validation_items(data, share, SEED)
    except InputError as error:
        raise InputError(f"{str(error)[:-1]}, or --select last.") from error


def selection_of(data: Dataset, share: float, held: LeftOut) -> Selection:
    """A choice that is still to be made, on these validation items."""
    own = 0 if data.validation is None else len(held.items)
    users = len(np.unique(held.users))
    return Selection(share, users, None, {}, items=held.digest(), published=own)


def items_of(chosen: Selection, data: Dataset) -> LeftOut:
    """The validation items that a model was chosen on.

    Raises
    ------
    InputError
        When today's rule holds out other ones, which the model may have been trained on.
    """
    held = validation_items(data, chosen.share, SEED)
    check_items(chosen.items, held)
    return held


def check_items(digest: str, held: LeftOut) -> None:
    """InputError unless the digest, perhaps an older version's, is that of these items."""
    if digest != held.digest():
        raise InputError(
            "this was chosen on other validation items, by an older version or on other data, and "
            "today's may be among what it was trained on; it can be evaluated as it is, but to go "
            "on from it, train anew with --select val."
        )
