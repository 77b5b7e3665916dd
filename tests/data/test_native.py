"""The native layout: what is written is read, and no damage goes unseen."""

from __future__ import annotations

import json
import os
from dataclasses import replace

import numpy as np
import pytest
from shops import assert_same, csr_of, dataset

from pkef_fast.data import load_dataset, native, save_native
from pkef_fast.errors import InputError


@pytest.fixture
def whole():
    """A data set with all that a folder can hold."""
    return dataset(
        user_ids=np.array(["u", "v", "w"]),
        item_ids=np.array([10, 20, 30, 40]),
        source={"dataset": "somewhere", "seed": 3},
        notes=("A note.",),
        leave_out="all",
        times=(np.arange(5), None, np.arange(4) - 7),
        validation=(np.array([0, 0, 2], np.int32), np.array([1, 2, 3], np.int32)),
    )


def test_a_folder_holds_all(tmp_path, whole):
    found = native.read(save_native(whole, tmp_path / "shop"))
    assert_same(found, whole)
    assert found.name == "shop"
    assert found.notes == whole.notes
    assert found.leave_out == "all"
    assert found.user_ids.tolist() == ["u", "v", "w"]
    assert found.item_ids.tolist() == [10, 20, 30, 40]
    assert [None if one is None else one.tolist() for one in found.times] == [
        [0, 1, 2, 3, 4],
        None,
        [-7, -6, -5, -4],
    ]
    assert [one.tolist() for one in found.validation] == [[0, 0, 2], [1, 2, 3]]
    assert found.fingerprint() == whole.fingerprint()


def test_formats_are_as_old_as_they_can_be(tmp_path, whole):
    plain = replace(whole, times=None, validation=None, user_ids=None, item_ids=None)
    for wanted, one in (
        (1, plain),
        (2, replace(plain, times=whole.times)),
        (3, replace(plain, user_ids=["a", "b", "c"])),
        (4, replace(plain, validation=whole.validation)),
    ):
        folder = save_native(one, tmp_path / str(wanted))
        facts = json.loads((folder / native.FACTS).read_text(encoding="utf-8"))
        assert facts["format"] == wanted
        assert facts.get("validation_items") == (3 if wanted == 4 else None)
        assert native.read(folder).fingerprint() == one.fingerprint()
    assert plain.fingerprint() != replace(plain, validation=whole.validation).fingerprint()


def test_how_a_table_was_read_is_kept(tmp_path, whole):
    reading = {"roles": {"user": "uid"}, "time": "seconds", "rows": 3, "guessed": ["user"]}
    folder = save_native(replace(whole, reading=reading), tmp_path / "one")
    assert native.read(folder).reading == reading
    path = folder / native.FACTS
    facts = json.loads(path.read_text(encoding="utf-8"))
    for wrong in ([], {"roles": ["uid"]}, {"guessed": "user"}, {"skipped": {"user": "x"}}):
        path.write_text(json.dumps({**facts, "reading": wrong}), encoding="utf-8")
        with pytest.raises(InputError, match="is damaged"):
            native.read(folder)


def test_equal_data_give_equal_bytes(tmp_path, whole):
    for name in ("a", "b"):
        save_native(whole, tmp_path / name)
    for file in (native.FACTS, native.ARRAYS):
        assert (tmp_path / "a" / file).read_bytes() == (tmp_path / "b" / file).read_bytes()


def test_what_data_sets_of_before_do_not_say(tmp_path, whole):
    folder = save_native(replace(whole, leave_out=None), tmp_path / "shop")
    facts = json.loads((folder / native.FACTS).read_text(encoding="utf-8"))
    del facts["leave_out"]
    facts["source"]["leave_out"] = "target"
    (folder / native.FACTS).write_text(json.dumps(facts), encoding="utf-8")
    assert native.read(folder).leave_out == "target"


def test_behaviors_are_chosen(tmp_path, whole):
    folder = save_native(whole, tmp_path / "shop")
    found = native.read(folder, ("cart", "view"))
    assert found.behaviors == ("cart", "view")
    assert found.interactions[1].indices.tolist() == whole.interactions[0].indices.tolist()
    assert "the held-out items are of 'buy'" in found.notes[-1]
    assert found.validation is None
    assert native.read(folder, ("view", "buy")).validation is not None
    with pytest.raises(InputError, match="behaviour 'byu' is not in data set 'shop'; did you mean"):
        native.read(folder, ("byu",))


def test_a_folder_that_holds_something_is_left_alone(tmp_path, whole):
    for place in (tmp_path / "file", tmp_path / "folder" / "x"):
        place.parent.mkdir(exist_ok=True)
        place.write_text("mine", encoding="utf-8")
    for path in (tmp_path / "file", tmp_path / "folder"):
        with pytest.raises(InputError, match="already exists; wanted a new or an empty folder"):
            save_native(whole, path)
    assert (
        (tmp_path / "file").read_text(encoding="utf-8")
        == (tmp_path / "folder/x").read_text(encoding="utf-8")
        == "mine"
    )
    (tmp_path / "empty").mkdir()
    assert_same(native.read(save_native(whole, tmp_path / "empty")), whole)


def test_a_full_disk_leaves_nothing_behind(tmp_path, whole, monkeypatch):
    def full(descriptor):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(InputError, match="shop could not be written: No space left on device"):
        save_native(whole, tmp_path / "shop")
    assert list(tmp_path.iterdir()) == []


# ---- damage --------------------------------------------------------------------------------------


def test_each_byte_of_the_arrays_counts(tmp_path, whole):
    """Changed in each region of the archive in turn: the content is the same, or it is refused."""
    folder = save_native(whole, tmp_path / "shop")
    path = folder / native.ARRAYS
    content = path.read_bytes()
    refused = 0
    for place in range(0, len(content), 5):
        damaged = bytearray(content)
        damaged[place] ^= 0xFF
        path.write_bytes(damaged)
        try:
            found = native.read(folder)  # a date or a padding was changed, for example
        except InputError as error:
            refused += 1
            assert "\n" not in str(error)
        else:
            assert_same(found, whole)
            assert found.user_ids.tolist() == whole.user_ids.tolist()
            assert found.item_ids.tolist() == whole.item_ids.tolist()
    assert refused > 0.5 * len(range(0, len(content), 5))
    for length in range(0, len(content), 101):
        path.write_bytes(content[:length])
        with pytest.raises(InputError, match="cannot be read"):
            native.read(folder)


def test_cut_facts(tmp_path, whole):
    folder = save_native(whole, tmp_path / "shop")
    path = folder / native.FACTS
    content = path.read_bytes()
    for length in range(0, len(content) - 2, 13):
        path.write_bytes(content[:length])
        with pytest.raises(InputError, match=r"dataset\.json is damaged"):
            native.read(folder)


FACTS = [
    ({"format": 5}, "is of format 5; wanted format 1, 2, 3 or 4"),
    ({"format": None}, "is of format None"),
    ({"behaviors": ["view", "cart"]}, "another fingerprint"),
    ({"behaviors": ["view", "cart", "buy", "more"]}, "is damaged"),
    ({"behaviors": ["view", "buy", "cart"]}, "another fingerprint"),
    ({"behaviors": 3}, "is damaged"),
    ({"behaviors": []}, "another fingerprint|damaged"),
    ({"n_users": 4}, "another fingerprint"),
    ({"n_users": -1}, "another fingerprint"),
    ({"n_users": "many"}, "is damaged"),
    ({"n_items": 3}, "another fingerprint"),
    ({"n_items": 5}, "another fingerprint"),
    ({"fingerprint": "0"}, "another fingerprint"),
    ({"notes": None}, "is damaged"),
    ({"source": None, "leave_out": None}, "is damaged"),
]


@pytest.mark.parametrize(("changes", "sentence"), FACTS, ids=str)
def test_wrong_facts_are_refused(tmp_path, whole, changes, sentence):
    folder = save_native(whole, tmp_path / "shop")
    path = folder / native.FACTS
    path.write_text(json.dumps({**json.loads(path.read_text(encoding="utf-8")), **changes}))
    with pytest.raises(InputError, match=sentence):
        native.read(folder)


@pytest.mark.parametrize("text", ["[]", "3", "null", '"format"', "{}"])
def test_facts_that_are_none(tmp_path, whole, text):
    folder = save_native(whole, tmp_path / "shop")
    (folder / native.FACTS).write_text(text, encoding="utf-8")
    with pytest.raises(InputError, match=r"dataset\.json is damaged"):
        native.read(folder)


# Arrays that no Dataset may have, under a fingerprint that fits them.
ARRAYS = {
    "items that fall": {"indices.0": [1, 0, 1, 2, 0]},
    "an item twice": {"indices.0": [0, 0, 1, 2, 0]},
    "an item too large": {"indices.0": [0, 1, 1, 4, 0]},
    "an item below 0": {"indices.0": [-1, 1, 1, 2, 0]},
    "row starts that fall": {"indptr.0": [0, 4, 2, 5]},
    "a first row that starts later": {"indptr.0": [1, 2, 4, 5]},
    "too few row starts": {"indptr.0": [0, 2, 5]},
    "row starts beyond the items": {"indptr.0": [0, 2, 4, 6]},
    "test users that fall": {"test_users": [1, 0]},
    "a test user too large": {"test_users": [0, 3]},
    "a test item too large": {"test_items": [3, 4]},
    "fewer test items than users": {"test_items": [3]},
    "ids of fewer users": {
        "user_ids.bytes": np.frombuffer(b"uv", np.uint8),
        "user_ids.ends": np.array([1, 2]),
    },
    "ids that end beyond their bytes": {"user_ids.ends": np.array([1, 2, 99])},
    "validation users that fall": {"validation_users": [2, 0, 0]},
    "a validation item too large": {"validation_items": [1, 2, 4]},
    "fewer validation items than users": {"validation_items": [1, 2]},
}


@pytest.mark.parametrize("name", ARRAYS)
def test_arrays_that_no_data_set_has_are_refused(tmp_path, whole, name, monkeypatch):
    folder = save_native(whole, tmp_path / "shop")
    path = folder / native.ARRAYS
    with np.load(path) as archive:
        arrays = dict(archive)
    for key, value in ARRAYS[name].items():
        arrays[key] = np.asarray(value, None if key.startswith("user_ids") else np.int32)
    np.savez(path, **arrays)
    monkeypatch.setattr(
        native.Dataset,
        "fingerprint",
        lambda self: json.loads((folder / native.FACTS).read_text(encoding="utf-8"))["fingerprint"],
    )
    with pytest.raises(InputError, match=r"does not fit|is damaged"):
        native.read(folder)


@pytest.mark.parametrize(
    "name", ["indptr.0", "indices.2", "test_users", "test_items", "validation_users"]
)
@pytest.mark.parametrize("change", [np.int64, np.float32, lambda a: a[None], lambda a: a[:0]])
def test_arrays_of_another_type_or_shape_are_refused(tmp_path, whole, name, change):
    folder = save_native(whole, tmp_path / "shop")
    path = folder / native.ARRAYS
    with np.load(path) as archive:
        arrays = dict(archive)
    new = change if callable(change) and not isinstance(change, type) else None
    arrays[name] = new(arrays[name]) if new else arrays[name].astype(change)
    np.savez(path, **arrays)
    with pytest.raises(InputError, match=r"does not fit|is damaged"):
        native.read(folder)


def test_a_missing_array_or_file(tmp_path, whole):
    folder = save_native(whole, tmp_path / "shop")
    path = folder / native.ARRAYS
    with np.load(path) as archive:
        arrays = dict(archive)
    for name in ("indices.1", "validation_items"):
        np.savez(path, **{key: one for key, one in arrays.items() if key != name})
        with pytest.raises(InputError, match=r"is damaged \(KeyError"):
            native.read(folder)
    path.write_bytes(b"nothing of the kind")
    with pytest.raises(InputError, match="cannot be read"):
        native.read(folder)
    np.savez(path, **{"indptr.0": np.array([None, {}], object)})
    with pytest.raises(InputError, match="cannot be read"):  # a pickle in it is not run
        native.read(folder)
    path.unlink()
    with pytest.raises(InputError, match="does not exist; wanted a data set written by"):
        load_dataset(folder)


def test_items_may_fall_where_a_row_begins_and_rows_may_be_empty(tmp_path):
    table = [[0, 0, 0, 1], [0, 0, 0, 0], [1, 0, 0, 0]]
    data = dataset(interactions=(csr_of(table),) * 3)
    assert_same(native.read(save_native(data, tmp_path / "shop")), data)
