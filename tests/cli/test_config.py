"""`config`: fields with their meaning, as TOML that `train` takes."""

from __future__ import annotations

from commands import call, last_json


def test_config_prints_a_commented_preset():
    text = call("config", "--preset", "paper", "--behaviors", "click,collect,cart,buy").stdout
    assert "layers = [4, 1, 1, 1]" in text
    assert text.count("\n# ") > 25


def test_config_prints_graph_rank(tmp_path):
    text = call("config", "--model", "graph-rank", "--preset", "tmall").stdout
    assert "beta = 0.2" in text
    (tmp_path / "g.toml").write_text(text, encoding="utf-8")
    found = last_json(
        call("train", "--config", tmp_path / "g.toml", "--out", tmp_path / "r", "--json")
    )
    assert found["model"] == "graph-rank"


def test_the_fields_of_the_re_ranker_are_listed():
    assert "neighbours = " in call("config", "--reranker").stdout
    refused = call("config", "--reranker", "--set", "kind=tree", code=2)
    assert "wanted" in refused.output or "Known" in refused.output
