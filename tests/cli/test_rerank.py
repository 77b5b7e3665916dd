"""`rerank`: a re-ranker becomes part of a run."""

from __future__ import annotations

from dataclasses import replace

from commands import FEW, QUICK, call, last_json

from pkef_fast.data import generate, save_native


def test_rerank_becomes_part_of_the_run(shop, tmp_path):
    folder = tmp_path / "r"
    call("train", "--dataset", shop, "--out", folder, "--json", *QUICK)
    before = last_json(call("evaluate", folder, "--json"))
    assert "reranked" not in before
    assert call("evaluate", folder, "--rerank", "learned", code=2).output.count("no re-ranker") == 1
    found = last_json(call("rerank", folder, "--json", "--leave-out", "all", *FEW))
    assert found["model"]["HR@10"] == before["metrics"]["HR@10"]
    assert found["reranker"]["stays_visible"] == 0
    after = last_json(call("evaluate", folder, "--protocol", "all", "--json"))
    assert after["reranked"]
    assert after["metrics"]["HR@10"] == found["metrics"]["HR@10"]
    assert set(after["protocols"]) == {"paper", "discovery", "return"}
    plain = last_json(call("evaluate", folder, "--rerank", "none", "--json"))
    assert plain["metrics"] == before["metrics"]
    lists = [
        last_json(call("recommend", folder, "--user", 3, "--rerank", one, "--json"))["users"]["3"]
        for one in ("learned", "none")
    ]
    assert lists[0] != lists[1]
    told = last_json(call("recommend", folder, "--user", 3, "--explain", "--json"))["users"]["3"]
    assert [one["item"] for one in told] == [one["item"] for one in lists[0]]
    assert {"taste", "funnel", "popularity", "touched", "text"} <= set(told[0]["reason"])
    text = call("recommend", folder, "--user", 3, "--explain").stdout
    assert told[0]["reason"]["text"] in text
    assert "from own funnel" in text
    refused = call("recommend", folder, "--user", 3, "--explain", "--rerank", "none", code=2)
    assert "only a re-ranked order can be explained" in refused.output
    printed = call("rerank", folder, "--protocol", "all", *FEW)
    assert "re-ranker: learned from" in printed.stdout
    assert "discovery" in printed.stdout


def test_a_seed_reaches_the_re_ranker_behind_a_model_that_draws_nothing(shop, tmp_path):
    words = ("train", "--model", "graph-rank", "--dataset", shop, "--json")
    seeds = {}
    for seed in (1, 1, 2):
        out = tmp_path / f"r{len(list(tmp_path.iterdir()))}"
        call(*words, "--rerank", "learned", "--seed", seed, "--out", out)
        seeds.setdefault(seed, []).append((out / "model.npz").read_bytes())
    assert seeds[1][0] == seeds[1][1] != seeds[2][0]
    refused = call(*words, "--seed", 1, code=2)
    assert "'seed' is unknown" in refused.output


def test_rerank_asks_how_the_data_was_split(tmp_path):
    folder = tmp_path / "unknown"
    save_native(replace(generate(n_users=50, n_items=40, seed=3), leave_out=None), folder)
    where = ("--dataset", folder, "--out", tmp_path / "r")
    refused = call("train", *where, "--rerank", "learned", *QUICK, code=2)
    assert "wanted --leave-out target" in refused.output
    assert not (tmp_path / "r").exists()
    refused = call("train", *where, "--rerank", "learned", "--leave-out", "most", *QUICK, code=2)
    assert "leave_out cannot be 'most'" in refused.output
