"""Validation pairs that came with the data set take the place of drawn ones."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from rerank_shops import QUICK, shop

from pkef_fast import InputError, Recommender
from pkef_fast.data.patterns import contains, without
from pkef_fast.holdout.selection import items_of, selection_items, selection_of
from pkef_fast.holdout.validation import validation_items, validation_split
from pkef_fast.rerank import RerankConfig


def published_shop():
    """A shop whose users with four purchases or more gave two of them to a validation part."""
    data = shop()
    target = data.interactions[-1]
    users = np.flatnonzero(np.diff(target.indptr) >= 4)
    users = np.repeat(users, 2).astype(np.int32)
    items = target.indices[target.indptr[users] + np.tile([0, 2], len(users) // 2)]
    none = (users[:0], items[:0])
    kept = without(data, [none] * (len(data.behaviors) - 1) + [(users, items)])
    return dataclasses.replace(kept, leave_out=None, validation=(users, items))


def test_they_are_the_validation_items_whoever_asks():
    data = published_shop()
    for seed in (1, 2):
        held = validation_items(data, 1.0, seed)
        assert np.array_equal((held.users, held.items), data.validation)
        assert held.visible.all()
    share, held = selection_items(data, None)  # nothing says how it was split, and nobody asks
    chosen = selection_of(data, share, held)
    assert (share, chosen.published, chosen.users) == (1.0, len(held.items), len(held.items) // 2)
    assert items_of(chosen, data).digest() == held.digest()
    assert "the data set's own" in chosen.sentence("buy")
    rest = validation_split(data, held)
    assert np.array_equal(rest.test_items, data.validation[1])
    assert rest.validation is None
    for before, after in zip(data.interactions, rest.interactions, strict=True):
        assert np.array_equal(before.indices, after.indices)


def test_they_can_be_hidden_elsewhere_too():
    data = published_shop()
    views = data.interactions[0]
    assert contains(views, *data.validation, data.n_items).any()
    rest = validation_split(data, selection_items(data, "all")[1])
    assert not contains(rest.interactions[0], *data.validation, data.n_items).any()
    with pytest.raises(InputError, match="leave_out cannot be"):
        selection_items(data, "some")


def test_pairs_that_are_trained_on_too_are_not_while_choosing():
    data = dataclasses.replace(published_shop(), interactions=shop().interactions)
    rest = validation_split(data, selection_items(data, None)[1])
    assert not contains(rest.interactions[-1], *data.validation, data.n_items).any()


@pytest.mark.parametrize("model", ["pkef", "graph-rank"])
def test_a_model_is_chosen_on_them(model, tmp_path):
    data = published_shop()
    fields = {"epochs": 2, "d": 4} if model == "pkef" else {}
    config = RerankConfig().replaced(**QUICK)
    fitted = Recommender(model, **fields).fit(
        data, out=tmp_path / "r", select="val", rerank="learned", rerank_config=config
    )
    assert fitted.selection.published == len(data.validation[1])
    assert fitted.selection.facts()["published"] == fitted.selection.published
    loaded = Recommender.load(tmp_path / "r")
    assert loaded.selection == fitted.selection
    assert np.array_equal(loaded._train.validation, data.validation)


@pytest.mark.parametrize("model", ["pkef", "graph-rank"])
def test_a_re_ranker_learns_from_them_behind_the_model_itself(model):
    data = published_shop()
    fields = {"epochs": 1, "d": 4} if model == "pkef" else {}
    fitted = Recommender(model, **fields).fit(data)
    found = fitted.rerank(data, config=RerankConfig().replaced(**QUICK))
    assert found.report["left_out"] == len(data.validation[1])
    assert found.report["leave_out"] == "they are the validation pairs that came with the data set"
    # What the model was trained on cannot be asked of it: then purchases are drawn as ever.
    data = dataclasses.replace(data, interactions=shop().interactions, leave_out="target")
    found = (
        Recommender("graph-rank").fit(data).rerank(data, config=RerankConfig().replaced(**QUICK))
    )
    assert found.report["leave_out"].startswith("data set")
