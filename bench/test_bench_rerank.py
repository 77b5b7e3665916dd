"""re-ranking: ranking every held-out item by a model, and the same re-ranked.

The model's tables and the weights of f are random: neither changes how much is computed. The ratio
of the two medians is what re-ranking costs:

    pytest bench/test_bench_rerank.py --benchmark-columns=median,stddev
"""

from __future__ import annotations

import numpy as np
import pytest

from pkef_fast.device import device
from pkef_fast.evaluate.rankers import TableRanker
from pkef_fast.kernels.candidates import Weights
from pkef_fast.kernels.rank import GatedScorer
from pkef_fast.rerank import RerankConfig, Reranked
from pkef_fast.rerank.reranker import funnel, graph_of

D = 64
FORMS = ("model", "re-ranked")


def rankers(dataset):
    """PKEF's kind of ranker, and it re-ranked by a default MLP; their item lists are made."""
    rng = np.random.default_rng(0)
    users, items, K = dataset.n_users, dataset.n_items, len(dataset.behaviors)
    shapes = (users, D), (items, D), (users, K), (items, K), (users, K), (items, K)
    tables = GatedScorer(*(rng.normal(size=shape).astype(np.float32) for shape in shapes))
    model = TableRanker(tables, device("cpu"))
    config = RerankConfig()
    source = funnel(config, graph_of(dataset), dataset)
    F, H = source.width, config.hidden
    parts = np.zeros(F), np.ones(F), *(rng.normal(size=size) for size in ((F, H), H, H, 1))
    weights = Weights(*(part.astype(np.float32) for part in parts))
    assert len(source.graph.items) == items
    return {"model": model, "re-ranked": Reranked(model, source, weights)}


@pytest.mark.benchmark(group="rank every held-out item")
@pytest.mark.parametrize("form", FORMS)
def test_ranks(benchmark, dataset, form):
    ranker, seen = rankers(dataset)[form], dataset.interactions[-1]
    benchmark(ranker.ranks, dataset.test_users, dataset.test_items, seen)


@pytest.mark.benchmark(group="ten items for each of 1000 users")
@pytest.mark.parametrize("form", FORMS)
def test_top_10(benchmark, dataset, form):
    ranker, seen = rankers(dataset)[form], dataset.interactions[-1]
    users = np.arange(min(1000, dataset.n_users), dtype=np.int32)
    benchmark(ranker.top_k, users, 10, seen)
