"""`data fetch`: from a server on this machine to a data set that loads."""

from __future__ import annotations

import pytest
from commands import call, check_refusal, last_json
from loopback import published, serving
from shops import TEST, matrices, write_pickles

from pkef_fast.data import DATASETS
from pkef_fast.fetch import SOURCES


@pytest.fixture
def mirror(tmp_path, monkeypatch):
    """Address of a server that has a small retail_rocket; tests run in another, empty folder."""
    folder = write_pickles(tmp_path / "there", {**matrices("trn_"), "tst_int": TEST})
    contents = {path.name: path.read_bytes() for path in sorted(folder.iterdir())}
    small = SOURCES["retail_rocket"]._replace(
        files=tuple(published(name, content) for name, content in contents.items())
    )
    monkeypatch.setitem(SOURCES, "retail_rocket", small)
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    with serving() as server:
        server.files = {small.url("", file): contents[file.name] for file in small.files}
        yield server.url


def test_from_nothing_to_a_data_set(mirror):
    result = call("data", "info", "retail_rocket", code=2)
    check_refusal(result, ["`pkef-fast data fetch retail_rocket` gets it"])
    result = call("data", "fetch", "retail_rocket", "--mirror", mirror)
    assert "retail_rocket lies in data/retail_rocket, 4 files as published" in result.stdout
    assert "next: pkef-fast train --dataset retail_rocket\n" in result.stdout
    assert "fetching tst_int" in result.stderr
    found = last_json(call("data", "info", "retail_rocket", "--json"))
    assert found["behaviors"]["buy"]["interactions"] > 0
    again = last_json(call("data", "fetch", "retail_rocket", "--mirror", mirror, "--json"))
    assert again["new"] == []
    assert sorted(again["sha256"]) == ["trn_buy", "trn_cart", "trn_view", "tst_int"]


def test_into_a_folder_of_data(mirror):
    words = ("retail_rocket", "--data-dir", "DATA")
    result = call("data", "info", *words, code=2)
    check_refusal(result, ["`pkef-fast data fetch retail_rocket --data-dir DATA` gets it"])
    result = call("data", "fetch", *words, "--mirror", mirror)
    assert "next: pkef-fast train --dataset retail_rocket --data-dir DATA\n" in result.stdout
    call("data", "info", *words)


def test_the_list(mirror):
    rows = last_json(call("data", "fetch", "--json"))["data_sets"]
    assert [row["name"] for row in rows] == list(SOURCES)
    assert {row["files_here"] for row in rows} == {0}
    call("data", "fetch", "retail_rocket", "--mirror", mirror)
    lines = call("data", "fetch").stdout.splitlines()
    here = {line.split()[0]: line for line in lines}
    assert " yes " in here["retail_rocket"]
    assert "HKUDS/SSLRec" in here["retail_rocket"]
    assert " no " in here["taobao"]
    assert "GHCF" in here["taobao-48k"]


def test_what_is_refused(mirror):
    check_refusal(call("data", "fetch", "taobo", code=2), ["'taobo'", "did you mean 'taobao'"])
    check_refusal(call("data", "fetch", "demo", code=2), ["'demo' cannot be fetched"])
    call("data", "fetch", "retail_rocket", "--mirror", mirror)
    with open("data/retail_rocket/trn_buy", "ab") as file:
        file.write(b"more")
    words = ("data", "fetch", "retail_rocket", "--mirror", mirror)
    check_refusal(call(*words, code=2), ["data/retail_rocket/trn_buy is there", "--replace"])
    assert "trn_buy fetched" in call(*words, "--replace").stdout


def test_every_registered_data_set_can_be_fetched():
    assert set(SOURCES) == set(DATASETS) - {"demo"}
    for source in SOURCES.values():
        assert len(source.commit) == 40
        assert len(set(source.names)) == len(source.names)
        assert all(len(file.blob) == 40 for file in source.files)
    blobs = [(file.name, file.blob) for one in SOURCES.values() for file in one.files]
    assert len(set(blobs)) == len(blobs)
