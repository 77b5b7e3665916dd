"""`tune`: a search that ends in a config."""

from __future__ import annotations

import pytest
from commands import call, last_json

from pkef_fast.models import MODELS


def test_tune_writes_a_config_that_train_takes(shop, tmp_path):
    pytest.importorskip("optuna")
    words = ("tune", "--dataset", shop, "--model", "graph-rank", "--protocol", "return")
    best = tmp_path / "best.toml"
    words = (*words, "--metric", "NDCG@10", "--trials", "2", "--out", best)
    result = last_json(call(*words, "--json"))
    assert result["config"] == str(best)
    assert result["trials"] == 2
    assert (tmp_path / "best.db").exists()
    trained = last_json(call("train", "--config", best, "--out", tmp_path / "run", "--json"))
    assert trained["model"] == "graph-rank"
    printed = call(*words).stdout  # a study that is complete is only reported
    assert f"pkef-fast train --config {best}" in printed
    assert "2 trials, 0 given up early" in printed
    text = call("tune", "--help").stdout
    for name, model in MODELS.items():
        assert f"Search space of {name}" in text
        for one in model.space(("view", "cart", "buy")):
            assert f"  {one}" in text
