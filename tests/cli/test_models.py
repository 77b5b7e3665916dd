"""`models`: every model with its paper, its size and what a step costs."""

from __future__ import annotations

import pytest
from commands import call, check_refusal, last_json

from pkef_fast.data import load_dataset
from pkef_fast.models import MODELS
from pkef_fast.report import catalogue

ROOM = 15449 + 11953


def test_every_model_is_listed_with_its_paper_and_size():
    found = {one["name"]: one for one in last_json(call("models", "--json"))["models"]}
    assert list(found) == list(MODELS)
    for name, one in found.items():
        assert one["paper"] and 2005 < one["year"] < 2030
        assert (one["parameters"] > ROOM) == MODELS[name].trained
    # Two tables of 64 columns; PKEF's gate beside them (2d × K and K).
    assert found["mf-bpr"]["parameters"] == 64 * ROOM
    assert found["pkef"]["parameters"] == 64 * ROOM + 3 * (2 * 64 + 1)
    text = call("models").stdout
    assert "Rendle" in text and f"{64 * ROOM:,}" in text and "--time" in text


def test_a_size_is_that_of_the_model_that_would_be_trained(shop):
    found = last_json(call("models", "--json", "--dataset", shop, "--model", "lightgcn"))["models"]
    data = load_dataset(shop)
    (one,) = found
    assert one["name"] == "lightgcn" and one["step_seconds"] is None
    assert one["parameters"] == 64 * (data.n_users + data.n_items)


def test_steps_are_timed_and_kept_where_that_is_asked_for(shop, tmp_path, monkeypatch):
    monkeypatch.setattr(catalogue, "RECORD", tmp_path / "steps.json")
    words = ("models", "--time", "--dataset", shop, "--model", "mf-bpr", "--record", "--json")
    (one,) = last_json(call(*words))["models"]
    assert one["step_seconds"] > 0 and one["steps_per_epoch"] > 0 and one["bytes"] > 0
    kept = catalogue.recorded()
    assert kept["milliseconds"] == {"mf-bpr": round(1000 * one["step_seconds"], 1)}
    assert "cores" in kept["machine"]


@pytest.mark.parametrize(
    ("words", "wanted"),
    [
        (["--time"], ["--dataset"]),
        (["--record", "--dataset", "demo"], ["--time"]),
        (["--model", "lightgnc"], ["lightgnc", "lightgcn"]),
    ],
)
def test_what_cannot_be_is_refused(words, wanted):
    check_refusal(call("models", *words, code=2), wanted)
