"""A shop so small that a run on it takes a moment, and the runs of all tables on it."""

from __future__ import annotations

import pytest

from pkef_fast.data import generate, load_dataset, save_native


@pytest.fixture(scope="session")
def folder(tmp_path_factory):
    """The shop on disk, to be read alone."""
    path = tmp_path_factory.mktemp("data") / "shop"
    save_native(generate(n_users=40, n_items=30, seed=5), path)
    return path


@pytest.fixture(scope="session")
def data(folder):
    return load_dataset(folder)
