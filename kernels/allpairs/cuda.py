"""allpairs on CUDA. Contract: `__init__.py`."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from ..cuda import C_TYPES, Instance, Launchers, ceil_div

THREADS, ROWS = 256, 1024  # as in allpairs.cu

SOURCE = Path(__file__).with_name("allpairs.cu")
INSTANCES = (
    *(
        Instance(f"{name}<{kind}>", threads=THREADS, registers=64)
        for name in ("everything", "met")
        for kind in ("float", "double")
    ),
    Instance("met_total", threads=THREADS, registers=64),
)


class Form(Launchers):
    """Launches allpairs.cu."""

    __all__ = ("everything", "met")
    source, instances = SOURCE, INSTANCES

    def everything(self, users, items, relation, weight):
        """w·Σ_ab U_ab I_ab r_a r_b and its gradients (loss, d_users, d_items, d_relation)."""
        loss = self.xp.empty((), np.float64)
        inputs = (users, items, relation)
        gradients = tuple(self.xp.empty_like(x) for x in inputs)
        sizes = (np.int32(len(relation)), np.float64(weight))
        kernel = self.kernel(f"everything<{C_TYPES[users.dtype]}>")
        kernel((1,), (THREADS,), (*inputs, *sizes, loss, *gradients))
        return (loss, *gradients)

    def met(self, scores, weight):
        """Σ (1 − w)·s² − 2·s and its gradient (loss, d_scores)."""
        n, pieces = len(scores), ceil_div(len(scores), ROWS)
        partial, d_scores = self.xp.empty(pieces, np.float64), self.xp.empty_like(scores)
        loss, share = self.xp.empty((), np.float64), scores.dtype.type(1 - weight)
        self.kernel(f"met<{C_TYPES[scores.dtype]}>")(
            (pieces,), (THREADS,), (scores, np.int32(n), share, partial, d_scores)
        )
        self.kernel("met_total")((1,), (THREADS,), (partial, np.int32(pieces), loss))
        return loss, d_scores
