"""A learned re-ranking of what a user may want, from what the user has already touched.

In the order of use: `holdout` leaves train purchases out as the test's were, `neighbours` and
`sessions` make lists of what is near each item, `funnel` chooses a user's candidates by them and
describes each by features, `learner` learns a score f of features from the left-out purchases,
`reranker` puts the candidates, by falling f, in front of any model's order, `explain` says where an
item's lead comes from, and `behind` does all of it for a model that is there.
"""

from .behind import learn_behind
from .config import RerankConfig
from .explain import Reason, explained, reasons
from .reranker import Reranked, Reranker, checked_users, learn

__all__ = [
    "Reason",
    "RerankConfig",
    "Reranked",
    "Reranker",
    "checked_users",
    "explained",
    "learn",
    "learn_behind",
    "reasons",
]
