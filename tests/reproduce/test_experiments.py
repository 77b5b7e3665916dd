"""Which runs make the paper's tables and figures, and what the paper prints beside them."""

from __future__ import annotations

import doctest

import pytest

from pkef_fast.errors import InputError
from pkef_fast.models import MODELS
from pkef_fast.reproduce import experiments, published
from pkef_fast.reproduce.experiments import PKEF, ROWS, configurations, wanted

SHOP = ("view", "cart", "buy")


@pytest.mark.parametrize("table", experiments.TABLES)
def test_every_published_row_has_a_configuration(table):
    assert set(published.rows(table)) <= set(ROWS[table])
    for row in published.rows(table):
        for name in published.DATASETS:
            hits, gain = published.published(table, row, name)
            assert 0 < gain < hits < 0.14


def test_rows_that_the_paper_prints_twice_are_one_configuration():
    assert ROWS["table3"]["w/o PME"] == ROWS["table5"]["PKF+Bilinear"]
    for name in published.DATASETS:
        twice = [("table3", "w/o PME"), ("table5", "PKF+Bilinear")]
        assert len({published.published(*one, name) for one in twice}) == 1
        pkef = [("table2", "PKEF"), ("table3", "PKEF"), ("table4", "Projection")]
        assert len({published.published(*one, name) for one in pkef}) == 1
    assert published.published("table2", "GHCF", "taobao") is None
    assert published.published("table2", "PKEF", "demo") is None


def test_table_2_has_every_model():
    assert {one.model for one in configurations("table2", 3)} == set(MODELS)


@pytest.mark.parametrize("behaviors", [SHOP, ("click", "collect", "cart", "buy")])
def test_grids_hold_the_papers_optimum_which_is_the_official_preset(behaviors):
    official = PKEF.config("shop", behaviors)
    layers = experiments.layer_grid(len(behaviors))
    assert len(set(layers)) == 64
    assert layers[4, 1, 1].config("shop", behaviors) == official
    coefficients = experiments.coefficient_grid(len(behaviors))
    assert len(set(coefficients)) == 28
    assert coefficients[0, 4, 2].config("shop", behaviors) == official
    assert layers[4, 1, 1] == coefficients[0, 4, 2] == PKEF  # whose model is kept
    assert sum(one.keeps_model for one in (*layers.values(), *coefficients.values())) == 2
    for point, one in coefficients.items():
        assert sum(point) == 6
        assert sum(one.config("shop", behaviors).coefficients) == pytest.approx(1)


def test_grids_begin_with_lines_through_the_papers_optimum():
    points = list(experiments.layer_grid(3))
    assert points[0] == (4, 1, 1)
    lines = {(n, 1, 1) for n in (1, 2, 3)} | {(4, n, 1) for n in (2, 3, 4)}
    assert set(points[1:10]) == lines | {(4, 1, n) for n in (2, 3, 4)}
    points = list(experiments.coefficient_grid(3))
    assert points[0] == (0, 4, 2)
    assert set(points[1:5]) == {(1, 3, 2), (1, 4, 1), (0, 3, 3), (0, 5, 1)}
    far = [sum(map(abs, (a, b - 4, c - 2))) for a, b, c in points]
    assert far == sorted(far)


@pytest.mark.parametrize("what", (*experiments.TABLES, *experiments.FIGURES))
def test_every_configuration_can_be_made(what):
    for one in configurations(what, 3):
        config = one.config("shop", SHOP, epochs=3, seed=7)
        assert getattr(config, "epochs", 3) == 3


def test_words():
    assert wanted(["fig4", "table2"]) == ("table2", "fig4")
    assert wanted(["all"]) == (*experiments.TABLES, *experiments.FIGURES)
    with pytest.raises(InputError, match="did you mean 'table2'"):
        wanted(["tabel2"])
    with pytest.raises(InputError, match="three or four behaviours"):
        list(configurations("fig4", 2))


@pytest.mark.parametrize("module", [experiments, published])
def test_examples(module):
    assert doctest.testmod(module).failed == 0
