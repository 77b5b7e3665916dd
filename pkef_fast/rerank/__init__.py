"""A learned re-ranking of what a user may want, from what the user has already touched.

`leave_out` hides train purchases as the test's were hidden, `funnel` finds candidates and their
features (`neighbours` are the sums behind them), `learner` learns a score, and `reranker` puts it
in front of any model's ranking.
"""

from ..holdout.leave_out import Choice, choice, hidden
from .behind import learn_behind
from .config import RerankConfig
from .explain import Reason, explained, reasons
from .reranker import Reranked, Reranker, checked_users, learn

__all__ = [
    "Choice",
    "Reason",
    "RerankConfig",
    "Reranked",
    "Reranker",
    "checked_users",
    "choice",
    "explained",
    "hidden",
    "learn",
    "learn_behind",
    "reasons",
]
