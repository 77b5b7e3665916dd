"""Runs and models that version 0.1.0 made before there was more than one trained model.

`old_runs` holds a table and three runs on it, as they were written then: PKEF (2 epochs), the same
chosen on validation items with a re-ranker, and graph-rank. What they must give was noted then.
"""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from click.testing import CliRunner

from pkef_fast.cli import main

FOLDER = Path(__file__).parent / "old_runs"
# HR@10, NDCG@10 and MRR of the held-out items.
FIGURES = {
    "chosen": (0.9166666666666666, 0.5547926989713685, 0.4421781921781922),
    "graph": (1.0, 0.6840211781250085, 0.5763888888888888),
}


@pytest.fixture
def runs(tmp_path, monkeypatch):
    """A copy of the folder, which is the working folder: the runs name their table from there."""
    shutil.copytree(FOLDER, tmp_path / "runs")
    monkeypatch.chdir(tmp_path / "runs")
    return tmp_path / "runs"


def run(*words):
    done = CliRunner().invoke(main, words)
    assert done.exit_code == 0, done.output
    return done.stdout


@pytest.mark.parametrize("name", FIGURES)
def test_old_models_rank_as_they_did(runs, name):
    found = json.loads(run("evaluate", name, "--json").splitlines()[-1])
    figures = [found["metrics"][key] for key in ("HR@10", "NDCG@10", "MRR")]
    assert figures == pytest.approx(FIGURES[name], rel=1e-6)
    listed = json.loads(
        run("recommend", name, "--user", "u3", "-k", "3", "--json").splitlines()[-1]
    )
    assert len(listed["users"]["u3"]) == 3


def test_an_old_run_goes_on(runs):
    before = (runs / "plain" / "metrics.jsonl").read_text(encoding="utf-8").splitlines()
    run("train", "--resume", "plain", "--epochs", "3")
    after = (runs / "plain" / "metrics.jsonl").read_text(encoding="utf-8").splitlines()
    assert after[:2] == before
    assert json.loads(after[2])["epoch"] == 3


@pytest.mark.parametrize(
    "words", [("rerank", "chosen"), ("train", "--resume", "chosen", "--epochs", "3")], ids=" ".join
)
def test_nothing_is_learned_from_validation_items_that_an_old_model_may_have_seen(runs, words):
    """Version 0.1.0 drew other ones; the model can be used, but not built on."""
    done = CliRunner().invoke(main, words)
    assert done.exit_code == 2
    assert "chosen on other validation items" in done.output
    assert "train anew with --select val" in done.output
