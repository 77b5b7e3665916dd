"""Data sets by name or path, and what their `source` says."""

from __future__ import annotations

import pytest
import scipy.sparse as sp
from shops import TABLES, TEST, assert_same, dataset, matrices, write_pickles

from pkef_fast.data import DATASETS, load_dataset, save_native
from pkef_fast.data.known import papers
from pkef_fast.errors import InputError


def release(folder):
    """The files of a data set with the behaviours of retail_rocket."""
    return write_pickles(folder, {**matrices("trn_"), "tst_int": TEST})


def test_nothing_at_all_is_the_demo():
    data = load_dataset()
    assert data.source == {"dataset": "demo", "seed": 0}
    assert load_dataset("demo", seed=1).fingerprint() != data.fingerprint()
    assert load_dataset(**data.source).fingerprint() == data.fingerprint()


def test_behaviors_of_the_demo(tmp_path):
    data = load_dataset("demo", behaviors=" view, buy ", data_dir=tmp_path)
    assert data.behaviors == ("view", "buy")
    assert data.source == {"dataset": "demo", "seed": 0, "behaviors": ["view", "buy"]}
    assert data.notes[-1] == f"demo is made up; {tmp_path} was not read."


@pytest.mark.parametrize("place", ["data/retail_rocket", "retail_rocket"])
def test_a_registered_name_is_looked_for_here(tmp_path, monkeypatch, place):
    release(tmp_path / place)
    monkeypatch.chdir(tmp_path)
    data = load_dataset("retail_rocket")
    assert_same(data, dataset())
    assert data.name == "retail_rocket"
    assert data.source == {"dataset": "retail_rocket", "data_dir": str(tmp_path / place)}
    monkeypatch.chdir("/")
    assert_same(load_dataset(**data.source), data)


@pytest.mark.parametrize("inner", ["Retail_Rocket", "."])
def test_a_registered_name_in_a_data_dir(tmp_path, inner):
    release(tmp_path / inner)
    data = load_dataset("retail_rocket", tmp_path)
    assert_same(data, dataset())
    assert data.name == "retail_rocket"


def test_who_says_how_items_were_left_out(tmp_path):
    save_native(dataset(), tmp_path / "retail_rocket")
    pairs = dataset().interactions
    real = dataset(behaviors=DATASETS["tmall"].behaviors, interactions=(pairs[0], *pairs))
    save_native(real, tmp_path / "tmall")
    assert load_dataset("retail_rocket", tmp_path).leave_out is None
    assert load_dataset("tmall", tmp_path).leave_out == "target"
    assert load_dataset("tmall", tmp_path, behaviors=("cart", "buy")).leave_out == "target"
    assert load_dataset(tmp_path / "tmall").leave_out == "target"  # by the folder's name
    assert DATASETS["tmall"].leave_out == "target"


@pytest.mark.parametrize("name", ["tmall", "./tmall"])
def test_a_folder_with_other_behaviours_than_its_name_says_is_read_as_it_is(
    tmp_path, monkeypatch, name
):
    held_out = [[0, 0, 0, 1], [1, 0, 0, 0], [0, 0, 0, 0]]
    write_pickles(tmp_path / "tmall", matrices("train_mat_", ".pkl"))
    write_pickles(tmp_path / "tmall", {"test_mat.pkl": sp.csr_matrix(held_out)})
    monkeypatch.chdir(tmp_path)
    data = load_dataset(name)
    assert_same(data, dataset())
    assert data.leave_out is None
    assert data.source == {"dataset": str(tmp_path / "tmall")}
    said = "holds other behaviours than the registered 'tmall' (click, collect, cart, buy)"
    assert sum(said in note for note in data.notes) == (name == "tmall")
    assert_same(load_dataset(**data.source), data)
    assert load_dataset("./tmall", behaviors=("cart", "buy")).leave_out is None


def test_a_path_is_read_as_it_is(tmp_path, monkeypatch):
    """Also where its folder's name is registered for other behaviours."""
    monkeypatch.chdir(tmp_path)
    release(tmp_path / "tmall")
    for path in ("./tmall", tmp_path / "tmall"):
        data = load_dataset(path)
        assert data.behaviors == ("view", "cart", "buy")
        assert data.source == {"dataset": str(tmp_path / "tmall")}
        assert data.name == "tmall"
    said = load_dataset("tmall", ".").notes[-1]
    assert "holds other behaviours than the registered 'tmall'" in said


def test_a_data_set_that_is_not_whole_names_the_way_on(tmp_path):
    folder = tmp_path / "retail_rocket"
    folder.mkdir()
    way = f"`pkef-fast data fetch retail_rocket --data-dir {tmp_path}`"
    with pytest.raises(InputError, match="holds no data set 'retail_rocket'; wanted trn_view") as e:
        load_dataset("retail_rocket", tmp_path)
    assert f"{way} gets it" in str(e.value)
    release(folder)
    (folder / "trn_view").rename(folder / "trn_view.part")
    with pytest.raises(InputError, match=r"not whole: .*trn_view\.part was not fetched") as e:
        load_dataset("retail_rocket", tmp_path)
    assert f"{way} goes on" in str(e.value)


def test_papers_of_a_data_set(tmp_path):
    """By name; where the number of users is another one's, its name is told."""
    data = dataset(source={"dataset": "taobao-48k"}, n_users=48_749)
    assert papers(data).startswith("GHCF and EHCF")
    data = dataset(source={"dataset": "taobao"}, n_users=48_749)
    assert papers(data) == (
        "not the taobao of PKEF and MB-CGCN, whose release calls it Tmall: that has 15449 users, "
        "this 48749, as taobao-48k"
    )
    assert papers(dataset(source={"dataset": "ijcai15"})) == "SSLRec"
    assert papers(dataset(source={"dataset": "/some/taobao"})) is None
    assert papers(load_dataset("demo")) is None


def test_all_expected_behaviours_are_wanted(tmp_path):
    (release(tmp_path / "shop") / "trn_cart").unlink()
    with pytest.raises(InputError, match="trn_cart does not exist"):
        load_dataset("retail_rocket", tmp_path / "shop")
    found = load_dataset("retail_rocket", tmp_path / "shop", behaviors=("view", "buy"))
    assert found.behaviors == ("view", "buy")
    assert load_dataset(tmp_path / "shop").behaviors == ("view", "buy")


def test_a_path_in_each_layout(tmp_path):
    held_out = [[0, 0, 0, 1], [1, 0, 0, 0], [0, 0, 0, 0]]
    release(tmp_path / "release")
    write_pickles(tmp_path / "matrices", matrices("train_mat_", ".pkl"))
    write_pickles(tmp_path / "matrices", {"test_mat.pkl": sp.csr_matrix(held_out)})
    save_native(dataset(), tmp_path / "native")
    (tmp_path / "texts").mkdir()
    for name, table in {**TABLES, "test": held_out}.items():
        lines = (
            " ".join(map(str, [u, *(i for i, cell in enumerate(row) if cell)]))
            for u, row in enumerate(table)
        )
        (tmp_path / "texts" / f"{name}.txt").write_text("\n".join(lines), encoding="utf-8")
    for layout in ("release", "matrices", "native", "texts"):
        data = load_dataset(tmp_path / layout)
        assert_same(data, dataset())
        assert data.source == {"dataset": str(tmp_path / layout)}
        chosen = load_dataset(tmp_path / layout, behaviors=("buy",))
        assert chosen.behaviors == ("buy",)
        assert chosen.source["behaviors"] == ["buy"]


def test_a_tables_source_holds_what_was_said(tmp_path):
    path = tmp_path / "log.csv"
    path.write_text(
        "user,item,behavior\n" + "".join(f"0,{i},buy\n" for i in range(9)), encoding="utf-8"
    )
    data = load_dataset(path, seed=5, leave_out="all")
    assert data.source == {
        "dataset": str(path),
        "leave_out": "all",
        "seed": 5,
    }
    assert_same(load_dataset(**data.source), data)


WRONG = {
    "an unknown name": (
        ("taobo",),
        "neither registered nor a file or folder; did you mean",
    ),
    "not downloaded": (("taobao",), "'taobao' was not found: looked for the folders ./data/taobao"),
    "not downloaded, a way on": (("tmall",), "`pkef-fast data fetch tmall` gets it"),
    "no folder": (("taobao", "none"), "the data folder none does not exist"),
    "no folder, a way on": (("jd", "none"), "`pkef-fast data fetch jd --data-dir none` gets it"),
    "an empty folder": ((".",), "holds no data set that can be read; wanted trn_<behaviour>"),
    "an empty data dir": ((None, "."), "holds no data set; wanted files of a data set"),
    "a name in an empty data dir": (("tmall", "."), "no data set 'tmall'; wanted a folder 'tmall'"),
}


@pytest.mark.parametrize("name", WRONG)
def test_what_is_not_there_is_one_sentence(tmp_path, monkeypatch, name):
    monkeypatch.chdir(tmp_path)
    arguments, sentence = WRONG[name]
    with pytest.raises(InputError) as error:
        load_dataset(*arguments)
    assert sentence in str(error.value)
    assert "\n" not in str(error.value)


def test_a_file_of_another_kind(tmp_path):
    (tmp_path / "log.json").write_text("{}", encoding="utf-8")
    with pytest.raises(InputError, match=r"log\.json, line 1: found '{}', wanted an object a line"):
        load_dataset(tmp_path / "log.json")
    (tmp_path / "log.xlsx").write_bytes(b"PK\x03\x04\0\0")
    with pytest.raises(InputError, match=r"log\.xlsx is not a text table; wanted CSV in UTF-8"):
        load_dataset(tmp_path / "log.xlsx")
