"""Data for the benchmarks: `demo` always, Taobao where the real data lies beside the checkout."""

from __future__ import annotations

from pathlib import Path

import pytest

from pkef_fast import load_dataset

DATA = Path(__file__).parent.parent.parent / "shared" / "data"


def _names():
    return ["demo", "taobao"] if (DATA / "taobao").is_dir() else ["demo"]


@pytest.fixture(scope="session", params=_names())
def dataset(request):
    """Each data set that is there."""
    if request.param == "demo":
        return load_dataset("demo")
    return load_dataset(request.param, data_dir=DATA)
