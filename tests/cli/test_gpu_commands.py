"""The commands on a GPU that is the recording emulator: `--device 0` from the command line down."""

from __future__ import annotations

import json

import pytest
from click.testing import CliRunner
from recorder import Recorder

from pkef_fast import kernels
from pkef_fast.cli import main
from pkef_fast.data import generate, save_native

pytestmark = pytest.mark.emulator

SMALL = ("--set", "d=4", "--set", "layers=1,1,1", "--set", "batch_users=8", "--epochs", "2")


class Gpu(Recorder):
    """Notes which kernels were launched."""

    def __init__(self):
        super().__init__()
        self.names: set[str] = set()

    def module(self, source, instances):
        module = super().module(source, instances)

        def of(name):
            self.names.add(name)
            return module(name)

        return of


@pytest.fixture
def gpu(monkeypatch):
    """The machine's first GPU."""
    backend, load = Gpu(), kernels.load

    def loaded(name):
        return kernels.on(backend, name) if name == "cuda:0" else load(name)

    monkeypatch.setattr(kernels, "load", loaded)
    monkeypatch.setattr("pkef_fast.train.fit.warm_up", lambda *args: None)
    return backend


@pytest.fixture(scope="module")
def shop(tmp_path_factory):
    folder = tmp_path_factory.mktemp("data") / "shop"
    data = generate(n_users=16, n_items=12, behaviors=("view", "cart", "buy"), seed=3)
    save_native(data, folder)
    return folder


def call(*args, code=0):
    result = CliRunner().invoke(main, [str(arg) for arg in args], catch_exceptions=False)
    assert result.exit_code == code, result.output
    return result


def train(shop, out, *options, code=0):
    return call("train", "--dataset", shop, "--out", out, *SMALL, "--json", *options, code=code)


@pytest.mark.parametrize("name", ["0", "cuda:0", "auto"])
def test_a_run_on_the_gpu_goes_on_on_the_cpu_and_back(gpu, shop, tmp_path, name):
    out = tmp_path / "run"
    found = json.loads(train(shop, out, "--device", name).stdout.splitlines()[-1])
    assert found["device"] == "cuda:0"
    assert gpu.captures > 0
    if name != "0":
        return
    for device, epochs in (("cpu", 3), ("0", 4)):
        more = call("train", "--resume", out, "--epochs", epochs, "--device", device, "--json")
        assert json.loads(more.stdout.splitlines()[-1])["epochs"] == epochs
    shown = [call("evaluate", out, "--device", one).stdout for one in ("0", "cpu")]
    assert "HR@10" in shown[0]
    listed = [call("recommend", out, "--user", 3, "--device", one).stdout for one in ("0", "cpu")]
    assert listed[0].count("\n") == listed[1].count("\n") > 3


def test_options_of_a_gpu_reach_its_kernels(gpu, shop, tmp_path):
    train(shop, tmp_path / "exact", "--device", "0", "--no-capture")
    assert gpu.captures == 0
    assert not any("Bf16" in name or "Half" in name or "tf32" in name for name in gpu.names)
    for precision, stored in (("bf16-gather", "Bf16"), ("fp16-gather", "Half")):
        out = tmp_path / precision
        train(shop, out, "--device", "0", "--precision", precision)
        assert f"narrow<{stored}>" in gpu.names
        gpu.names.clear()
        call("train", "--resume", out, "--epochs", 3, "--device", "0")  # the run keeps it
        assert f"narrow<{stored}>" in gpu.names
    train(shop, tmp_path / "tf32", "--device", "0", "--tensor-cores", "--set", "fusion=linear")
    assert any(name.startswith("product_tf32") for name in gpu.names)


def test_options_of_a_gpu_are_refused_on_the_cpu(shop, tmp_path):
    for option, sentence in (
        (("--precision", "fp16-gather"), "exactly or in bfloat16, not in float16"),
        (("--tensor-cores",), "device 'cpu' has no tensor_cores to choose; CUDA has."),
    ):
        result = train(shop, tmp_path / "run", "--device", "cpu", *option, code=2)
        assert sentence in result.stderr
        assert not (tmp_path / "run").exists()


def test_a_full_memory_is_one_sentence_and_nothing_is_written(gpu, shop, tmp_path):
    gpu.memory = lambda: (10_000, 2**30)
    result = train(shop, tmp_path / "run", "--device", "0", code=2)
    assert "Error: device 'cuda:0' has 0.0 of 1.0 GiB free, and training on" in result.stderr
    assert not (tmp_path / "run").exists()
