"""An emulated device with CuPy's manners, which records array operations as well as launches.

On a GPU arrays are no NumPy arrays: nothing turns them into one silently, none of NumPy's own
functions takes them, and an array of the host cannot stand where one of the device must. Code that
forgets this works on the plain emulator and breaks on a GPU; on a `Recorder` it breaks too.

A captured step holds every launch, those of the array module included, and nothing that the host
computed. While something is captured each operation is noted with the memory it reads and writes,
and a replay does them again in that memory. Whatever waits for the device in a capture (float,
bool, a copy to the host), brings something from the host or is not known to be launches alone is an
error. `to_device`, `from_device` count copies and reads outside of captures.
"""

from __future__ import annotations

from types import ModuleType

import numpy as np
from numpy.lib.mixins import NDArrayOperatorsMixin

from cuda_emulator import ORDERS, EmulatorBackend, EmulatorError
from pkef_fast.kernels.cuda import Pointers

# What of the array module is only launches: CuPy's `concatenate` and `stack`, for example, bring a
# table of addresses from the host, and its sorts and counts ask for sizes.
LAUNCHES = {"ascontiguousarray", "exp", "full", "ones", "ones_like", "sqrt", "where", "zeros"}
LAUNCHES |= {"zeros_like"}


class Array(NDArrayOperatorsMixin):
    """An array of the recording device; what CuPy's lacks, or this code does not use, it lacks."""

    __slots__ = ("__weakref__", "memory")
    __hash__ = None

    recorder: Recorder | None = None  # while something is captured
    counting: Recorder | None = None  # whose copies are counted

    def __init__(self, memory: np.ndarray):
        self.memory = memory

    shape = property(lambda self: self.memory.shape)
    dtype = property(lambda self: self.memory.dtype)
    size = property(lambda self: self.memory.size)
    ndim = property(lambda self: self.memory.ndim)
    nbytes = property(lambda self: self.memory.nbytes)
    flags = property(lambda self: self.memory.flags)

    def __len__(self):
        return len(self.memory)

    def __iter__(self):
        return (self[i] for i in range(len(self)))

    # ---- what CuPy refuses -----------------------------------------------------------------------

    def __array__(self, *args, **kwargs):
        raise TypeError("an array of the device does not become one of NumPy by itself")

    def __array_function__(self, function, types, args, kwargs):
        raise TypeError(f"np.{function.__name__} of a device's array; wanted the device's xp")

    # ---- operations ------------------------------------------------------------------------------

    def __array_ufunc__(self, ufunc, method, *inputs, out=None, **kwargs):
        plain = [_operand(x) for x in inputs]
        target = None if out is None else out[0].memory

        def compute(into):
            return getattr(ufunc, method)(*plain, out=into, **kwargs)

        result = np.asarray(compute(target))
        _note(lambda: compute(result))
        return Array(result) if out is None else out[0]

    def __setitem__(self, index, value):
        index, value = _index(index), _operand(value)
        self.memory[index] = value
        _note(lambda: self.memory.__setitem__(index, value))

    def __getitem__(self, index):
        index = _index(index)
        found = np.asarray(self.memory[index])
        if not np.may_share_memory(found, self.memory):  # an index of arrays makes a new one
            return _made(lambda: np.asarray(self.memory[index]))
        return Array(found)

    @property
    def T(self):
        return Array(self.memory.T)

    def reshape(self, *shape):
        return Array(self.memory.reshape(*shape))

    def copy(self):
        return _made(lambda: self.memory.copy())

    def astype(self, dtype, copy=True):
        if not copy and self.dtype == dtype:
            return self
        return _made(lambda: self.memory.astype(dtype))

    def _reduced(self, name, *args, **kwargs):
        return _made(lambda: np.asarray(getattr(self.memory, name)(*args, **kwargs)))

    def sum(self, *args, **kwargs):
        return self._reduced("sum", *args, **kwargs)

    def min(self):
        return self._reduced("min")

    def max(self):
        return self._reduced("max")

    def all(self):
        return self._reduced("all")

    # ---- what waits for the device ---------------------------------------------------------------

    def _wait(self):
        if Array.recorder is not None:
            raise EmulatorError("the host reads a number of the device in a capture")
        if Array.counting is not None:
            Array.counting.from_device += 1
        return self.memory

    def __float__(self):
        return float(self._wait())

    def __int__(self):
        return int(self._wait())

    def __index__(self):
        return int(self._wait())

    def __bool__(self):
        return bool(self._wait())


def _operand(x):
    """The memory of a device's array; a number; TypeError for an array of the host."""
    if isinstance(x, Array):
        return x.memory
    if isinstance(x, np.ndarray):
        raise TypeError("an array of NumPy where one of the device is wanted")
    return x


def _index(index):
    if isinstance(index, tuple):
        return tuple(map(_operand, index))
    return _operand(index)


def _deep(x):
    """`_operand` in lists and tuples too."""
    return type(x)(map(_deep, x)) if isinstance(x, (list, tuple)) else _operand(x)


def _note(again) -> None:
    if Array.recorder is not None:
        Array.recorder.operations.append(again)


def _made(compute):
    """The array of `compute()`, made again in the same memory by a replay."""
    result = compute()
    _note(lambda: np.copyto(result, compute()))
    return Array(result)


class _Module(ModuleType):
    """What of NumPy the device's code may call, on the device's arrays."""

    ndarray = Array

    def __init__(self, recorder: Recorder):
        super().__init__("recorded")
        self._recorder = recorder

    def __getattr__(self, name):
        function = getattr(np, name)
        if isinstance(function, type):
            return function

        def called(*args, **kwargs):
            if Array.recorder is not None and name not in LAUNCHES:
                raise EmulatorError(f"xp.{name} in a capture: not known to be launches alone")
            plain = [_deep(x) for x in args]
            return _made(lambda: np.asarray(function(*plain, **kwargs)))

        return called

    @staticmethod
    def empty(shape, dtype=float):
        memory = np.empty(shape, dtype)
        memory.reshape(-1).view(np.uint8)[:] = 0xFF  # a NaN, or −1
        return Array(memory)

    def empty_like(self, prototype, dtype=None):
        return self.empty(prototype.shape, dtype or prototype.dtype)

    def asarray(self, x, dtype=None):
        """No copy of a device's array; a copy of a host's, which a capture forbids."""
        if isinstance(x, Array):
            return x.astype(x.dtype if dtype is None else dtype, copy=False)
        if Array.recorder is not None:
            raise EmulatorError("a copy to the device in a capture")
        self._recorder.to_device += 1
        return Array(np.array(x, dtype, order="C"))

    def asnumpy(self, x):
        return self._recorder.to_host(x)


class Recorder(EmulatorBackend):
    """The emulator whose captures hold array operations as well as launches."""

    def __init__(self, orders=ORDERS[:1]):
        super().__init__(orders)
        self.xp = _Module(self)
        self.operations: list = []
        self.captures = 0
        self.to_device = self.from_device = 0
        Array.counting = self

    def module(self, source, instances):
        module = super().module(source, instances)

        def kernel(name):
            function = module(name)

            def launch(grid, block, args, shared_mem=0):
                plain = tuple(map(_argument, args))
                function(grid, block, plain, shared_mem)
                _note(lambda: function(grid, block, plain, shared_mem))

            return launch

        return kernel

    def to_host(self, array) -> np.ndarray:
        return np.array(array._wait())

    def capture(self, function):
        """Records what `function()` does. It is done at once, so the first replay does nothing."""
        self.captures += 1
        operations = self.operations = []
        Array.recorder = self
        try:
            kept = function()
        finally:
            Array.recorder = None

        made = [True]

        def replay():
            if made:
                made.clear()
                return
            for again in operations:
                again()

        replay.kept = kept
        return replay


def _argument(value):
    """A launch's argument as the emulator takes it; arrays must be the device's."""
    if isinstance(value, Pointers):
        return Pointers(map(_operand, value.arrays))
    return _operand(value)
