"""linear on CUDA. Contract: `__init__.py`."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from ..cuda import C_TYPES, Instance, Launchers, Unsupported, ceil_div, column_sums
from . import KINDS

THREADS = 256
TILE = 64  # outputs of a block along either side
# Rows of a piece of a sum over rows, and at most so many pieces: enough blocks for any GPU, few
# enough that adding them up costs nothing.
PIECE_ROWS, MOST_PIECES = 512, 64

SOURCE = Path(__file__).with_name("linear.cu")
_SIDES = ("false, false", "false, true", "true, true")  # y, d_x, d_weight
INSTANCES = (
    *(
        Instance(f"product<{kind}, {sides}>", threads=THREADS, registers=registers)
        for kind, registers in (("float", 96), ("double", 128))
        for sides in _SIDES
    ),
    *(Instance(f"product_tf32<{sides}>", threads=THREADS, registers=96) for sides in _SIDES),
    *(
        Instance(f"column_sums<{kind}, {THREADS}>", threads=THREADS, registers=64)
        for kind in ("float", "double")
    ),
    *(
        Instance(f"{name}<{kind}>", threads=THREADS, registers=64)
        for name in ("activate", "activate_adjoint", "shift", "total")
        for kind in ("float", "double")
    ),
)


class Form(Launchers):
    """Launches linear.cu; dense products in float32, or with `tensor_cores` in TF32."""

    __all__ = (
        "activate",
        "activate_adjoint",
        "affine",
        "affine_adjoint",
        "column_sums",
        "gram",
        "gram_adjoint",
        "network",
        "shift",
        "stack",
        "total",
    )
    source, instances = SOURCE, INSTANCES
    tensor_cores = False  # TF32: only architectures from 80 on have it

    def _product(self, a, b, bias, m, n, k, a_across, b_across, pieces=1):
        """a·b (+ bias), (m, n); `across`: the operand is stored with the sum's axis first."""
        parts = self.xp.empty((pieces, m, n), a.dtype)
        sides = f"{str(a_across).lower()}, {str(b_across).lower()}"
        if self.tensor_cores:
            if a.dtype != np.float32:
                raise Unsupported(
                    f"products of {a.dtype} do not go to tensor cores; TF32 is for float32."
                )
            kernel = self.kernel(f"product_tf32<{sides}>")
        else:
            kernel = self.kernel(f"product<{C_TYPES[a.dtype]}, {sides}>")
        kernel(
            (ceil_div(m, TILE), ceil_div(n, TILE), pieces),
            (THREADS,),
            (a, b, bias, parts, np.int32(m), np.int32(n), np.int32(k)),
        )
        return self._sum(parts)

    def _sum(self, parts):
        """Sum over the first axis."""
        if len(parts) == 1:
            return parts[0]
        y = self.xp.empty(parts.shape[1:], parts.dtype)
        return column_sums(self, parts, y, THREADS)

    def affine(self, x, weight, bias):
        """y = x·weight + bias."""
        (n, a), c = x.shape, weight.shape[1]
        return self._product(x, weight, bias, n, c, a, False, True)

    def affine_adjoint(self, d_y, x, weight, with_bias=True, need_x=True):
        """(d_x, d_weight, d_bias) of `affine`."""
        (n, a), c = x.shape, weight.shape[1]
        pieces = self._pieces(n)
        d_x = self._product(d_y, weight, None, n, a, c, False, False) if need_x else None
        d_weight = self._product(x, d_y, None, a, c, n, True, True, pieces)
        return d_x, d_weight, self.column_sums(d_y) if with_bias else None

    def _pieces(self, n):
        """Pieces that a sum over n rows is cut into."""
        return max(1, min(MOST_PIECES, ceil_div(n, PIECE_ROWS)))

    def column_sums(self, x):
        """Sum over the rows, by pieces."""
        pieces = self._pieces(len(x))
        out = self.xp.empty((pieces, x.shape[1]), x.dtype)
        sums = column_sums(self, x, out, THREADS, pieces)
        return self._sum(sums)

    def shift(self, x, bias):
        """bias added to each row."""
        y = self.xp.empty_like(x)
        self.kernel(f"shift<{C_TYPES[x.dtype]}>")(
            (ceil_div(len(x), THREADS // 32),),
            (THREADS,),
            (x, bias, y, np.int32(len(x)), np.int32(x.shape[1])),
        )
        return y

    def gram(self, x):
        """xᵀ·x."""
        n, a = x.shape
        return self._product(x, x, None, a, a, n, True, True, self._pieces(n))

    def gram_adjoint(self, d_y, x):
        """d_x of `gram`."""
        return self.affine(x, d_y + self.xp.ascontiguousarray(d_y.T), None)

    def activate(self, x, kind, slope=0.1):
        """y = kind(x), entry by entry."""
        return self._entries("activate", (x,), kind, slope)

    def activate_adjoint(self, d_y, y, kind, slope=0.1):
        """d_x of `activate`, from its output."""
        return self._entries("activate_adjoint", (d_y, y), kind, slope)

    def _entries(self, name, inputs, kind, slope):
        x = inputs[-1]
        out = self.xp.empty_like(x)
        self.kernel(f"{name}<{C_TYPES[x.dtype]}>")(
            (ceil_div(x.size, THREADS),),
            (THREADS,),
            (*inputs, out, np.int64(x.size), np.int32(KINDS.index(kind)), x.dtype.type(slope)),
        )
        return out

    def network(self, users, items, product, layers, output):
        """⟨h_L, output⟩ of every user and item, from one product a layer over all pairs."""
        xp, there = self.xp, users is not None
        if product is not None:
            left, right, weight = product
            width, shape = weight.shape[1], (len(right), len(left), weight.shape[1])
            # (p_u ∘ q_i)·W = q_i·(diag(p_u)·W): those of all users stand side by side
            stretched = left.T[:, :, None] * weight[:, None]
            stretched = xp.ascontiguousarray(stretched.reshape(len(weight), -1))
            bias = xp.ascontiguousarray(users).reshape(-1) if there else None
            hidden = self.affine(right, stretched, bias).reshape(shape)
            if items is not None:
                hidden = hidden + items[:, None]
        else:
            width, shape = items.shape[1], (len(items), len(users) if there else 1, items.shape[1])
            hidden = items[:, None] + (users[None] if there else 0)
        hidden = self.activate(hidden, "relu").reshape(-1, width)
        for weight, bias in layers:
            hidden = self.activate(self.affine(hidden, weight, bias), "relu")
        last = xp.ascontiguousarray(output.reshape(-1, 1))
        return self.affine(hidden, last, None).reshape(shape[:2]).T

    def stack(self, a, b, nodes=None):
        """Rows of a, then rows of b; the rows `nodes` of these where they are given."""
        y = self.xp.empty((len(a) + len(b), a.shape[1]), a.dtype)
        y[: len(a)], y[len(a) :] = a, b
        return y if nodes is None else y[nodes]

    def total(self, *parts):
        """Sum of arrays of one shape, in their order; up to three in one launch."""
        result, rest = parts[0], parts[1:]
        if not rest:
            return result.copy()
        while rest:
            y = self.xp.empty_like(result)
            second = rest[1] if len(rest) > 1 else None
            self.kernel(f"total<{C_TYPES[y.dtype]}>")(
                (ceil_div(y.size, THREADS),),
                (THREADS,),
                (result, rest[0], second, y, np.int64(y.size)),
            )
            result, rest = y, rest[2:]
        return result
