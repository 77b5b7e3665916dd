"""dropout on CUDA. Contract: `__init__.py`."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from ..cuda import C_TYPES, Instance, Launchers, ceil_div
from . import EDGES, ENTRIES, key_for, threshold

THREADS = 256  # as in dropout.cu
WARPS = THREADS // 32

SOURCE = Path(__file__).with_name("dropout.cu")
INSTANCES = (
    *(Instance(f"entries<{kind}>", threads=THREADS, registers=64) for kind in ("float", "double")),
    Instance("edges", threads=THREADS, registers=64),
)


class Form(Launchers):
    """Launches dropout.cu."""

    __all__ = ("edges", "entries")
    source, instances = SOURCE, INSTANCES

    def entries(self, x, rate, seed, step, stream=0):
        """x/(1 − rate) where an entry stays, else 0."""
        y, factor = self.xp.empty_like(x), x.dtype.type(1 / (1 - rate))
        key, when = key_for(seed, ENTRIES), _when(step)
        self.kernel(f"entries<{C_TYPES[x.dtype]}>")(
            (ceil_div(x.size, 4 * THREADS),),
            (THREADS,),
            (x, np.int64(x.size), threshold(rate), factor, *key, *when, np.uint32(stream), y),
        )
        return y

    def edges(self, adjacency, rate, seed, step, stream=0):
        """The adjacency of the edges that stay, −1 in the place of the others."""
        rows, kept = len(adjacency.indptr) - 1, self.xp.empty_like(adjacency.indices)
        key, when = key_for(seed, EDGES), _when(step)
        pattern = (adjacency.indptr, adjacency.indices, np.int32(rows))
        self.kernel("edges")(
            (ceil_div(rows, WARPS),),
            (THREADS,),
            (*pattern, threshold(rate), *key, *when, np.uint32(stream), kept),
        )
        return adjacency._replace(
            indices=kept,
            scale_out=adjacency.scale_out * adjacency.scale_out.dtype.type(1 / (1 - rate)),
            unit_out=False,
        )


def _when(step):
    """The kernels' (clock, step): one of them counts."""
    return (None, np.uint32(step)) if isinstance(step, (int, np.integer)) else (step, np.uint32(0))
