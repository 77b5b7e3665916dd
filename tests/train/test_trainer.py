"""Training: what is computed, what repeats bit for bit, and how it stops."""

from __future__ import annotations

import dataclasses
from collections import Counter

import numba
import numpy as np
import pytest

from pkef_fast import PKEF
from pkef_fast.data import generate
from pkef_fast.device import Device, device
from pkef_fast.errors import InputError, TrainingError
from pkef_fast.kernels import OPERATIONS, Kernels
from pkef_fast.kernels.adam import learning_rate
from pkef_fast.models.pkef.config import PkefConfig
from pkef_fast.models.pkef.model import Pkef
from pkef_fast.models.pkef.presets import preset
from pkef_fast.models.pkef.sampling import Sampler, Term
from pkef_fast.store import checkpoint
from pkef_fast.tape import autograd
from pkef_fast.train.trainer import Trainer

NAMES = ("view", "cart", "buy")
SMALL = {"d": 8, "batch_users": 16, "epochs": 3}


def small_data(seed=0, behaviors=NAMES):
    return generate(n_users=40, n_items=30, behaviors=behaviors, seed=seed)


def small_config(name="official", behaviors=NAMES, **changes) -> PkefConfig:
    return preset(name, behaviors).replaced(**SMALL).replaced(**changes).checked(behaviors)


def whole_loss(model, trainer, batch):
    """Data loss plus penalty."""
    values = trainer.gradients(batch)
    penalty = sum(
        model.decay(n) * np.sum(t.data.astype(np.float64) ** 2) for n, t in model.parameters.items()
    )
    return values["loss.data"] + penalty


VARIANTS = [
    {},
    {"name": "paper"},
    {"fusion": "vanilla"},
    {"fusion": "linear", "fusion_source": "message"},
    {"fusion": "summation", "fusion_scale": "0.1"},
    {"fusion": "none"},
    {"head": "bilinear"},
    {"name": "paper", "head": "bilinear", "self_loops": "no"},
    {"normalization": "right", "loss_reduction": "sum"},
    {"normalization": "symmetric", "coefficients": "0.2,0.5,0.3"},
    {"layers": "0,2,1", "coefficients": "1,0,0"},
    {"loss": "softmax", "negatives": 3},
    {"negatives": 2, "popular_negatives": 0.5, "batch_negatives": 0.5},
    {"behavior_weights": "learned", "coefficients": "0.2,0.5,0.3"},
    {"name": "paper", "loss": "softmax", "behavior_weights": "learned", "negatives": 2},
]


@pytest.mark.parametrize("changes", VARIANTS, ids=str)
def test_the_gradient_of_the_whole_loss_is_that_of_central_differences(changes):
    changes = {"d": 3, "precision": "float64", "score_scale": "5", **changes}
    config = small_config(changes.pop("name", "official"), **changes)
    data = small_data()
    model = Pkef(config, data, device("reference"))
    rng = np.random.default_rng(0)
    for tensor in model.parameters.values():  # away from zero biases and tiny tables
        tensor.data += 0.3 * rng.normal(size=tensor.shape)
    trainer = Trainer(model, data)
    batch = trainer.next_batch()
    whole_loss(model, trainer, batch)
    gradients = {
        name: (0 if tensor.grad is None else tensor.grad) + 2 * model.decay(name) * tensor.data
        for name, tensor in model.parameters.items()
    }
    for name, tensor in model.parameters.items():
        direction = rng.normal(size=tensor.shape)
        start, ends = tensor.data.copy(), []
        for h in (1e-5, -1e-5):
            tensor.data[...] = start + h * direction
            ends.append(whole_loss(model, trainer, batch))
        tensor.data[...] = start
        exact = np.sum(gradients[name] * direction)
        numeric = (ends[0] - ends[1]) / 2e-5
        assert numeric == pytest.approx(exact, rel=2e-6, abs=1e-7), name


def test_every_read_parameter_has_a_gradient_that_is_not_zero():
    for changes in VARIANTS:
        changes = dict(changes)
        config = small_config(changes.pop("name", "official"), **changes)
        data = small_data()
        model = Pkef(config, data, device("cpu"))
        trainer = Trainer(model, data)
        trainer.gradients(trainer.next_batch())
        for name, tensor in model.parameters.items():
            number = name.split(".")[1] if name.count(".") == 2 else None
            dead_gate = name.startswith("gate.") and number and not config.coefficients[int(number)]
            last_only = name.startswith("fusion.") and config.head == "bilinear"
            if dead_gate:
                assert tensor.grad is None, name
            elif not last_only:
                assert tensor.grad is not None, (changes, name)
                assert np.any(tensor.grad != 0), (changes, name)


class Counting:
    """A module that counts the calls of its functions."""

    def __init__(self, module, counts):
        self._module, self._counts = module, counts

    def __getattr__(self, name):
        function = getattr(self._module, name)
        if not callable(function):
            return function

        def counted(*args, **kwargs):
            self._counts[name] += 1
            return function(*args, **kwargs)

        return counted


def counted_step(config, data):
    """Calls of each kernel in one step."""
    counts = Counter()
    plain = device("cpu")
    modules = {name: Counting(getattr(plain.kernels, name), counts) for name in OPERATIONS}
    place = Device("cpu", plain.xp, Kernels("cpu", **modules))
    trainer = Trainer(Pkef(config, data, place), data)
    counts.clear()
    trainer.make_step()
    return counts


def test_branches_without_a_loss_cost_nothing():
    data = small_data()
    every = counted_step(small_config(coefficients="0.2,0.5,0.3"), data)
    two = counted_step(small_config(coefficients="0,4/6,2/6"), data)
    one = counted_step(small_config(coefficients="0,0,1"), data)
    # three behaviours: 3 own terms and 6 unique pairs; each λ = 0 takes away 1 and 2
    for counts, own, unique in ((every, 3, 6), (two, 2, 4), (one, 1, 2)):
        assert counts["draw"] == own + unique
        assert counts["gated_side"] == counts["gated_side_adjoint"] == own
        assert counts["dot"] == counts["dot_adjoint"] == own
        assert counts["unique_side"] == counts["unique_side_adjoint"] == unique
        assert counts["bpr"] == 2 * own + unique
    # the bilinear head without unique pairs reads no behaviour downstream of its loss: no layers
    alone = {"head": "bilinear", "unique_excluded": "0,1,2", "coefficients": "1,0,0"}
    counts = counted_step(small_config(**alone), data)
    assert counts["layer"] == counts["layer_adjoint"] == 4
    assert counts["draw"] == 1


def test_empty_pairs_do_not_exist():
    data = small_data()
    nested = dataclasses.replace(data, interactions=(*data.interactions[:2], data.interactions[1]))
    sampler = Sampler(nested, small_config(coefficients="0.2,0.5,0.3"), device("cpu").kernels)
    assert Term(2, 1) not in sampler.terms
    assert Term(1, 2) not in sampler.terms
    assert Term(2, 0) in sampler.terms


def test_an_epoch_visits_its_users_once_in_batches_with_a_small_last_one():
    data = small_data()
    config = small_config(users_per_epoch=35, batch_users=16)
    sampler = Sampler(data, config, device("cpu").kernels)
    users = sampler.epoch_users(0)
    assert sampler.steps_per_epoch == 3
    assert len(users) == len(set(users.tolist())) == 35
    assert not np.array_equal(users, sampler.epoch_users(1))
    assert [sampler.size(index) for index in range(3)] == [16, 16, 3]
    batch = sampler.batch(2)
    assert batch.n_users <= 3


# Every option of training that is off in the presets.
OPTIONS = {
    "loss": "softmax",
    "negatives": 3,
    "popular_negatives": 0.4,
    "batch_negatives": 0.3,
    "behavior_weights": "learned",
    "average": 0.8,
}
PLAIN_AND_OPTIONS = pytest.mark.parametrize("more", [{}, OPTIONS], ids=["plain", "options"])


def bytes_of(tmp_path, name, threads=None, more=(), **fit):
    before = numba.get_num_threads()
    if threads:
        numba.set_num_threads(threads)
    try:
        out = tmp_path / name
        PKEF("official", **SMALL, **dict(more)).fit(small_data(), out=out, **fit)
    finally:
        numba.set_num_threads(before)
    return (out / "model.npz").read_bytes()


@PLAIN_AND_OPTIONS
def test_the_same_seed_gives_the_same_bytes_whatever_the_threads(tmp_path, more):
    one = bytes_of(tmp_path, "one", threads=1, more=more)
    two = bytes_of(tmp_path, "two", threads=min(2, numba.config.NUMBA_NUM_THREADS), more=more)
    assert one == two
    other = PKEF("official", **SMALL, **more, seed=7).fit(small_data(), out=tmp_path / "other")
    assert other.history != []
    assert (tmp_path / "other" / "model.npz").read_bytes() != one


@PLAIN_AND_OPTIONS
@pytest.mark.parametrize("stop_after", [1, 3, 4, 8])
def test_resuming_continues_bit_for_bit(tmp_path, stop_after, more):
    whole = bytes_of(tmp_path, "whole", more=more, eval_every=1)
    asked = []

    def stop():
        asked.append(1)
        return len(asked) == stop_after

    out = tmp_path / "cut"
    fields = {**SMALL, **more}
    PKEF("official", **fields).fit(small_data(), out=out, eval_every=1, should_stop=stop)
    model = PKEF("official", **fields).fit(small_data(), out=out, resume=True, eval_every=1)
    assert (out / "model.npz").read_bytes() == whole
    assert (out / "metrics.jsonl").read_bytes() == (tmp_path / "whole/metrics.jsonl").read_bytes()
    assert model.trainer.epoch == 3


def test_the_average_of_the_parameters_ranks_and_is_saved(tmp_path):
    """The plain mean of the first 1/(1 − decay) steps, then an exponential one."""
    data, config = small_data(), small_config(average=0.75)
    trainer = Trainer(Pkef(config, data, device("reference")), data)
    model, seen = trainer.model, []
    wanted = {name: tensor.data.astype(np.float64) for name, tensor in model.parameters.items()}
    for step in range(1, 9):
        trainer.make_step()
        for name, tensor in model.parameters.items():
            wanted[name] += (tensor.data - wanted[name]) * max(0.25, 1 / step)
        seen.append(model.parameters["user_embedding"].data.copy())
        if step == 4:
            np.testing.assert_allclose(wanted["user_embedding"], np.mean(seen, axis=0), rtol=1e-6)
    for name, value in model.stored().items():
        np.testing.assert_allclose(value, wanted[name], rtol=1e-5, atol=1e-8)
        assert not np.array_equal(value, model.parameters[name].data)

    found = PKEF("official", **SMALL, average=0.75).fit(data, out=tmp_path / "run", eval_every=1)
    plain = PKEF("official", **SMALL).fit(data)
    for name, tensor in plain.model.parameters.items():  # training itself is the same
        np.testing.assert_array_equal(tensor.data, found.model.parameters[name].data)
    loaded = PKEF.load(tmp_path / "run")
    one, two, three = (model.evaluate(data).ranks for model in (found, loaded, plain))
    np.testing.assert_array_equal(one, two)
    assert not np.array_equal(one, three)


def test_learned_weights_move_towards_one_over_twice_the_loss():
    """∂/∂s (e^−s·L + s/2) = 0 at e^−s = 1/(2L); behaviours without a loss stay where they are."""
    data = small_data()
    config = small_config(behavior_weights="learned", lr=0.02, lr_decay=1, score_scale=1)
    trainer = Trainer(Pkef(config, data, device("cpu")), data)
    s = trainer.model.parameters["log_variance"].data
    for _ in range(150):
        trainer.make_step()
    found = trainer.gradients(trainer.next_batch())
    assert s[0] == 0
    for k, name in enumerate(NAMES[1:], 1):
        loss = sum(v for part, v in found.items() if part.endswith(f".{name}"))
        assert np.exp(s[k]) == pytest.approx(2 * loss, rel=0.5)


def test_more_epochs_continue_a_finished_run(tmp_path):
    out = tmp_path / "run"
    long = {**SMALL, "epochs": 5}
    PKEF("official", **long).fit(small_data(), out=tmp_path / "whole")
    PKEF("official", **SMALL).fit(small_data(), out=out)
    PKEF("official", **long).fit(small_data(), out=out, resume=True)
    for name in ("model.npz", "metrics.jsonl", "checkpoint.npz"):
        # the checkpoint of the shorter run holds its own config until it goes on
        assert (out / name).read_bytes() == (tmp_path / "whole" / name).read_bytes(), name


def test_a_loss_that_explodes_stops_with_step_tensor_and_checkpoint(tmp_path):
    out = tmp_path / "run"
    model = PKEF("official", **SMALL, lr=1e6)
    with pytest.raises(TrainingError) as error:
        model.fit(small_data(), out=out)
    text = str(error.value)
    assert "step " in text
    assert "is not finite" in text
    assert str(out / "checkpoint.npz") in text
    _, arrays = checkpoint.read(out / "checkpoint.npz", "checkpoint")
    assert all(np.all(np.isfinite(array)) for array in arrays.values())
    assert not (out / "model.npz").exists()


def test_the_learning_rate_falls_by_steps():
    rates = [learning_rate(1e-3, 0.96, 39, step) for step in (0, 38, 39, 78)]
    assert rates == [1e-3, 1e-3, 1e-3 * 0.96, 1e-3 * 0.96**2]


def test_evaluation_stores_nothing():
    data = small_data()
    model = PKEF("official", **SMALL).fit(data)
    before = autograd._count
    model.evaluate(data)
    model.recommend([0], 3)
    assert autograd._count == before


def test_resume_refuses_other_data_and_broken_checkpoints(tmp_path):
    out = tmp_path / "run"
    PKEF("official", **SMALL).fit(small_data(), out=out)
    with pytest.raises(InputError, match=r"is not what .* was trained on"):
        PKEF("official", **SMALL).fit(small_data(seed=1), out=out, resume=True)
    file = out / "checkpoint.npz"
    whole = file.read_bytes()
    for broken in (whole[: len(whole) // 2], b"", b"nonsense", whole[:-200]):
        file.write_bytes(broken)
        with pytest.raises(InputError, match=r"checkpoint\.npz cannot be read as a checkpoint"):
            PKEF("official", **SMALL).fit(small_data(), out=out, resume=True)
    damaged = bytearray(whole)
    damaged[len(whole) // 2] ^= 0xFF  # the archive's check sum finds it
    file.write_bytes(bytes(damaged))
    with pytest.raises(InputError, match=r"checkpoint\.npz cannot be read"):
        PKEF("official", **SMALL).fit(small_data(), out=out, resume=True)
    file.unlink()
    with pytest.raises(InputError, match="does not exist"):
        PKEF("official", **SMALL).fit(small_data(), out=out, resume=True)


def test_a_folder_that_holds_something_is_not_written_to(tmp_path):
    out = tmp_path / "run"
    PKEF("official", **SMALL).fit(small_data(), out=out)
    before = {p.name: p.read_bytes() for p in out.iterdir()}
    with pytest.raises(InputError, match="already holds another run"):
        PKEF("official", **SMALL).fit(small_data(), out=out)
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "letter.txt").write_text("dear", encoding="utf-8")
    with pytest.raises(InputError, match="already holds other files"):
        PKEF("official", **SMALL).fit(small_data(), out=tmp_path / "mine")
    assert {p.name: p.read_bytes() for p in out.iterdir()} == before


@pytest.mark.parametrize("d", [1, 65, 128, 256])
def test_any_width_trains(d):
    """Wide and odd tables: the fast kernels' first step is NumPy's."""
    models = []
    for place in ("cpu", "reference"):
        trainer = Trainer(Pkef(small_config(d=d), small_data(), device(place)), small_data())
        models.append((trainer.make_step(), trainer.model))
    (loss, fast), (wanted, plain) = models
    assert loss == pytest.approx(wanted, rel=1e-5)
    for name, tensor in plain.parameters.items():  # Adam's first step is ±lr wherever a gradient is
        moved = abs(tensor.data - fast.parameters[name].data)
        assert np.median(moved) < 1e-6, name


@pytest.mark.parametrize("name", ["official", "paper"])
@pytest.mark.parametrize("count", [1, 2, 3, 4, 5])
def test_any_number_of_behaviours_trains(name, count):
    behaviors = tuple(f"step {k}" for k in range(count))
    data = small_data(behaviors=behaviors)
    model = PKEF(name, **{**SMALL, "epochs": 2}).fit(data, eval_every=2)
    assert np.isfinite(model.history[-1]["loss"])
    assert 0 <= model.history[-1]["HR@10"] <= 1
