"""A data set and runs on it that the tests of all commands read."""

from __future__ import annotations

import pytest
from commands import QUICK, call

from pkef_fast.data import generate, save_native


@pytest.fixture(scope="session")
def shop(tmp_path_factory):
    """A small data set on disk, to be read alone."""
    folder = tmp_path_factory.mktemp("data") / "shop"
    save_native(generate(n_users=50, n_items=40, seed=3), folder)
    return folder


@pytest.fixture(scope="session")
def run(shop, tmp_path_factory):
    """A finished run on it, to be read alone."""
    folder = tmp_path_factory.mktemp("runs") / "run"
    call("train", "--dataset", shop, "--out", folder, *QUICK)
    return folder


@pytest.fixture(scope="session")
def graph_run(shop, tmp_path_factory):
    """A run of graph-rank, to be read alone."""
    folder = tmp_path_factory.mktemp("runs") / "graph"
    call("train", "--dataset", shop, "--out", folder, "--model", "graph-rank")
    return folder
