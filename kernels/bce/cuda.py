"""bce on CUDA. Contract: `__init__.py`."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from ..cuda import C_TYPES, Instance, Launchers, ceil_div

THREADS = 256
ROWS = 1024  # of a block: a partial sum of its own

SOURCE = Path(__file__).with_name("bce.cu")
INSTANCES = (
    *(Instance(f"rows<{one}>", threads=THREADS, registers=64) for one in ("float", "double")),
    Instance("total", threads=THREADS, registers=64),
)


class Form(Launchers):
    """Launches bce.cu."""

    __all__ = ("bce", "bce_slots")
    source, instances = SOURCE, INSTANCES

    def bce(self, scores, labels):
        """(loss, d_scores) of logits and labels."""
        return self._rows(scores, labels, 1 / max(len(scores), 1), None, None)

    def bce_slots(self, scores, labels, present, count):
        """The same over the rows with present ≥ 0, of which there are `count`."""
        return self._rows(scores, labels, 1.0, present, count)

    def _rows(self, scores, labels, factor, present, count):
        n = len(scores)
        blocks = ceil_div(n, ROWS)
        d_scores = self.xp.empty_like(scores)
        loss = self.xp.empty((), np.float64)
        partial = self.xp.empty(max(blocks, 1), np.float64)
        factor = np.float64(factor)
        self.kernel(f"rows<{C_TYPES[scores.dtype]}>")(
            (blocks,),
            (THREADS,),
            (scores, labels, np.int32(n), factor, present, count, d_scores, partial),
        )
        self.kernel("total")((1,), (THREADS,), (partial, np.int32(blocks), factor, count, loss))
        return loss, d_scores
