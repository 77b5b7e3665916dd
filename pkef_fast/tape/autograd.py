"""The tape: operations are recorded as they run, and played backwards for the gradients.

An `Op` is a pair of pure functions over arrays:

    forward(kernels, *inputs, **settings)      → (output or tuple of outputs, saved)
    adjoint(kernels, saved, needs, *d_outputs) → one gradient an input, None for zero

`saved` is whatever the adjoint needs, as an explicit tuple; `needs[i]` says whether anybody reads
the gradient of input i; a d_output is None where nothing came back. Neither function changes its
inputs. Under `no_grad` nothing is recorded, `saved` is dropped at once, and forward functions are
told so by `keep=False` among their settings where they take it.
"""

from __future__ import annotations

import heapq
import inspect
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from numbers import Real

from ..device import Device

_recording = True


@contextmanager
def no_grad() -> Iterator[None]:
    """Run operations without recording them."""
    global _recording
    before, _recording = _recording, False
    try:
        yield
    finally:
        _recording = before


class Tensor:
    """An array on a device, and after `backward` its gradient.

    Attributes
    ----------
    data : array, F
    device : Device
    requires_grad : bool
        Whether `backward` shall reach it.
    grad : array like data, or None
        Set by `backward` on leaves (tensors that no operation made); None: no term reads it.

    Tensors of one shape are added, subtracted and multiplied entry by entry by `a + b`, `a - b` and
    `a * b`; `2 * a`, `a * 2` and `-a` scale. All are operations of the tape.
    """

    __array_ufunc__ = None  # an array of NumPy on the left leaves the operation to the tensor
    __slots__ = ("data", "device", "grad", "index", "record", "requires_grad")

    def __init__(self, data, device: Device, requires_grad: bool = False):
        self.data = data
        self.device = device
        self.requires_grad = requires_grad
        self.grad = None
        self.record: _Record | None = None  # the step that made it; None for a leaf
        self.index = 0  # which of that step's outputs it is

    @property
    def shape(self):
        return self.data.shape

    @property
    def dtype(self):
        return self.data.dtype

    def __add__(self, other):
        return add(self, other) if isinstance(other, Tensor) else NotImplemented

    def __sub__(self, other):
        return add(self, -other) if isinstance(other, Tensor) else NotImplemented

    def __neg__(self):
        return scale(self, factor=-1)

    def __mul__(self, other):
        if isinstance(other, Tensor):
            return multiply(self, other)
        return scale(self, factor=other) if isinstance(other, Real) else NotImplemented

    __rmul__ = __mul__

    def __repr__(self):
        return f"Tensor({self.shape}, {self.dtype}, {self.device.name})"


@dataclass(eq=False)
class _Record:
    """One step of the tape."""

    number: int  # rising in the order of execution
    op: Op
    inputs: tuple[Tensor, ...]
    saved: tuple
    d_outputs: list = field(default_factory=list)

    def __lt__(self, other):  # heapq: the latest first
        return self.number > other.number


_count = 0


@dataclass(frozen=True)
class Op:
    """A differentiable operation, called with tensors and settings."""

    name: str
    forward: Callable
    adjoint: Callable

    @cached_property
    def asks_to_keep(self) -> bool:
        """Whether the forward wants to know if what it saves will be read."""
        return "keep" in inspect.signature(self.forward).parameters

    def __call__(self, *inputs: Tensor, **settings):
        global _count
        device = self._check(inputs)
        record_it = _recording and any(tensor.requires_grad for tensor in inputs)
        if self.asks_to_keep:
            settings["keep"] = record_it
        arrays = [tensor.data for tensor in inputs]
        outputs, saved = self.forward(device.kernels, *arrays, **settings)
        single = not isinstance(outputs, tuple)
        tensors = [Tensor(out, device) for out in ((outputs,) if single else outputs)]
        if record_it:
            _count += 1
            record = _Record(_count, self, inputs, saved, [None] * len(tensors))
            for index, tensor in enumerate(tensors):
                tensor.requires_grad, tensor.record, tensor.index = True, record, index
        return tensors[0] if single else tuple(tensors)

    def _check(self, inputs) -> Device:
        for position, tensor in enumerate(inputs):
            if not isinstance(tensor, Tensor):
                raise TypeError(
                    f"{self.name}: input {position} is a {type(tensor).__name__}, not a Tensor; "
                    "wrap arrays as Tensor(array, device)"
                )
        first = inputs[0]
        for position, tensor in enumerate(inputs):
            if tensor.device is not first.device and tensor.device != first.device:
                raise ValueError(
                    f"{self.name}: input {position} is on {tensor.device.name}, "
                    f"input 0 on {first.device.name}; all must be on one device"
                )
            if tensor.dtype.kind != "f":
                raise TypeError(f"{self.name}: input {position} is {tensor.dtype}, not a float")
            if tensor.data.ndim and first.data.ndim and tensor.dtype != first.dtype:
                raise TypeError(
                    f"{self.name}: input {position} is {tensor.dtype}, input 0 {first.dtype}; "
                    "all must be of one dtype"
                )
        return first.device


def expect(condition: bool, op: str, sentence: str) -> None:
    """Raise ValueError("op: sentence") unless `condition`: shape checks of operations."""
    if not condition:
        raise ValueError(f"{op}: {sentence}")


def _sum(kernels, a, b):
    return b if a is None else kernels.linear.total(a, b)


def backward(loss: Tensor) -> None:
    """Play the tape backwards from a scalar: every leaf that it reads gets its `grad`.

    Gradients of an earlier call are replaced, not added to. The tape is used up: what the steps
    saved is let go of as they are played.
    """
    expect(loss.data.ndim == 0, "backward", f"the loss has shape {loss.shape}, not ()")
    if loss.record is None:
        raise ValueError("backward: the loss was not recorded; was it computed under no_grad?")
    loss.record.d_outputs[loss.index] = loss.device.xp.ones_like(loss.data)
    todo, seen, leaves = [loss.record], {id(loss.record)}, set()
    while todo:
        record = heapq.heappop(todo)
        needs = tuple(tensor.requires_grad for tensor in record.inputs)
        kernels = record.inputs[0].device.kernels
        gradients = record.op.adjoint(kernels, record.saved, needs, *record.d_outputs)
        record.saved = record.d_outputs = None
        for tensor, gradient in zip(record.inputs, gradients, strict=True):
            if gradient is None or not tensor.requires_grad:
                continue
            expect(
                gradient.shape == tensor.shape,
                record.op.name,
                f"the adjoint gave {gradient.shape} for an input of shape {tensor.shape}",
            )
            if tensor.record is None:
                before = tensor.grad if tensor in leaves else None
                tensor.grad = _sum(kernels, before, gradient)
                leaves.add(tensor)
                continue
            made_by = tensor.record
            before = made_by.d_outputs[tensor.index]
            made_by.d_outputs[tensor.index] = _sum(kernels, before, gradient)
            if id(made_by) not in seen:
                seen.add(id(made_by))
                heapq.heappush(todo, made_by)


# ---- arithmetic: what `+`, `-` and `*` of tensors record -------------------------------------


def _add(kernels, a, b):
    expect(a.shape == b.shape, "add", f"shapes {a.shape} and {b.shape} differ")
    return kernels.linear.total(a, b), ()


def _add_adjoint(kernels, saved, needs, d_out):
    return d_out, d_out


add = Op("add", _add, _add_adjoint)


def _scale(kernels, a, *, factor):
    return _product(kernels, a, a.dtype.type(factor)), (factor,)


def _scale_adjoint(kernels, saved, needs, d_out):
    (factor,) = saved
    return (_product(kernels, d_out, d_out.dtype.type(factor)),)


scale = Op("scale", _scale, _scale_adjoint)


def _multiply(kernels, a, b):
    expect(a.shape == b.shape, "multiply", f"shapes {a.shape} and {b.shape} differ")
    return _product(kernels, a, b), (a, b)


def _multiply_adjoint(kernels, saved, needs, d_out):
    a, b = saved
    return _product(kernels, d_out, b), _product(kernels, d_out, a)


multiply = Op("multiply", _multiply, _multiply_adjoint)


def _product(kernels, a, b):
    """a·b as an array: NumPy makes a number of arrays without axes."""
    return kernels.xp.asarray(a * b)
