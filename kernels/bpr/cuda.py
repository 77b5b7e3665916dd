"""bpr on CUDA. Contract: `__init__.py`."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from ..cuda import C_TYPES, Instance, Launchers, ceil_div

THREADS = 256
ROWS = 1024  # of a block: a partial sum of its own

SOURCE = Path(__file__).with_name("bpr.cu")
INSTANCES = (
    Instance("pairs<float>", threads=THREADS, registers=64),
    Instance("pairs<double>", threads=THREADS, registers=64),
    Instance("total", threads=THREADS, registers=64),
)


class Form(Launchers):
    """Launches bpr.cu."""

    __all__ = ("bpr", "bpr_slots")
    source, instances = SOURCE, INSTANCES

    def bpr(self, scores, reduction="mean"):
        """(loss, d_scores) of rows [positives; negatives]."""
        n = len(scores) // 2
        factor = 1 / max(n, 1) if reduction == "mean" else 1.0
        return self._run(scores, n, factor, None, None)

    def bpr_slots(self, scores, present, count, reduction="mean"):
        """The same over the rows with present ≥ 0, of which there are `count`."""
        n = len(scores) // 2
        return self._run(scores, n, 1.0, present, count if reduction == "mean" else None)

    def _run(self, scores, n, factor, present, count):
        d_scores = self.xp.empty_like(scores)
        loss = self.xp.empty((), np.float64)
        blocks = ceil_div(n, ROWS)
        partial = self.xp.empty(max(blocks, 1), np.float64)
        self.kernel(f"pairs<{C_TYPES[scores.dtype]}>")(
            (blocks,),
            (THREADS,),
            (scores, np.int32(n), np.float64(factor), present, count, d_scores, partial),
        )
        self.kernel("total")(
            (1,), (THREADS,), (partial, np.int32(blocks), np.float64(factor), count, loss)
        )
        return loss, d_scores
