"""Made-up shops: of any size, repeatable, with a funnel that can be learned from."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from shops import assert_same, dense

from pkef_fast.data import generate, load_dataset
from pkef_fast.data.patterns import contains, row_of_each
from pkef_fast.errors import InputError


@settings(max_examples=30)
@given(st.integers(1, 30), st.integers(1, 50), st.integers(1, 5), st.integers(0, 99))
def test_a_shop_of_any_size_is_a_data_set(n_users, n_items, count, seed):
    names = tuple(f"b{k}" for k in range(count))
    data = generate(n_users, n_items, names, seed)
    assert (data.behaviors, data.n_users, data.n_items) == (names, n_users, n_items)
    for csr in data.interactions:
        table = dense(csr, n_items)
        assert table.sum() == len(csr.indices)  # no pair twice
        assert csr.indptr.dtype == csr.indices.dtype == np.int32
    target = dense(data.interactions[-1], n_items)
    assert not target[data.test_users, data.test_items].any()
    assert np.all(np.diff(data.test_users) > 0)
    held = np.bincount(data.test_users, minlength=n_users)
    assert np.all((held == 0) | (target.sum(1) >= 1))


def test_the_seed_decides():
    assert_same(generate(20, 10, seed=4), generate(20, 10, seed=4))
    assert generate(20, 10, seed=4).fingerprint() != generate(20, 10, seed=5).fingerprint()


def test_the_demo_is_what_it_was():
    """Recorded figures are of this data set."""
    data = load_dataset("demo")
    assert (data.n_users, data.n_items, data.leave_out) == (1200, 800, "target")
    assert data.counts() == {"view": 22233, "cart": 8988, "buy": 3066}
    assert data.fingerprint().startswith("b60c25c5ff66190b")


def test_there_is_a_funnel_and_held_out_items_were_mostly_viewed():
    data = generate(300, 200, seed=0)
    view, cart, buy = data.counts().values()
    assert view > cart > buy > 300
    seen = contains(data.interactions[0], data.test_users, data.test_items, 200)
    assert 0.5 < seen.mean() < 1


def test_the_funnels_shares():
    few = generate(200, 100, seed=0, keep=0.1, unseen=0.0)
    many = generate(200, 100, seed=0, keep=0.9, unseen=0.0)
    assert few.counts()["cart"] < 0.4 * many.counts()["cart"]
    view, cart = many.interactions[:2]
    assert contains(view, row_of_each(cart), cart.indices, 100).all()  # nothing new with unseen=0
    sparse = generate(200, 100, seed=0, degree=3)
    assert sparse.counts()["view"] < 0.5 * many.counts()["view"]


@pytest.mark.parametrize("size", [(0, 5, ("a",)), (5, 0, ("a",)), (5, 5, ())])
def test_an_empty_shop_is_refused(size):
    with pytest.raises(InputError, match=r"cannot generate .*; wanted at least 1 of each"):
        generate(*size)
