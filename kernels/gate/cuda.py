"""gate on CUDA. Contract: `__init__.py`."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from ..cuda import C_TYPES, Instance, Launchers, ceil_div, column_sums
from . import SMALL

THREADS = 256
WARPS = THREADS // 32

SOURCE = Path(__file__).with_name("gate.cu")
_NAMES = ("softmax", "softmax_adjoint", "shares", "shares_adjoint", "mix", "mix_adjoint")
INSTANCES = tuple(
    Instance(f"{name}<{kind}{more}>", threads=THREADS, registers=64)
    for name, more in (*((name, "") for name in _NAMES), ("column_sums", f", {THREADS}"))
    for kind in ("float", "double")
)


class Form(Launchers):
    """Launches gate.cu."""

    __all__ = ("mix", "mix_adjoint", "shares", "shares_adjoint", "softmax", "softmax_adjoint")
    source, instances = SOURCE, INSTANCES

    def _launch(self, name, blocks, *args):
        kind = C_TYPES[args[0].dtype]
        self.kernel(f"{name}<{kind}>")((blocks,), (THREADS,), args)

    def softmax(self, x):
        """Each row's exponentials over their sum."""
        n, s = x.shape
        y = self.xp.empty_like(x)
        self._launch("softmax", ceil_div(n, THREADS), x, y, np.int32(n), np.int32(s))
        return y

    def softmax_adjoint(self, d_y, y):
        """d_x of `softmax`, from its output."""
        n, s = y.shape
        d_x = self.xp.empty_like(y)
        blocks = ceil_div(n, THREADS)
        self._launch("softmax_adjoint", blocks, d_y, y, d_x, np.int32(n), np.int32(s))
        return d_x

    def shares(self, counts, weights):
        """Each row's weighed counts over their sum."""
        n, s = counts.shape
        y, small = self.xp.empty_like(counts), counts.dtype.type(SMALL)
        sizes = (np.int32(n), np.int32(s))
        self._launch("shares", ceil_div(n, THREADS), counts, weights, small, y, *sizes)
        return y

    def shares_adjoint(self, d_y, counts, y, weights):
        """d_weights of `shares`."""
        n, s = counts.shape
        blocks, small = ceil_div(n, THREADS), counts.dtype.type(SMALL)
        partial = self.xp.empty((blocks, s), counts.dtype)
        inputs = (d_y, counts, y, weights, small)
        self._launch("shares_adjoint", blocks, *inputs, partial, np.int32(n), np.int32(s))
        return column_sums(self, partial, self.xp.empty(s, counts.dtype), THREADS)

    def mix(self, weights, parts):
        """Σ_s weights_s · parts_s, row by row."""
        s, n, d = parts.shape
        y = self.xp.empty((n, d), parts.dtype)
        sizes = (np.int32(n), np.int32(s), np.int32(d))
        self._launch("mix", ceil_div(n * d, THREADS), weights, parts, y, *sizes)
        return y

    def mix_adjoint(self, d_y, weights, parts):
        """(d_weights, d_parts) of `mix`."""
        s, n, d = parts.shape
        d_weights, d_parts = self.xp.empty_like(weights), self.xp.empty_like(parts)
        self._launch(
            "mix_adjoint",
            ceil_div(n, WARPS),
            d_y,
            weights,
            parts,
            d_weights,
            d_parts,
            np.int32(n),
            np.int32(s),
            np.int32(d),
        )
        return d_weights, d_parts
