"""`Fit`: when it ends, what it chooses by, what it refuses."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from pkef_fast import DeviceError, InputError, Recommender
from pkef_fast.data import generate
from pkef_fast.data.native import read, save_native
from pkef_fast.holdout.validation import validation_items
from pkef_fast.store.runs import Run

FIELDS = {"d": 6, "batch": 64, "lr": 1e-9}  # nothing gets better: the first figure stays the best


@pytest.fixture(scope="module")
def data():
    return generate(n_users=60, n_items=40, seed=5)


def evaluated(model):
    return [one["epoch"] for one in model.history if "val.NDCG@10" in one]


@pytest.mark.parametrize(
    ("every", "patience", "wanted"),
    [(1, 3, [1, 2, 3, 4]), (5, 3, [5, 10]), (4, 8, [4, 8, 12]), (0, 3, [60])],
)
def test_patience_counts_epochs_that_were_evaluated(data, every, patience, wanted):
    model = Recommender("mf-bpr", epochs=60, patience=patience, **FIELDS)
    model.fit(data, eval_every=every)
    assert evaluated(model) == wanted
    sentence = model.fitting.stopped_early
    if every:
        assert f"after epoch {wanted[-1]} of 60" in sentence and f"patience {patience}" in sentence
    else:
        assert sentence == ""


def test_a_resumed_run_stays_stopped_and_says_so(data, tmp_path):
    out = tmp_path / "r"
    fields = {**FIELDS, "patience": 3}
    Recommender("mf-bpr", epochs=60, **fields).fit(data, out=out, eval_every=2)
    again = Recommender("mf-bpr", epochs=99, **fields)
    again.fit(data, out=out, resume=True, eval_every=2)
    assert again.trainer.epoch == 6
    assert "after epoch 6 of 99" in again.fitting.stopped_early


def test_the_way_of_choosing_is_the_models_own_where_nobody_says(data):
    assert Recommender("mf-bpr", epochs=1, **FIELDS).fit(data).selection is not None
    assert Recommender("mf-bpr", epochs=1, **FIELDS).fit(data, select="last").selection is None
    assert Recommender("pkef", epochs=1, d=6).fit(data).selection is None


def test_no_epoch_gives_nothing_to_choose(data):
    model = Recommender("mf-bpr", epochs=0, **FIELDS).fit(data)
    assert model.selection is None
    assert len(model.model.ranker().scores(np.array([0]))) == 1


def test_a_precision_that_the_device_cannot_have_is_refused_for_models_without_graphs(data):
    with pytest.raises(DeviceError, match=r"fp16-gather|float16"):
        Recommender("mf-bpr", epochs=1, precision="fp16-gather", d=6).fit(data)


def test_a_refused_fit_leaves_the_fitted_model_as_it_was(data):
    model = Recommender("mf-bpr", epochs=1, **FIELDS).fit(data)
    before = model.recommend([0], k=3)
    with pytest.raises(InputError, match="select cannot be"):
        model.fit(generate(n_users=9, n_items=30, seed=1), select="best")
    assert model.recommend([0], k=3) == before


def test_a_converted_random_split_has_the_same_validation_items(tmp_path):
    """Times are there, but held out was at random: a copy must not take the latest ones."""
    data = generate(n_users=60, n_items=40, seed=5)
    rng = np.random.default_rng(0)
    times = tuple(rng.permutation(len(csr.indices)).astype(np.int64) for csr in data.interactions)
    data = replace(data, times=times, split="random")
    save_native(data, tmp_path / "copy")
    copy = read(tmp_path / "copy")
    assert copy.split == "random"
    first, second = (validation_items(one, 1.0, 3) for one in (data, copy))
    assert first.digest() == second.digest()
    latest = validation_items(replace(data, split="time"), 1.0, 3)
    assert latest.digest() != first.digest()


@pytest.mark.parametrize("write", range(1, 7))
def test_a_run_killed_between_two_files_lacks_no_epoch(data, tmp_path, monkeypatch, write):
    """Checkpoint and metrics.jsonl are two files: whichever is newer, going on makes the rest."""

    class Killed(BaseException):
        pass

    def fit(out, resume=False):
        model = Recommender("lightgcn", epochs=4)
        return model.fit(data, out=out, resume=resume, eval_every=2, select="val")

    whole = fit(tmp_path / "whole").history
    left = [write]

    def killing(method):
        def call(self, *args):
            method(self, *args)
            left[0] -= 1
            if not left[0]:
                raise Killed

        return call

    with monkeypatch.context() as patched:
        for name in ("write_checkpoint", "write_records"):
            patched.setattr(Run, name, killing(getattr(Run, name)))
        with pytest.raises(Killed):
            fit(tmp_path / "parts")
    assert fit(tmp_path / "parts", resume=True).history == whole
    assert Run.open(tmp_path / "parts").records() == whole
