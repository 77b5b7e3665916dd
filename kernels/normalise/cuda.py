"""normalise on CUDA. Contract: `__init__.py`."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from ..cuda import C_TYPES, Instance, Launchers, ceil_div

# As in normalise.cu.
THREADS, ROWS = 256, 32
VECTOR_BYTES = 16

SOURCE = Path(__file__).with_name("normalise.cu")
INSTANCES = tuple(
    Instance(f"{name}<{kind}, {width}>", threads=THREADS, registers=64)
    for name in ("normalise", "normalise_adjoint")
    for kind, vector in (("float", 4), ("double", 2))
    for width in (vector, 1)
)


class Form(Launchers):
    """Launches normalise.cu."""

    __all__ = ("normalise", "normalise_adjoint")
    source, instances = SOURCE, INSTANCES

    def normalise(self, x, form="clamp", epsilon=1e-12):
        """(x scaled to rows of length one, the factor of each row)."""
        y, inverse = self.xp.empty_like(x), self.xp.empty(len(x), x.dtype)
        self._launch("normalise", (x, y, inverse), form, x.dtype.type(epsilon))
        return y, inverse

    def normalise_adjoint(self, d_y, y, inverse, form="clamp", epsilon=1e-12):
        """d_x of `normalise`, from its outputs."""
        d_x, epsilon = self.xp.empty_like(y), y.dtype.type(epsilon)
        self._launch("normalise_adjoint", (d_y, y, inverse, d_x), form, epsilon, 1 / epsilon)
        return d_x

    def _launch(self, name, arrays, form, *numbers):
        """With loads of 16 bytes where d is a multiple, else with single ones."""
        (rows, d), dtype = arrays[0].shape, arrays[0].dtype
        vector = VECTOR_BYTES // dtype.itemsize
        kernel = self.kernel(f"{name}<{C_TYPES[dtype]}, {1 if d % vector else vector}>")
        settings = (np.int32(rows), np.int32(d), np.bool_(form == "clamp"), *numbers)
        kernel((ceil_div(rows, ROWS),), (THREADS,), (*arrays, *settings))
