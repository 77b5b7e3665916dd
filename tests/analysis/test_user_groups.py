"""Groups of users: against corrcoef and all subsets, by hand, and Taobao's reference figures."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from shops import dense

from pkef_fast import load_dataset
from pkef_fast.analysis import user_groups
from pkef_fast.analysis.user_groups import (
    activity,
    at_equal_mean,
    by_activity,
    by_correlation,
    correlations,
    largest_part,
)
from pkef_fast.data import Dataset, generate
from pkef_fast.data.patterns import pattern


def random_shop(seed, n_users=40, n_items=11):
    """Rows of every kind: empty, full, and users without a held-out item."""
    random = np.random.default_rng(seed)
    patterns = []
    for share in (0.5, 0.3, 0.2):
        table = random.random((n_users, n_items)) < share
        table[random.integers(n_users, size=4)] = False
        table[random.integers(n_users, size=2)] = True
        patterns.append(pattern(*np.nonzero(table), n_users, n_items))
    users = np.sort(random.choice(n_users, 30, replace=False)).astype(np.int32)
    items = random.integers(n_items, size=30).astype(np.int32)
    return Dataset("s", ("view", "cart", "buy"), n_users, n_items, tuple(patterns), users, items)


def plain_rho(one, other, centred):
    if not one.any() or not other.any() or (centred and (one.all() or other.all())):
        return None
    if centred:
        return np.corrcoef(one, other)[0, 1]
    return one @ other / np.sqrt(one.sum() * other.sum())


@pytest.mark.parametrize("centred", [True, False])
@pytest.mark.parametrize("seed", range(3))
def test_a_users_correlation_is_the_mean_of_its_pairs(seed, centred):
    data = random_shop(seed)
    tables = [dense(csr, data.n_items).astype(float) for csr in data.interactions]
    pairs, rho = correlations(data, centred)
    assert list(pairs) == ["view-cart", "view-buy", "cart-buy"]
    undefined = 0
    for user in range(data.n_users):
        plain = [
            plain_rho(tables[a][user], tables[b][user], centred)
            for a, b in itertools.combinations(range(3), 2)
        ]
        for found, wanted in zip(pairs.values(), plain, strict=True):
            assert np.isnan(found[user]) if wanted is None else found[user] == pytest.approx(wanted)
        known = [one for one in plain if one is not None]
        undefined += len(known) < 3
        assert rho[user] == pytest.approx(np.mean(known)) if known else np.isnan(rho[user])
    assert undefined


@pytest.mark.parametrize("seed", range(3))
def test_the_groups_are_fifths_cut_to_one_mean(seed):
    data = random_shop(seed)
    tables = [dense(csr, data.n_items) for csr in data.interactions]
    _, rho = correlations(data)
    users = sorted(
        (user for user in data.test_users.tolist() if not np.isnan(rho[user])),
        key=lambda user: (rho[user], user),
    )
    fifths = [part.tolist() for part in np.array_split(users, 5)]
    found = by_correlation(data)
    assert found.facts["left_out"] == len(data.test_users) - len(users)
    assert found.facts["edges"] == [rho[part[0]] for part in fifths] + [rho[users[-1]]]
    count = {user: sum(table[user].sum() for table in tables) for user in range(data.n_users)}
    np.testing.assert_array_equal(activity(data), list(count.values()))
    for members, fifth, row in zip(found.users, fifths, found.table.records(), strict=True):
        assert set(members.tolist()) <= set(fifth)
        assert members.tolist() == sorted(members.tolist())
        assert row["users"] == len(members)
        assert row["users_before"] == len(fifth)
        assert row["mean_before"] == pytest.approx(np.mean([count[one] for one in fifth]))
        assert row["mean_interactions"] == pytest.approx(np.mean([count[u] for u in members]))
        assert (row["rho_lo"], row["rho_hi"]) == (rho[members].min(), rho[members].max())
        whole, mean = row["mean_before"], found.facts["mean"]
        assert (
            row["mean_interactions"] <= mean if whole > mean else row["mean_interactions"] >= mean
        )
    # Of all means tried, none leaves a larger smallest group.
    means = [np.mean([count[one] for one in fifth]) for fifth in fifths]
    margin = 0.1 * (max(means) - min(means))
    best = max(
        min(longest_prefix(fifth, count, mean) for fifth in fifths)
        for mean in np.linspace(min(means) - margin, max(means) + margin, 200)
    )
    assert min(map(len, found.users)) == best


def longest_prefix(group, count, mean):
    values = sorted(count[one] for one in group)
    above = np.mean(values) > mean
    values = values if above else values[::-1]
    fits = [
        np.mean(values[:n]) <= mean if above else np.mean(values[:n]) >= mean
        for n in range(1, len(values) + 1)
    ]
    return max((n for n, fit in enumerate(fits, 1) if fit), default=0)


def test_a_part_is_the_largest_of_all_subsets():
    random = np.random.default_rng(0)
    for _ in range(20):
        count = random.integers(1, 12, size=9)
        group = np.arange(9)
        mean = random.uniform(2, 10)
        above = count.mean() > mean
        largest = max(
            (
                n
                for n in range(1, 10)
                for one in itertools.combinations(count, n)
                if (np.mean(one) <= mean if above else np.mean(one) >= mean)
            ),
            default=0,
        )
        found = largest_part(group, count, mean)
        assert len(found) == largest
        if largest:
            assert count[found].mean() <= mean if above else count[found].mean() >= mean


def test_of_equally_active_users_the_order_of_the_group_does_not_choose():
    """Groups are in the order of ρ; whoever is first there is not kept more often than others."""
    random = np.random.default_rng(1)
    count = random.integers(1, 4, size=30)
    for mean in (1.5, 2.5):
        found = [largest_part(random.permutation(30), count, mean).tolist() for _ in range(5)]
        assert 0 < len(found[0]) < 30
        assert found == [found[0]] * 5
        # The last level of activity that is kept is cut by number.
        last = count[found[0][-1]]
        level = np.flatnonzero(count == last)
        kept = [user for user in found[0] if count[user] == last]
        assert kept == level[: len(kept)].tolist()


def test_equal_groups_are_kept_whole():
    groups = [np.arange(4), np.arange(4, 8)]
    mean, parts = at_equal_mean(groups, np.full(8, 3))
    assert mean == 3
    assert [part.tolist() for part in parts] == [group.tolist() for group in groups]


def test_activity_by_hand():
    #               users 0 … 6 with 3, 1, 2, 2, 5, 4, 6 items; user 6 has no held-out one
    sizes = [3, 1, 2, 2, 5, 4, 6]
    rows = np.repeat(np.arange(7), sizes)
    columns = np.concatenate([np.arange(n) for n in sizes])
    empty = pattern(np.empty(0, int), np.empty(0, int), 7, 9)
    users = np.array([0, 1, 2, 3, 3, 4, 5], np.int32)  # two held-out items of user 3
    data = Dataset(
        "s", ("view", "buy"), 7, 9, (pattern(rows, columns, 7, 9), empty), users, users + 1
    )
    found = by_activity(data)
    assert [one.tolist() for one in found.users] == [[1, 2], [3], [0], [5], [4]]
    assert found.table.columns == ("group", "n_lo", "n_hi", "users", "mean_interactions")
    assert found.table.rows[0] == (1, 1, 2, 2, 1.5)
    assert found.names[0] == "1 (1 to 2 interactions)"
    correlated = by_correlation(data)  # nobody has bought anything
    assert correlated.facts["left_out"] == 6
    assert (correlated.names, correlated.users, correlated.table.rows) == ((), [], [])
    assert "0 test users, 6 left out" in correlated.sentence()
    assert correlated.sentence().endswith("; so there are no groups.")


def test_one_behavior_has_no_correlation():
    data = generate(30, 20, ("buy",), seed=1)
    found = by_correlation(data)
    assert found.facts["left_out"] == len(np.unique(data.test_users)) > 0
    assert (found.names, found.users, found.table.rows) == ((), [], [])
    assert found.sentence() == "correlation groups: none, for there is one behaviour."


def test_taobao(real_data):
    """The figures of an independent computation on these 873,954 + 195,476 + 92,180 pairs."""
    data = load_dataset("taobao", real_data)
    assert list(data.counts().values()) == [873954, 195476, 92180]
    found = by_correlation(data)
    facts = found.facts
    assert facts["left_out"] == 0
    assert facts["rho"] == pytest.approx(0.238, abs=5e-4)
    assert list(facts["pairs"].values()) == pytest.approx([0.293, 0.277, 0.144], abs=5e-4)
    edges = [-0.001, 0.158, 0.210, 0.257, 0.313, 0.678]
    assert facts["edges"] == pytest.approx(edges, abs=6e-4)
    means = [67.0, 74.9, 81.2, 81.6, 71.3]
    assert found.table.column("mean_before") == pytest.approx(means, abs=0.05)
    _, rho = correlations(data)
    users = np.unique(data.test_users)
    fifths = np.array_split(users[np.argsort(rho[users], kind="stable")], user_groups.GROUPS)
    sizes = [2897, 3026, 2872, 2877, 3083]
    assert [len(largest_part(one, activity(data), 70.5)) for one in fifths] == sizes
    assert facts["mean"] == pytest.approx(70.5, abs=0.5)
    assert min(found.table.column("users")) >= min(sizes)
    assert found.table.column("mean_interactions") == pytest.approx([facts["mean"]] * 5, abs=0.1)
