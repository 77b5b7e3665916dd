"""Significance: the same as SciPy's tests and as all signs, and a user is one witness."""

from __future__ import annotations

import doctest
import itertools

import numpy as np
import pytest
from scipy import stats

from pkef_fast.compare import significance
from pkef_fast.compare.significance import RESAMPLES, all_paired, holm, paired
from pkef_fast.evaluate.figures import gains


def ndcg(random, count, highest=25):
    return gains(random.integers(highest, size=count), 10)[1]


@pytest.mark.parametrize("seed", range(3))
def test_it_is_what_scipy_finds(seed):
    """Within the chance of drawing; a mean difference of one, two or three pairs a user."""
    random = np.random.default_rng(seed)
    users = np.sort(np.concatenate([np.arange(150), random.integers(150, size=60)]))
    a, b = ndcg(random, len(users)), ndcg(random, len(users), 30)
    found = paired(users, a, b)
    sums, pairs = np.bincount(users, a - b), np.bincount(users)
    assert found.mean == pytest.approx(np.mean(a - b))

    def mean(x, n, axis=-1):
        return x.sum(axis=axis) / n.sum(axis=axis)

    bootstrap = stats.bootstrap(
        (sums, pairs), mean, paired=True, vectorized=True, method="percentile", n_resamples=9999
    )
    width = found.high - found.low
    ends = bootstrap.confidence_interval
    assert (found.low, found.high) == pytest.approx((ends.low, ends.high), abs=0.05 * width)
    test = stats.permutation_test(
        (np.bincount(users, a), np.bincount(users, b)),
        lambda x, y, axis: np.mean(x - y, axis=axis),
        permutation_type="samples",
        vectorized=True,
        n_resamples=9999,
    )
    spread = np.sqrt(test.pvalue * (1 - test.pvalue) / RESAMPLES)
    assert found.p == pytest.approx(test.pvalue, abs=8 * spread + 2 / RESAMPLES)


def test_p_is_the_share_of_all_signs():
    random = np.random.default_rng(5)
    for count in (6, 9, 12):
        difference = random.choice([-1.0, -0.5, 0.0, 0.5, 0.5, 1.0], size=count)
        signs = np.array(list(itertools.product((-1, 1), repeat=count)))
        as_far = np.abs(signs @ difference) >= abs(difference.sum()) - 1e-9
        found = paired(np.arange(count), difference, np.zeros(count), flips=40_000)
        assert found.p == pytest.approx(as_far.mean(), abs=0.015)


def test_pairs_of_a_user_are_one_witness():
    """Four copies of each pair tell nothing new."""
    random = np.random.default_rng(2)
    a, b = ndcg(random, 80), ndcg(random, 80)
    once = paired(np.arange(80), a, b)
    often = paired(np.repeat(np.arange(80), 4), np.repeat(a, 4), np.repeat(b, 4))
    assert often == pytest.approx(once)
    # As 320 users they would.
    wrong = paired(np.arange(320), np.repeat(a, 4), np.repeat(b, 4))
    assert wrong.high - wrong.low < 0.6 * (once.high - once.low)


def test_it_does_not_see_what_is_not_there():
    """Of equal rankings one in twenty tests is below 0.05; 300 of them are 15 ± 4."""
    random = np.random.default_rng(0)
    values = random.choice([0, 0.3, 0.7], size=(300, 2, 60))
    found = all_paired(np.arange(60), [a - b for a, b in values], flips=999)
    assert 4 <= sum(one.p < 0.05 for one in found) <= 28
    assert 4 <= sum(not one.low <= 0 <= one.high for one in found) <= 35


def test_equal_rankings_and_nobody():
    ones = np.ones(5)
    assert paired(np.arange(5), ones, ones) == (0, 0, 0, 1)
    nobody = paired(np.empty(0, int), np.empty(0), np.empty(0))
    assert nobody.p == 1
    assert np.isnan(nobody[:3]).all()


def test_equal_input_gives_equal_results():
    random = np.random.default_rng(1)
    a, b = ndcg(random, 50), ndcg(random, 50)
    assert paired(np.arange(50), a, b) == paired(np.arange(50), a, b)
    assert paired(np.arange(50), a, b, seed=1).low != paired(np.arange(50), a, b).low
    forth, back = paired(np.arange(50), a, b), paired(np.arange(50), b, a)
    assert (forth.mean, forth.p) == (-back.mean, back.p)


def test_several_differences_are_each_what_it_is_alone():
    random = np.random.default_rng(3)
    users = np.sort(random.integers(40, size=70))
    a, b, c = (ndcg(random, 70) for _ in range(3))
    together = all_paired(users, [a - b, a - c], seed=4)
    for found, other in zip(together, (b, c), strict=True):
        assert found == pytest.approx(paired(users, a, other, seed=4))


def test_more_flips_reach_a_smaller_p():
    a = np.ones(40)
    assert paired(np.arange(40), a, 0 * a).p == 1 / (RESAMPLES + 1)
    assert paired(np.arange(40), a, 0 * a, flips=19_999).p == 1 / 20_000


def test_holm_by_hand():
    assert doctest.testmod(significance).attempted
    assert holm([]) == []
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert holm([0.6, 0.9]) == [1.0, 1.0]
