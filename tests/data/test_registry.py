"""Data sets by name or path, and what their `source` says."""

from __future__ import annotations

import pytest
import scipy.sparse as sp
from shops import TABLES, TEST, assert_same, dataset, matrices, write_pickles

from pkef_fast.data import DATASETS, load_dataset, save_native
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


def test_a_tables_source_holds_its_split(tmp_path):
    path = tmp_path / "log.csv"
    path.write_text(
        "user,item,behavior\n" + "".join(f"0,{i},buy\n" for i in range(9)), encoding="utf-8"
    )
    data = load_dataset(path, seed=5, leave_out="all")
    assert data.source == {
        "dataset": str(path),
        "split": "random",
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
    "no folder": (("taobao", "none"), "the data folder none does not exist"),
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
    with pytest.raises(InputError, match=r"log\.json holds no data set that can be read"):
        load_dataset(tmp_path / "log.json")
