"""A fitted re-ranker that several modules ask."""

from __future__ import annotations

import pytest
from rerank_shops import QUICK, shop

from pkef_fast import Recommender
from pkef_fast.rerank import RerankConfig


@pytest.fixture(scope="package")
def fitted():
    """(data, model with a re-ranker)."""
    data = shop(3)
    config = RerankConfig(graph=6, alike=3, model=3).replaced(**QUICK)
    model = Recommender("pkef", epochs=1, d=4).fit(data, rerank="learned", rerank_config=config)
    return data, model
