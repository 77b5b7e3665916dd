"""Wrong types from Python: one sentence each, everywhere in the public interface."""

from __future__ import annotations

import numpy as np
import pytest
from shops import dataset

from pkef_fast import PKEF, Recommender, load_dataset
from pkef_fast.arguments import listed, whole
from pkef_fast.data import generate
from pkef_fast.errors import InputError, shown


class DataFrame:
    """As pandas' and polars' are: iterated over by the names of its columns, written as a table."""

    columns = ("user", "item")

    def __iter__(self):
        return iter(self.columns)

    def __str__(self):
        return "   user  item\n" * 400


@pytest.fixture(scope="module")
def data():
    return generate(n_users=30, n_items=25, seed=1)


@pytest.fixture(scope="module")
def model(data):
    return Recommender("graph-rank").fit(data)


@pytest.fixture(scope="module")
def reranked(data):
    model = Recommender("graph-rank").fit(data)
    model.rerank(data, epochs=1, draws=1)
    return model


@pytest.mark.parametrize("one", ["17", 17, 17.0, np.int64(17), np.str_("17"), b"17", np.array(17)])
def test_one_id_is_one_user(model, one):
    (wanted,) = model.recommend([17], k=3).values()
    ((key, found),) = model.recommend(one, k=3).items()
    assert key == one and found == wanted


def test_one_id_of_text_is_one_user_too():
    model = Recommender("graph-rank").fit(dataset(user_ids=["1", "7", "17"]))
    assert list(model.recommend("17", k=1)) == ["17"]
    assert model.recommend("17", k=1)["17"] == model.recommend(17, k=1)[17]


@pytest.mark.parametrize("many", [[7.0], ("7",), {7}, np.array([7.0]), iter(["7"]), {7: None}])
def test_many_ids_may_come_in_anything(model, many):
    (found,) = model.recommend(many, k=2.0).values()
    assert found == model.recommend(7, k=np.int64(2))[7]
    assert len(found) == 2


def test_nobody_is_recommended_nothing(model):
    assert model.recommend([]) == {}


@pytest.mark.parametrize("k", [2.5, 0, -1, "x", "2", None, True, [2], float("nan")])
def test_a_number_of_items_that_is_none_is_refused(model, k):
    with pytest.raises(InputError, match=r"k cannot be .*; wanted a whole number of 1 or more"):
        model.recommend(7, k=k)


def test_an_explanation_takes_one_user_and_items_as_they_are_known(reranked):
    best = [one.item for one in reranked.recommend(7, k=2)[7]]
    (found,) = reranked.explain("7", [best]).values()
    assert found == reranked.explain([7], [np.array(best)])[7]
    with pytest.raises(InputError, match="items cannot be 2 rows for 1 users"):
        reranked.explain(7, best)


FRAME = DataFrame()
CALLS = {
    "load_dataset(frame)": (lambda m, d: load_dataset(FRAME), "is of type DataFrame, which cannot"),
    "load_dataset(7)": (lambda m, d: load_dataset(7), "is of type int, which cannot"),
    "load_dataset(long)": (lambda m, d: load_dataset("x" * 5000), "is neither registered nor"),
    "load_dataset(nul)": (lambda m, d: load_dataset("a\0b"), "is neither registered nor"),
    "data_dir": (lambda m, d: load_dataset("demo", data_dir=1), "data_dir cannot be 1"),
    "behaviors": (lambda m, d: load_dataset("demo", behaviors=3), "the behaviours? 3|3"),
    "seed": (lambda m, d: load_dataset("demo", seed="x"), "seed cannot be 'x'"),
    "fit(frame)": (lambda m, d: PKEF(epochs=1).fit(FRAME), "is of type DataFrame"),
    "fit(None)": (lambda m, d: PKEF(epochs=1).fit(None), "data cannot be None"),
    "fit(path)": (lambda m, d: PKEF(epochs=1).fit("gone.csv"), "'gone.csv' is neither"),
    "out": (lambda m, d: m.fit(d, out=3), "out cannot be 3; wanted a path"),
    "eval_every": (lambda m, d: m.fit(d, eval_every="x"), "eval_every cannot be 'x'"),
    "callbacks": (lambda m, d: m.fit(d, callbacks=3), "callbacks cannot be 3"),
    "callback": (lambda m, d: m.fit(d, callbacks=[print]), "wanted a list of Callback"),
    "rerank word": (lambda m, d: m.fit(d, rerank=3), "rerank cannot be 3"),
    "select": (lambda m, d: m.fit(d, select=3), "select cannot be 3"),
    "leave_out": (lambda m, d: m.fit(d, leave_out=[], rerank="learned"), "cannot be"),
    "init_from": (lambda m, d: PKEF().fit(d, init_from=3), "cannot be 3; wanted a path"),
    "rerank(frame)": (lambda m, d: m.rerank(FRAME), "is of type DataFrame"),
    "evaluate(frame)": (lambda m, d: m.evaluate(FRAME), "is of type DataFrame"),
    "evaluate(7)": (lambda m, d: m.evaluate(7), "data cannot be 7"),
    "cutoffs": (lambda m, d: m.evaluate(d, "x"), "a cutoff cannot be 'x'"),
    "cutoff": (lambda m, d: m.evaluate(d, (10, 2.5)), "a cutoff cannot be 2.5"),
    "no cutoffs": (lambda m, d: m.evaluate(d, None), "cutoffs cannot be None"),
    "protocol": (lambda m, d: m.evaluate(d, protocol=[]), r"protocol \[\] is unknown"),
    "users": (lambda m, d: m.recommend(None), "users cannot be None; wanted an id or a list"),
    "users(frame)": (lambda m, d: m.recommend(FRAME), "users cannot be a DataFrame"),
    "users(2-d)": (lambda m, d: m.recommend(np.zeros((2, 2))), "an array of 2 dimensions"),
    "users(nested)": (lambda m, d: m.recommend([[7]]), r"user \[7\] is unknown"),
    "user": (lambda m, d: m.recommend(["²"]), "user '²' is unknown"),
    "filter_seen": (lambda m, d: m.recommend(7, filter_seen="no"), "filter_seen cannot be 'no'"),
    "save": (lambda m, d: m.save(3), "path cannot be 3; wanted a path"),
    "load": (lambda m, d: Recommender.load(3), "path cannot be 3; wanted a path"),
    "model": (lambda m, d: Recommender([]), r"model \[\] is unknown"),
    "config": (lambda m, d: PKEF(config={"d": 8}).fit(d), "config cannot be a dict; wanted a Pkef"),
    "preset": (lambda m, d: PKEF(preset=5).fit(d), "preset 5 is unknown"),
    "rerank_config": (lambda m, d: m.rerank(d, config={}), "wanted a RerankConfig"),
}


@pytest.mark.parametrize("name", CALLS)
def test_a_wrong_type_is_one_sentence(name, model, data, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    call, words = CALLS[name]
    with pytest.raises(InputError, match=words) as error:
        call(model, data)
    assert "\n" not in str(error.value)
    assert len(str(error.value)) < 700


def test_a_path_is_trained_on_as_it_is_loaded(tmp_path):
    path = tmp_path / "plain.csv"
    rows = [f"{user},{(7 * user + n) % 20},buy" for user in range(20) for n in range(4)]
    path.write_text("\n".join(["user,item,behavior", *rows, ""]))
    wanted = Recommender("graph-rank").fit(load_dataset(path))
    for one in (path, str(path)):
        found = Recommender("graph-rank").fit(one)
        assert found.recommend(7) == wanted.recommend(7)
        assert found.evaluate(one) == wanted.evaluate(load_dataset(path))


def test_values_are_cut_and_written_whatever_they_do():
    class Rude:
        def __repr__(self):
            raise RuntimeError

    assert shown("a\nb") == r"'a\nb'"
    assert shown(Rude()) == "a value of type Rude"
    assert shown(10**5000) == "a value of type int"
    assert len(shown("x" * 4000)) == 60


def test_helpers_say_what_they_want():
    assert whole("n", np.float32(3), 0) == 3
    assert listed("x", "ab") == ["ab"]
    with pytest.raises(InputError, match="n cannot be -1; wanted a whole number of 0 or more"):
        whole("n", -1, 0)
