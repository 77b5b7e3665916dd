"""attention on CUDA. Contract: `__init__.py`."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from ..cuda import C_TYPES, Instance, Launchers, ceil_div, column_sums
from . import check_behaviors

THREADS = 256
WARPS = THREADS // 32  # nodes of a block
TILE = 64  # outputs of a block along either side
PIECE_ROWS, MOST_PIECES = 512, 64  # of a sum over rows, as in `linear`

SOURCE = Path(__file__).with_name("attention.cu")
_PRODUCTS = ("memory", "memory_back", "memory_weights", "predict")
_BY_NODE = ("attend", "attend_adjoint", "pool", "pool_adjoint")
INSTANCES = (
    *(
        Instance(f"{name}<{kind}>", threads=THREADS, registers=128)
        for name in _PRODUCTS
        for kind in ("float", "double")
    ),
    *(
        Instance(f"{name}<{kind}>", threads=THREADS, registers=128)
        for name in _BY_NODE
        for kind in ("float", "double")
    ),
    *(
        Instance(f"column_sums<{kind}, {THREADS}>", threads=THREADS, registers=64)
        for kind in ("float", "double")
    ),
)


class Form(Launchers):
    """Launches attention.cu."""

    __all__ = (
        "attend",
        "attend_adjoint",
        "memory",
        "memory_adjoint",
        "pool",
        "pool_adjoint",
        "predict",
    )
    source, instances = SOURCE, INSTANCES

    def _launch(self, name, grid, arrays, *sizes):
        kernel = self.kernel(f"{name}<{C_TYPES[arrays[0].dtype]}>")
        kernel(grid, (THREADS,), (*arrays, *map(np.int32, sizes)))

    def memory(self, x, p, R):
        """t = Σ_m relu(p_m)·(x R_m), row by row."""
        (n, d), slots = x.shape, len(R)
        t = self.xp.empty_like(x)
        self._launch("memory", (ceil_div(n, TILE), ceil_div(d, TILE)), (x, p, R, t), n, slots, d)
        return t

    def memory_adjoint(self, d_t, x, p, R):
        """(d_x, d_p, d_R) of `memory`."""
        (n, d), slots = x.shape, len(R)
        d_x, d_p = self.xp.empty_like(x), self.xp.empty_like(p)
        sizes = (n, slots, d)
        self._launch("memory_back", (ceil_div(n, TILE),), (d_t, x, p, R, d_x, d_p), *sizes)
        pieces = max(1, min(MOST_PIECES, ceil_div(n, PIECE_ROWS)))
        parts = self.xp.empty((pieces, *R.shape), R.dtype)
        grid = (ceil_div(slots * d, TILE), ceil_div(d, TILE), pieces)
        self._launch("memory_weights", grid, (d_t, x, p, parts), *sizes)
        if pieces == 1:
            return d_x, d_p, parts[0]
        return d_x, d_p, column_sums(self, parts, self.xp.empty_like(R), THREADS)

    def attend(self, qkv, behaviors, heads):
        """o_k = Σ_j w_kj v_j, head by head."""
        n, d = check_behaviors(behaviors, len(qkv)), qkv.shape[1] // 3
        o = self.xp.empty((len(qkv), d), qkv.dtype)
        self._launch("attend", (ceil_div(n, WARPS),), (qkv, o), n, behaviors, heads, d)
        return o

    def attend_adjoint(self, d_o, qkv, behaviors, heads):
        """d_qkv of `attend`."""
        n, d = check_behaviors(behaviors, len(qkv)), qkv.shape[1] // 3
        d_qkv = self.xp.empty_like(qkv)
        sizes = (n, behaviors, heads, d)
        self._launch("attend_adjoint", (ceil_div(n, WARPS),), (d_o, qkv, d_qkv), *sizes)
        return d_qkv

    def pool(self, g, o, behaviors):
        """y = Σ_k w_k o_k, w = softmax over k of g_k."""
        n, d = check_behaviors(behaviors, len(o)), o.shape[1]
        y = self.xp.empty((n, d), o.dtype)
        self._launch("pool", (ceil_div(n, WARPS),), (g, o, y), n, behaviors, d)
        return y

    def pool_adjoint(self, d_y, g, o, behaviors):
        """(d_g, d_o) of `pool`."""
        n, d = check_behaviors(behaviors, len(o)), o.shape[1]
        d_g, d_o = self.xp.empty_like(g), self.xp.empty_like(o)
        sizes = (n, behaviors, d)
        self._launch("pool_adjoint", (ceil_div(n, WARPS),), (d_y, g, o, d_g, d_o), *sizes)
        return d_g, d_o

    def predict(self, left, right, W, b, v, c):
        """s = ⟨relu(x W + b) + x, v⟩ + c, x = l ∘ r, for every pair of rows."""
        (n, d), others = right.shape, len(left)
        scores = self.xp.empty((others, n), right.dtype)
        arrays = (left, right, W, b, v, c, scores)
        self._launch("predict", (ceil_div(n, TILE), others), arrays, n, d)
        return scores
