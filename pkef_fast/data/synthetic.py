"""Made-up shops with a funnel, for the data set `demo`, tests and benchmarks (our choice)."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ..errors import InputError
from . import checks
from .dataset import Array, Dataset
from .patterns import keys_of, pattern

DEMO = {"n_users": 1200, "n_items": 800}

TOPIC_ITEMS = 20  # items of one taste; users like a few tastes, so neighbours tell what they like
TASTE_SPREAD = 0.06  # Dirichlet parameter: the smaller, the fewer tastes has a user
ZIPF_EXPONENT = 0.8  # of item popularity
ACTIVITY_SPREAD = 0.5  # standard deviation of the logarithm of a user's activity
SINGLE_SHARE = 0.1  # of users, who may end with a single buy and so without a held-out item


def generate(
    n_users: int,
    n_items: int,
    behaviors: Sequence[str] = ("view", "cart", "buy"),
    seed: int = 0,
    *,
    degree: float = 30.0,
    keep: float = 0.35,
    unseen: float = 0.2,
    name: str = "synthetic",
) -> Dataset:
    """A shop of any size: Zipf items, users with a few tastes, and a funnel of behaviours.

    Items belong to tastes. A user draws items for the first behaviour by taste and popularity; from
    each behaviour to the next goes the part that fits the user best, with chance, and a few items
    are added that the user did not meet before. One target item of each user with at least two is
    held out, at random; it stays in the other behaviours.

    Parameters
    ----------
    n_users, n_items : int, at least 1
    behaviors : sequence of K str
        Upstream first, the target last.
    seed : int
        The same seed gives the same data set.
    degree : float
        Mean number of draws of a user in the first behaviour; repeats count once.
    keep : float, 0 to 1
        Mean share of a user's items that goes on to the next behaviour.
    unseen : float, 0 to 1
        Share of items in later behaviours which the user did not meet in the one before.
    name : str

    Examples
    --------
    >>> data = generate(20, 10, seed=1)
    >>> data.behaviors, data.n_users, data.n_items
    (('view', 'cart', 'buy'), 20, 10)
    """
    if n_users < 1 or n_items < 1 or not behaviors:
        raise InputError(
            f"cannot generate {n_users} users, {n_items} items and {len(behaviors)} behaviours; "
            "wanted at least 1 of each."
        )
    random = np.random.Generator(np.random.PCG64(seed))
    shop = _Shop(random, n_users, n_items)
    activity = random.lognormal(-(ACTIVITY_SPREAD**2) / 2, ACTIVITY_SPREAD, n_users)
    draws = np.maximum(2, random.poisson(degree * activity))
    floor = np.where(random.random(n_users) < SINGLE_SHARE, 1, 2)
    patterns = [pattern(*shop.draw(draws), n_users, n_items)]
    for _ in behaviors[1:]:
        users, items = np.divmod(keys_of(patterns[-1], n_items), n_items)
        kept = _fitting(random, users, shop.liking(users, items), keep, floor)
        extra = random.poisson(unseen * np.bincount(users[kept], minlength=n_users))
        more = shop.draw(extra)
        pairs = np.append(users[kept], more[0]), np.append(items[kept], more[1])
        patterns.append(pattern(*pairs, n_users, n_items))
    target, test_users, test_items = _held_out(random, patterns[-1], n_items)
    return checks.finished(
        name=name,
        behaviors=behaviors,
        n_users=n_users,
        n_items=n_items,
        interactions=[*patterns[:-1], target],
        test_users=test_users,
        test_items=test_items,
        leave_out="target",
    )


def demo(seed: int = 0) -> Dataset:
    """The data set `demo`: small enough to train on in under a minute."""
    return generate(**DEMO, seed=seed, name="demo")


class _Shop:
    """Tastes of users, and items by taste and popularity."""

    def __init__(self, random: np.random.Generator, n_users: int, n_items: int):
        self.random = random
        n_topics = max(1, n_items // TOPIC_ITEMS)
        self.topic_of = random.integers(n_topics, size=n_items)
        self.topic_of[: min(n_topics, n_items)] = np.arange(n_topics)  # no taste without items
        popularity = (1 + random.permutation(n_items)) ** -ZIPF_EXPONENT
        self.appeal = random.standard_normal(n_items)  # of being bought once seen
        self.by_topic = np.argsort(self.topic_of, kind="stable")
        sizes = np.bincount(self.topic_of, minlength=n_topics)
        self.ends = np.cumsum(sizes)
        self.starts = self.ends - sizes
        self.shares = np.cumsum(popularity[self.by_topic])
        weight = np.diff(self.shares[self.ends - 1], prepend=0)
        taste = random.gamma(TASTE_SPREAD, size=(n_users, n_topics)) * weight + 1e-12
        self.taste = taste / taste.sum(1, keepdims=True)

    def draw(self, counts: Array) -> tuple[Array, Array]:
        """counts[u] items of each user, with repeats: (users, items)."""
        n_topics = self.taste.shape[1]
        users = np.repeat(np.arange(len(counts)), counts)
        # One search in all users' cumulated tastes: user u's lie between u and u + 1.
        steps = np.cumsum(self.taste, axis=1)
        steps = (steps / steps[:, -1:]).ravel() + np.repeat(np.arange(len(counts)), n_topics)
        place = np.searchsorted(steps, users + self.random.random(len(users)), side="right")
        topics = np.minimum(place - users * n_topics, n_topics - 1)
        starts, ends = self.starts[topics], self.ends[topics]
        low = np.where(starts > 0, self.shares[starts - 1], 0.0)
        at = low + self.random.random(len(users)) * (self.shares[ends - 1] - low)
        place = np.clip(np.searchsorted(self.shares, at, side="right"), starts, ends - 1)
        return users, self.by_topic[place]

    def liking(self, users: Array, items: Array) -> Array:
        """How well each pair fits."""
        return np.log(self.taste[users, self.topic_of[items]]) + self.appeal[items]


def _fitting(
    random: np.random.Generator, users: Array, liking: Array, keep: float, floor: Array
) -> Array:
    """Which entries go on to the next behaviour, (E,) bool: each user's best, with chance.

    `users` rises; `floor` (U,) is the least number of entries a user keeps where there are so many.
    """
    have = np.bincount(users, minlength=len(floor))
    wanted = np.maximum(random.binomial(have, keep), np.minimum(have, floor))
    order = np.lexsort((-(liking + random.gumbel(size=len(users))), users))
    place = np.arange(len(users)) - np.repeat(np.cumsum(have) - have, have)
    kept = np.empty(len(users), bool)
    kept[order] = place < wanted[users]
    return kept


def _held_out(random: np.random.Generator, target, n_items: int):
    """One random pair of each user with two or more, and the pattern without them."""
    n_users, degrees = len(target.indptr) - 1, np.diff(target.indptr)
    users = np.flatnonzero(degrees >= 2)
    places = target.indptr[users] + random.integers(degrees[users])
    items = target.indices[places]
    left = np.delete(keys_of(target, n_items), places)
    return pattern(left // n_items, left % n_items, n_users, n_items), users, items
