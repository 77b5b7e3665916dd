"""An emulated device that records array operations too, so that a whole step can be replayed.

On a GPU a captured step holds every launch, those of the array module included, and nothing that
the host computed. Here arrays are `Recorded`: like CuPy's they never turn into Python numbers by
themselves, their operations give arrays even without dimensions, and while a step is captured each
operation is noted with the memory it reads and writes. A replay does them again in that memory.
Whatever waits for the device in a capture (float, bool, a copy to the host) is an error.
"""

from __future__ import annotations

from types import ModuleType

import numpy as np

from cuda_emulator import ORDERS, EmulatorBackend, EmulatorError


class Recorded(np.ndarray):
    """An array of the recording device."""

    recorder: Recorder | None = None  # while something is captured

    def __array_ufunc__(self, ufunc, method, *inputs, out=None, **kwargs):
        plain = [np.asarray(x) if isinstance(x, Recorded) else x for x in inputs]
        target = None if out is None else np.asarray(out[0])

        def compute(into):
            return getattr(ufunc, method)(*plain, out=into, **kwargs)

        result = np.asarray(compute(target))
        _note(lambda: compute(result))
        return result.view(Recorded) if out is None else out[0]

    def __array_function__(self, function, types, args, kwargs):
        raise EmulatorError(f"np.{function.__name__} of a device's array; wanted the device's xp")

    def __setitem__(self, index, value):
        plain, index, value = np.asarray(self), _plain(index), np.asarray(value)
        plain[index] = value
        _note(lambda: plain.__setitem__(index, value))

    def copy(self, order="C"):
        return _made(lambda: np.asarray(self).copy(order))

    def astype(self, dtype, **kwargs):
        return _made(lambda: np.asarray(self).astype(dtype))

    def sum(self, *args, **kwargs):
        return _made(lambda: np.asarray(np.asarray(self).sum(*args, **kwargs)))

    def __getitem__(self, index):
        found = np.asarray(np.asarray(self)[_plain(index)])
        if not np.may_share_memory(found, np.asarray(self)):  # an index of arrays makes a new one
            return _made(lambda: np.asarray(np.asarray(self)[_plain(index)]))
        return found.view(Recorded)

    def _wait(self):
        if Recorded.recorder is not None:
            raise EmulatorError("the host reads a number of the device in a capture")
        return np.asarray(self)

    def __float__(self):
        return float(self._wait())

    def __int__(self):
        return int(self._wait())

    def __index__(self):
        return int(self._wait())

    def __bool__(self):
        return bool(self._wait())

    def tolist(self):
        return self._wait().tolist()


def _plain(x):
    """NumPy's own arrays for recorded ones, also in lists and tuples."""
    if isinstance(x, (list, tuple)):
        return type(x)(map(_plain, x))
    return np.asarray(x) if isinstance(x, Recorded) else x


def _note(again) -> None:
    if Recorded.recorder is not None:
        Recorded.recorder.operations.append(again)


def _made(compute):
    """The array of `compute()`, made again in the same memory by a replay."""
    result = compute()
    _note(lambda: np.copyto(result, compute()))
    return result.view(Recorded)


class _Module(ModuleType):
    """What of NumPy the device's code may call, on recorded arrays."""

    def __init__(self):
        super().__init__("recorded")

    def __getattr__(self, name):
        function = getattr(np, name)
        if isinstance(function, (type, np.ufunc)):
            return function

        def recorded(*args, **kwargs):
            args = [_plain(x) for x in args]
            return _made(lambda: np.asarray(function(*args, **kwargs)))

        return recorded

    @staticmethod
    def empty(shape, dtype=float):
        array = np.empty(shape, dtype)
        array.reshape(-1).view(np.uint8)[:] = 0xFF  # a NaN, or −1
        return array.view(Recorded)

    def empty_like(self, prototype, dtype=None):
        return self.empty(prototype.shape, dtype or prototype.dtype)

    @staticmethod
    def asarray(x, dtype=None):
        """No copy of a device's array, as CuPy's; a copy of a host's, which a capture forbids."""
        if isinstance(x, Recorded) and dtype in (None, x.dtype):
            return x
        if Recorded.recorder is not None and not isinstance(x, Recorded):
            raise EmulatorError("a copy to the device in a capture")
        return np.array(x, dtype).view(Recorded)


class Recorder(EmulatorBackend):
    """The emulator whose captures hold array operations as well as launches."""

    def __init__(self, orders=ORDERS[:1]):
        super().__init__(orders)
        self.xp = _Module()
        self.operations: list = []
        self.captures = 0

    def module(self, source, instances):
        module = super().module(source, instances)

        def kernel(name):
            function = module(name)

            def launch(grid, block, args, shared_mem=0):
                function(grid, block, args, shared_mem)
                _note(lambda: function(grid, block, args, shared_mem))

            return launch

        return kernel

    def capture(self, function):
        """Records what `function()` does. It is done at once, so the first replay does nothing."""
        self.captures += 1
        operations = self.operations = []
        Recorded.recorder = self
        try:
            kept = function()
        finally:
            Recorded.recorder = None

        made = [True]

        def replay():
            if made:
                made.clear()
                return
            for again in operations:
                again()

        replay.kept = kept
        return replay
