"""Why an item stands where it does: how much came from taste, the user's own funnel, popularity.

f of an item is compared with f of the user's average candidate, whose features are the means over
the user's candidates. The three groups of features share the difference by their Shapley values:
the mean, over the six orders in which the groups can go from average to the item's own, of what
each step adds. So the three numbers sum to the difference exactly, whatever the form of f.
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
from .funnel import FUNNEL, GROUPS, POPULARITY, TASTE
from .reranker import Reranked

NAMES = {TASTE: "taste", FUNNEL: "own funnel", POPULARITY: "popularity"}


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
    bought = np.bincount(data.interactions[-1].indices, minlength=data.n_items)
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
        text = _text(parts, touched, int(bought[item]), data)
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


def _text(parts: dict[str, float], touched: tuple[str, ...], bought: int, data: Dataset) -> str:
    """The sentence: what speaks for the item in shares of a hundred, then what against it."""
    many = f"{bought} customer{'' if bought == 1 else 's'} had a {data.target} of it"
    timed = data.times is not None
    words = {
        (TASTE, True): "customers who do alike things go for it"
        + (", or take it in the same visit" if timed else ""),
        (TASTE, False): "it is not close to what this customer does",
        (FUNNEL, True): f"the customer has it in {' and '.join(touched)}"
        if touched
        else "the customer has little else in hand",
        (FUNNEL, False): f"what the customer has in {' and '.join(touched)} is often left there"
        if touched
        else "the customer has not touched it",
        (POPULARITY, True): (
            f"it sells well{' or was looked at just then' if timed else ''}, {many}"
        ),
        (POPULARITY, False): (
            f"it sells less than others{' or at other times' if timed else ''}, {many}"
        ),
    }
    total = sum(value for value in parts.values() if value > 0)
    order = sorted(parts, key=lambda group: -parts[group])
    good = [
        f"{NAMES[group]} {parts[group] / total:.0%} ({words[group, True]})"
        for group in order
        if parts[group] > 0
    ]
    bad = [
        f"{NAMES[group]} ({words[group, False]})" for group in reversed(order) if parts[group] < 0
    ]
    text = ", ".join(good) if good else "nothing speaks for it"
    return text + (f"; against it: {', '.join(bad)}" if bad else "")
