"""What a run is chosen by: its last epoch, or one more target item of each user.

With "val" one target interaction of each user with three or more, the latest where there are times,
is held out of the training, hidden as the data set's test was; the epoch with the best NDCG@10 on
it is kept, and so is a re-ranker if it is better there. No held-out item of the test plays any
part.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from typing import Any

from ..data.dataset import Dataset
from ..errors import InputError, did_you_mean
from .leave_out import LeftOut, choice, draw, hidden

SELECT = ("last", "val")
LEAST = 3  # target interactions of a user who gives one away
SEED = 20  # of the draw: the same for all seeds of a model, so that their figures compare
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
        re-ranker was not trained on, and which was kept.
    """

    share: float
    users: int
    epoch: int | None
    metrics: dict[str, float]
    reranker: dict[str, Any] | None = None

    def facts(self) -> dict[str, Any]:
        """Values that JSON can write."""
        return asdict(self)

    def sentence(self, target: str) -> str:
        """For people."""
        figures = ", ".join(f"{name} {value:.4f}" for name, value in self.metrics.items())
        text = f"chosen on one more held-out {target} of {self.users} users, never on the test: "
        text += f"epoch {self.epoch} ({figures})" if self.epoch else figures
        if self.reranker:
            text += (
                f"; re-ranker {'kept' if self.reranker['kept'] else 'not kept'} ({METRIC} "
                f"{self.reranker['re-ranked']:.4f}, the model alone {self.reranker['model']:.4f}, "
                "on users that it was not trained on)"
            )
        return f"{text}."


def checked(select: str) -> str:
    """`select`, or an InputError."""
    if select not in SELECT:
        raise InputError(f"select cannot be {select!r}{did_you_mean(select, SELECT)}")
    return select


def share_of(data: Dataset, leave_out: str | float | None) -> float:
    """How validation items are hidden: as the test's were; where nobody knows, in the target."""
    if leave_out is None:
        try:
            return choice(data).share
        except InputError:
            return 1.0
    return choice(data, leave_out).share


def validation(data: Dataset, share: float) -> LeftOut:
    """The validation items: one of each user with LEAST or more.

    Raises
    ------
    InputError
        When no user has so many.
    """
    (held,) = draw(data, share, LEAST, SEED)
    if not len(held.users):
        raise InputError(
            f"no user of data set {data.name!r} has {LEAST} train {data.target!r} interactions, so "
            "there is none to hold out for --select val; wanted --select last."
        )
    return held


def without_validation(data: Dataset, held: LeftOut) -> Dataset:
    """The data set to train on, whose held-out items are the validation's."""
    return replace(hidden(data, held), test_users=held.users, test_items=held.items)
