"""A GPU itself: training there is the CPU's, captured or not, and repeats bit for bit."""

from __future__ import annotations

import numpy as np
import pytest
from forms import gpu

from pkef_fast import PKEF
from pkef_fast.data import generate
from pkef_fast.device import device

pytestmark = pytest.mark.gpu
FIELDS = {"d": 16, "batch_users": 64, "epochs": 4}


@pytest.fixture(scope="module")
def data():
    return generate(n_users=300, n_items=200, behaviors=("view", "cart", "buy"), seed=0)


def parameters(model: PKEF) -> dict[str, np.ndarray]:
    return {name: model.device.to_host(t.data) for name, t in model.model.parameters.items()}


@pytest.mark.parametrize("preset", ["official", "paper"])
@pytest.mark.parametrize(("precision", "tolerance"), [("float64", 1e-11), ("float32", 1e-4)])
def test_training_is_that_of_the_cpu_captured_or_not(data, preset, precision, tolerance):
    gpu()  # skips where there is none
    fields = {**FIELDS, "precision": precision}
    places = [device(0), device(0, capture=False), device("cpu")]
    captured, launched, wanted = (PKEF(preset, place, **fields).fit(data) for place in places)
    for name, value in parameters(wanted).items():
        assert parameters(captured)[name].tobytes() == parameters(launched)[name].tobytes(), name
        error = np.abs(parameters(captured)[name] - value).max()
        assert error <= tolerance * np.abs(value).max(), name
    assert captured.history == launched.history
    if precision == "float64":
        np.testing.assert_array_equal(captured.evaluate(data).ranks, wanted.evaluate(data).ranks)


def test_a_run_repeats_bit_for_bit(data):
    gpu()
    one, other = (PKEF("official", 0, **FIELDS).fit(data) for _ in range(2))
    for name, value in parameters(one).items():
        assert value.tobytes() == parameters(other)[name].tobytes(), name


def test_a_checkpoint_of_the_cpu_goes_on_and_back(data, tmp_path):
    gpu()
    run = tmp_path / "run"
    PKEF("official", **{**FIELDS, "epochs": 2}).fit(data, out=run)
    PKEF("official", 0, **{**FIELDS, "epochs": 3}).fit(data, out=run, resume=True)
    moved = PKEF("official", **FIELDS).fit(data, out=run, resume=True)
    whole = PKEF("official", **FIELDS).fit(data)
    for name, value in parameters(whole).items():
        error = np.abs(parameters(moved)[name] - value).max()
        assert error <= 1e-4 * np.abs(value).max(), name


def test_a_full_memory_is_one_sentence(data):
    gpu()
    from pkef_fast import DeviceError

    with pytest.raises(DeviceError, match=r"GiB free, and training on .* needs about"):
        PKEF("official", 0, **{**FIELDS, "d": 10_000_000}).fit(data)
