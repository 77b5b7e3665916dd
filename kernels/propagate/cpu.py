"""propagate in Numba. Contract: `__init__.py`.

Rows are independent, so threads share them by chunks of equal edge counts. A layer sums the
parallel stream's messages, then the cascade's: one table at a time stays in the cache better than
two (Taobao's view graph, d = 64, in a C prototype: 0.93 of the time of one pass over both), and the
indices are cheap to read twice. Residual, fusion and layer sums are done while a message is at
hand. In the adjoint a pass over the rows comes first; it scales the messages' gradients on the way,
so that a neighbour sum never multiplies.
"""

import numba as nb
import numpy as np

from ..buffers import LINE, empty, empty_like
from ..jit import FAST, inlined, parallel, serial
from ..simd import load, spread_over, store, total, zero
from . import EPSILON
from .narrow import narrow
from .neighbours import sum_neighbours

__all__ = ["layer", "layer_adjoint", "layer_sum", "project", "project_adjoint", "spread"]

# Weight gradients are summed over this many pieces of rows, whatever the number of threads.
PIECES = 64

PROJECTION, SUMMATION, PLAIN = 0, 1, 2  # PLAIN: nothing is added (none; linear, vanilla: later)


def _none(x):
    """Stands for an array that is not there: Numba wants one type an argument."""
    return np.empty((0, x.shape[1]), x.dtype)


def _flat_none(x):
    return np.empty(0, x.dtype)


@inlined()
def _add_row(a, n, b, m, y, i):
    """y[i] = a[n] + b[m]."""
    d, w = a.shape[1], LINE // a.itemsize
    for j in range(0, d - w + 1, w):
        store(load(a, n, j) + load(b, m, j), y, i, j)
    for j in range(d - d % w, d):
        y[i, j] = a[n, j] + b[m, j]


@inlined()
def _add_scaled_row(s, a, n, b, m, y, i):
    """y[i] = s·a[n] + b[m]."""
    d, w = a.shape[1], LINE // a.itemsize
    factor = spread_over(s, a)
    for j in range(0, d - w + 1, w):
        store(factor * load(a, n, j) + load(b, m, j), y, i, j)
    for j in range(d - d % w, d):
        y[i, j] = s * a[n, j] + b[m, j]


@inlined()
def _two_dots(a, n, c, m):
    """⟨a[n], c[m]⟩ and ⟨c[m], c[m]⟩."""
    d, w = a.shape[1], LINE // a.itemsize
    ac_lanes, cc_lanes = zero(a), zero(a)
    for j in range(0, d - w + 1, w):
        of_c = load(c, m, j)
        ac_lanes = ac_lanes + load(a, n, j) * of_c
        cc_lanes = cc_lanes + of_c * of_c
    ac, cc = total(ac_lanes), total(cc_lanes)
    for j in range(d - d % w, d):
        ac += a[n, j] * c[m, j]
        cc += c[m, j] * c[m, j]
    return ac, cc


@inlined()
def _scale_row(s, a, n, y, m):
    """y[m] = s·a[n]."""
    d, w = a.shape[1], LINE // a.itemsize
    factor = spread_over(s, a)
    for j in range(0, d - w + 1, w):
        store(factor * load(a, n, j), y, m, j)
    for j in range(d - d % w, d):
        y[m, j] = s * a[n, j]


@parallel()
def _scale_rows(x, scale, y):
    for n in nb.prange(len(x)):
        _scale_row(scale[n], x, n, y, n)


def _scaled(adjacency, x):
    """scale_in∘x: what the neighbours send."""
    if adjacency.unit_in:
        return x
    y = empty_like(x)
    _scale_rows(x, adjacency.scale_in, y)
    return y


@parallel()
def _messages(indptr, indices, chunks, x, scale_out, self_loop, add, base, y):
    """y = scale_out∘(A + self_loop·I)·x, and + base where `add` says so; base may be y."""
    for chunk in nb.prange(len(chunks) - 1):
        for n in range(chunks[chunk], chunks[chunk + 1]):
            first, last = indptr[n], indptr[n + 1]
            sum_neighbours(x, indices, first, last, n, self_loop, scale_out[n], add, base, y, n)


def _pattern(adjacency, x):
    """What `_messages` and its like take of a graph and of a table that is already scaled."""
    if adjacency.storage == "bfloat16" and x.dtype == np.float32:
        x = narrow(x)
    return (
        adjacency.indptr,
        adjacency.indices,
        adjacency.chunks,
        x,
        adjacency.scale_out,
        bool(adjacency.self_loop),
    )


def spread(adjacency, x):
    """y = Â x."""
    y = empty_like(x)
    _messages(*_pattern(adjacency, _scaled(adjacency, x)), False, y, y)
    return y


def layer_sum(adjacency, x, layers):
    """y = Σ_{l=0…layers} Â^l x.

    What is kept from layer to layer is u = scale_in∘y, as neighbours read it, so only x is scaled:

        u ← scale_in∘x + (scale_in·scale_out)∘(A + self_loop·I)·u,   y = x + Â y with the last u
    """
    if not layers:
        return x.copy()
    start = u = _scaled(adjacency, x)
    scale = adjacency.scale_out if adjacency.unit_in else adjacency.scale_in * adjacency.scale_out
    within = adjacency._replace(scale_out=scale)
    spare = None
    for _ in range(layers - 1):
        y = empty_like(x) if spare is None else spare
        _messages(*_pattern(within, u), True, start, y)
        spare = None if u is start else u
        u = y
    y = empty_like(x) if spare is None else spare
    _messages(*_pattern(adjacency, u), True, x, y)
    return y


@parallel(fastmath=FAST)
def _project(a, c, out, r, inverse):
    n_rows, d = a.shape
    for n in nb.prange(n_rows):
        ac = a.dtype.type(0)
        cc = a.dtype.type(EPSILON)
        for j in range(d):
            ac += a[n, j] * c[n, j]
            cc += c[n, j] * c[n, j]
        inverse[n] = 1 / cc
        r[n] = ac / cc
        for j in range(d):
            out[n, j] = r[n] * c[n, j]


def project(a, c):
    """r·c with r = ⟨a,c⟩ / (⟨c,c⟩ + ε); also r and inverse."""
    out = empty_like(c)
    r, inverse = np.empty(len(c), c.dtype), np.empty(len(c), c.dtype)
    _project(a, c, out, r, inverse)
    return out, r, inverse


@parallel(fastmath=FAST)
def _project_adjoint(d_out, a, c, r, inverse, d_a, d_c):
    n_rows, d = a.shape
    for n in nb.prange(n_rows):
        t = a.dtype.type(0)
        for j in range(d):
            t += d_out[n, j] * c[n, j]
        t *= inverse[n]
        for j in range(d):
            d_a[n, j] = t * c[n, j]
            d_c[n, j] = r[n] * d_out[n, j] + t * a[n, j] - 2 * r[n] * t * c[n, j]


def project_adjoint(d_out, a, c, r, inverse):
    """Gradients (d_a, d_c) of `project`."""
    d_a, d_c = empty_like(a), empty_like(c)
    _project_adjoint(d_out, a, c, r, inverse, d_a, d_c)
    return d_a, d_c


@parallel()
def _parallel_stream(
    indptr, indices, chunks, x, scale_out, self_loop, p, p_sum, e_out, p_out, p_sum_out
):
    """p_out = e + p with e = Âp; p_sum_out = p_sum + p_out; e_out = e where it is kept.

    x is p scaled. Sums may be empty, p_sum_out may be p_sum.
    """
    for chunk in nb.prange(len(chunks) - 1):
        for n in range(chunks[chunk], chunks[chunk + 1]):
            first, last, s = indptr[n], indptr[n + 1], scale_out[n]
            if len(e_out):
                sum_neighbours(x, indices, first, last, n, self_loop, s, False, p, e_out, n)
                _add_row(e_out, n, p, n, p_out, n)
            else:
                sum_neighbours(x, indices, first, last, n, self_loop, s, True, p, p_out, n)
            if len(p_sum):
                _add_row(p_sum, n, p_out, n, p_sum_out, n)


@parallel()
def _cascade_stream(
    indptr,
    indices,
    chunks,
    x,
    scale_out,
    self_loop,
    merged,
    fusion,
    from_state,
    fusion_scale,
    z,
    e,
    p,
    p_sum,
    z_sum,
    p_out,
    p_sum_out,
    z_out,
    z_sum_out,
    c_out,
    r_out,
    inverse_out,
):
    """z_out and z_sum_out; the projection's c, r and inverse where they are kept.

    The parallel knowledge is p_out, or the messages e. Where the streams are merged, p_out and
    p_sum_out are made here too, and e is c_out. `fusion` is PLAIN without a parallel stream. A
    chunk's messages come first, then its rows: so neither waits for the other's memory.
    """
    kept = len(c_out) > 0
    for chunk in nb.prange(len(chunks) - 1):
        start, end = chunks[chunk], chunks[chunk + 1]
        c = c_out if kept else np.empty((end - start, z.shape[1]), z.dtype)
        before = 0 if kept else start  # rows of c are nodes from here on
        for n in range(start, end):
            first, last, s = indptr[n], indptr[n + 1], scale_out[n]
            sum_neighbours(x, indices, first, last, n, self_loop, s, False, c, c, n - before)
        for n in range(start, end):
            row = n - before
            if merged:
                _add_row(c, row, p, n, p_out, n)
                if len(p_sum):
                    _add_row(p_sum, n, p_out, n, p_sum_out, n)
            a = p_out if from_state else e
            of_c = z.dtype.type(1)
            if fusion == PROJECTION:
                ac, cc = _two_dots(a, n, c, row)
                cc += z.dtype.type(EPSILON)
                of_c += fusion_scale * (ac / cc)
                if len(r_out):
                    r_out[n] = ac / cc
                    inverse_out[n] = 1 / cc
            _add_scaled_row(of_c, c, row, z, n, z_out, n)
            if fusion == SUMMATION:
                _add_scaled_row(fusion_scale, a, n, z_out, n, z_out, n)
            if len(z_sum):
                _add_row(z_sum, n, z_out, n, z_sum_out, n)


@parallel(fastmath=FAST)
def _linear_fusion(a, weight, bias, fusion_scale, z_out, z_sum, z_sum_out):
    """z_out += fusion_scale·(a·weight + bias), then z_sum_out = z_sum + z_out."""
    n_rows, d = a.shape
    for n in nb.prange(n_rows):
        fused = bias.copy()
        for i in range(d):
            x = a[n, i]
            for j in range(d):
                fused[j] += x * weight[i, j]
        for j in range(d):
            z_out[n, j] += fusion_scale * fused[j]
        if len(z_sum):
            for j in range(d):
                z_sum_out[n, j] = z_sum[n, j] + z_out[n, j]


@serial(fastmath=FAST)
def _features(a, c, f):
    """f = [c | a | c − a | c∘a] of one row."""
    d = len(a)
    for j in range(d):
        f[0, j] = c[j]
        f[1, j] = a[j]
        f[2, j] = c[j] - a[j]
        f[3, j] = c[j] * a[j]


@parallel(fastmath=FAST)
def _vanilla_fusion(a, c, weight, bias, fusion_scale, w_out, z_out, z_sum, z_sum_out):
    """z_out += fusion_scale·Σ_j w_j f_j, z_sum_out = z_sum + z_out; w_out (N, 4): the attention."""
    n_rows, d = a.shape
    for n in nb.prange(n_rows):
        f = np.empty((4, d), a.dtype)
        _features(a[n], c[n], f)
        w = bias.copy()
        for part in range(4):
            for i in range(d):
                for j in range(4):
                    w[j] += f[part, i] * weight[part * d + i, j]
        top = w.max()
        total = a.dtype.type(0)
        for j in range(4):
            w[j] = np.exp(w[j] - top)
            total += w[j]
        for part in range(4):
            w_out[n, part] = w[part] / total
            for j in range(d):
                z_out[n, j] += fusion_scale * w_out[n, part] * f[part, j]
        if len(z_sum):
            for j in range(d):
                z_sum_out[n, j] = z_sum[n, j] + z_out[n, j]


def layer(
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
    both, merged = fusion != "none", p is z
    dense = fusion in ("linear", "vanilla")
    from_state = fusion_source == "state"
    none, flat_none = _none(z), _flat_none(z)
    from_e = both and not from_state  # the parallel knowledge is the message
    keep_r = keep and fusion == "projection"
    keep_c = keep_r or fusion == "vanilla" or (from_e and merged)
    z_out = empty_like(z)
    p_out = empty_like(z) if both else none
    c_out = empty_like(z) if keep_c else none
    r_out = empty(len(z), z.dtype) if keep_r else flat_none
    inverse_out = empty(len(z), z.dtype) if keep_r else flat_none
    p_sums, z_sums = _sums(p_sum if both else None, p, none), _sums(z_sum, z, none)
    e_out = none
    if from_e:
        e_out = c_out if merged else empty_like(z)
    if both and not merged:
        pattern = _pattern(adjacency, _scaled(adjacency, p))
        _parallel_stream(*pattern, p, p_sums[0], e_out, p_out, p_sums[1])
    _cascade_stream(
        *_pattern(adjacency, _scaled(adjacency, z)),
        merged and both,
        {"projection": PROJECTION, "summation": SUMMATION}.get(fusion, PLAIN),
        from_state,
        z.dtype.type(fusion_scale),
        z,
        e_out,
        p if both else none,
        p_sums[0],
        none if dense else z_sums[0],
        p_out,
        p_sums[1],
        z_out,
        z_sums[1],
        c_out,
        r_out,
        inverse_out,
    )
    a = p_out if from_state else e_out
    saved = (a, c_out, r_out, inverse_out) if fusion == "projection" else ()
    if fusion == "linear":
        _linear_fusion(a, weight, bias, fusion_scale, z_out, *z_sums)
        saved = (a,)
    elif fusion == "vanilla":
        w = np.empty((len(z), 4), z.dtype)
        _vanilla_fusion(a, c_out, weight, bias, fusion_scale, w, z_out, *z_sums)
        saved = (a, c_out, w)
    return (
        p_out if both else None,
        z_out,
        None if p_sum is None or not both else p_sums[1],
        None if z_sum is None else z_sums[1],
        saved if keep else None,
    )


def _sums(total, before, none):
    """(the sum so far, where the next goes): a new array where it begins with the layer's input."""
    if total is None:
        return none, none
    return total, empty_like(total) if total is before else total


@inlined()
def _dot_of_sum(f, x, g, y, n, c):
    """⟨f·x[n] + g·y[n], c[n]⟩."""
    d, w = c.shape[1], LINE // c.itemsize
    f_, g_ = spread_over(f, c), spread_over(g, c)
    lanes = zero(c)
    for j in range(0, d - w + 1, w):
        lanes = lanes + (f_ * load(x, n, j) + g_ * load(y, n, j)) * load(c, n, j)
    result = total(lanes)
    for j in range(d - d % w, d):
        result += (f * x[n, j] + g * y[n, j]) * c[n, j]
    return result


@parallel()
def _rows_adjoint(
    p0,
    p1,
    of_p,
    z0,
    z1,
    of_z,
    fusion,
    from_state,
    merged,
    fusion_scale,
    a,
    c,
    r,
    inverse,
    send,
    unit,
    residual_p,
    residual_z,
    d_e,
    d_c,
):
    """Row by row: what the residuals pass on, and send∘ the messages' gradients d_e, d_c.

    The gradient of z' is of_z[0]·z0 + of_z[1]·z1, and what its residual passes on takes the factors
    of_z[2], of_z[3]; likewise for p'. Factors instead of questions: a table that is not there is
    another one times 0, so that the loop over a row has no branches. Where the streams are merged,
    residual_z and d_c take the parallel stream's part too. `send` is not read where it is all ones
    (`unit`). Each table is met once, a line at a time.
    """
    both = merged or len(residual_p) > 0
    d, w = d_c.shape[1], LINE // d_c.itemsize
    state = d_c.dtype.type(1 if from_state else 0)
    for n in nb.prange(len(d_c)):
        s = d_c.dtype.type(1) if unit else send[n]
        t = rs = rt2 = by_g = d_c.dtype.type(0)
        if fusion == PROJECTION:
            t = _dot_of_sum(of_z[0], z0, of_z[1], z1, n, c) * fusion_scale * inverse[n]
            rs, rt2 = r[n] * fusion_scale, -2 * r[n] * t
        elif fusion == SUMMATION:
            by_g = fusion_scale
        s_, t_, rt2_ = spread_over(s, d_c), spread_over(t, d_c), spread_over(rt2, d_c)
        rs_, by_g_, state_ = (
            spread_over(1 + rs, d_c),
            spread_over(by_g, d_c),
            spread_over(state, d_c),
        )
        z0_, z1_ = spread_over(of_z[0], d_c), spread_over(of_z[1], d_c)
        z2_, z3_ = spread_over(of_z[2], d_c), spread_over(of_z[3], d_c)
        p0_, p1_ = spread_over(of_p[0], d_c), spread_over(of_p[1], d_c)
        p2_, p3_ = spread_over(of_p[2], d_c), spread_over(of_p[3], d_c)
        for j in range(0, d - w + 1, w):
            x, y, of_c = load(z0, n, j), load(z1, n, j), load(c, n, j)
            g = z0_ * x + z1_ * y
            kept = z2_ * x + z3_ * y
            to_c = rs_ * g + t_ * load(a, n, j) + rt2_ * of_c
            if both:
                x, y = load(p0, n, j), load(p1, n, j)
                fused = t_ * of_c + by_g_ * g
                to_e = p0_ * x + p1_ * y + fused
                passed = p2_ * x + p3_ * y + state_ * fused
                if merged:
                    kept, to_c = kept + passed, to_c + to_e
                else:
                    store(passed, residual_p, n, j)
                    store(s_ * to_e, d_e, n, j)
            store(kept, residual_z, n, j)
            store(s_ * to_c, d_c, n, j)
        for j in range(d - d % w, d):
            g = of_z[0] * z0[n, j] + of_z[1] * z1[n, j]
            kept = of_z[2] * z0[n, j] + of_z[3] * z1[n, j]
            to_c = (1 + rs) * g + t * a[n, j] + rt2 * c[n, j]
            if both:
                fused = t * c[n, j] + by_g * g
                to_e = of_p[0] * p0[n, j] + of_p[1] * p1[n, j] + fused
                passed = of_p[2] * p0[n, j] + of_p[3] * p1[n, j] + state * fused
                if merged:
                    kept, to_c = kept + passed, to_c + to_e
                else:
                    residual_p[n, j] = passed
                    d_e[n, j] = s * to_e
            residual_z[n, j] = kept
            d_c[n, j] = s * to_c


def _factors(gradient, of_sum, begins, stand_in):
    """Two tables and the four factors of `_rows_adjoint` for a gradient and that of a sum."""
    there = [gradient is not None, of_sum is not None]
    passed = [there[0], there[1] * (2 if begins else 1)]
    tables = (stand_in if gradient is None else gradient, stand_in if of_sum is None else of_sum)
    return *tables, np.array(there + passed, stand_in.dtype)


@parallel(fastmath=FAST)
def _linear_fusion_adjoint(g, weight, fusion_scale, a, d_e, d_weight, d_bias):
    """d_e += fusion_scale·g·weightᵀ; d_weight, d_bias (pieces, …) the sums over a piece of rows."""
    n_rows, d = a.shape
    pieces = len(d_bias)
    for piece in nb.prange(pieces):
        for n in range(piece * n_rows // pieces, (piece + 1) * n_rows // pieces):
            for i in range(d):
                total = a.dtype.type(0)
                x = fusion_scale * a[n, i]
                for j in range(d):
                    total += g[n, j] * weight[i, j]
                    d_weight[piece, i, j] += x * g[n, j]
                d_e[n, i] += fusion_scale * total
            for j in range(d):
                d_bias[piece, j] += fusion_scale * g[n, j]


@parallel(fastmath=FAST)
def _vanilla_fusion_adjoint(g, weight, fusion_scale, a, c, w, d_e, d_c, d_weight, d_bias):
    n_rows, d = a.shape
    pieces = len(d_bias)
    for piece in nb.prange(pieces):
        f = np.empty((4, d), a.dtype)
        d_f = np.empty((4, d), a.dtype)
        d_logits = np.empty(4, a.dtype)
        for n in range(piece * n_rows // pieces, (piece + 1) * n_rows // pieces):
            _features(a[n], c[n], f)
            mean = a.dtype.type(0)
            for part in range(4):
                total = a.dtype.type(0)
                for j in range(d):
                    total += g[n, j] * f[part, j]
                d_logits[part] = fusion_scale * total
                mean += w[n, part] * d_logits[part]
            for part in range(4):
                d_logits[part] = w[n, part] * (d_logits[part] - mean)
                d_bias[piece, part] += d_logits[part]
            for part in range(4):
                for i in range(d):
                    total = fusion_scale * w[n, part] * g[n, i]
                    for j in range(4):
                        total += d_logits[j] * weight[part * d + i, j]
                        d_weight[piece, part * d + i, j] += f[part, i] * d_logits[j]
                    d_f[part, i] = total
            for j in range(d):
                d_e[n, j] += d_f[1, j] - d_f[2, j] + d_f[3, j] * c[n, j]
                d_c[n, j] += d_f[0, j] + d_f[2, j] + d_f[3, j] * a[n, j]


@parallel()
def _add(x, y, out):
    for n in nb.prange(len(x)):
        _add_row(x, n, y, n, out, n)


def layer_adjoint(
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
    none, flat_none = _none(some), _flat_none(some)
    both = fusion != "none"
    from_state = fusion_source == "state"
    fusion_scale = some.dtype.type(fusion_scale)
    dense = fusion in ("linear", "vanilla")
    back = adjacency.transposed
    at_once = merged and not dense  # the streams' gradients meet in the pass over the rows
    d_c, residual_z = empty_like(some), empty_like(some)
    apart = both and not at_once
    d_e, residual_p = (empty_like(some), empty_like(some)) if apart else (none, none)
    projection = saved if fusion == "projection" else (some, some, flat_none, flat_none)
    begins_here = begins and not dense
    _rows_adjoint(
        *_factors(d_p, d_p_sum, begins_here, some),
        *_factors(d_z, d_z_sum, begins_here, some),
        {"projection": PROJECTION, "summation": SUMMATION}.get(fusion, PLAIN),
        from_state,
        at_once,
        fusion_scale,
        *projection,
        back.scale_in,
        dense or back.unit_in,
        residual_p,
        residual_z,
        d_e,
        d_c,
    )
    d_weight = d_bias = None
    if dense:
        d_weight = np.zeros((PIECES, *weight.shape), some.dtype)
        d_bias = np.zeros((PIECES, *bias.shape), some.dtype)
        if fusion == "linear":
            _linear_fusion_adjoint(residual_z, weight, fusion_scale, *saved, d_e, d_weight, d_bias)
        else:
            _vanilla_fusion_adjoint(
                residual_z, weight, fusion_scale, *saved, d_e, d_c, d_weight, d_bias
            )
        d_weight, d_bias = d_weight.sum(axis=0), d_bias.sum(axis=0)
        if from_state:
            residual_p[...] = d_e
        if begins:
            for residual, d_sum in ((residual_p, d_p_sum), (residual_z, d_z_sum)):
                if d_sum is not None:
                    _add(residual, d_sum, residual)
        if merged:  # one table took both messages
            _add(d_c, d_e, d_c)
            _add(residual_z, residual_p, residual_z)
        d_c = _scaled(back, d_c)
        if not merged:
            d_e = _scaled(back, d_e)
    _messages(*_pattern(back, d_c), True, residual_z, residual_z)
    if not both or merged:
        return None, residual_z, d_weight, d_bias
    _messages(*_pattern(back, d_e), True, residual_p, residual_p)
    return residual_p, residual_z, d_weight, d_bias
