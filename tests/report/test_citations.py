"""report/citations.py and CITATION.cff: every model has its paper, and all places say the same."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

import pkef_fast
from pkef_fast import InputError
from pkef_fast.models import MODELS
from pkef_fast.report.citations import PAPERS, SOFTWARE, references

ROOT = Path(__file__).parents[2]


def test_every_model_has_a_paper_and_no_other_has():
    assert set(PAPERS) == set(MODELS)
    keys = [one.key for one in PAPERS.values()]
    assert len(set(keys)) == len(keys)


@pytest.mark.parametrize("name", MODELS)
def test_a_paper_is_the_one_that_the_model_names(name):
    about, fields = MODELS[name].about, PAPERS[name].fields
    assert fields["year"] == str(about.year)
    assert fields["author"].split(",")[0] == re.match(r"\w+", about.paper)[0]
    assert fields["title"]
    assert fields.get("booktitle") or fields.get("journal") or fields.get("eprint")
    venue = about.paper.split(", ")[-1].split()[0]
    spelt = {"TOIS": "Transactions on Information Systems", "AAAI": "AAAI", "arXiv": "arXiv"}
    assert spelt.get(venue, venue) in " ".join(fields.values())


def test_bibtex_has_balanced_braces_and_one_field_a_line():
    for one in [*PAPERS.values(), SOFTWARE]:
        text = one.bibtex()
        assert text.count("{") == text.count("}")
        assert re.match(r"@(inproceedings|article|misc)\{[\w-]+,\n", text)
        assert len(text.splitlines()) == len(one.fields) + 2
    pkef = PAPERS["pkef"].bibtex()
    assert "  author = {Meng, Chang and Zhai, Chenhao and Yang, Yu and" in pkef
    assert "  doi = {10.1145/3583780.3615004}," in pkef
    assert "  title = {{Parallel Knowledge" in pkef
    assert "  author = {{The pkef-fast authors}}," in SOFTWARE.bibtex()


@pytest.mark.parametrize("name", MODELS)
def test_pages_and_doi_are_of_the_form_that_they_have(name):
    """What they say can only be looked up: each was found in published lists of references."""
    fields = PAPERS[name].fields
    if "pages" in fields:
        first, last = map(int, fields["pages"].split("--"))
        assert 0 < first < last < first + 40
    if "doi" in fields:
        assert re.fullmatch(r"10\.(1145|1007|1109|1609)/\S+", fields["doi"])
    assert fields.get("doi") or fields.get("eprint") or name == "mf-bpr"  # UAI 2009 has no DOI


def test_what_is_cited_stands_once_in_order():
    found = references(["lightgcn", "pkef", "lightgcn"])
    assert found == [PAPERS["pkef"], PAPERS["lightgcn"], SOFTWARE]
    with pytest.raises(InputError, match="'lightgnc' is unknown; did you mean 'lightgcn'"):
        references(["lightgnc"])


def test_the_citation_file_says_the_same():
    yaml = pytest.importorskip("yaml", reason="PyYAML is not installed")
    file = yaml.safe_load((ROOT / "CITATION.cff").read_text(encoding="utf-8"))
    assert file["version"] == pkef_fast.__version__
    assert SOFTWARE.fields["note"].endswith(f" {file['version']}")
    assert file["title"] == SOFTWARE.fields["title"]
    assert [one["name"] for one in file["authors"]] == [SOFTWARE.fields["author"]]
    (paper,) = file["references"]
    names = [f"{one['family-names']}, {one['given-names']}" for one in paper["authors"]]
    fields = PAPERS["pkef"].fields
    assert " and ".join(names) == fields["author"]
    assert (paper["title"], paper["doi"]) == (fields["title"], fields["doi"])
    assert str(paper["year"]) == fields["year"]
    assert f"{paper['start']}--{paper['end']}" == fields["pages"]
