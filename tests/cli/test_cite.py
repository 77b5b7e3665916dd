"""`cite`: BibTeX on stdout, nothing else."""

from __future__ import annotations

from commands import call, check_refusal, last_json

from pkef_fast.models import MODELS


def test_cite_prints_the_paper_the_models_and_the_software():
    text = call("cite").stdout
    assert [line for line in text.splitlines() if line.startswith("@")] == [
        "@inproceedings{meng2023pkef,",
        "@misc{pkef-fast,",
    ]
    text = call("cite", "--model", "crgcn", "--model", "graph-rank").stdout
    assert "@article{yan2023crgcn," in text
    assert "eprint = {2502.11335}" in text
    assert text.count("\n@") == 3
    assert call("cite", "--model", "all").stdout.count("\n@") == len(MODELS)


def test_cite_as_json_and_an_unknown_model():
    found = last_json(call("cite", "--json"))["references"]
    assert found[0]["fields"]["doi"] == "10.1145/3583780.3615004"
    check_refusal(call("cite", "--model", "lightgnc", code=2), ["lightgnc", "lightgcn"])
