"""adam on CUDA. Contract: `__init__.py`."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from ..cuda import C_TYPES, Instance, Launchers, ceil_div
from . import bias_corrections, check, share_of

THREADS = 256
PIECE = 4096  # parameters of a block

SOURCE = Path(__file__).with_name("adam.cu")
INSTANCES = (
    Instance("update<float, 4>", threads=THREADS, registers=64),
    Instance("update<float, 1>", threads=THREADS, registers=64),
    Instance("update<double, 2>", threads=THREADS, registers=80),
    Instance("update<double, 1>", threads=THREADS, registers=80),
    *(Instance(f"average<{one}>", threads=THREADS, registers=32) for one in ("float", "double")),
    Instance("total", threads=THREADS, registers=64),
)


class Form(Launchers):
    """Launches adam.cu."""

    __all__ = ("average", "average_scheduled", "update", "update_scheduled")
    source, instances = SOURCE, INSTANCES

    def update(
        self,
        theta,
        grad,
        m,
        v,
        *,
        lr,
        step,
        penalty=0.0,
        beta1=0.9,
        beta2=0.999,
        epsilon=1e-8,
        form="tensorflow",
    ):
        """One step in place on theta, m and v; returns Σ theta² from before it, () float64."""
        check(theta, grad, m, v, step, form)
        rate, root = bias_corrections(lr, step, beta1, beta2, form)
        return self._run(theta, grad, m, v, None, None, rate, root, penalty, beta1, beta2, epsilon)

    def update_scheduled(
        self,
        theta,
        grad,
        m,
        v,
        rates,
        clock,
        *,
        penalty=0.0,
        beta1=0.9,
        beta2=0.999,
        epsilon=1e-8,
    ):
        """The same, with the rate and root scale of step clock[0] from `rates`."""
        return self._run(theta, grad, m, v, rates, clock, 0, 0, penalty, beta1, beta2, epsilon)

    def _run(self, theta, grad, m, v, rates, clock, rate, root, penalty, beta1, beta2, epsilon):
        squares = self.xp.empty((), np.float64)
        size, dtype = theta.size, theta.dtype
        width = 16 // dtype.itemsize
        # Whole vectors in a row: then the gradient may be some rows of a larger table, as that of
        # the items is, and still begins at 16 bytes.
        row = theta.shape[-1] if theta.ndim else 1
        vector = width if row % width == 0 else 1
        blocks = ceil_div(size, PIECE)
        partial = self.xp.empty(max(blocks, 1), np.float64)
        scalars = (2 * penalty, rate, root, beta1, 1 - beta1, beta2, 1 - beta2, epsilon)
        self.kernel(f"update<{C_TYPES[dtype]}, {vector}>")(
            (blocks,),
            (THREADS,),
            (
                theta,
                grad,
                m,
                v,
                np.int64(size),
                rates,
                clock,
                *(dtype.type(x) for x in scalars),
                partial,
            ),
        )
        self.kernel("total")((1,), (THREADS,), (partial, np.int32(blocks), squares))
        return squares

    def average(self, theta, mean, decay, step):
        """Take theta into the running average, in place."""
        self._average(theta, mean, decay, share_of(decay, step), None)

    def average_scheduled(self, theta, mean, decay, clock):
        """The same at step clock[1] + 1."""
        self._average(theta, mean, decay, 0, clock)

    def _average(self, theta, mean, decay, share, clock):
        self.kernel(f"average<{C_TYPES[theta.dtype]}>")(
            (ceil_div(theta.size, THREADS),),
            (THREADS,),
            (
                theta,
                mean,
                np.int64(theta.size),
                np.float64(1 - decay),
                np.float64(share),
                clock,
            ),
        )
