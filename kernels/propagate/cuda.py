"""propagate on CUDA. Contract: `__init__.py`."""

from __future__ import annotations

import weakref
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from ..cuda import C_TYPES, Instance, Launchers, Pointers, Unsupported, ceil_div
from ..linear.cuda import Form as Linear

THREADS = 256
WARPS = THREADS // 32
WARP = 32
# Edges that one warp sums; rows with more are cut. At d = 64 a warp takes two edges a turn, so this
# is 128 turns: short against a launch over a whole graph, long against the cost of a partial sum.
SEGMENT = 256
# Vectors of a lane that a layer can hold in registers: d up to 512 in float32, 256 in float64, of
# tables that are stored exactly, by 16 bytes; d up to 128 in 16 bits, 32 by single values.
CHUNKS = (1, 4)
# How the tables that neighbour sums read are stored: exactly, or in 16 bits; sums are float32 all
# the same.
STORED = {"exact": "Same", "bfloat16": "Bf16", "float16": "Half"}
CODES = {"projection": 0, "summation": 1}
PLAIN = 2

SOURCE = Path(__file__).with_name("propagate.cu")


def chunks_of(width: int, stored: str) -> tuple[int, ...]:
    """CHUNKS that there are for vectors of `width` values."""
    return CHUNKS if width > 1 and stored == "Same" else CHUNKS[:1]


def _instances():
    # (T, stored as, values of a vector)
    kinds = [
        ("float", "Same", 4),
        ("float", "Same", 1),
        ("double", "Same", 2),
        ("double", "Same", 1),
    ]
    small = [("float", "Bf16", 4), ("float", "Half", 4)]
    for kind, _, width in kinds:
        yield Instance(f"messages_adjoint<{kind}, {width}>", threads=THREADS, registers=96)
    for kind, stored, width in kinds + small:
        for streams in (1, 2):
            yield Instance(
                f"messages<{kind}, {stored}, {width}, {streams}>", threads=THREADS, registers=64
            )
            for chunks in chunks_of(width, stored):
                for combine in (False, True) if stored == "Same" else (False,):
                    yield Instance(
                        f"layer<{kind}, {stored}, {width}, {chunks}, {streams}, "
                        f"{str(combine).lower()}>",
                        threads=THREADS,
                        registers=64 if chunks == 1 else 192,
                    )
    for name in (
        "finish_wide",
        "messages_combine",
        "project",
        "project_adjoint",
        "add_fused",
        "vanilla",
        "vanilla_adjoint",
    ):
        for kind in ("float", "double"):
            yield Instance(f"{name}<{kind}>", threads=THREADS, registers=96)
    for stored in ("Bf16", "Half"):
        yield Instance(f"narrow<{stored}>", threads=THREADS, registers=32)


INSTANCES = tuple(_instances())


class Plan(NamedTuple):
    """Who does which row of a pattern.

    rows: those of at most SEGMENT edges, longest first, so that the warps of a block end together
    and the last ones to start are short. heavy: the others; the segments of heavy[i] are
    parts[i]…parts[i+1], segment j has the edges bounds[2j]…bounds[2j+1].
    """

    rows: Any
    heavy: Any
    parts: Any
    bounds: Any
    segments: int


def plan(indptr: np.ndarray) -> Plan:
    """The plan of a pattern, on the host."""
    degrees = np.diff(indptr)
    order = np.argsort(-degrees, kind="stable").astype(np.int32)
    n_heavy = int(np.count_nonzero(degrees > SEGMENT))
    heavy, rows = order[:n_heavy], order[n_heavy:]
    counts = -(-degrees[heavy] // SEGMENT)
    parts = np.concatenate([[0], np.cumsum(counts)]).astype(np.int32)
    owner = np.repeat(np.arange(n_heavy), counts)
    begin = indptr[heavy][owner] + (np.arange(parts[-1]) - parts[owner]) * SEGMENT
    end = np.minimum(begin + SEGMENT, indptr[heavy + 1][owner])
    bounds = np.stack([begin, end], axis=1).astype(np.int32).reshape(-1)
    return Plan(rows, heavy, parts, bounds, int(parts[-1]))


class Shape(NamedTuple):
    """How the d columns of a row lie in a warp."""

    width: int  # values of a vector
    lanes: int  # that hold a row; a power of two
    chunks: int  # vectors of a lane


def shape_of(d: int, dtype: np.dtype) -> Shape:
    """Vectors of 16 bytes where d is a multiple of them, else single values."""
    width = 16 // dtype.itemsize
    if d % width:
        width = 1
    vectors = ceil_div(d, width)
    lanes = min(WARP, 1 << (vectors - 1).bit_length())
    return Shape(width, lanes, ceil_div(vectors, lanes))


class Form(Launchers):
    """Launches propagate.cu."""

    __all__ = ("layer", "layer_adjoint", "layer_sum", "project", "project_adjoint", "spread")
    source, instances = SOURCE, INSTANCES

    def __init__(self, backend):
        super().__init__(backend)
        self.linear = Linear(backend)
        self._plans: dict[int, tuple[weakref.ref, Plan]] = {}

    # ---- what a launch needs ------------------------------------------------------------------

    def _plan(self, adjacency) -> Plan:
        """The plan of a pattern, made once: it reads the pattern back from the device."""
        indptr = adjacency.indptr
        found = self._plans.get(id(indptr))
        if found is None or found[0]() is not indptr:
            arrays = plan(self.backend.to_host(indptr))
            placed = Plan(*(self.xp.asarray(part) for part in arrays[:-1]), arrays.segments)
            key = id(indptr)
            alive = weakref.ref(indptr, lambda _: self._plans.pop(key, None))
            found = self._plans[key] = (alive, placed)
        return found[1]

    def _stored_type(self, adjacency, dtype) -> str:
        """The kernels' name of how a table of this type is stored."""
        return STORED[adjacency.storage] if dtype == np.float32 else "Same"

    def _stored(self, adjacency, x):
        """The table x, as neighbour sums read it."""
        stored = self._stored_type(adjacency, x.dtype)
        if stored == "Same":
            return x
        if x.shape[1] % 4:
            raise Unsupported(
                f"tables in {adjacency.storage} need columns in fours, not d = "
                f"{x.shape[1]}; store them exactly, or choose another d."
            )
        y = self.xp.empty(x.shape, np.uint16)
        self.kernel(f"narrow<{stored}>")(
            (ceil_div(x.size, THREADS),), (THREADS,), (x, y, np.int64(x.size))
        )
        return y

    def _pattern(self, adjacency):
        """The kernels' arguments from indptr to self_loop."""
        return (
            adjacency.indptr,
            adjacency.indices,
            None if adjacency.unit_in else adjacency.scale_in,
            adjacency.scale_out,
            np.int32(adjacency.self_loop),
        )

    def _by_row(self, name, n_rows, *args):
        """Launch a kernel that gives a warp to each row."""
        kind = C_TYPES[args[0].dtype]
        self.kernel(f"{name}<{kind}>")((ceil_div(n_rows, WARPS),), (THREADS,), args)

    # ---- messages -----------------------------------------------------------------------------

    def _messages(self, adjacency, x0, x1=None, added0=(), added1=()):
        """y0 = Σ added0 + Â x0, and y1 = Σ added1 + Â x1 where x1 is given."""
        n, d = x0.shape
        streams = 1 if x1 is None else 2
        y0 = self.xp.empty_like(x0)
        y1 = None if x1 is None else self.xp.empty_like(x1)
        if not n:
            return y0, y1
        plan, shape = self._plan(adjacency), shape_of(d, x0.dtype)
        added = Pointers((*added0, *added1) or (x0,))
        kind = C_TYPES[x0.dtype]
        stored, stored0 = self._stored_type(adjacency, x0.dtype), self._stored(adjacency, x0)
        stored1 = None if x1 is None else self._stored(adjacency, x1)
        partial = self.xp.empty((max(plan.segments, 1), streams, d), x0.dtype)
        pattern = self._pattern(adjacency)
        counts = (np.int32(len(added0)), np.int32(len(added1)))
        tables = (x0, x1, added, *counts, y0, y1, partial, np.int32(d))
        self.kernel(f"messages<{kind}, {stored}, {shape.width}, {streams}>")(
            (ceil_div(len(plan.rows) + plan.segments, WARPS), ceil_div(d, WARP * shape.width)),
            (THREADS,),
            (
                plan.rows,
                np.int32(len(plan.rows)),
                plan.bounds,
                np.int32(plan.segments),
                *pattern,
                stored0,
                stored1,
                *tables,
                np.int32(shape.lanes),
            ),
        )
        self.kernel(f"messages_combine<{kind}>")(
            (len(plan.heavy), streams),
            (THREADS,),
            (plan.heavy, plan.parts, *pattern[2:], *tables),
        )
        return y0, y1

    def spread(self, adjacency, x):
        """y = Â x."""
        return self._messages(adjacency, x)[0]

    def layer_sum(self, adjacency, x, layers):
        """y = Σ_{l=0…layers} Â^l x."""
        y = x
        for _ in range(layers):
            y, _ = self._messages(adjacency, y, added0=(x,))
        return y if layers else x.copy()

    def project(self, a, c):
        """r·c with r = ⟨a,c⟩ / (⟨c,c⟩ + ε); also r and inverse."""
        n, d = c.shape
        out, r, inverse = self.xp.empty_like(c), *self.xp.empty((2, n), c.dtype)
        self._by_row("project", n, a, c, np.int32(n), np.int32(d), out, r, inverse)
        return out, r, inverse

    def project_adjoint(self, d_out, a, c, r, inverse):
        """Gradients (d_a, d_c) of `project`."""
        n, d = c.shape
        d_a, d_c = self.xp.empty_like(a), self.xp.empty_like(c)
        self._by_row(
            "project_adjoint", n, d_out, a, c, r, inverse, np.int32(n), np.int32(d), d_a, d_c
        )
        return d_a, d_c

    # ---- a layer ------------------------------------------------------------------------------

    def layer(
        self,
        adjacency,
        p,
        z,
        p_sum,
        z_sum,
        fusion,
        fusion_source,
        fusion_scale,
        weight=None,
        bias=None,
        keep=True,
    ):
        """One layer of both streams and their sums: (p', z', p_sum, z_sum, saved)."""
        xp, (n, d), dtype = self.xp, z.shape, z.dtype
        both, dense, from_state = (
            fusion != "none",
            fusion in ("linear", "vanilla"),
            fusion_source == "state",
        )
        keep_r = keep and fusion == "projection"
        p_before, z_before = p_sum if both else None, z_sum
        p_sum, z_sum = (  # in place, but where the layers begin
            xp.empty_like(total) if total is first and total is not None else total
            for total, first in ((p_before, p), (z_before, z))
        )
        if dense and z_sum is not z_before:  # its kernels add in place
            z_sum[...] = z
        z_out = xp.empty_like(z)
        p_out = xp.empty_like(z) if both else None
        a_out = xp.empty_like(z) if both and not from_state and (dense or keep_r) else None
        c_out = xp.empty_like(z) if fusion == "vanilla" or keep_r else None
        r_out, inverse_out = xp.empty((2, n), dtype) if keep_r else (None, None)
        fusion_scale = dtype.type(fusion_scale)
        outputs = (
            p_before,
            z_before,
            p_sum,
            None if dense else z_sum,
            p_out,
            z_out,
            a_out,
            c_out,
            r_out,
            inverse_out,
        )
        codes = (np.int32(CODES.get(fusion, PLAIN)), np.int32(from_state), np.int32(d))
        if n:
            self._layer(adjacency, p if both else None, z, outputs, fusion_scale, codes)
        a = p_out if from_state else a_out
        if fusion == "linear":
            fused = self.linear.affine(a, weight, bias)
            self.kernel(f"add_fused<{C_TYPES[dtype]}>")(
                (ceil_div(n * d, THREADS),),
                (THREADS,),
                (fused, fusion_scale, z_out, z_sum, np.int64(n * d)),
            )
            saved = (a,)
        elif fusion == "vanilla":
            w = xp.empty((n, 4), dtype)
            sizes = (np.int32(n), np.int32(d))
            self._by_row(
                "vanilla", n, a, c_out, weight, bias, fusion_scale, *sizes, w, z_out, z_sum
            )
            saved = (a, c_out, w)
        else:
            saved = (a, c_out, r_out, inverse_out) if fusion == "projection" else ()
        return p_out, z_out, p_sum, z_sum, saved if keep else None

    def _layer(self, adjacency, p, z, outputs, fusion_scale, codes):
        """Messages, residual, fusion without weights and layer sums; p None: no such stream."""
        n, d = z.shape
        kind, shape, plan = C_TYPES[z.dtype], shape_of(d, z.dtype), self._plan(adjacency)
        streams = 1 if p is None or p is z else 2
        pattern = self._pattern(adjacency)
        stored = self._stored_type(adjacency, z.dtype)
        there = chunks_of(shape.width, stored)
        chunks = next((count for count in there if shape.chunks <= count), None)
        if chunks is None:  # too wide for registers
            c, e = self._messages(adjacency, z, p if streams == 2 else None)
            self._by_row(
                "finish_wide",
                n,
                c,
                c if e is None else e,
                np.int32(n),
                p,
                z,
                *outputs,
                fusion_scale,
                *codes,
            )
            return
        x_z = self._stored(adjacency, z)
        x_p = self._stored(adjacency, p) if streams == 2 else None
        partial = self.xp.empty((max(plan.segments, 1), streams, d), z.dtype)
        rest = (p, z, *outputs, partial, fusion_scale, *codes, np.int32(shape.lanes))
        options = f"{shape.width}, {chunks}, {streams}"
        self.kernel(f"layer<{kind}, {stored}, {options}, false>")(
            (ceil_div(len(plan.rows) + plan.segments, WARPS),),
            (THREADS,),
            (
                plan.rows,
                np.int32(len(plan.rows)),
                plan.bounds,
                np.int32(plan.segments),
                *pattern,
                x_p,
                x_z,
                *rest,
            ),
        )
        self.kernel(f"layer<{kind}, Same, {options}, true>")(
            (ceil_div(len(plan.heavy), WARPS),),
            (THREADS,),
            (
                plan.heavy,
                np.int32(len(plan.heavy)),
                plan.parts,
                np.int32(0),
                *pattern,
                None,
                None,
                *rest,
            ),
        )

    def layer_adjoint(
        self,
        adjacency,
        d_p,
        d_z,
        d_p_sum,
        d_z_sum,
        saved,
        fusion,
        fusion_source,
        fusion_scale,
        weight=None,
        bias=None,
        merged=False,
        begins=False,
    ):
        """Gradients of `layer`: (d_p_in, d_z_in, d_weight, d_bias)."""
        some = d_z if d_z is not None else d_z_sum
        xp, (n, d), dtype = self.xp, some.shape, some.dtype
        both, dense = fusion != "none", fusion in ("linear", "vanilla")
        from_state = fusion_source == "state" or not both
        fusion_scale = dtype.type(fusion_scale)
        d_c = xp.empty_like(some)
        d_e = xp.empty_like(some) if both else None
        g_p = None if from_state else xp.empty_like(some)
        merged = merged and both
        shape = shape_of(d, dtype)
        self.kernel(f"messages_adjoint<{C_TYPES[dtype]}, {shape.width}>")(
            (ceil_div(n * shape.lanes, THREADS),),
            (THREADS,),
            (
                *((d_p, d_z, d_p_sum, d_z_sum) if both else (None, d_z, None, d_z_sum)),
                np.int32(n),
                np.int32(d),
                np.int32(CODES.get(fusion, PLAIN)),
                np.int32(merged and not dense),
                fusion_scale,
                *(saved if fusion == "projection" else (None, None, None, None)),
                g_p,
                d_e,
                d_c,
                np.int32(shape.lanes),
            ),
        )
        d_weight = d_bias = None
        if fusion == "linear":
            (a,) = saved
            d_a, d_weight, d_bias = self.linear.affine_adjoint(d_c * fusion_scale, a, weight)
            d_e += d_a
        elif fusion == "vanilla":
            f, d_logits = xp.empty((n, 4 * d), dtype), xp.empty((n, 4), dtype)
            sizes = (np.int32(n), np.int32(d))
            outputs = (d_e, d_c, f, d_logits)
            self._by_row("vanilla_adjoint", n, *saved, weight, fusion_scale, *sizes, *outputs)
            _, d_weight, d_bias = self.linear.affine_adjoint(d_logits, f, weight, need_x=False)
        if merged and dense:  # one table took both messages
            d_c += d_e
        residual_p = d_e if from_state else g_p
        back = adjacency.transposed
        to_z, to_p = _given(d_z, d_z_sum), _given(residual_p)
        if begins:  # the sums hold the inputs too
            to_z, to_p = _given(*to_z, d_z_sum), _given(*to_p, d_p_sum if both else None)
        if merged:
            d_z_in, d_p_in = self._messages(back, d_c, None, to_p + to_z)
        else:
            d_z_in, d_p_in = self._messages(back, d_c, d_e, to_z, to_p if both else ())
        return d_p_in, d_z_in, d_weight, d_bias


def _given(*arrays):
    """Those that are not None."""
    return tuple(array for array in arrays if array is not None)
