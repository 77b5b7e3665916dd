"""Folders as other repositories publish them: nothing is renamed, and nothing is swallowed."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import scipy.sparse as sp
from hypothesis import given, settings
from hypothesis import strategies as st
from shops import TABLES, assert_same, dataset, write_pickles

from pkef_fast.data import layouts, load_dataset
from pkef_fast.errors import InputError

CASES = Path(__file__).parent / "cases"
HELD_OUT = [[0, 0, 0, 1], [1, 0, 0, 0], [0, 0, 0, 0]]
CHOSEN = [[0, 0, 0, 0], [0, 0, 0, 0], [0, 1, 0, 1]]  # the validation part
USERS, ITEMS = np.array([2, 2], np.int32), np.array([1, 3], np.int32)


def lines(table, first=0, pairs=False):
    """A table as text: users and their items, or a pair a line, numbered from `first`."""
    rows = [[i + first for i, cell in enumerate(row) if cell] for row in table]
    if pairs:
        return "".join(f"{u} {i}\n" for u, row in enumerate(rows, first) for i in row)
    return "".join(f"{u} {' '.join(map(str, row))}\n" for u, row in enumerate(rows, first) if row)


def json_of(table, first=0):
    rows = enumerate(table, first)
    return json.dumps({u: [i + first for i, c in enumerate(row) if c] for u, row in rows})


def write(folder, contents):
    for name, text in contents.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text, encoding="utf-8")
    return folder


def named(**names):
    """TABLES under other names, as text."""
    return {f"{name}.txt": lines(TABLES[table], pairs=True) for name, table in names.items()}


def assert_validated(data):
    for found, wanted in zip(data.validation, (USERS, ITEMS), strict=True):
        np.testing.assert_array_equal(found, wanted, strict=True)


# ---- the cases -----------------------------------------------------------------------------------


def test_the_target_in_train_txt():
    data = load_dataset(CASES / "01-target-in-train-txt")
    assert data.counts() == {"cart": 80, "buy": 40}
    assert (data.n_users, data.n_items, len(data.test_items)) == (20, 16, 20)
    assert data.interactions[1].indices[:4].tolist() == [4, 7, 10, 12]
    assert data.notes == ("train.txt was taken for the train part of the target, called 'buy'.",)
    asked = load_dataset(CASES / "01-target-in-train-txt", behaviors="cart,train")
    assert asked.behaviors == ("cart", "train")
    assert asked.interactions[1].indices.tolist() == data.interactions[1].indices.tolist()
    assert asked.notes == ()


def test_not_any_text_is_a_behaviour():
    data = load_dataset(CASES / "02-any-txt-is-a-behaviour")
    assert data.counts() == {"view": 160, "cart": 80, "buy": 40}
    assert (data.n_users, data.n_items) == (20, 16)
    assert len(data.validation[1]) == len(data.test_items) == 20
    (note,) = data.notes
    assert "20 of 20 validation pairs are also held-out items of the test" in note
    fewer = load_dataset(CASES / "02-any-txt-is-a-behaviour", behaviors="view,buy")
    assert (fewer.n_users, fewer.n_items) == (20, 16)
    other = load_dataset(CASES / "02-any-txt-is-a-behaviour", behaviors="view,cart")
    assert other.validation is None
    assert "20 validation pairs are of 'buy' and are left aside." in other.notes


def test_mixtures_of_behaviours_are_left_aside():
    folder = CASES / "03-derived-matrices"
    data = load_dataset(folder)
    assert data.counts() == {"view": 160, "cart": 80, "buy": 60}
    assert "mixtures of the other behaviours: train_mat_view_buy.pkl" in data.notes[0]
    asked = load_dataset(folder, behaviors=("view", "view_buy", "buy"))
    assert asked.counts() == {"view": 160, "view_buy": 57, "buy": 60}
    assert not any("view_buy.pkl" in note or "cart" in note for note in asked.notes)


# ---- text ----------------------------------------------------------------------------------------


def test_ghcf_and_ehcf(tmp_path):
    """A line a user, the target in train.txt; sparsity.split is of the authors' own figures."""
    contents = {"pv": "view", "cart": "cart", "train": "buy"}
    texts = {f"{name}.txt": lines(TABLES[table]) for name, table in contents.items()}
    folder = write(tmp_path, {**texts, "test.txt": lines(HELD_OUT), "sparsity.split": "x"})
    assert_same(load_dataset(folder), dataset(behaviors=("pv", "cart", "buy")))
    registered = load_dataset("taobao", folder)
    assert registered.source["dataset"] == "taobao"
    with pytest.raises(InputError, match="behaviour 'tarin' is not in"):
        load_dataset(folder, behaviors="pv,tarin")


def test_mbgcn(tmp_path):
    folder = write(
        tmp_path,
        {
            **named(click="view", collect="cart", buy="buy", train="buy"),
            "test.txt": lines(HELD_OUT, pairs=True),
            "validation.txt": lines(CHOSEN, pairs=True),
            "data_size.txt": "5 6\n",
        },
    )
    data = load_dataset(folder)
    assert data.behaviors == ("click", "collect", "buy")
    assert (data.n_users, data.n_items, data.user_ids) == (5, 6, None)
    assert_validated(data)
    assert data.notes == ()
    (folder / "data_size.txt").write_text("2 4\n", encoding="utf-8")
    data = load_dataset(folder)
    assert (data.n_users, data.n_items) == (3, 4)
    assert "data_size.txt says 2 users, but the files have numbers up to 2" in data.notes[0]


def test_where_train_and_the_targets_file_differ(tmp_path):
    folder = write(tmp_path, {**named(view="view", buy="buy"), "test.txt": lines(HELD_OUT)})
    (folder / "train.txt").write_text("0 0\n1 2\n2 3\n", encoding="utf-8")
    data = load_dataset(folder)
    assert data.interactions[-1].indices.tolist() == [0, 2, 3]
    assert (
        "train.txt and the file of 'buy' differ (1 pairs are in the first alone, 2 in the second): "
        "the train part of 'buy' is train.txt." in data.notes
    )
    (folder / "train.txt").write_text(lines(TABLES["view"]), encoding="utf-8")
    assert load_dataset(folder).behaviors == ("buy", "view")  # it says which is the target
    everything = np.array(TABLES["view"]) | np.array(TABLES["buy"]) | np.eye(3, 4, dtype=int)
    (folder / "cart.txt").write_text("2 2\n", encoding="utf-8")
    (folder / "train.txt").write_text(lines(everything), encoding="utf-8")
    data = load_dataset(folder)
    assert data.counts() == {"view": 5, "cart": 1, "buy": 4}
    assert "train.txt holds the pairs of all behaviours together and was left aside." in data.notes


def test_cascading_rank(tmp_path):
    facts = {"n_users": 3, "n_items": 4, "behaviors": ["view", "cart", "buy"], "n_view": 5}
    folder = write(
        tmp_path,
        {
            **named(view="view", cart="cart", buy="buy", train="buy"),
            "test.txt": lines(HELD_OUT, pairs=True),
            "valid.txt": lines(CHOSEN, pairs=True),
            "statistics.json": json.dumps(facts),
        },
    )
    data = load_dataset(folder)
    assert_same(data, dataset())
    assert_validated(data)
    assert data.notes == ()


@pytest.mark.parametrize("with_lines", [True, False])
def test_crgcn_and_those_after_it(tmp_path, with_lines):
    """Lists of pairs and objects of the same, counted from 1; or objects alone, as DA-GCN's."""
    contents = {f"{name}_dict.txt": json_of(table, 1) for name, table in TABLES.items()}
    contents |= {
        "all_dict.txt": json_of(TABLES["view"], 1),
        "test_dict.txt": json_of(HELD_OUT, 1),
        "validation_dict.txt": json_of(CHOSEN, 1),
        "count.txt": '{"user": 3, "item": 4}',
    }
    if with_lines:
        contents |= {f"{name}.txt": lines(table, 1, True) for name, table in TABLES.items()}
        contents["train_dict.txt"] = contents["buy_dict.txt"]
    folder = write(tmp_path, contents)
    assert layouts.layout_of(folder) == "texts"
    data = load_dataset(folder)
    assert_same(data, dataset())
    assert_validated(data)
    assert data.user_ids.tolist() == [1, 2, 3]
    assert data.item_ids.tolist() == [1, 2, 3, 4]
    unread = ["all_dict.txt"]
    if with_lines:
        unread = ["all_dict.txt", "buy_dict.txt", "cart_dict.txt", "view_dict.txt"]
    assert f"Not read: {', '.join(unread)};" in data.notes[-1]


def test_mb_cgcn(tmp_path):
    """A folder a behaviour; the others' tests are of no use."""
    contents = {f"{name}/train.txt": lines(table) for name, table in TABLES.items()}
    contents |= {f"{name}/test.txt": lines(HELD_OUT).replace(" ", "\t") for name in TABLES}
    folder = write(tmp_path, {**contents, "README": "This is a dataset"})
    assert layouts.layout_of(folder) == "nested"
    data = load_dataset(folder)
    assert_same(data, dataset())
    assert "test.txt of cart, view was not read" in data.notes[0]
    for name in ("beibei", "taobao"):  # two data sets are no behaviours
        write(tmp_path / "several", {f"{name}/{one}.txt": "0 1\n" for one in ("train", "test")})
    assert layouts.layout_of(tmp_path / "several") is None


def vcgae(folder):
    names = {"trn_pv": "view", "trn_fav": "cart", "trn_buy": "buy"}
    contents = {name: lines(TABLES[table], 1, True) for name, table in names.items()}
    held = {"tst_buy": lines(HELD_OUT, 1, True), "vld_buy": lines(CHOSEN, 1, True)}
    return write(folder, {**contents, **held, "auxiliary": "1 1\n"})


def test_vcgae(tmp_path):
    data = load_dataset(vcgae(tmp_path))
    assert_same(data, dataset(behaviors=("pv", "fav", "buy")))
    assert_validated(data)
    assert data.item_ids.tolist() == [1, 2, 3, 4]
    assert "taken to be numbered from 1" in data.notes[0]
    assert "Not read: auxiliary;" in data.notes[1]
    assert data.leave_out is None
    (tmp_path / "trn_fav").write_text("1 1\n\n3 x\n", encoding="utf-8")
    with pytest.raises(InputError, match="trn_fav, line 3, field item: found 'x'"):
        load_dataset(tmp_path)


def test_vcgae_with_an_empty_file_or_without_a_test(tmp_path):
    folder = vcgae(tmp_path)
    (folder / "trn_fav").write_text("", encoding="utf-8")
    with pytest.raises(InputError, match=r"behaviour 'fav' .* has no interactions"):
        load_dataset(folder)
    assert load_dataset(folder, behaviors="pv,buy").behaviors == ("pv", "buy")
    (folder / "tst_buy").unlink()
    with pytest.raises(InputError, match="tst_int does not exist; wanted in"):
        load_dataset(folder)


def test_a_zero_anywhere_means_numbers_from_zero(tmp_path):
    folder = vcgae(tmp_path)
    (folder / "vld_buy").write_text("0 4\n", encoding="utf-8")
    data = load_dataset(folder)
    assert (data.n_users, data.n_items, data.user_ids) == (4, 5, None)


def test_jd(real_data):
    data = load_dataset(real_data / "jd")
    assert data.counts() == {"pv": 217_977, "fav": 7_380, "buy": 60_967}
    assert (data.n_users, data.n_items) == (10_690, 13_465)
    assert (len(data.test_items), len(np.unique(data.test_users))) == (5_013, 2_579)
    assert (len(data.validation[1]), len(np.unique(data.validation[0]))) == (5_892, 2_941)
    assert (data.user_ids[0], data.user_ids[-1], data.item_ids[-1]) == (1, 10_690, 13_465)


# ---- matrices ------------------------------------------------------------------------------------


def test_sslrec(tmp_path):
    """Beside the matrices lie mixtures of them, files of other layouts, and graphs."""
    contents = {f"train_mat_{name}.pkl": sp.csr_matrix(table) for name, table in TABLES.items()}
    broken = sp.csr_matrix(np.array([[-6195436134415865392]]))
    contents |= {f"train_mat_{name}.pkl": broken for name in ("view_buy", "view_cart_buy")}
    contents |= {"test_mat.pkl": sp.csr_matrix(HELD_OUT), "valid_mat.pkl": sp.csr_matrix(CHOSEN)}
    contents |= {"trn_view": sp.csr_matrix(TABLES["view"]), "meta_index": [1]}
    folder = write_pickles(tmp_path, contents)
    write(folder, {"train.txt": "0 0\n", "datapreprocessing.py": ""})
    assert layouts.layout_of(folder) == "matrices"
    data = load_dataset(folder)
    assert_same(data, dataset())
    assert_validated(data)
    assert data.notes == (
        "Left aside, as named after mixtures of the other behaviours: train_mat_view_buy.pkl, "
        "train_mat_view_cart_buy.pkl; --behaviors reads them.",
        "Not read: meta_index, train.txt, trn_view; a behaviour among them is read by --behaviors.",
    )
    with pytest.raises(InputError, match="found -6195436134415865392"):
        load_dataset(folder, behaviors="view_cart_buy")


NAMINGS = {
    "release": ("trn_{}.npz", "tst_int.npz", "vld_int.npz"),
    "matrices": ("train_mat_{}.npz", "test_mat.npz", "val_mat.npz"),
    "plain": ("{}.npz", "test.npz", "valid.npz"),
}


@pytest.mark.parametrize("naming", NAMINGS)
@pytest.mark.parametrize("kind", ["csr", "csc", "coo", "bsr", "dia"])
def test_npz(tmp_path, naming, kind):
    train, test, valid = NAMINGS[naming]
    tables = {**{train.format(name): table for name, table in TABLES.items()}, test: HELD_OUT}
    for n, (name, table) in enumerate({**tables, valid: CHOSEN}.items()):
        matrix = (sp.csr_matrix, sp.csr_array)[n % 2](np.array(table) * 3).asformat(kind)
        sp.save_npz(tmp_path / name, matrix, compressed=bool(n % 2))
    assert layouts.layout_of(tmp_path) == naming
    data = load_dataset(tmp_path)
    assert_same(data, dataset())
    assert_validated(data)
    assert data.notes == ()


def test_pickles_with_nothing_but_a_name(tmp_path):
    contents = {f"{name}.pkl": sp.csr_matrix(table) for name, table in TABLES.items()}
    contents |= {"test.pkl": [3, 0, None], "view_cart.pkl": 0, "item_map.pkl": {1: 2}}
    folder = write_pickles(tmp_path, {**contents, "share.pkl": sp.csr_matrix(TABLES["cart"])})
    data = load_dataset(folder)
    assert_same(data, dataset())
    assert "mixtures of the other behaviours: view_cart.pkl;" in data.notes[0]
    assert "Not read: item_map.pkl, share.pkl;" in data.notes[1]
    assert load_dataset(folder, behaviors="share,buy").counts() == {"share": 2, "buy": 4}


def test_npz_that_is_no_matrix(tmp_path):
    for name, table in {**TABLES, "test": HELD_OUT}.items():
        sp.save_npz(tmp_path / f"{name}.npz", sp.csr_matrix(table))
    path = tmp_path / "cart.npz"
    parts = dict(np.load(path))
    wrong = {
        "objects": ({"format": np.array([{}], object)}, "Object arrays cannot be loaded"),
        "another format": ({"format": "lol"}, "not the parts of a sparse matrix"),
        "no format": ({"format": np.arange(3)}, "not the parts of a sparse matrix"),
        "a wild item": ({"indices": np.array([0, 7])}, "whose entry 1 has column 7, wanted 0 to 3"),
        "one side": ({"shape": 3}, "two dimensions"),
        "three sides": ({"shape": [3, 4, 5]}, "two dimensions"),
        "another shape": ({"shape": [3, 5]}, "is 3 × 5 but"),
        "a vast shape": ({"shape": [3, 2**31 - 1]}, "asks for 2147483647 items"),
    }
    for changes, sentence in wrong.values():
        np.savez(path, **{**parts, **changes})
        with pytest.raises(InputError, match=sentence) as error:
            load_dataset(tmp_path)
        assert "cart.npz" in str(error.value)
        assert "\n" not in str(error.value)


# ---- what is left --------------------------------------------------------------------------------


def test_files_that_are_no_behaviours_are_named(tmp_path):
    others = {
        "README.txt": "some words",
        "user_list.txt": "org remap\n7 0\n",
        "item_id.txt": "0 5\n",
        "taobao_size.txt": "3 4\n",
        "notes.txt": "",
        "weights.npz": "",
    }
    known = named(view="view", cart="cart", buy="buy")
    folder = write(tmp_path, {**known, "test.txt": lines(HELD_OUT), **others})
    data = load_dataset(folder)
    assert_same(data, dataset())
    assert data.notes == (
        f"Not read: {', '.join(sorted(others))}; a behaviour among them is read by --behaviors.",
    )


def test_behaviours_that_nobody_knows_are_read_where_there_are_no_others(tmp_path):
    folder = write(tmp_path, {**named(tip="view", neg="cart", pos="buy"), "test.txt": "0 3\n"})
    (folder / "item_map.txt").write_text("1 1\n", encoding="utf-8")
    (folder / "words.txt").write_text("a b\n", encoding="utf-8")
    with pytest.raises(InputError, match="nobody can know the order of 'tip', 'pos' and 'neg'"):
        load_dataset(folder)
    data = load_dataset(folder, behaviors="tip,neg,pos")
    assert data.behaviors == ("tip", "neg", "pos")
    assert "Not read: item_map.txt, words.txt;" in data.notes[-1]


WRONG_OBJECTS = {
    "cut": ('{"1": [2', "is no JSON"),
    "a list of users": ('{"1": 2}', "user 1: found 2, wanted a JSON object"),
    "a name": ('{"ann": [2]}', "found user 'ann'"),
    "a negative item": ('{"1": [2, -1]}', "user 1: found -1"),
    "a fraction": ('{"1": [2.0]}', "user 1: found 2.0"),
    "a truth value": ('{"1": [true]}', "user 1: found True"),
    "an object": ('{"1": {"2": 3}}', "user 1: found"),
    "a deep one": ('{"1": ' + "[" * 100_000, "is no JSON"),
}


@pytest.mark.parametrize("name", WRONG_OBJECTS)
def test_wrong_objects_are_refused(tmp_path, name):
    text, sentence = WRONG_OBJECTS[name]
    folder = write(tmp_path, {**named(view="view"), "test.txt": "0 1\n", "buy_dict.txt": text})
    with pytest.raises(InputError, match=r"buy_dict\.txt") as error:
        load_dataset(folder)
    assert sentence in str(error.value)
    assert "\n" not in str(error.value)


def test_a_stray_number_does_not_fill_the_memory(tmp_path):
    folder = write(tmp_path, {**named(view="view", buy="buy"), "test.txt": "0 2147483647\n"})
    with pytest.raises(InputError, match=r"test\.txt asks for 2147483648 items"):
        load_dataset(folder)


def test_users_twice_in_an_object(tmp_path):
    text = '{"0": [0], "1": [1], "2": [0], "1": [2, 1]}'
    folder = write(tmp_path, {**named(view="view", cart="cart"), "test.txt": lines(HELD_OUT)})
    (folder / "buy_dict.json").write_text(text, encoding="utf-8")
    assert_same(load_dataset(folder), dataset())


@settings(deadline=None, max_examples=150)
@given(
    name=st.sampled_from(["buy.npz", "view.txt", "buy_dict.txt", "data_size.txt", "trn_buy"]),
    place=st.floats(0, 1, exclude_max=True),
    byte=st.integers(0, 255),
    cut=st.booleans(),
)
def test_a_damaged_byte_gives_a_data_set_or_a_sentence(tmp_path_factory, name, place, byte, cut):
    folder = tmp_path_factory.mktemp("shop")
    if name == "trn_buy":
        vcgae(folder)
    elif name == "buy.npz":
        for one, table in {**TABLES, "test": HELD_OUT}.items():
            sp.save_npz(folder / f"{one}.npz", sp.csr_matrix(table))
    else:
        write(folder, {**named(view="view"), "test.txt": "0 3\n", "data_size.txt": "3 4\n"})
        write(folder, {"buy_dict.txt": json_of(TABLES["buy"])})
    content = bytearray((folder / name).read_bytes())
    content[int(place * len(content))] = byte
    (folder / name).write_bytes(content[: int(place * len(content))] if cut else content)
    try:
        data = load_dataset(folder)
    except InputError as error:
        assert "\n" not in str(error)
    else:
        assert all(len(csr.indptr) == data.n_users + 1 for csr in data.interactions)
        assert all(np.all(csr.indices < data.n_items) for csr in data.interactions)
