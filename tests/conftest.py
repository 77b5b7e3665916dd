"""Options and helpers of the whole test suite."""

from __future__ import annotations

import functools
from pathlib import Path

import background
import pytest

TESTS = Path(__file__).parent


def pytest_addoption(parser):
    """`--fixtures DIR`; pytest's own flag of that name, a listing, stays as `--funcargs`."""
    group = parser.getgroup("replay")
    if hasattr(group, "_arggroup"):  # pytest ≥ 9.1 hands options to argparse at once
        group._arggroup.conflict_handler = "resolve"
    else:  # before, groups kept them until the command line was parsed
        for other in [parser._anonymous, *parser._groups]:
            other.options = [one for one in other.options if "--fixtures" not in one.names()]
    group.addoption(
        "--device",
        dest="fixture_device",
        metavar="NAME",
        help="device to replay fixtures on: reference, cpu, emulator, cuda:0 … "
        "(default: reference, cpu and emulator)",
    )
    group.addoption(
        "--fixtures",
        dest="fixture_folder",
        metavar="DIR",
        default=str(TESTS / "fixtures"),
        help="folder with release_*.npz and exact_*.npz files to replay (default: tests/fixtures)",
    )


def pytest_configure(config):
    config.addinivalue_line(
        "markers", "late(work): runs after all others; tests/background.py says why"
    )


def pytest_collection_modifyitems(items):
    items.sort(key=lambda item: item.get_closest_marker("late") is not None)


def pytest_collection_finish(session):
    """Start what the late tests will ask for, and compile what the emulator will run."""
    if session.config.option.collectonly:
        return
    if any(item.get_closest_marker("emulator") for item in session.items):
        background.begin(emulator_libraries)
    markers = (item.get_closest_marker("late") for item in session.items)
    for work in dict.fromkeys(marker.kwargs["work"] for marker in markers if marker):
        background.begin(work)


def emulator_libraries() -> None:
    from cuda_emulator.build import kernel_library
    from pkef_fast.kernels.cuda import launchers

    for one in launchers().values():
        kernel_library(one.SOURCE, one.INSTANCES, "undefined", portable=False)


def pytest_sessionfinish():
    background.stop()


@pytest.fixture(scope="session")
def real_data() -> Path:
    """The folder of real data beside the checkout; tests that need it skip where it is absent."""
    folder = TESTS.parent.parent / "shared" / "data"
    if not folder.is_dir():
        pytest.skip(f"real data is not at {folder}")
    return folder


@functools.cache
def cuda_backend(name: str):
    """The emulator, or the GPU of this machine; skips aloud where there is none."""
    if name == "emulator":
        from cuda_emulator import EmulatorBackend

        return EmulatorBackend()
    try:
        from pkef_fast.kernels.cuda.cupy_backend import CupyBackend, import_cupy

        available = import_cupy().cuda.is_available()
    except ImportError as error:
        pytest.skip(f"no GPU test: {error}")
    if not available:
        pytest.skip("no GPU test: CuPy finds no CUDA driver or no GPU")
    return CupyBackend()


@pytest.fixture(
    params=[
        pytest.param("emulator", marks=pytest.mark.emulator),
        pytest.param("gpu", marks=pytest.mark.gpu),
    ]
)
def backend(request):
    """What CUDA launchers run on: `Form(backend)` of an operation's `cuda.py`."""
    return cuda_backend(request.param)
