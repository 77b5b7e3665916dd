"""Devices: what is there and what is not, and CUDA's steps on the emulator against the CPU's."""

from __future__ import annotations

import dataclasses
import subprocess
import sys

import numpy as np
import pytest
from forms import emulated
from recorder import Recorder

from cuda_emulator import EmulatorError
from pkef_fast import PKEF, DeviceError, Recommender, TrainingError
from pkef_fast import device as devices
from pkef_fast.data import generate
from pkef_fast.device import device
from pkef_fast.evaluate import figures as evaluation
from pkef_fast.models.pkef.model import Pkef
from pkef_fast.models.pkef.presets import preset
from pkef_fast.tape import autograd
from pkef_fast.train.protocol import Shape
from pkef_fast.train.trainer import Trainer

NAMES = ("view", "cart", "buy")
SMALL = {"d": 4, "layers": (1, 1, 1), "batch_users": 16, "epochs": 2}

# Sums in another order: of a few dozen terms a layer, over a handful of layers and six updates.
TOLERANCE = {"float64": 1e-12, "float32": 1e-5}

pytestmark = pytest.mark.emulator


@pytest.fixture(scope="module")
def data():
    return generate(n_users=40, n_items=30, behaviors=NAMES, seed=0)


@pytest.fixture(autouse=True)
def cold(monkeypatch):
    """No tiny model before each run: nobody waits here."""
    monkeypatch.setattr("pkef_fast.train.fit.warm_up", lambda *args: None)


def parameters(model: PKEF) -> dict[str, np.ndarray]:
    """Those trained, and those that rank."""
    trained = {name: model.device.to_host(t.data) for name, t in model.model.parameters.items()}
    return trained | {f"ranking {name}": value for name, value in model.model.stored().items()}


def assert_alike(found: PKEF, wanted: PKEF, precision: str):
    """Parameters within the tolerance of their largest entry; losses of every epoch too."""
    for name, value in parameters(wanted).items():
        error = np.abs(parameters(found)[name] - value).max()
        assert error <= TOLERANCE[precision] * np.abs(value).max(), name
    assert len(found.history) == len(wanted.history)
    for one, other in zip(found.history, wanted.history, strict=True):
        for name, value in other.items():
            assert one[name] == pytest.approx(value, rel=10 * TOLERANCE[precision]), name


VARIANTS = [
    {"layers": "4,1,1"},
    {"preset": "paper", "precision": "float64"},
    {"fusion": "vanilla", "layers": "2,1,1", "precision": "float64"},
    {"fusion": "linear", "fusion_source": "message", "precision": "float64"},
    {"fusion": "none", "normalization": "symmetric"},
    {"head": "bilinear", "loss_reduction": "sum", "self_loops": "yes"},
    {"fusion": "summation", "adam_form": "pytorch", "users_per_epoch": 21},
    {"negatives": 2, "popular_negatives": 0.4, "batch_negatives": 0.3, "average": 0.6},
    {"loss": "softmax", "negatives": 3, "behavior_weights": "learned", "precision": "float64"},
]
OPTIONS = {"loss": "softmax", "batch_negatives": 0.5, "behavior_weights": "learned", "average": 0.8}


@pytest.mark.parametrize("changes", VARIANTS, ids=str)
def test_training_is_that_of_the_cpu(data, changes):
    changes = {**SMALL, **changes}
    name, precision = changes.pop("preset", "official"), changes.get("precision", "float32")
    models = [PKEF(name, place, **changes).fit(data) for place in (emulated(), "cpu")]
    assert_alike(*models, precision)
    if precision == "float64":  # float32 scores may be tied on one device and not on the other
        results = [model.evaluate(data) for model in models]
        np.testing.assert_array_equal(*(result.ranks for result in results))
        lists = [model.recommend([0, 7], 5) for model in models]
        for user in (0, 7):
            assert [r.item for r in lists[0][user]] == [r.item for r in lists[1][user]]


@pytest.mark.parametrize("fields", [{"d": 6}, {"d": 3, "precision": "float64"}], ids=str)
def test_rows_that_do_not_begin_at_sixteen_bytes(fields):
    """An odd number of users before the items, and rows of no whole vectors."""
    odd = generate(n_users=41, n_items=30, behaviors=NAMES, seed=0)
    fields = {**SMALL, "epochs": 1, "users_per_epoch": 20, **fields}
    models = [PKEF("official", place, **fields).fit(odd) for place in (emulated(), "cpu")]
    assert_alike(*models, fields.get("precision", "float32"))
    np.testing.assert_allclose(
        *(model.ranker().scores(np.arange(41)) for model in models), rtol=1e-3, atol=1e-3
    )


@pytest.mark.parametrize("more", [{}, OPTIONS], ids=["plain", "options"])
def test_a_captured_step_is_replayed_with_all_that_changes_on_the_device(data, more):
    """Recorded once for each size of batch, then only replayed: no number comes from the host."""
    recorder = Recorder()
    captured = devices.on(recorder, "recorder", capture=True)
    launched = devices.on(Recorder(), "recorder", capture=False)
    fields = {**SMALL, **more, "epochs": 4}
    models = [PKEF("official", place, **fields).fit(data) for place in (captured, launched)]
    # Batches of 16, 16 and 8: the first of each size runs as it is, the second is recorded.
    assert recorder.captures == 2
    for name, value in parameters(models[0]).items():
        assert value.tobytes() == parameters(models[1])[name].tobytes(), name
    assert models[0].history == models[1].history
    assert_alike(models[0], PKEF("official", **fields).fit(data), "float32")


COPIED_IN = 2  # learning rates and clock, once an epoch; its users are drawn on the device


def test_a_step_copies_nothing_between_host_and_device(data, monkeypatch):
    """The host gives an epoch's rates and clock, and takes its losses; nothing in between."""
    recorder = Recorder()
    place = devices.on(recorder, "recorder", capture=True)
    config = preset("official", NAMES).replaced(**{**SMALL, "batch_users": 4}).checked(NAMES)
    trainer = Trainer(Pkef(config, data, place), data)
    assert trainer.steps_per_epoch == 10
    monkeypatch.setattr("pkef_fast.train.trainer.READ_EVERY", 4)
    trainer.make_step()  # plans of the patterns are made in the first
    copies = []
    for _ in range(19):
        recorder.to_device = recorder.from_device = 0
        trainer.make_step()
        copies.append((recorder.to_device, recorder.from_device))
    quiet, losses, epoch = (0, 0), (0, 1), (COPIED_IN, 0)
    of_an_epoch = [quiet] * 2 + [losses] + [quiet] * 3 + [losses] + [quiet] + [losses]
    assert copies == [*of_an_epoch, epoch, *of_an_epoch]


@pytest.mark.parametrize(
    "fields",
    [
        {},
        {"preset": "paper"},
        {"head": "bilinear"},
        {"fusion": "linear"},
        {"fusion": "vanilla"},
        {**OPTIONS, "negatives": 2, "popular_negatives": 0.3},
    ],
    ids=str,
)
def test_everything_works_on_arrays_that_are_not_of_numpy(data, tmp_path, fields):
    """Train, stop, go on, evaluate, recommend, save and load with CuPy's manners."""
    place = devices.on(Recorder(), "recorder", capture=True)
    fields = {**SMALL, "precision": "float64", **fields}
    name = fields.pop("preset", "official")
    PKEF(name, place, **{**fields, "epochs": 1}).fit(data, out=tmp_path / "run")
    model = PKEF(name, place, **fields).fit(data, out=tmp_path / "run", resume=True, eval_every=1)
    wanted = PKEF(name, **fields).fit(data, eval_every=1)
    np.testing.assert_array_equal(model.evaluation.ranks, wanted.evaluation.ranks)
    loaded = PKEF.load(tmp_path / "run", place)
    for one in (model, loaded):
        assert [r.item for r in one.recommend([3], 4)[3]] == [
            r.item for r in wanted.recommend([3], 4)[3]
        ]


def test_graph_rank_works_on_arrays_that_are_not_of_numpy(data):
    place = devices.on(Recorder(), "recorder")
    for found, wanted in zip(
        (one.ranks for one in _by_protocol(data, place)),
        (one.ranks for one in _by_protocol(data, "cpu")),
        strict=True,
    ):
        np.testing.assert_array_equal(found, wanted)
    popular = [
        evaluation.evaluate(evaluation.popularity(data, one), data).ranks
        for one in (place, device("cpu"))
    ]
    np.testing.assert_array_equal(*popular)


def _by_protocol(data, place):
    model = Recommender("graph-rank", device=place, precision="float64").fit(data)
    return model.evaluate(data, protocol="all").protocols.values()


def test_the_recorder_refuses_what_cupy_does():
    place = devices.on(Recorder(), "recorder")
    array, host = place.place(np.ones(4)), np.ones(4)
    for wrong in (
        lambda: np.asarray(array),
        lambda: np.stack([array]),
        lambda: array + host,
        lambda: host + array,
        lambda: array[host.astype(int)],
        lambda: array.__setitem__(slice(2), host[:2]),
        lambda: place.xp.concatenate([array, host]),
        lambda: place.kernels.linear.total(array, host),
    ):
        with pytest.raises(TypeError):
            wrong()
    for wrong, sentence in (
        (lambda: float(array[0]), "reads a number"),
        (lambda: place.place(host), "a copy to the device"),
        (lambda: place.to_host(array), "reads a number"),
        (lambda: place.xp.stack([array]), "not known to be launches"),
    ):
        with pytest.raises(EmulatorError, match=sentence):
            place.kernels.backend.capture(wrong)


def test_a_run_repeats_bit_for_bit(data):
    one, other = (PKEF("official", emulated(), **SMALL).fit(data) for _ in range(2))
    for name, value in parameters(one).items():
        assert value.tobytes() == parameters(other)[name].tobytes(), name


@pytest.mark.parametrize("places", [("emulator", "cpu"), ("cpu", "emulator")], ids=str)
@pytest.mark.parametrize("stop_after", [3, 4])
def test_a_checkpoint_goes_on_elsewhere(data, tmp_path, places, stop_after):
    first, second = (emulated() if name == "emulator" else name for name in places)
    fields = {**SMALL, "precision": "float64"}
    asked = []

    def stop():
        asked.append(1)
        return len(asked) == stop_after

    PKEF("official", first, **fields).fit(data, out=tmp_path / "run", should_stop=stop)
    moved = PKEF("official", second, **fields).fit(data, out=tmp_path / "run", resume=True)
    assert moved.trainer.step == 6
    assert_alike(moved, PKEF("official", **fields).fit(data), "float64")
    loaded = PKEF.load(tmp_path / "run", first)
    np.testing.assert_array_equal(loaded.evaluate(data).ranks, moved.evaluate(data).ranks)


@pytest.mark.parametrize("more", [{}, OPTIONS], ids=["plain", "options"])
def test_a_stop_and_its_resumption_change_no_bit(data, tmp_path, more):
    fields = {**SMALL, **more}
    whole = PKEF("official", emulated(), **fields).fit(data)
    asked = []

    def stop():
        asked.append(1)
        return len(asked) == 4

    PKEF("official", emulated(), **fields).fit(data, out=tmp_path / "run", should_stop=stop)
    cut = PKEF("official", emulated(), **fields).fit(data, out=tmp_path / "run", resume=True)
    assert cut.history == whole.history
    for name, value in whole.model.stored().items():
        assert value.tobytes() == cut.model.stored()[name].tobytes(), name
    for name, value in parameters(whole).items():
        assert value.tobytes() == parameters(cut)[name].tobytes(), name


def test_a_loss_that_explodes_is_found_afterwards_with_its_step_and_tensor(data):
    messages = []
    for place in (emulated(), "cpu"):
        with pytest.raises(TrainingError) as error:
            PKEF("official", place, **SMALL, lr=1e30).fit(data)
        messages.append(str(error.value))
    assert messages[0] == messages[1]
    assert "step 1 (epoch 1): " in messages[0] and "is not finite" in messages[0]


def test_losses_are_read_every_so_often(data, monkeypatch):
    config = preset("official", NAMES).replaced(**{**SMALL, "batch_users": 4}).checked(NAMES)
    trainer = Trainer(Pkef(config, data, emulated()), data)
    monkeypatch.setattr("pkef_fast.train.trainer.READ_EVERY", 4)
    losses = [trainer.make_step() for _ in range(13)]
    there = [loss is not None for loss in losses]
    assert trainer.steps_per_epoch == 10
    assert [n for n, read in enumerate(there, 1) if read] == [4, 8, 10]
    assert len(trainer.step_seconds) == 10
    trainer.state()
    assert len(trainer.step_seconds) == 13


# ---- memory --------------------------------------------------------------------------------


def test_a_run_that_will_not_fit_says_so_before_it_starts(data):
    place = emulated()

    class Full:
        xp = place.xp

        def __getattr__(self, name):
            return getattr(place.kernels.backend, name)

        def memory(self):
            return 100 * 2**20, 200 * 2**20

    full = dataclasses.replace(place, kernels=dataclasses.replace(place.kernels, backend=Full()))
    PKEF("official", full, **{**SMALL, "epochs": 0}).fit(data)
    with pytest.raises(DeviceError, match=r"has 0\.1 of 0\.2 GiB free, and training on .* needs"):
        PKEF("official", full, **{**SMALL, "d": 100_000}).fit(data)


def test_the_estimate_is_near_what_a_step_takes():
    import tracemalloc

    big = generate(n_users=900, n_items=700, behaviors=NAMES, seed=1)
    config = preset("official", NAMES).replaced(d=32, batch_users=64).checked(NAMES)
    edges = [len(csr.indices) for csr in big.interactions]
    wanted = Pkef.bytes(config, Shape(big.n_users, big.n_items, edges))
    tracemalloc.start()
    try:
        trainer = Trainer(Pkef(config, big, device("reference")), big)
        trainer.gradients(trainer.next_batch())
        trainer.update()
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert 0.4 < wanted / peak < 2.5


def test_a_recorded_step_keeps_its_memory():
    """While the graph of one size of batch holds its arrays, another size runs by itself."""
    config = preset("official", NAMES).checked(NAMES)
    sizes = (1000, 800, (5000, 2000, 1000))
    one, two = (
        Pkef.bytes(config, Shape(*sizes, place.steps_held)) for place in _with_and_without()
    )
    assert one < two < 2 * one


def _with_and_without():
    backend = emulated().kernels.backend
    return [devices.on(backend, "emulator", capture=capture) for capture in (False, True)]


# ---- what is not there ---------------------------------------------------------------------


class Failing(Exception):
    pass


def test_what_a_device_reports_becomes_one_sentence():
    place = emulated()

    class Lost:
        xp = place.xp

        def __getattr__(self, name):
            return getattr(place.kernels.backend, name)

        def explain(self, error):
            return "CUDA lost it" if isinstance(error, Failing) else None

    lost = dataclasses.replace(place, kernels=dataclasses.replace(place.kernels, backend=Lost()))
    with pytest.raises(DeviceError, match="'emulator' cannot go on: CUDA lost it"), lost.active():
        raise Failing
    with pytest.raises(ZeroDivisionError), lost.active():
        raise ZeroDivisionError


@pytest.mark.parametrize(
    ("name", "message"),
    [("tpu", "device 'tpu' is unknown"), ("cuda:x", "is unknown"), ("cuda:99", "cannot be used")],
)
def test_unknown_and_absent_devices(name, message):
    with pytest.raises(DeviceError, match=message) as error:
        device(name)
    assert str(error.value).count("\n") == 0


def test_options_that_a_device_does_not_have(data):
    with pytest.raises(DeviceError, match="has no tensor_cores to choose"):
        device("cpu", tensor_cores=True)
    with pytest.raises(DeviceError, match=r"exactly or in bfloat16, not in float16; wanted"):
        PKEF("official", precision="fp16-gather", **SMALL).fit(data)
    old = Recorder()
    old.capability = 75
    with pytest.raises(DeviceError, match="no tensor cores for TF32"):
        devices.on(old, "old", tensor_cores=True)


@pytest.mark.parametrize(
    ("options", "fields", "sentence"),
    [
        ({}, {"precision": "bf16-gather", "d": 6}, "tables in bfloat16 need columns in fours"),
        (
            {"tensor_cores": True},
            {"precision": "float64", "fusion": "linear"},
            "products of float64 do not go to tensor cores",
        ),
    ],
)
def test_an_option_that_a_run_cannot_have_is_one_sentence(data, options, fields, sentence):
    place = devices.on(emulated().kernels.backend, "emulator", capture=False, **options)
    with pytest.raises(DeviceError, match=f"^device 'emulator': {sentence}"):
        PKEF("official", place, **{**SMALL, **fields}).fit(data)


def test_more_behaviors_than_a_gate_on_cuda_takes_are_one_sentence():
    names = tuple(f"b{k}" for k in range(9))
    many = generate(n_users=20, n_items=15, behaviors=names, seed=0)
    fields = {**SMALL, "layers": (1,) * 9}
    with pytest.raises(DeviceError, match="at most 8 behaviors, not 9; use the CPU"):
        PKEF("official", emulated(), **fields).fit(many)


def test_options_reach_the_kernels(data):
    """Tables in 16 bits and TF32 products train too, and not to the same bits."""
    fields = {**SMALL, "fusion": "linear", "epochs": 1}
    exact = PKEF("official", emulated(), **fields).fit(data)
    backend = emulated().kernels.backend
    for precision, tensor_cores in (
        ("bf16-gather", False),
        ("fp16-gather", False),
        ("float32", True),
    ):
        place = devices.on(backend, "emulator", capture=False, tensor_cores=tensor_cores)
        model = PKEF("official", place, precision=precision, **fields).fit(data)
        assert model.history[0]["loss"] == pytest.approx(exact.history[0]["loss"], rel=0.05)
        name = "user_embedding"
        assert parameters(model)[name].tobytes() != parameters(exact)[name].tobytes()


def test_narrow_gathers_of_a_config_reach_every_device(data):
    fields = {**SMALL, "epochs": 1}
    exact, *narrow = (
        PKEF("official", place, precision=precision, **fields).fit(data)
        for place, precision in (
            ("cpu", "float32"),
            ("cpu", "bf16-gather"),
            ("reference", "bf16-gather"),
            (emulated(), "bf16-gather"),
        )
    )
    name = "user_embedding"
    for model in narrow:
        assert model.history[0]["loss"] == pytest.approx(exact.history[0]["loss"], rel=0.05)
        assert parameters(model)[name].tobytes() != parameters(exact)[name].tobytes()


def test_the_package_needs_no_cupy():
    """Importing and training on the CPU import no CuPy, whether it is installed or not."""
    code = (
        "import sys; sys.modules['cupy'] = None\n"  # an import of it raises ImportError
        "import pkef_fast, pkef_fast.cli, pkef_fast.kernels.cuda.cupy_backend\n"
        "from pkef_fast.kernels.cuda import launchers; launchers()\n"
        "print(pkef_fast.preset('official', ('a', 'b', 'c')).d)"
    )
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert found.returncode == 0, found.stderr
    assert found.stdout == "64\n"


def test_evaluation_on_a_device_stores_nothing(data):
    model = PKEF("official", emulated(), **{**SMALL, "epochs": 1}).fit(data)
    before = autograd._count
    model.evaluate(data)
    assert autograd._count == before
