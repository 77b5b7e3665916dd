"""Groups of test users: by activity, and by how much their behaviours correlate (Fig. 6).

Both cut the test users, sorted, into five consecutive groups of equal size. More active users also
have more correlated behaviours, so the groups by correlation are cut down to the same mean activity
before they are compared.

On Taobao (train view 873,954, cart 195,476, buy 92,180 pairs; the views are MB-CGCN's train views
with its held-out views put back, which have the count of the paper's Table 1) all 15,449 test users
have a correlation, 0.238 in the mean; fifths begin at −0.001, 0.158, 0.209, 0.257 and 0.313, and
have 67.0, 74.9, 81.2, 81.6 and 71.3 interactions a user. An independent computation on the same
data kept 2897, 3026, 2872, 2877 and 3083 users at a mean of 70.5, as this one does at that mean;
the scan finds 70.82, where the smallest group is larger (2879, 3032, 2882, 2886, 3086).
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..data.dataset import Array, Csr, Dataset
from ..data.patterns import contains, row_of_each
from ..report.table import Table

GROUPS = 5
MEANS = 200  # target means that are tried
MARGIN = 0.1  # by which their range goes beyond the groups' means, as a share of that range


@dataclass(frozen=True)
class Groups:
    """Groups of test users.

    Attributes
    ----------
    names : tuple of str
    users : list of (n,) int arrays
        Numbers of each group's users, rising.
    table : Table
        A row a group: what holds it together, its users, their mean of interactions.
    facts : dict
        What was counted on the way, as values that JSON can write.
    """

    names: tuple[str, ...]
    users: list[Array]
    table: Table
    facts: dict[str, Any]

    def sentence(self) -> str:
        """The counts, for people."""
        return self.facts["sentence"]


# Figure 6: a row for a group of users, a head and a seed.
CORRELATED = ("group", "rho_lo", "rho_hi", "rho_mean", "users", "mean_interactions")
COLUMNS = (*CORRELATED, "head", "seed", "hr", "ndcg")


def rows_of(
    groups: Groups, users: Array, values: Sequence[Array], head: str, seed: int | None
) -> list[tuple]:
    """Rows of figure 6 for one run: each group of `by_correlation` with its means of HR and NDCG.

    `users` (T,) are those of the held-out items, `values` their (HR, NDCG), (T,) each. A group
    without held-out items has None for both.
    """
    rows = []
    for facts, members in zip(groups.table.records(), groups.users, strict=True):
        inside = np.isin(users, members)
        means = (float(one[inside].mean()) if inside.any() else None for one in values)
        rows.append((*(facts[name] for name in CORRELATED), head, seed, *means))
    return rows


def activity(dataset: Dataset) -> Array:
    """(U,) train interactions of each user, of all behaviours together."""
    return sum(np.diff(csr.indptr).astype(np.int64) for csr in dataset.interactions)


def by_activity(dataset: Dataset) -> Groups:
    """Fifths of the test users by their number of train interactions.

    Users of equal number are in the order of their user numbers, and may be parted.

    Returns
    -------
    Groups
        Its table: group (from 1), n_lo, n_hi, users, mean_interactions.
    """
    count = activity(dataset)
    users = np.unique(dataset.test_users)
    parts = np.array_split(users[np.argsort(count[users], kind="stable")], GROUPS)
    names, rows = [], []
    for number, part in enumerate(parts, 1):
        low, high = _ends(count[part])
        names.append(_name(number, None if low is None else f"{low} to {high} interactions"))
        rows.append((number, low, high, len(part), _mean(count[part])))
    columns = ("group", "n_lo", "n_hi", "users", "mean_interactions")
    sentence = f"activity groups: fifths of {len(users)} test users by train interactions."
    return Groups(
        tuple(names),
        [np.sort(part) for part in parts],
        Table(columns, rows),
        {"users": len(users), "sentence": sentence},
    )


def by_correlation(dataset: Dataset, centred: bool = True) -> Groups:
    """Test users by the mean correlation of their behaviours, at equal mean activity.

    1. The correlation ρ of two behaviours of a user is Pearson's, of their 0/1 rows over all items;
       it is undefined where a row is empty or full.
    2. A user's ρ is the mean over the pairs of behaviours that have one, in the train data alone;
       users without any are left out. Where nobody has one, as with a single behaviour, there are
       no groups.
    3. Test users, sorted by (ρ, number), are cut into five consecutive groups of equal size.
    4. Each group keeps the largest part of it whose mean number of interactions is on the near
       side of a common mean: its least active users where the group's mean is above, its most
       active ones where it is below. The common mean is the one of 200 between the groups' smallest
       and largest mean, 10 % of the range beyond either, for which the smallest part is largest;
       among equals, for which all parts together are.

    Parameters
    ----------
    dataset : Dataset
    centred : bool
        False: the cosine of the two rows instead; then only empty rows are undefined.

    Returns
    -------
    Groups
        Its table: group (from 1), rho_lo, rho_hi, rho_mean, users, mean_interactions, of the users
        that are kept; and of the whole fifth users_before, mean_before, edge_lo, edge_hi. Its
        facts: test users, those left_out, rho (the mean), pairs ("view-cart" → mean), edges (six),
        mean (the common one).
    """
    pairs, rho = correlations(dataset, centred)
    test = np.unique(dataset.test_users)
    defined = ~np.isnan(rho[test])
    users = test[defined]
    users = users[np.argsort(rho[users], kind="stable")]
    fifths = np.array_split(users, GROUPS) if len(users) else []
    count = activity(dataset)
    mean, parts = at_equal_mean(fifths, count)
    names, rows = [], []
    for number, (fifth, part) in enumerate(zip(fifths, parts, strict=True), 1):
        low, high = _ends(rho[fifth])
        names.append(_name(number, None if low is None else f"rho {low:.3f} to {high:.3f}"))
        kept = (*_ends(rho[part]), _mean(rho[part]), len(part), _mean(count[part]))
        rows.append((number, *kept, len(fifth), _mean(count[fifth]), low, high))
    columns = ("group", "rho_lo", "rho_hi", "rho_mean", "users", "mean_interactions")
    columns += ("users_before", "mean_before", "edge_lo", "edge_hi")
    facts = {
        "users": len(test),
        "left_out": int(np.count_nonzero(~defined)),
        "centred": centred,
        "rho": _mean(rho[users]),
        "pairs": {name: _mean(one[test][~np.isnan(one[test])]) for name, one in pairs.items()},
        "edges": [float(rho[fifth[0]]) for fifth in fifths if len(fifth)],
        "mean": mean,
    }
    facts["edges"] += [float(rho[users[-1]])] if len(users) else []
    facts["sentence"] = _said(facts, rows, len(dataset.behaviors))
    return Groups(tuple(names), [np.sort(part) for part in parts], Table(columns, rows), facts)


def correlations(dataset: Dataset, centred: bool = True) -> tuple[dict[str, Array], Array]:
    """Each pair of behaviours' ρ of every user, "view-cart" → (U,), and the mean over the pairs.

    NaN where it is undefined.
    """
    sizes = [np.diff(csr.indptr).astype(np.float64) for csr in dataset.interactions]
    shift = 1 / dataset.n_items if centred else 0.0
    found = {}
    for a, b in itertools.combinations(range(len(dataset.behaviors)), 2):
        both = overlap(dataset.interactions[a], dataset.interactions[b], dataset.n_items)
        spread = [n - n * n * shift for n in (sizes[a], sizes[b])]
        with np.errstate(invalid="ignore", divide="ignore"):
            rho = (both - sizes[a] * sizes[b] * shift) / np.sqrt(spread[0] * spread[1])
        undefined = (sizes[a] == 0) | (sizes[b] == 0)
        if centred:
            undefined |= (sizes[a] == dataset.n_items) | (sizes[b] == dataset.n_items)
        rho[undefined] = np.nan
        found[f"{dataset.behaviors[a]}-{dataset.behaviors[b]}"] = rho
    defined = sum((~np.isnan(one)).astype(np.int64) for one in found.values())
    total = sum(np.nan_to_num(one) for one in found.values())
    mean = np.full(dataset.n_users, np.nan)
    if found:
        np.divide(total, defined, out=mean, where=defined > 0)
    return found, mean


def overlap(one: Csr, other: Csr, n_items: int) -> Array:
    """(U,) items that a user has in both patterns."""
    rows = row_of_each(one)
    shared = contains(other, rows, one.indices, n_items)
    return np.bincount(rows[shared], minlength=len(one.indptr) - 1)


def at_equal_mean(groups: Sequence[Array], count: Array) -> tuple[float | None, list[Array]]:
    """Step 4 of `by_correlation`: the common mean of count (U,), and what each group keeps."""
    filled = [group for group in groups if len(group)]
    if not filled:
        return None, list(groups)
    means = [count[group].mean() for group in filled]
    margin = MARGIN * (max(means) - min(means))
    tried = np.linspace(min(means) - margin, max(means) + margin, MEANS)
    sizes = np.array([_kept(group, count, tried) for group in filled])
    best = max(range(MEANS), key=lambda n: (sizes[:, n].min(), sizes[:, n].sum(), -n))
    mean = float(tried[best])
    return mean, [largest_part(group, count, mean) for group in groups]


def largest_part(group: Array, count: Array, mean: float) -> Array:
    """The most users of a group whose mean of count (U,) is still on the near side of `mean`.

    That is at most `mean` where the group's own is above it, else at least `mean`.
    """
    if not len(group):
        return group
    # Of users of equal count those of small numbers: the groups' own order, by ρ, would decide.
    group = np.sort(group)
    order = group[np.argsort(_near_first(group, count, mean), kind="stable")]
    return order[: _kept(group, count, np.array([mean]))[0]]


def _near_first(group: Array, count: Array, mean: float) -> Array:
    """The key by which users are taken, smallest first."""
    return count[group] if count[group].mean() > mean else -count[group]


def _kept(group: Array, count: Array, means: Array) -> Array:
    """How many users `largest_part` takes for each of the means."""
    # Running means rise from the least active user up, and fall from the most active one down, so
    # the longest part is found by halving.
    places = np.arange(1, len(group) + 1)
    rising = np.sort(count[group])
    upward, downward = (np.cumsum(one) / places for one in (rising, rising[::-1]))
    return np.where(
        count[group].mean() > means,
        np.searchsorted(upward, means, side="right"),
        np.searchsorted(-downward, -means, side="right"),
    )


def _said(facts: dict[str, Any], rows: Sequence[tuple], behaviors: int) -> str:
    kind = "correlation" if facts["centred"] else "cosine"
    if behaviors == 1:
        return f"{kind} groups: none, for there is one behaviour."
    used = facts["users"] - facts["left_out"]
    text = f"{kind} groups: {used} test users, {facts['left_out']} left out (no pair of behaviours)"
    if facts["rho"] is None:
        return f"{text}; so there are no groups."
    pairs = ", ".join(
        f"{name} {'none' if mean is None else f'{mean:.3f}'}"
        for name, mean in facts["pairs"].items()
    )
    kept = ", ".join(f"{row[4]} of {row[6]}" for row in rows)
    means = ", ".join("none" if row[5] is None else f"{row[5]:.1f}" for row in rows)
    return (
        f"{text}; mean rho {facts['rho']:.3f} ({pairs}); edges "
        f"{', '.join(f'{edge:.3f}' for edge in facts['edges'])}; at a common mean of "
        f"{facts['mean']:.2f} interactions {kept} users are kept, with means {means}."
    )


def _name(number: int, what: str | None) -> str:
    return f"{number} ({'nobody' if what is None else what})"


def _ends(values: Array) -> tuple[Any, Any]:
    """Smallest and largest as plain numbers; None for nobody."""
    return (values.min().item(), values.max().item()) if len(values) else (None, None)


def _mean(values: Array) -> float | None:
    return float(values.mean()) if len(values) else None
