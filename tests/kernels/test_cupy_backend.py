"""The backend of a real GPU, as far as it can be tested without one: a CuPy that says what it is
asked, and CuPy itself where it is installed."""

from __future__ import annotations

import importlib.machinery
import os
import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType, SimpleNamespace

import numpy as np
import pytest

from pkef_fast import DeviceError, kernels
from pkef_fast.device import device
from pkef_fast.kernels.cuda import Instance, Pointers, cupy_backend
from pkef_fast.kernels.cuda.cupy_backend import CupyBackend, _argument, import_cupy

# ---- arguments of a launch -------------------------------------------------------------------


class Array(np.ndarray):
    """Stands for CuPy's array type."""

    @property
    def data(self):
        return SimpleNamespace(ptr=self.ctypes.data)


@pytest.mark.parametrize("value", [1, 1.0, True, np.zeros(3), "x", np.complex64(1)])
def test_cupy_gets_no_argument_that_it_would_misread(value):
    with pytest.raises(TypeError, match="argument 2 is"):
        _argument(value, "kernel", 2, Array)


def test_cupy_gets_the_arguments_it_understands():
    array = np.zeros(3).view(Array)
    for value in (array, np.int32(1), np.float32(1), np.uint64(1), np.bool_(True)):
        assert _argument(value, "kernel", 0, Array) is value
    with pytest.raises(ValueError, match="not in C order"):
        _argument(np.zeros((3, 2)).T.view(Array), "kernel", 0, Array)


def test_nothing_goes_as_eight_bytes_of_zero():
    """Not as None, which CuPy before version 14 turns into no argument at all."""
    null = _argument(None, "kernel", 0, Array)
    assert isinstance(null, np.generic) and null.tobytes() == bytes(8)


def test_pointers_go_as_one_array_of_one_element():
    """That CuPy passes by value; the struct of common.cuh holds sixteen addresses."""
    arrays = [np.zeros(4, np.float32).view(Array) for _ in range(3)]
    table = _argument(Pointers(arrays), "kernel", 0, Array)
    assert table.size == 1 and table.nbytes == 16 * 8
    addresses = [array.ctypes.data for array in arrays]
    assert table.view(np.uint64).tolist() == [*addresses, *[0] * 13]


def test_cupy_itself_takes_these_arguments():
    """CuPy reads all arguments before it asks for a driver, and refuses those it does not know."""
    cupy = pytest.importorskip("cupy", reason="CuPy is not installed")
    if cupy.cuda.is_available():
        pytest.skip("there is a GPU, where the tests marked gpu launch kernels")
    function = cupy.cuda.function.Function.__new__(cupy.cuda.function.Function)
    empty = np.zeros(1, cupy_backend._POINTERS)
    for value in (None, np.int32(1), np.float64(1), np.bool_(True), np.uint64(1), empty):
        passed = value if value is empty else _argument(value, "kernel", 0, Array)
        with pytest.raises(cupy.cuda.runtime.CUDARuntimeError):
            function((1,), (1,), (passed,))
    assert cupy.ndarray.__weakrefoffset__  # plans are kept by weak references to patterns


# ---- a CuPy that is not one ----------------------------------------------------------------------


class CudaRuntimeError(RuntimeError):
    pass


class CompileException(Exception):
    pass


class OutOfMemoryError(MemoryError):
    pass


class FakeDevice:
    def __init__(self, capability):
        self.compute_capability = capability
        self.mem_info = (3 << 30, 8 << 30)

    def __enter__(self):
        return self

    def __exit__(self, *error):
        return None


def fake_cupy(count=1, capability="90", driver_error=None):
    """What of CuPy the backend asks for, on a machine with `count` GPUs."""
    said: list = []
    cupy = ModuleType("cupy")
    cupy.__spec__ = importlib.machinery.ModuleSpec("cupy", None)

    def count_gpus():
        if driver_error:
            raise CudaRuntimeError(driver_error)
        return count

    class Stream:
        def __init__(self, non_blocking):
            assert non_blocking  # the legacy default stream would break a capture
            said.append("new stream")

        def begin_capture(self):
            said.append("begin")

        def end_capture(self):
            said.append("end")
            if cupy.broken:
                raise CudaRuntimeError("the capture is broken")
            return SimpleNamespace(launch=lambda stream: said.append(("launch", stream)))

        def __enter__(self):
            said.append("enter")

        def __exit__(self, *error):
            said.append("leave")

    class MemoryPool:
        def __init__(self):
            said.append("new pool")

        malloc = "its malloc"

    @contextmanager
    def using_allocator(malloc):
        assert malloc == MemoryPool.malloc
        yield

    pool = SimpleNamespace(free_bytes=lambda: 1 << 30, free_all_blocks=lambda: said.append("free"))
    cupy.broken, cupy.said = False, said
    cupy.ndarray, cupy.asnumpy = Array, np.asarray
    cupy.get_default_memory_pool = lambda: pool
    cupy.cuda = SimpleNamespace(
        Device=lambda index: FakeDevice(capability),
        Stream=Stream,
        MemoryPool=MemoryPool,
        using_allocator=using_allocator,
        get_current_stream=lambda: "current",
        runtime=SimpleNamespace(getDeviceCount=count_gpus, CUDARuntimeError=CudaRuntimeError),
        driver=SimpleNamespace(CUDADriverError=CudaRuntimeError),
        memory=SimpleNamespace(OutOfMemoryError=OutOfMemoryError),
        compiler=SimpleNamespace(CompileException=CompileException),
    )
    return cupy


@pytest.fixture
def install(monkeypatch):
    """install(…): the machine's CuPy is this fake one."""

    def put(**what):
        cupy = fake_cupy(**what)
        monkeypatch.setitem(sys.modules, "cupy", cupy)
        monkeypatch.setattr(cupy_backend, "import_cupy", lambda: cupy)
        kernels.load.cache_clear()
        return cupy

    yield put
    kernels.load.cache_clear()


# ---- which GPU -----------------------------------------------------------------------------------


@pytest.mark.parametrize("name", [0, "0", "cuda:0", "auto"])
def test_the_first_gpu_has_these_names(install, name):
    install()
    assert device(name).name == "cuda:0"


def test_another_gpu_has_its_number(install):
    install(count=2)
    assert device("cuda:1").name == device(1).name == "cuda:1"


@pytest.mark.parametrize(
    ("machine", "sentence"),
    [
        ({"driver_error": "cudaErrorInsufficientDriver: too old\nmore"}, "no CUDA driver or no GPU "
         r"\(cudaErrorInsufficientDriver: too old\)"),
        ({"count": 0}, "cannot be used: there is no GPU"),
        ({"count": 2}, "the GPUs here have the numbers 0 to 1"),
        ({"count": 8, "capability": "70"}, r"its compute capability is 7\.0; wanted at least 7\.5"),
    ],
)  # fmt: skip
def test_a_gpu_that_cannot_be_used_is_one_sentence(install, machine, sentence):
    install(**machine)
    with pytest.raises(DeviceError, match=sentence) as error:
        device("cuda:5")
    assert str(error.value).endswith("; use --device cpu.")
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    "machine", [{"driver_error": "no driver"}, {"count": 0}, {"capability": "61"}], ids=str
)
def test_auto_is_the_cpu_where_no_gpu_can_be_used(install, machine):
    install(**machine)
    assert device("auto").name == "cpu"


@pytest.mark.parametrize(
    ("error", "sentence"),
    [
        (OutOfMemoryError("Out of memory allocating 9 bytes"), "its memory is full; a smaller d, "),
        (CudaRuntimeError("cudaErrorECCUncorrectable: bad\nmore"), r"CUDA lost it or a kernel "
         r"failed \(cudaErrorECCUncorrectable: bad\)"),
        (CompileException("kern.cu(1): error: no such\n\n1 error"), "its kernels do not compile "
         r"\(kern.cu\(1\): error: no such\)"),
        (RuntimeError('Failure finding "libnvrtc.so.12"'), "NVIDIA's compiler NVRTC is not "
         "installed"),
    ],
)  # fmt: skip
def test_what_goes_wrong_on_a_gpu_is_one_sentence(install, error, sentence):
    install()
    with (
        pytest.raises(DeviceError, match=f"^device 'cuda:0' cannot go on: {sentence}") as raised,
        device(0).active(),
    ):
        raise error
    text = str(raised.value)
    assert "\n" not in text and text.endswith(".")


def test_a_mistake_in_the_program_keeps_its_own_words(install):
    install()
    with pytest.raises(RuntimeError, match="a mistake"), device(0).active():
        raise RuntimeError("a mistake")


def test_free_memory_counts_what_cupy_holds_and_does_not_use(install):
    install()
    place = device(0)
    assert place.kernels.backend.memory() == (4 << 30, 8 << 30)
    place.expect_memory(4 << 30, "this")
    with pytest.raises(DeviceError, match=r"4\.0 of 8\.0 GiB free, and this needs about 5\.0 GiB"):
        place.expect_memory(5 << 30, "this")


# ---- captures ------------------------------------------------------------------------------------


def test_graphs_share_a_stream_and_a_pool(install):
    cupy = install()
    backend = CupyBackend()
    first, second = (backend.capture(lambda: "kept") for _ in range(2))
    made = ["free", "new stream", "new pool", "enter", "begin", "end", "leave"]
    assert cupy.said == [*made, "free", *made[3:]]
    first()
    second()
    assert cupy.said[-2:] == [("launch", "current")] * 2
    assert first.kept == "kept"


@pytest.mark.parametrize("broken", [False, True])
def test_an_error_in_a_capture_is_not_hidden_by_its_end(install, broken):
    cupy = install()
    cupy.broken = broken
    with pytest.raises(OutOfMemoryError):
        CupyBackend().capture(lambda: (_ for _ in ()).throw(OutOfMemoryError))
    assert cupy.said[-2:] == ["end", "leave"]


# ---- modules and launches ------------------------------------------------------------------------


class RawModule:
    """Notes what CuPy would compile and launch."""

    def __init__(self, code, options, name_expressions):
        self.code, self.options, self.names = code, options, name_expressions
        self.launches, self.functions = [], []

    def get_function(self, name):
        def function(grid, block, args, shared_mem):
            self.launches.append((name, grid, block, args, shared_mem))

        self.functions.append(function)
        return function


def test_launches_reach_cupy_as_they_should(install, tmp_path):
    cupy = install()
    cupy.RawModule = RawModule
    source = tmp_path / "f.cu"
    (tmp_path / "common.cuh").write_text("int shared_by_all;\n", encoding="utf-8")
    source.write_text('#include "common.cuh"\n', encoding="utf-8")
    small, large = Instance("f<1>", 32), Instance("f<2>", 32, shared=64 * 1024)
    module = CupyBackend().module(source, (small, large))
    inner = module._module
    assert "int shared_by_all;" in inner.code  # CuPy's cache does not look at included files
    assert inner.options == ("-std=c++17",) and inner.names == ["f<1>", "f<2>"]

    module("f<1>")((0, 3), (32,), ())
    assert inner.launches == []  # CuPy would launch a grid of 1
    module("f<1>")((4,), (32,), (np.int32(7),))
    assert inner.launches == [("f<1>", (4,), (32,), (np.int32(7),), 0)]
    module("f<2>")((1,), (32,), (), shared_mem=50_000)
    assert inner.functions[1].max_dynamic_shared_size_bytes == 64 * 1024
    assert not hasattr(inner.functions[0], "max_dynamic_shared_size_bytes")
    with pytest.raises(ValueError, match="exceeds its 32 threads"):
        module("f<1>")((1,), (64,), ())


# ---- importing -----------------------------------------------------------------------------------


@pytest.mark.parametrize("writable", [True, False])
def test_cupy_is_given_a_cache_where_the_home_has_none(tmp_path, monkeypatch, writable):
    home = tmp_path / "home"
    if not writable:
        home.write_text("no folder: nothing can be made in it, not even by root", encoding="utf-8")
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.setenv("CUPY_CACHE_DIR", "")
    monkeypatch.delenv("CUPY_CACHE_DIR")
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    monkeypatch.setitem(sys.modules, "cupy", ModuleType("cupy"))
    import_cupy.__wrapped__()
    assert ("CUPY_CACHE_DIR" in os.environ) != writable


WITHOUT_A_DRIVER = """
class cuda:
    class runtime:
        @staticmethod
        def getDeviceCount():
            raise RuntimeError("cudaErrorInsufficientDriver: the driver is missing")
"""


def test_with_cupy_but_no_driver_all_of_the_cpu_works(tmp_path):
    """In a process of its own, whose CuPy imports and finds no driver."""
    (tmp_path / "cupy").mkdir()
    (tmp_path / "cupy" / "__init__.py").write_text(WITHOUT_A_DRIVER, encoding="utf-8")
    code = (
        "import numpy as np, pkef_fast\n"
        "from pkef_fast.data import generate\n"
        "data = generate(n_users=30, n_items=20, behaviors=('view', 'buy'), seed=0)\n"
        "for place in ('cpu', 'auto', 'reference'):\n"
        "    model = pkef_fast.PKEF('official', place, epochs=1, d=4, layers=(1, 1)).fit(data)\n"
        "    print(model.device.name, len(model.recommend([0], 2)[0]), len(model.evaluate(data)))\n"
        "try:\n"
        "    pkef_fast.PKEF('official', 0)\n"
        "except pkef_fast.DeviceError as error:\n"
        "    print(error)\n"
    )
    path = os.pathsep.join([str(tmp_path), *filter(None, [os.environ.get("PYTHONPATH")])])
    done = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": path},
        cwd=Path(__file__).parents[2],
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines() == [
        "cpu 2 3",
        "cpu 2 3",
        "reference 2 3",
        "device 'cuda:0' cannot be used: CuPy finds no CUDA driver or no GPU "
        "(cudaErrorInsufficientDriver: the driver is missing); use --device cpu.",
    ]
