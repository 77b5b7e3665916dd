"""candidates: choosing, describing and scoring the candidates of 200 users, NumPy and Numba."""

from __future__ import annotations

import numpy as np
import pytest

from pkef_fast.data.patterns import rows_of
from pkef_fast.device import device
from pkef_fast.evaluate.rankers import TableRanker
from pkef_fast.kernels.candidates import Form, Weights, cpu, reference
from pkef_fast.kernels.rank import RowsScorer
from pkef_fast.rerank import RerankConfig
from pkef_fast.rerank.reranker import funnel, graph_of

FORMS = pytest.mark.parametrize("form", [reference, cpu], ids=["numpy", "numba"])
USERS = 200


def arguments(dataset):
    """Users, their tables, and the limits of the default re-ranker."""
    source = funnel(RerankConfig(), graph_of(dataset), dataset)
    users = np.arange(min(USERS, dataset.n_users), dtype=np.int32)
    return (users, source.own, source.graph, source.soon), source


def described(dataset):
    """What `describe` takes: the nominated, and what a model of random scores says."""
    given, source = arguments(dataset)
    users, nominated = given[0], cpu.nominate(*given, source.limits)
    scores = np.random.default_rng(0).normal(size=(len(users), dataset.n_items))
    model = TableRanker(RowsScorer(scores.astype(np.float32)), device("cpu"))
    bought = rows_of(dataset.interactions[-1], users)
    survey = model.survey(np.arange(len(users)), source.limits.model, bought, nominated)
    return *given, nominated, survey


def form_of(width):
    random, H = np.random.default_rng(0), RerankConfig().hidden
    shapes = (width,), (width,), (width, H), (H,), (H,), (1,)
    return Form.of(Weights(*(random.normal(size=one).astype(np.float32) for one in shapes)))


@pytest.mark.benchmark(group="nominate")
@FORMS
def test_nominate(benchmark, dataset, form):
    given, source = arguments(dataset)
    benchmark(form.nominate, *given, source.limits)


@pytest.mark.benchmark(group="describe")
@FORMS
def test_describe(benchmark, dataset, form):
    benchmark(form.describe, *described(dataset))


@pytest.mark.benchmark(group="describe and score")
@FORMS
def test_score(benchmark, dataset, form):
    given = described(dataset)
    features = cpu.describe(*given)[2]
    benchmark(form.score, *given, form_of(features.shape[1]))


@pytest.mark.benchmark(group="score_rows")
@FORMS
def test_score_rows(benchmark, dataset, form):
    features = cpu.describe(*described(dataset))[2]
    benchmark(form.score_rows, features, form_of(features.shape[1]))
