"""propagate in Numba. Contract: `__init__.py`.

Rows are independent, so threads share them by chunks of equal edge counts. A layer gathers the
parallel stream's messages, then the cascade's: one table at a time stays in the cache better than
two (Taobao's view graph, d = 64, in a C prototype: 0.93 of the time of one pass over both), and the
indices are cheap to read twice. Residual, fusion and layer sums are done while a message is at
hand. In the adjoint a pass over the rows comes first; it scales the messages' gradients on the way,
so that a gather never multiplies.
"""

import numba as nb
import numpy as np

from ..jit import FAST, inlined, parallel, serial
from ..memory import LINE, empty, empty_like
from ..simd import load, spread_over, store, total, zero
from . import EPSILON
from .gather import gather_row

__all__ = ["layer", "layer_adjoint", "project", "project_adjoint", "spread"]

# Weight gradients are summed over this many pieces of rows, whatever the number of threads.
PIECES = 64

PROJECTION, SUMMATION, PLAIN = 0, 1, 2  # PLAIN: nothing is added (none; linear, vanilla: later)


def _none(x):
    """Stands for an array that is not there: Numba wants one type an argument."""
    return np.empty((0, x.shape[1]), x.dtype)


def _flat_none(x):
    return np.empty(0, x.dtype)


@inlined()
def _copy_row(a, n, b, m):
    """b[m] = a[n]."""
    d, w = a.shape[1], LINE // a.itemsize
    for j in range(0, d - w + 1, w):
        store(load(a, n, j), b, m, j)
    for j in range(d - d % w, d):
        b[m, j] = a[n, j]


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
def _dot(a, n, b, m):
    """⟨a[n], b[m]⟩."""
    d, w = a.shape[1], LINE // a.itemsize
    lanes = zero(a)
    for j in range(0, d - w + 1, w):
        lanes = lanes + load(a, n, j) * load(b, m, j)
    result = total(lanes)
    for j in range(d - d % w, d):
        result += a[n, j] * b[m, j]
    return result


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
def _gather(indptr, indices, chunks, x, scale_out, self_loop, keep, y):
    """y = keep·y + scale_out∘(A + self_loop·I)·x."""
    for chunk in nb.prange(len(chunks) - 1):
        for n in range(chunks[chunk], chunks[chunk + 1]):
            first, last = indptr[n], indptr[n + 1]
            gather_row(x, indices, first, last, n, self_loop, scale_out[n], keep, y, y, n)


def _pattern(adjacency, x):
    """What `_gather` and its like take of a graph and of a table that is already scaled."""
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
    _gather(*_pattern(adjacency, _scaled(adjacency, x)), False, y)
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


@inlined()
def _project_adjoint_row(d_out, scale, a, c, r, inverse, n, d_a, d_c):
    """Adds the gradients of scale·projection, row n, to d_a[n] and d_c[n]."""
    d, w = a.shape[1], LINE // a.itemsize
    t = _dot(d_out, n, c, n) * scale * inverse
    rs, rt2 = r * scale, -2 * r * t
    t_lane, rs_lane, rt2_lane = spread_over(t, a), spread_over(rs, a), spread_over(rt2, a)
    for j in range(0, d - w + 1, w):
        of_c = load(c, n, j)
        store(load(d_a, n, j) + t_lane * of_c, d_a, n, j)
        moved = rs_lane * load(d_out, n, j) + t_lane * load(a, n, j) + rt2_lane * of_c
        store(load(d_c, n, j) + moved, d_c, n, j)
    for j in range(d - d % w, d):
        d_a[n, j] += t * c[n, j]
        d_c[n, j] += rs * d_out[n, j] + t * a[n, j] + rt2 * c[n, j]


@parallel()
def _project_adjoint(d_out, a, c, r, inverse, d_a, d_c):
    for n in nb.prange(a.shape[0]):
        _project_adjoint_row(d_out, r.dtype.type(1), a, c, r[n], inverse[n], n, d_a, d_c)


def project_adjoint(d_out, a, c, r, inverse):
    """Gradients (d_a, d_c) of `project`."""
    d_a, d_c = np.zeros_like(a), np.zeros_like(c)
    _project_adjoint(d_out, a, c, r, inverse, d_a, d_c)
    return d_a, d_c


@parallel()
def _parallel_stream(indptr, indices, chunks, x, scale_out, self_loop, p, p_sum, e_out, p_out):
    """p_out = e + p with e = Âp, and p_sum += p_out; x is p scaled; e_out = e where it is kept."""
    for chunk in nb.prange(len(chunks) - 1):
        for n in range(chunks[chunk], chunks[chunk + 1]):
            first, last, s = indptr[n], indptr[n + 1], scale_out[n]
            if len(e_out):
                gather_row(x, indices, first, last, n, self_loop, s, False, p, e_out, n)
                _add_row(e_out, n, p, n, p_out, n)
            else:
                gather_row(x, indices, first, last, n, self_loop, s, True, p, p_out, n)
            if len(p_sum):
                _add_row(p_sum, n, p_out, n, p_sum, n)


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
    scale,
    z,
    e,
    p,
    p_sum,
    z_sum,
    p_out,
    z_out,
    c_out,
    r_out,
    inverse_out,
):
    """z_out and z_sum; the projection's c, r and inverse where they are kept.

    The parallel knowledge is p_out, or the messages e. Where the streams are merged, p_out and
    p_sum are made here too, and e is c_out. `fusion` is PLAIN without a parallel stream.
    """
    for chunk in nb.prange(len(chunks) - 1):
        c = np.empty((1, z.shape[1]), z.dtype)  # this row's message stays in L1
        for n in range(chunks[chunk], chunks[chunk + 1]):
            first, last, s = indptr[n], indptr[n + 1], scale_out[n]
            gather_row(x, indices, first, last, n, self_loop, s, False, c, c, 0)
            if len(c_out):
                _copy_row(c, 0, c_out, n)
            if merged:
                _add_row(c, 0, p, n, p_out, n)
                if len(p_sum):
                    _add_row(p_sum, n, p_out, n, p_sum, n)
            a = p_out if from_state else e
            of_c = z.dtype.type(1)
            if fusion == PROJECTION:
                ac = _dot(a, n, c, 0)
                cc = _dot(c, 0, c, 0) + z.dtype.type(EPSILON)
                of_c += scale * (ac / cc)
                if len(r_out):
                    r_out[n] = ac / cc
                    inverse_out[n] = 1 / cc
            _add_scaled_row(of_c, c, 0, z, n, z_out, n)
            if fusion == SUMMATION:
                _add_scaled_row(scale, a, n, z_out, n, z_out, n)
            if len(z_sum):
                _add_row(z_sum, n, z_out, n, z_sum, n)


@parallel(fastmath=FAST)
def _linear_fusion(a, weight, bias, scale, z_out, z_sum):
    """z_out += scale·(a·weight + bias), then z_sum += z_out."""
    n_rows, d = a.shape
    for n in nb.prange(n_rows):
        fused = bias.copy()
        for i in range(d):
            x = a[n, i]
            for j in range(d):
                fused[j] += x * weight[i, j]
        for j in range(d):
            z_out[n, j] += scale * fused[j]
        if len(z_sum):
            for j in range(d):
                z_sum[n, j] += z_out[n, j]


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
def _vanilla_fusion(a, c, weight, bias, scale, w_out, z_out, z_sum):
    """z_out += scale·Σ_j w_j f_j, then z_sum += z_out; w_out (N, 4) are the attention weights."""
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
                z_out[n, j] += scale * w_out[n, part] * f[part, j]
        if len(z_sum):
            for j in range(d):
                z_sum[n, j] += z_out[n, j]


def layer(adjacency, p, z, p_sum, z_sum, fusion, source, scale, weight=None, bias=None, save=True):
    """One layer of both streams: (p', z', saved); p_sum and z_sum grow in place."""
    both, merged = fusion != "none", p is z
    dense = fusion in ("linear", "vanilla")
    from_state = source == "state"
    none, flat_none = _none(z), _flat_none(z)
    from_e = both and not from_state  # the parallel knowledge is the message
    keep_r = save and fusion == "projection"
    keep_c = keep_r or fusion == "vanilla" or (from_e and merged)
    z_out = empty_like(z)
    p_out = empty_like(z) if both else none
    c_out = empty_like(z) if keep_c else none
    r_out = empty(len(z), z.dtype) if keep_r else flat_none
    inverse_out = empty(len(z), z.dtype) if keep_r else flat_none
    p_sums, z_sums = (none if sums is None else sums for sums in (p_sum, z_sum))
    e_out = none
    if from_e:
        e_out = c_out if merged else empty_like(z)
    if both and not merged:
        pattern = _pattern(adjacency, _scaled(adjacency, p))
        _parallel_stream(*pattern, p, p_sums, e_out, p_out)
    _cascade_stream(
        *_pattern(adjacency, _scaled(adjacency, z)),
        merged and both,
        {"projection": PROJECTION, "summation": SUMMATION}.get(fusion, PLAIN),
        from_state,
        z.dtype.type(scale),
        z,
        e_out,
        p if both else none,
        p_sums,
        none if dense else z_sums,
        p_out,
        z_out,
        c_out,
        r_out,
        inverse_out,
    )
    a = p_out if from_state else e_out
    saved = (a, c_out, r_out, inverse_out) if fusion == "projection" else ()
    if fusion == "linear":
        _linear_fusion(a, weight, bias, scale, z_out, z_sums)
        saved = (a,)
    elif fusion == "vanilla":
        w = np.empty((len(z), 4), z.dtype)
        _vanilla_fusion(a, c_out, weight, bias, scale, w, z_out, z_sums)
        saved = (a, c_out, w)
    return p_out if both else None, z_out, saved if save else None


@inlined()
def _add_optional(a, b, n, y):
    """y[n] = a[n] + b[n], of those that are there."""
    if len(a) and len(b):
        _add_row(a, n, b, n, y, n)
    elif len(a):
        _copy_row(a, n, y, n)
    elif len(b):
        _copy_row(b, n, y, n)
    else:
        for j in range(y.shape[1]):
            y[n, j] = 0


@parallel()
def _rows_adjoint(
    d_p,
    d_z,
    d_p_sum,
    d_z_sum,
    fusion,
    from_state,
    scale,
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

    `send` is not read where it is all ones (`unit`).
    """
    both = len(residual_p) > 0
    for n in nb.prange(len(d_c)):
        _add_optional(d_z, d_z_sum, n, residual_z)
        _copy_row(residual_z, n, d_c, n)
        if both:
            _add_optional(d_p, d_p_sum, n, d_e)
            if not from_state:
                _copy_row(d_e, n, residual_p, n)
            if fusion == PROJECTION:
                _project_adjoint_row(residual_z, scale, a, c, r[n], inverse[n], n, d_e, d_c)
            elif fusion == SUMMATION:
                _add_scaled_row(scale, residual_z, n, d_e, n, d_e, n)
            if from_state:
                _copy_row(d_e, n, residual_p, n)
            if not unit:
                _scale_row(send[n], d_e, n, d_e, n)
        if not unit:
            _scale_row(send[n], d_c, n, d_c, n)


@parallel(fastmath=FAST)
def _linear_fusion_adjoint(g, weight, scale, a, d_e, d_weight, d_bias):
    """d_e += scale·g·weightᵀ; d_weight, d_bias (pieces, …) the sums over a piece of rows."""
    n_rows, d = a.shape
    pieces = len(d_bias)
    for piece in nb.prange(pieces):
        for n in range(piece * n_rows // pieces, (piece + 1) * n_rows // pieces):
            for i in range(d):
                total = a.dtype.type(0)
                x = scale * a[n, i]
                for j in range(d):
                    total += g[n, j] * weight[i, j]
                    d_weight[piece, i, j] += x * g[n, j]
                d_e[n, i] += scale * total
            for j in range(d):
                d_bias[piece, j] += scale * g[n, j]


@parallel(fastmath=FAST)
def _vanilla_fusion_adjoint(g, weight, scale, a, c, w, d_e, d_c, d_weight, d_bias):
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
                d_logits[part] = scale * total
                mean += w[n, part] * d_logits[part]
            for part in range(4):
                d_logits[part] = w[n, part] * (d_logits[part] - mean)
                d_bias[piece, part] += d_logits[part]
            for part in range(4):
                for i in range(d):
                    total = scale * w[n, part] * g[n, i]
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
    source,
    scale,
    weight=None,
    bias=None,
    merged=False,
):
    """Gradients of `layer`: (d_p_in, d_z_in, d_weight, d_bias)."""
    some = d_z if d_z is not None else d_z_sum
    none, flat_none = _none(some), _flat_none(some)
    both = fusion != "none"
    from_state = source == "state"
    scale = some.dtype.type(scale)
    d_p, d_z, d_p_sum, d_z_sum = (none if g is None else g for g in (d_p, d_z, d_p_sum, d_z_sum))
    dense = fusion in ("linear", "vanilla")
    back = adjacency.transposed
    later = dense or merged  # the messages' gradients change before they are sent
    d_c, residual_z = empty_like(some), empty_like(some)
    d_e, residual_p = (empty_like(some), empty_like(some)) if both else (none, none)
    projection = saved if fusion == "projection" else (none, none, flat_none, flat_none)
    _rows_adjoint(
        d_p,
        d_z,
        d_p_sum,
        d_z_sum,
        {"projection": PROJECTION, "summation": SUMMATION}.get(fusion, PLAIN),
        from_state,
        scale,
        *projection,
        back.scale_in,
        later or back.unit_in,
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
            _linear_fusion_adjoint(residual_z, weight, scale, *saved, d_e, d_weight, d_bias)
        else:
            _vanilla_fusion_adjoint(residual_z, weight, scale, *saved, d_e, d_c, d_weight, d_bias)
        d_weight, d_bias = d_weight.sum(axis=0), d_bias.sum(axis=0)
        if from_state:
            residual_p[...] = d_e
    if merged and both:  # one table took both messages
        _add(d_c, d_e, d_c)
        _add(residual_z, residual_p, residual_z)
    if later:
        d_c = _scaled(back, d_c)
    _gather(*_pattern(back, d_c), True, residual_z)
    if not both or merged:
        return None, residual_z, d_weight, d_bias
    if later:
        d_e = _scaled(back, d_e)
    _gather(*_pattern(back, d_e), True, residual_p)
    return residual_p, residual_z, d_weight, d_bias
