"""All forms of an operation have the same functions with the same parameters and defaults."""

from __future__ import annotations

import importlib
import inspect

import pytest
from recorder import Recorder

from pkef_fast.kernels import HOST_OPERATIONS, OPERATIONS, Unsupported, on

# What only a CUDA form has: steps of fixed shape, which a device replays.
REPLAYED = {
    "sample": {"advance", "draw_slots", "record", "take_users"},
    "bpr": {"bpr_slots", "hinge_slots", "softmax_slots"},
    "bce": {"bce_slots"},
    "adam": {"average_scheduled", "update_scheduled"},
}


def parameters(function) -> list:
    """[(name, default, kind)] in their order, without self."""
    found = inspect.signature(function).parameters.values()
    return [(one.name, one.default, one.kind) for one in found if one.name != "self"]


@pytest.mark.parametrize("operation", OPERATIONS)
def test_the_forms_agree(operation):
    reference, cpu, cuda = (
        importlib.import_module(f"pkef_fast.kernels.{operation}.{form}")
        for form in ("reference", "cpu", "cuda")
    )
    assert cpu.__all__ == reference.__all__
    assert set(cuda.Form.__all__) == set(reference.__all__) | REPLAYED.get(operation, set())
    for name in reference.__all__:
        wanted = parameters(getattr(reference, name))
        assert parameters(getattr(cpu, name)) == wanted, name
        assert parameters(getattr(cuda.Form, name)) == wanted, name


def test_every_extra_of_cuda_stands_in_the_contract():
    for operation, names in REPLAYED.items():
        contract = importlib.import_module(f"pkef_fast.kernels.{operation}").__doc__
        assert [name for name in names if f"{name}(" not in contract] == []


@pytest.mark.parametrize("operation", HOST_OPERATIONS)
def test_forms_of_host_operations_agree_and_cuda_says_that_it_has_none(operation):
    reference, cpu = (
        importlib.import_module(f"pkef_fast.kernels.{operation}.{form}")
        for form in ("reference", "cpu")
    )
    assert cpu.__all__ == reference.__all__
    for name in reference.__all__:
        assert parameters(getattr(cpu, name)) == parameters(getattr(reference, name)), name
    here = on(Recorder(), "recorder")
    with pytest.raises(Unsupported, match=f"'{operation}' has no CUDA form"):
        getattr(getattr(here, operation), reference.__all__[0])
