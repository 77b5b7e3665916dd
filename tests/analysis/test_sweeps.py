"""Figures 4 and 5: the points of a sweep, read from configs."""

from __future__ import annotations

import pytest

from pkef_fast import InputError
from pkef_fast.analysis.sweeps import COEFFICIENTS, LAYERS, Trial, coefficients, layers
from pkef_fast.models.lightgcn import LightGcn
from pkef_fast.models.pkef import preset

FIGURES = {"HR@10": 0.2, "NDCG@10": 0.1, "MRR": 0.3}
THREE, FOUR = ("view", "cart", "buy"), ("click", "collect", "cart", "buy")


def trial(behaviors, **changes):
    return Trial("a run", preset("official", behaviors).replaced(**changes), FIGURES)


def test_a_row_is_a_run():
    found = layers([trial(THREE, seed=3), trial(THREE, layers=(1, 2, 3), seed=4)])
    assert found.columns == LAYERS
    assert found.rows == [(4, 1, 1, 3, 0.2, 0.1), (1, 2, 3, 4, 0.2, 0.1)]
    found = coefficients([trial(THREE, coefficients=(0.5, 0.25, 0.25), seed=1)])
    assert found.columns == COEFFICIENTS
    assert found.rows == [(0.5, 0.25, 0.25, 1, 0.2, 0.1)]


def test_four_behaviours_are_three_where_two_are_tied():
    assert layers([trial(FOUR, layers=(3, 2, 2, 1))]).rows[0][:3] == (3, 2, 1)
    assert coefficients([trial(FOUR)]).rows[0][:3] == (0, 4 / 6, 2 / 6)


BAD = [
    (layers, trial(FOUR, layers=(1, 2, 3, 4)), "'layers' is 1,2,3,4; wanted as many of the third"),
    (coefficients, trial(FOUR, coefficients=(0, 0, 0.5, 0.5)), "0,0,0.5,0.5; wanted 0 for the"),
    (layers, trial(("view", "buy")), "a run: config field 'layers' is 4,1; wanted one for each of"),
    (layers, Trial("a run", LightGcn.preset("comparison", THREE), FIGURES), "'layers' is"),
    (coefficients, Trial("a run", LightGcn.preset("comparison", THREE), FIGURES), "is None"),
]


@pytest.mark.parametrize(("sweep", "one", "words"), BAD, ids=[one[2] for one in BAD])
def test_what_is_no_point_is_refused(sweep, one, words):
    with pytest.raises(InputError, match=words):
        sweep([one])
