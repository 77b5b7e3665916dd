"""train/trackers.py: each tracker is told every record once, also by a run that goes on."""

from __future__ import annotations

import csv
import json
import struct
import sys
import types

import pytest

from pkef_fast import InputError
from pkef_fast.train.trackers import TRACKERS, closing, trackers

HISTORY = [
    {"epoch": 1, "step": 4, "loss": 2.5},
    {"epoch": 2, "step": 8, "loss": 1.5, "HR@10": 0.25, "ties": 0},
    {"epoch": 3, "step": 12, "loss": float("inf")},
]


class Config:
    def as_dict(self):
        return {"d": 8, "layers": (4, 1, 1)}


class Data:
    name = "shop"

    def fingerprint(self):
        return "f" * 64


class FakeFit:
    """A fit of three epochs of which some are made; what trackers look at."""

    config, data = Config(), Data()

    def __init__(self, history=()):
        self.history = list(history)
        self.settings = {"model": "pkef", "leave_out": None}

    @property
    def finished(self):
        return len(self.history) == len(HISTORY)


def told(names, run, made, upto):
    """Trackers of a fit that goes on after `made` epochs and ends after `upto`."""
    fit = FakeFit(HISTORY[:made])
    found = trackers(names, run)
    with closing(found):
        for one in found:
            one.started(fit)
        for record in HISTORY[made:upto]:
            fit.history.append(record)
            for one in found:
                one.finished_epoch(fit, record)
    return found


def test_csv_has_a_row_an_epoch_and_a_column_for_what_any_has(tmp_path):
    told(["csv", "csv"], tmp_path, 0, 2)
    with open(tmp_path / "metrics.csv", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert rows == [
        {"epoch": "1", "step": "4", "loss": "2.5", "HR@10": "", "ties": ""},
        {"epoch": "2", "step": "8", "loss": "1.5", "HR@10": "0.25", "ties": "0"},
    ]


def test_csv_of_a_run_that_went_back_and_on_has_each_epoch_once(tmp_path):
    told(["csv"], tmp_path, 0, 2)
    told(["csv"], tmp_path, 1, 3)  # killed after its checkpoint of epoch 1
    with open(tmp_path / "metrics.csv", encoding="utf-8") as file:
        assert [row["epoch"] for row in csv.DictReader(file)] == ["1", "2", "3"]


def test_a_fit_without_epochs_is_told_its_record_at_the_end(tmp_path):
    """A model without steps records its figures and calls no `finished_epoch`."""
    (one,) = trackers(["csv"], tmp_path)
    fit = FakeFit()
    with closing([one]):
        one.started(fit)
        fit.history.append({"epoch": 0, "step": 0, "HR@10": 0.5})
    assert (tmp_path / "metrics.csv").read_text(encoding="utf-8") == "epoch,step,HR@10\n0,0,0.5\n"


@pytest.mark.parametrize("name", [name for name in TRACKERS if name != "csv"])
def test_a_missing_package_is_one_sentence_that_names_the_extra(name, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, TRACKERS[name].module, None)
    with pytest.raises(InputError) as error:
        trackers(["csv", name], tmp_path)
    assert f"pip install 'pkef-fast[{name}]'" in str(error.value)
    assert f"--log {name} needs" in str(error.value)
    assert list(tmp_path.iterdir()) == []


def test_an_unknown_tracker_is_refused(tmp_path):
    with pytest.raises(InputError, match="'tensorbord' is unknown; did you mean 'tensorboard'"):
        trackers(["tensorbord"], tmp_path)


def test_a_tracker_that_fails_ends_no_training(tmp_path, monkeypatch):
    calls = []

    def tell(self, record):
        calls.append(record["epoch"])
        raise OSError("no space")

    monkeypatch.setattr(TRACKERS["csv"], "tell", tell)
    with pytest.warns(UserWarning, match=r"csv failed and is told no more \(OSError: no space\)"):
        told(["csv"], tmp_path, 0, 3)
    assert calls == [1]


# ---- the calls that other programs get -----------------------------------------------------------


class Calls(list):
    """A module whose functions and objects note what they are called with."""

    def note(self, name, result=None):
        def call(*args, **kwargs):
            self.append((name, args, kwargs))
            return result

        return call

    def named(self, name):
        return [(args, kwargs) for one, args, kwargs in self if one == name]


@pytest.fixture
def fake_tensorboard(monkeypatch):
    calls = Calls()
    writer = types.SimpleNamespace(
        add_scalar=calls.note("add_scalar"), flush=calls.note("flush"), close=calls.note("close")
    )
    module = types.SimpleNamespace(SummaryWriter=calls.note("SummaryWriter", writer))
    monkeypatch.setitem(sys.modules, "tensorboardX", module)
    return calls


def test_tensorboard_is_told_finite_numbers_by_epoch(fake_tensorboard, tmp_path):
    told(["tensorboard"], tmp_path, 0, 3)
    ((args, options),) = fake_tensorboard.named("SummaryWriter")
    assert (args, options) == ((str(tmp_path / "tensorboard"),), {"purge_step": 0})
    points = [args for args, _ in fake_tensorboard.named("add_scalar")]
    assert ("HR_at_10", 0.25, 2) in points
    assert ("loss", 2.5, 1) in points
    assert not [one for one in points if one[0] == "epoch" or one[1:] == (float("inf"), 3)]
    assert len(fake_tensorboard.named("flush")) == 3
    assert len(fake_tensorboard.named("close")) == 1


@pytest.fixture
def fake_mlflow(monkeypatch):
    calls = Calls()

    class Client:
        """A server that keeps metrics."""

        metrics = {}  # noqa: RUF012
        params = []  # noqa: RUF012

        def __init__(self, tracking_uri):
            calls.append(("uri", tracking_uri, {}))

        def __getattr__(self, name):
            return calls.note(name)

        def get_experiment_by_name(self, name):
            return None

        def create_run(self, experiment, run_name):
            calls.append(("create_run", run_name, {}))
            return types.SimpleNamespace(info=types.SimpleNamespace(run_id="id"))

        def log_batch(self, run, metrics=(), params=()):
            self.params.extend(params)
            for key, value, _, step in metrics:
                self.metrics.setdefault((run, key), []).append((step, value))

        def get_metric_history(self, run, key):
            return [types.SimpleNamespace(step=s) for s, _ in self.metrics.get((run, key), [])]

    entities = types.SimpleNamespace(Metric=lambda *one: one, Param=lambda *one: one)
    module = types.SimpleNamespace(MlflowClient=Client, entities=entities)
    monkeypatch.setitem(sys.modules, "mlflow", module)
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    calls.metrics, calls.params = Client.metrics, Client.params
    return calls


def test_mlflow_is_told_each_epoch_once_in_one_run(fake_mlflow, tmp_path):
    told(["mlflow"], tmp_path, 0, 2)
    told(["mlflow"], tmp_path, 1, 3)
    assert [one for one in fake_mlflow if one[0] == "create_run"] == [
        ("create_run", tmp_path.name, {})
    ]
    assert fake_mlflow.metrics["id", "step"] == [(1, 4), (2, 8), (3, 12)]
    assert fake_mlflow.metrics["id", "loss"] == [(1, 2.5), (2, 1.5)]
    assert fake_mlflow.metrics["id", "HR_at_10"] == [(2, 0.25)]
    assert dict(fake_mlflow.params) == {
        "d": "8",
        "layers": "(4, 1, 1)",
        "run.model": "pkef",
        "data.name": "shop",
        "data.fingerprint": "f" * 64,
    }
    ended = [args for args, _ in fake_mlflow.named("set_terminated")]
    assert ended == [("id", "KILLED"), ("id", "FINISHED")]


def test_mlflow_writes_into_the_run_unless_the_environment_names_a_server(
    fake_mlflow, tmp_path, monkeypatch
):
    told(["mlflow"], tmp_path, 0, 1)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://127.0.0.1:5000")
    told(["mlflow"], tmp_path, 1, 2)
    places = [one[1] for one in fake_mlflow if one[0] == "uri"]
    assert places == [f"sqlite:///{tmp_path}/mlflow/mlflow.db", "http://127.0.0.1:5000"]


def test_a_tracker_that_cannot_begin_is_one_sentence(fake_mlflow, tmp_path):
    (tmp_path / "mlflow").write_text("a file", encoding="utf-8")
    with pytest.raises(InputError, match=r"--log mlflow cannot write: FileExistsError"):
        told(["mlflow"], tmp_path, 0, 1)


@pytest.fixture
def fake_wandb(monkeypatch):
    calls = Calls()
    run = types.SimpleNamespace(log=calls.note("log"), finish=calls.note("finish"))
    module = types.SimpleNamespace(init=calls.note("init", run), Settings=dict)
    monkeypatch.setitem(sys.modules, "wandb", module)
    for name in ("WANDB_MODE", "WANDB_API_KEY"):
        monkeypatch.delenv(name, raising=False)
    return calls


def test_wandb_is_offline_and_told_each_epoch_once_in_one_run(fake_wandb, tmp_path):
    told(["wandb"], tmp_path, 0, 2)
    told(["wandb"], tmp_path, 1, 3)
    first, second = (options for _, options in fake_wandb.named("init"))
    assert first["id"] == second["id"]
    assert (first["mode"], first["dir"]) == ("offline", str(tmp_path))
    logged = [(options["step"], args[0]["step"]) for args, options in fake_wandb.named("log")]
    assert logged == [(1, 4), (2, 8), (3, 12)]
    ended = [options["exit_code"] for _, options in fake_wandb.named("finish")]
    assert ended == [1, 0]


@pytest.mark.parametrize("name", ["WANDB_MODE", "WANDB_API_KEY"])
def test_wandbs_own_environment_decides_where_it_is_set(name, fake_wandb, tmp_path, monkeypatch):
    monkeypatch.setenv(name, "online")
    told(["wandb"], tmp_path, 0, 1)
    assert fake_wandb.named("init")[0][1]["mode"] is None


# ---- the programs themselves ---------------------------------------------------------------------


def scalars(folder, event):
    """{name: {epoch: value}} of event files as TensorBoard reads them: a start purges what was."""
    found = {}
    for path in sorted(folder.iterdir()):
        data = path.read_bytes()
        while data:
            (size,) = struct.unpack("<Q", data[:8])
            one, data = event.FromString(data[12 : 12 + size]), data[16 + size :]
            if one.HasField("session_log"):
                found = {
                    name: {step: v for step, v in points.items() if step < one.step}
                    for name, points in found.items()
                }
            for value in one.summary.value:
                points = found.setdefault(value.tag, {})
                assert one.step not in points, "a doubled point"
                points[one.step] = value.simple_value
    return found


def test_tensorboards_files_hold_each_point_once(tmp_path):
    pytest.importorskip("tensorboardX", reason="extra tensorboard is not installed")
    from tensorboardX.proto.event_pb2 import Event

    told(["tensorboard"], tmp_path, 0, 2)
    told(["tensorboard"], tmp_path, 1, 3)
    found = scalars(tmp_path / "tensorboard", Event)
    assert found["step"] == {1: 4, 2: 8, 3: 12}
    assert found["loss"] == {1: 2.5, 2: 1.5}
    assert found["HR_at_10"] == {2: 0.25}


def test_mlflows_database_holds_each_point_once(tmp_path, monkeypatch):
    mlflow = pytest.importorskip("mlflow", reason="extra mlflow is not installed")
    pytest.importorskip("alembic", reason="extra mlflow is not installed")
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    told(["mlflow"], tmp_path, 0, 2)
    told(["mlflow"], tmp_path, 1, 3)
    client = mlflow.MlflowClient(tracking_uri=f"sqlite:///{tmp_path}/mlflow/mlflow.db")
    number = json.loads((tmp_path / "mlflow/run.json").read_text(encoding="utf-8"))["id"]
    history = client.get_metric_history(number, "loss")
    assert [(one.step, one.value) for one in history] == [(1, 2.5), (2, 1.5)]
    run = client.get_run(number)
    assert run.info.status == "FINISHED"
    assert run.data.params["data.name"] == "shop"


def test_wandb_writes_an_offline_run(tmp_path, monkeypatch):
    pytest.importorskip("wandb", reason="extra wandb is not installed")
    for name in ("WANDB_MODE", "WANDB_API_KEY"):
        monkeypatch.delenv(name, raising=False)
    told(["wandb"], tmp_path, 0, 2)
    known = json.loads((tmp_path / "wandb/run.json").read_text(encoding="utf-8"))
    assert known["epoch"] == 2
    assert len(list((tmp_path / "wandb").glob(f"offline-run-*-{known['id']}"))) == 1
