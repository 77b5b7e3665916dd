"""Data sets that are known by name: their behaviours, how they were split, whose they are."""

from __future__ import annotations

from typing import NamedTuple

from .dataset import Dataset


class Entry(NamedTuple):
    """A data set that is known by name.

    behaviors : upstream first, the target last
    test : how its held-out items were chosen
    leave_out : whether they were taken out of the target behaviour alone or out of all; None where
        its publishers do not say
    users : how many it has, where that is known; some share a name with another data set
    papers : those whose data set it is
    """

    behaviors: tuple[str, ...]
    test: str
    leave_out: str | None
    users: int | None = None
    papers: str | None = None


_LATEST = "the latest buy of each user, by the authors"
_ONE = "one buy of each user, by its publishers"
_SEVERAL = "several buys of a user, by its publishers"
_SHOP = ("pv", "cart", "buy")
_WITH_COLLECT = ("view", "collect", "cart", "buy")
DATASETS = {
    "demo": Entry(("view", "cart", "buy"), "a random buy of each user with at least two", "target"),
    "taobao": Entry(
        _SHOP, _LATEST, "target", 15_449, "PKEF and MB-CGCN, whose release calls it Tmall"
    ),
    "tmall": Entry(
        ("click", "collect", "cart", "buy"), _LATEST, "target", 41_738, "PKEF and CRGCN"
    ),
    "beibei": Entry(_SHOP, _LATEST, "target", 21_716, "PKEF, CRGCN and MB-CGCN"),
    "retail_rocket": Entry(("view", "cart", "buy"), _ONE, None, 2_174, "SSLRec"),
    "ijcai15": Entry(("click", "fav", "cart", "buy"), _ONE, None, None, "SSLRec"),
    "jd": Entry(("pv", "fav", "buy"), _SEVERAL, None, 10_690, "VCGAE"),
    "taobao-48k": Entry(
        _SHOP, _ONE, None, 48_749, "GHCF and EHCF; PKEF's Taobao is another, called taobao here"
    ),
    "tenrec": Entry(_WITH_COLLECT, "buys, by its publishers", None, 27_948, "CascadingRank"),
    "tmall-cascadingrank": Entry(
        _WITH_COLLECT, _SEVERAL, None, 41_738, "CascadingRank; PKEF's split of it is called tmall"
    ),
}
"""Registered data sets. All but `demo` are read from files."""


def papers(data: Dataset) -> str | None:
    """The papers whose data set this is; None unless it was asked for by a registered name.

    Some data sets share a name with another: where the number of users says that it is not the
    registered one, the answer says so.
    """
    name = data.source.get("dataset")
    if name not in DATASETS:
        return None
    entry = DATASETS[name]
    if entry.users in (None, data.n_users):
        return entry.papers
    others = [other for other, one in DATASETS.items() if one.users == data.n_users]
    return (
        f"not the {name} of {entry.papers}: that has {entry.users} users, this {data.n_users}"
        + (f", as {' and '.join(others)}" if others else "")
    )
