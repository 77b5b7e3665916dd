"""bpr on CUDA. Contract: `__init__.py`."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from ..cuda import C_TYPES, Instance, Launchers, ceil_div

THREADS = 256
ROWS = 1024  # of a block: a partial sum of its own
WARPS = THREADS // 32  # a group each

SOURCE = Path(__file__).with_name("bpr.cu")
INSTANCES = (
    *(
        Instance(f"{name}<{one}>", threads=THREADS, registers=64)
        for name in ("pairs", "hinges", "softmax")
        for one in ("float", "double")
    ),
    Instance("total", threads=THREADS, registers=64),
)


class Form(Launchers):
    """Launches bpr.cu."""

    __all__ = ("bpr", "bpr_slots", "hinge", "hinge_slots", "softmax", "softmax_slots")
    source, instances = SOURCE, INSTANCES

    def bpr(self, scores, reduction="mean", negatives=1):
        """(loss, d_scores) of rows [positives; negatives]."""
        n = len(scores) // (1 + negatives)
        factor = 1 / max(n * negatives, 1) if reduction == "mean" else 1.0
        return self._pairs(scores, n, negatives, factor, None, None)

    def bpr_slots(self, scores, present, count, reduction="mean", negatives=1):
        """The same over the rows with present ≥ 0, of which there are `count`."""
        n = len(scores) // (1 + negatives)
        mean = reduction == "mean"
        factor = 1 / negatives if mean else 1.0
        return self._pairs(scores, n, negatives, factor, present, count if mean else None)

    def hinge(self, scores, count, negatives=1):
        """(loss, d_scores) of rows [positives; negatives], the sum over `count`."""
        n = len(scores) // (1 + negatives)
        return self._pairs(scores, n, negatives, 1 / max(count, 1), None, None, "hinges")

    def hinge_slots(self, scores, present, count, negatives=1):
        """The same over the rows with present ≥ 0, divided by `count`."""
        n = len(scores) // (1 + negatives)
        return self._pairs(scores, n, negatives, 1.0, present, count, "hinges")

    def softmax(self, scores, groups, reduction="mean", negatives=1):
        """(loss, d_scores) of rows [positives; negatives], groups against their soft maximum."""
        n = len(scores) // (1 + negatives)
        factor = 1 / max(n, 1) if reduction == "mean" else 1.0
        groups = (groups, np.int32(len(groups) - 1), np.int32(0))
        return self._softmax(scores, n, negatives, groups, factor, None, None)

    def softmax_slots(self, scores, present, count, width, reduction="mean", negatives=1):
        """The same over the rows with present ≥ 0; a group is `width` slots in a row."""
        n = len(scores) // (1 + negatives)
        groups = (None, np.int32(n // width), np.int32(width))
        count = count if reduction == "mean" else None
        return self._softmax(scores, n, negatives, groups, 1.0, present, count)

    def _pairs(self, scores, n, negatives, factor, present, count, name="pairs"):
        sizes = (np.int32(n), np.int32(negatives))
        blocks = ceil_div(n, ROWS)
        return self._run(name, blocks, scores, sizes, factor, present, count)

    def _softmax(self, scores, n, negatives, groups, factor, present, count):
        sizes = (np.int32(n), np.int32(negatives), *groups)
        blocks = ceil_div(int(groups[1]), WARPS)
        return self._run("softmax", blocks, scores, sizes, factor, present, count)

    def _run(self, name, blocks, scores, sizes, factor, present, count):
        d_scores = self.xp.empty_like(scores)
        loss = self.xp.empty((), np.float64)
        partial = self.xp.empty(max(blocks, 1), np.float64)
        self.kernel(f"{name}<{C_TYPES[scores.dtype]}>")(
            (blocks,),
            (THREADS,),
            (scores, *sizes, np.float64(factor), present, count, d_scores, partial),
        )
        self.kernel("total")(
            (1,), (THREADS,), (partial, np.int32(blocks), np.float64(factor), count, loss)
        )
        return loss, d_scores
