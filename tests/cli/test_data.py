"""`data info`, `data convert`, `data audit`, and data that cannot be used."""

from __future__ import annotations

import os
import pickle

import numpy as np
import pytest
import scipy.sparse as sp
from commands import QUICK, call, check_refusal, last_json

from pkef_fast import load_dataset


def test_data_info_and_convert(shop, tmp_path):
    found = last_json(call("data", "info", shop, "--json"))
    assert found["users"] == 50
    assert "interactions" in call("data", "info", "demo").stdout
    out = tmp_path / "copy"
    call("data", "convert", shop, out)
    assert load_dataset(out).fingerprint() == load_dataset(shop).fingerprint()


def test_a_validation_part_is_counted_and_chosen_by(tmp_path):
    random = np.random.default_rng(0)
    folder = tmp_path / "shop"
    folder.mkdir()
    for name, count in {"view": 9, "buy": 3, "test": 1, "validation": 1}.items():
        rows = (random.choice(30, count, replace=False) for _ in range(40))
        lines = (" ".join(map(str, [user, *row])) for user, row in enumerate(rows))
        (folder / f"{name}.txt").write_text("\n".join(lines), encoding="utf-8")
    (folder / "data_size.txt").write_text("40 30", encoding="utf-8")
    (folder / "item_map.txt").write_text("7 0", encoding="utf-8")
    out = tmp_path / "copy"
    assert "Not read: item_map.txt;" in call("data", "convert", folder, out).stderr
    for one in (folder, out):
        found = last_json(call("data", "info", one, "--json"))
        assert found["validation"] == {"items": 40, "users": 40}
        assert "40 validation items of 40 users" in call("data", "info", one).stdout
    assert last_json(call("data", "info", "demo", "--json"))["validation"] is None
    words = ("--dataset", folder, "--model", "graph-rank", "--json")
    found = last_json(call("train", *words, "--select", "val"))
    assert found["selection"]["published"] == 40
    tuned = call("tune", *words, "--trials", 1, "--out", tmp_path / "best.toml")
    assert "40 validation items of the data set's own" in tuned.stderr
    assert last_json(tuned)["validation_published"] is True
    assert "published = true" in (tmp_path / "best.toml").read_text(encoding="utf-8")


def test_data_audit(shop, tmp_path):
    found = last_json(call("data", "audit", shop, "--json", "--plot", tmp_path / "a.svg"))
    assert {"visible", "own", "patterns", "nestedness", "rules", "verdict"} <= set(found)
    assert (tmp_path / "a.svg").read_text(encoding="utf-8").startswith("<svg")
    text = call("data", "audit", shop).stdout
    assert text.endswith("\n".join(found["verdict"]) + "\n")
    for word in ("own view, at random", "nowhere else", "best single list"):
        assert word in text


def release(folder, **changes):
    """The release's layout with one file changed."""
    folder.mkdir()
    rng = np.random.default_rng(0)
    for name in ("pv", "cart", "buy"):
        matrix = sp.csr_matrix((rng.random((6, 8)) < 0.5).astype(float))
        (folder / f"trn_{name}").write_bytes(pickle.dumps(changes.get(name, matrix)))
    test = changes.get("test", [0, 1, None, 3, 4, 5])
    (folder / "tst_int").write_bytes(pickle.dumps(test))
    return folder


class Evil:
    def __reduce__(self):
        return (os.system, ("echo pwned > pwned",))


def matrix(*entries):
    rows, columns, values = zip(*entries, strict=True)
    return sp.csr_matrix((np.array(values, float), (rows, columns)), shape=(6, 8))


BAD_DATA = {
    "a pickle that runs code": ({"buy": Evil()}, ["trn_buy", "system"]),
    "a pickle of something else": ({"buy": "hello"}, ["trn_buy"]),
    "other shapes": (
        {"buy": sp.csr_matrix(np.ones((6, 9)))},
        ["trn_buy", "9", "8"],
    ),
    "a negative held-out item": ({"test": [0, -3, 1, 2, 3, 4]}, ["tst_int", "1", "-3"]),
    "a held-out item too large": ({"test": [0, 1, 8, 2, 3, 4]}, ["tst_int", "2", "8", "7"]),
    "a held-out list too short": ({"test": [0, 1]}, ["tst_int", "2", "6"]),
    "an empty behaviour": ({"cart": sp.csr_matrix((6, 8))}, ["cart"]),
    "NaN": ({"pv": matrix((1, 2, np.nan), (0, 0, 1))}, ["trn_pv", "nan"]),
    "a negative value": ({"pv": matrix((1, 2, -1), (0, 0, 1))}, ["trn_pv", "-1"]),
}


@pytest.mark.parametrize("case", BAD_DATA, ids=str)
def test_bad_data_is_refused(case, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    changes, words = BAD_DATA[case]
    folder = release(tmp_path / "shop", **changes)
    result = call("train", "--dataset", folder, "--out", "r", *QUICK, code=2)
    check_refusal(result, words)
    assert not (tmp_path / "r").exists()
    assert not (tmp_path / "pwned").exists()


def test_held_out_items_that_were_trained_are_counted(tmp_path):
    buys = np.zeros((6, 8))
    buys[np.arange(6), [0, 1, 2, 3, 4, 5]] = 1
    folder = release(tmp_path / "shop", buy=sp.csr_matrix(buys), test=[0, 7, None, 3, 1, 1])
    result = call("train", "--dataset", folder, "--out", tmp_path / "r", *QUICK)
    assert "2 of 5 held-out items are also train 'buy' interactions" in result.stderr
