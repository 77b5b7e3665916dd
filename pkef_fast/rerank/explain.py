"""Why an item stands where it does: how much came from taste, the user's own funnel, popularity.

f of an item is compared with f of the user's average candidate, whose features are the means over
the user's candidates. The three groups of features share the difference by their Shapley values:
the mean, over the six orders in which the groups can go from average to the item's own, of what
each step adds. So the three numbers sum to the difference exactly, whatever the form of f.

f is learned, so few sales may speak for an item: the words of a reason are chosen by what is known
of the item, never by the sign of its share alone.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterable
from typing import Any, NamedTuple

import numpy as np

from ..arguments import listed
from ..data.dataset import Array, Dataset
from ..data.ids import Ids
from ..errors import InputError
from ..evaluate.rankers import Ranker
from ..kernels.candidates import EPSILON
from .funnel import FUNNEL, GROUPS, POPULARITY, TASTE
from .reranker import Reranked

NAMES = {TASTE: "taste", FUNNEL: "own funnel", POPULARITY: "popularity"}
LEAST = 0.005  # of all that speaks for or against: less would be shown as 0 %, or is rounding


class Reason(NamedTuple):
    """Where an item's lead over the user's average candidate comes from.

    taste, funnel, popularity : float
        Their sum is the lead; a negative number speaks against the item.
    touched : tuple of str
        The behaviours in which the user has the item.
    text : str
        The same for people.
    """

    taste: float
    funnel: float
    popularity: float
    touched: tuple[str, ...]
    text: str


class _Known(NamedTuple):
    """What the words about an item must agree with."""

    touched: tuple[str, ...]
    alike: bool  # whether anybody did something with it and with an own item of the user
    sold: int
    usual: float  # median of `sold` over the user's candidates


def explained(
    ranker: Ranker, data: Dataset, users: Any, items: Iterable[Any]
) -> dict[Any, list[Reason]]:
    """`reasons` by ids: a row of item ids a user. InputError for an order that is not re-ranked."""
    if not isinstance(ranker, Reranked):
        raise InputError(
            "only a re-ranked order can be explained, and this model has no re-ranker; learn one "
            "with rerank(data), or `pkef-fast rerank RUN`."
        )
    users, rows = listed("users", users), listed("items", items, "a list of item ids for each user")
    if len(users) != len(rows):
        raise InputError(
            f"items cannot be {len(rows)} rows for {len(users)} users; wanted one for each."
        )
    numbers, of_item = Ids("user", data).numbers(users), Ids("item", data)
    return {
        user: reasons(ranker, int(number), of_item.numbers(listed("a row of items", row)))
        for user, number, row in zip(users, numbers, rows, strict=True)
    }


def reasons(ranker: Reranked, user: int, items: Array) -> list[Reason]:
    """A reason for each of these items of a user.

    An item that is no candidate stands where the model put it: all of that is taste.
    """
    data = ranker.source.dataset
    found, _ = ranker.candidates(np.array([user], np.int32))
    place_of = {int(item): place for place, item in enumerate(found.items)}
    places = [place_of.get(int(item), -1) for item in items]
    shares = _shares(ranker, found.features, [place for place in places if place >= 0])
    sold = np.bincount(data.interactions[-1].indices, minlength=data.n_items)
    usual = float(np.median(sold[found.items])) if len(found.items) else 0.0
    near = [n for n, one in enumerate(ranker.source.columns) if one.name in ("nearest", "soonest")]
    result = []
    for item, place in zip(items, places, strict=True):
        touched = tuple(
            name
            for name, csr in zip(data.behaviors, data.interactions, strict=True)
            if item in csr.indices[csr.indptr[user] : csr.indptr[user + 1]]
        )
        if place < 0:
            text = "taste alone: none of the nearer candidates, so it stands where the model has it"
            result.append(Reason(0.0, 0.0, 0.0, touched, text))
            continue
        parts = dict(zip(GROUPS, shares.pop(0), strict=True))
        # A sum of 0 stands as log ε, one that is not as much more.
        alike = bool(np.any(found.features[place, near] > np.log(2 * EPSILON)))
        text = _text(parts, _Known(touched, alike, int(sold[item]), usual), data)
        result.append(Reason(*(parts[group] for group in GROUPS), touched, text))
    return result


def _shares(ranker: Reranked, features: Array, places: list[int]) -> list[list[float]]:
    """Shapley values of GROUPS for the candidates at these places."""
    if not places:
        return []
    groups = [column.group for column in ranker.source.columns]
    own = [np.array([group == one for group in groups]) for one in GROUPS]
    average = features.mean(axis=0)
    values = {}
    for chosen in itertools.chain.from_iterable(
        itertools.combinations(range(len(GROUPS)), n) for n in range(len(GROUPS) + 1)
    ):
        mixed = np.tile(average, (len(places), 1)).astype(np.float32)
        for group in chosen:
            mixed[:, own[group]] = features[places][:, own[group]]
        values[chosen] = ranker.f(mixed).astype(np.float64)
    result = np.zeros((len(places), len(GROUPS)))
    for order in itertools.permutations(range(len(GROUPS))):
        for n, group in enumerate(order):
            before = tuple(sorted(order[:n]))
            after = tuple(sorted(order[: n + 1]))
            result[:, group] += values[after] - values[before]
    return (result / math.factorial(len(GROUPS))).tolist()


def _text(parts: dict[str, float], known: _Known, data: Dataset) -> str:
    """The sentence: what speaks for the item in shares of a hundred, then what against it."""
    total = sum(value for value in parts.values() if value > 0)
    least = LEAST * sum(map(abs, parts.values()))
    order = sorted(parts, key=lambda group: -parts[group])
    good = [
        f"{NAMES[group]} {parts[group] / total:.0%} ({_words(group, True, known, data)})"
        for group in order
        if parts[group] > least
    ]
    bad = [
        f"{NAMES[group]} ({_words(group, False, known, data)})"
        for group in reversed(order)
        if parts[group] < -least
    ]
    text = ", ".join(good) if good else "nothing speaks for it"
    return text + (f"; against it: {', '.join(bad)}" if bad else "")


def _words(group: str, good: bool, known: _Known, data: Dataset) -> str:
    """What a group says for an item, or against it."""
    timed = data.times is not None
    if group == TASTE:
        if not good:
            return "it is not close to what this customer does"
        if not known.alike:
            return "it is close to what this customer does"
        visit = ", or take it in the same visit" if timed else ""
        return f"customers who do alike things go for it{visit}"
    if group == FUNNEL:
        if not known.touched:
            return "the customer has not touched it"
        behaviors = " and ".join(known.touched)
        if good:
            return f"the customer has it in {behaviors}"
        return f"what the customer has in {behaviors} is often left there"
    if good and known.sold > known.usual:
        words = "it sells more than most others" + (" or was looked at just then" if timed else "")
    elif not good and known.sold < known.usual:
        words = "it sells less than most others" + (" or at other times" if timed else "")
    else:
        words = "what all customers do with it" + (", and when" if timed else "")
    return f"{words}, {_customers(known.sold)} had a {data.target} of it"


def _customers(count: int) -> str:
    """How many.

    >>> _customers(0), _customers(1), _customers(2)
    ('no customer', '1 customer', '2 customers')
    """
    return f"{count or 'no'} customer{'s' if count > 1 else ''}"
