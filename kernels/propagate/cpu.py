"""propagate in Numba. Contract: `__init__.py`.

Rows are independent, so threads share them by chunks of equal edge counts. A layer gathers the
parallel stream's messages, then the cascade's: one table at a time stays in the cache better than
two (Taobao's view graph, d = 64: 0.7 of the time of one pass over both), and the indices are cheap
to read twice. Residual, fusion and layer sum are done while the second gather's row is at hand.
"""

import numba as nb
import numpy as np

from ..jit import FAST, parallel, serial
from . import EPSILON

__all__ = ["layer", "layer_adjoint", "project", "project_adjoint", "spread"]

# Weight gradients are summed over this many pieces of rows, whatever the number of threads.
PIECES = 64

PROJECTION, SUMMATION, PLAIN = 0, 1, 2  # PLAIN: nothing is added (none; linear, vanilla: later)


def _none(x):
    """Stands for an array that is not there: Numba wants one type an argument."""
    return np.empty((0, x.shape[1]), x.dtype)


def _flat_none(x):
    return np.empty(0, x.dtype)


@serial(fastmath=FAST)
def _row_message(indptr, indices, scale_in, unit_in, self_loop, n, x, out):
    """out = Σ over neighbours m (and n itself with a self-loop) of scale_in[m]·x[m].

    Four neighbours a turn, so that the running sum is loaded and stored a quarter as often.
    """
    d = x.shape[1]
    if self_loop:
        s = scale_in[n]
        for j in range(d):
            out[j] = s * x[n, j]
    else:
        for j in range(d):
            out[j] = 0
    edge, end = indptr[n], indptr[n + 1]
    while edge + 4 <= end:
        a, b = indices[edge], indices[edge + 1]
        c, e = indices[edge + 2], indices[edge + 3]
        if unit_in:
            for j in range(d):
                out[j] += ((x[a, j] + x[b, j]) + x[c, j]) + x[e, j]
        else:
            sa, sb, sc, se = scale_in[a], scale_in[b], scale_in[c], scale_in[e]
            for j in range(d):
                out[j] += ((sa * x[a, j] + sb * x[b, j]) + sc * x[c, j]) + se * x[e, j]
        edge += 4
    while edge < end:
        a = indices[edge]
        s = scale_in[a]
        for j in range(d):
            out[j] += s * x[a, j]
        edge += 1


@parallel(fastmath=FAST)
def _spread(indptr, indices, scale_in, scale_out, unit_in, self_loop, chunks, x, y):
    d = x.shape[1]
    for chunk in nb.prange(len(chunks) - 1):
        for n in range(chunks[chunk], chunks[chunk + 1]):
            _row_message(indptr, indices, scale_in, unit_in, self_loop, n, x, y[n])
            s = scale_out[n]
            for j in range(d):
                y[n, j] *= s


def spread(adjacency, x):
    """y = Â x."""
    y = np.empty_like(x)
    _spread(
        adjacency.indptr,
        adjacency.indices,
        adjacency.scale_in,
        adjacency.scale_out,
        adjacency.unit_in,
        adjacency.self_loop,
        adjacency.chunks,
        x,
        y,
    )
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
    out = np.empty_like(c)
    r, inverse = np.empty(len(c), c.dtype), np.empty(len(c), c.dtype)
    _project(a, c, out, r, inverse)
    return out, r, inverse


@serial(fastmath=FAST)
def _project_adjoint_row(d_out, scale, a, c, r, inverse, d_a, d_c):
    """Adds the gradients of scale·projection to the rows d_a and d_c."""
    d = len(a)
    t = a.dtype.type(0)
    for j in range(d):
        t += d_out[j] * c[j]
    t *= scale * inverse
    rs = r * scale
    rt2 = 2 * r * t
    for j in range(d):
        d_a[j] += t * c[j]
        d_c[j] += rs * d_out[j] + t * a[j] - rt2 * c[j]


@parallel()
def _project_adjoint(d_out, a, c, r, inverse, d_a, d_c):
    for n in nb.prange(a.shape[0]):
        _project_adjoint_row(
            d_out[n], r.dtype.type(1), a[n], c[n], r[n], inverse[n], d_a[n], d_c[n]
        )


def project_adjoint(d_out, a, c, r, inverse):
    """Gradients (d_a, d_c) of `project`."""
    d_a, d_c = np.zeros_like(a), np.zeros_like(c)
    _project_adjoint(d_out, a, c, r, inverse, d_a, d_c)
    return d_a, d_c


@parallel(fastmath=FAST)
def _layer(
    indptr,
    indices,
    scale_in,
    scale_out,
    unit_in,
    self_loop,
    chunks,
    p,
    z,
    both,
    merged,
    fusion,
    from_state,
    scale,
    p_sum,
    z_sum,
    p_out,
    z_out,
    a_out,
    c_out,
    r_out,
    inverse_out,
):
    d = z.shape[1]
    if both and not merged:  # p_out holds the messages until the second pass
        for chunk in nb.prange(len(chunks) - 1):
            for n in range(chunks[chunk], chunks[chunk + 1]):
                _row_message(indptr, indices, scale_in, unit_in, self_loop, n, p, p_out[n])
    for chunk in nb.prange(len(chunks) - 1):
        e = np.empty(d, z.dtype)
        c = np.empty(d, z.dtype)
        for n in range(chunks[chunk], chunks[chunk + 1]):
            s = scale_out[n]
            _row_message(indptr, indices, scale_in, unit_in, self_loop, n, z, c)
            for j in range(d):
                c[j] *= s
            if merged:
                for j in range(d):
                    e[j] = c[j]
            elif both:
                for j in range(d):
                    e[j] = s * p_out[n, j]
            z_new = z_out[n]
            for j in range(d):
                z_new[j] = c[j] + z[n, j]
            if both:
                p_new = p_out[n]
                for j in range(d):
                    p_new[j] = e[j] + p[n, j]
                if len(p_sum):
                    for j in range(d):
                        p_sum[n, j] += p_new[j]
                a = p_new if from_state else e
                if fusion == PROJECTION:
                    ac = z.dtype.type(0)
                    cc = z.dtype.type(EPSILON)
                    for j in range(d):
                        ac += a[j] * c[j]
                        cc += c[j] * c[j]
                    r = ac / cc
                    for j in range(d):
                        z_new[j] += scale * r * c[j]
                    if len(r_out):
                        r_out[n] = r
                        inverse_out[n] = 1 / cc
                elif fusion == SUMMATION:
                    for j in range(d):
                        z_new[j] += scale * a[j]
                if len(a_out) and not from_state:
                    for j in range(d):
                        a_out[n, j] = e[j]
                if len(c_out):
                    for j in range(d):
                        c_out[n, j] = c[j]
            if len(z_sum):
                for j in range(d):
                    z_sum[n, j] += z_new[j]


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
    both = fusion != "none"
    dense = fusion in ("linear", "vanilla")
    from_state = source == "state"
    none, flat_none = _none(z), _flat_none(z)
    z_out = np.empty_like(z)
    p_out = np.empty_like(z) if both else none
    keep_a = both and not from_state and (dense or (save and fusion == "projection"))
    keep_c = fusion == "vanilla" or (save and fusion == "projection")
    keep_r = save and fusion == "projection"
    a_out = np.empty_like(z) if keep_a else none
    c_out = np.empty_like(z) if keep_c else none
    r_out = np.empty(len(z), z.dtype) if keep_r else flat_none
    inverse_out = np.empty(len(z), z.dtype) if keep_r else flat_none
    sums = none if z_sum is None else z_sum
    scale = z.dtype.type(scale)
    _layer(
        adjacency.indptr,
        adjacency.indices,
        adjacency.scale_in,
        adjacency.scale_out,
        adjacency.unit_in,
        adjacency.self_loop,
        adjacency.chunks,
        p if both else none,
        z,
        both,
        p is z,
        {"projection": PROJECTION, "summation": SUMMATION}.get(fusion, PLAIN),
        from_state,
        scale,
        none if p_sum is None else p_sum,
        none if dense else sums,
        p_out,
        z_out,
        a_out,
        c_out,
        r_out,
        inverse_out,
    )
    a = p_out if from_state else a_out
    saved = (a, c_out, r_out, inverse_out) if fusion == "projection" else ()
    if fusion == "linear":
        _linear_fusion(a, weight, bias, scale, z_out, sums)
        saved = (a,)
    elif fusion == "vanilla":
        w = np.empty((len(z), 4), z.dtype)
        _vanilla_fusion(a, c_out, weight, bias, scale, w, z_out, sums)
        saved = (a, c_out, w)
    return p_out if both else None, z_out, saved if save else None


@parallel(fastmath=FAST)
def _messages_adjoint(
    d_p, d_z, d_p_sum, d_z_sum, fusion, from_state, scale, a, c, r, inverse, g_p, d_e, d_c
):
    """Row by row: g_p = d_p + d_p_sum, and the gradients d_e, d_c of the messages.

    From "state" d_e is also what the residual passes on, and g_p is not written.
    """
    n_rows, d = d_c.shape
    for n in nb.prange(n_rows):
        g = np.zeros(d, d_c.dtype)
        if len(d_z):
            for j in range(d):
                g[j] += d_z[n, j]
        if len(d_z_sum):
            for j in range(d):
                g[j] += d_z_sum[n, j]
        row_e, row_c = d_e[n], d_c[n]
        for j in range(d):
            row_c[j] = g[j]
            row_e[j] = 0
        if len(d_p):
            for j in range(d):
                row_e[j] += d_p[n, j]
        if len(d_p_sum):
            for j in range(d):
                row_e[j] += d_p_sum[n, j]
        if not from_state:
            for j in range(d):
                g_p[n, j] = row_e[j]
        if fusion == PROJECTION:
            _project_adjoint_row(g, scale, a[n], c[n], r[n], inverse[n], row_e, row_c)
        elif fusion == SUMMATION:
            for j in range(d):
                row_e[j] += scale * g[j]


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


@parallel(fastmath=FAST)
def _messages_back(
    indptr,
    indices,
    scale_in,
    scale_out,
    unit_in,
    self_loop,
    chunks,
    residual_p,
    d_z,
    d_z_sum,
    d_e,
    d_c,
    both,
    merged,
    d_p_in,
    d_z_in,
):
    """d_p_in = residual_p + Âᵀ d_e, d_z_in = d_z + d_z_sum + Âᵀ d_c; merged: their sum."""
    d = d_c.shape[1]
    if both and not merged:
        for chunk in nb.prange(len(chunks) - 1):
            for n in range(chunks[chunk], chunks[chunk + 1]):
                row = d_p_in[n]
                _row_message(indptr, indices, scale_in, unit_in, self_loop, n, d_e, row)
                s = scale_out[n]
                for j in range(d):
                    row[j] = residual_p[n, j] + s * row[j]
    for chunk in nb.prange(len(chunks) - 1):
        for n in range(chunks[chunk], chunks[chunk + 1]):
            # merged: d_c already holds the sum of both messages' gradients
            row = d_z_in[n]
            _row_message(indptr, indices, scale_in, unit_in, self_loop, n, d_c, row)
            s = scale_out[n]
            for j in range(d):
                row[j] *= s
            if merged:
                for j in range(d):
                    row[j] += residual_p[n, j]
            if len(d_z):
                for j in range(d):
                    row[j] += d_z[n, j]
            if len(d_z_sum):
                for j in range(d):
                    row[j] += d_z_sum[n, j]


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
    d_c, d_e = np.empty_like(some), np.empty_like(some)
    g_p = np.empty_like(some) if both and not from_state else none
    projection = saved if fusion == "projection" else (none, none, flat_none, flat_none)
    _messages_adjoint(
        d_p,
        d_z,
        d_p_sum,
        d_z_sum,
        {"projection": PROJECTION, "summation": SUMMATION}.get(fusion, PLAIN),
        from_state or not both,
        scale,
        *projection,
        g_p,
        d_e,
        d_c,
    )
    d_weight = d_bias = None
    if fusion in ("linear", "vanilla"):
        g = d_c if fusion == "linear" else d_c.copy()  # d_c is still g_z here
        d_weight = np.zeros((PIECES, *weight.shape), some.dtype)
        d_bias = np.zeros((PIECES, *bias.shape), some.dtype)
        if fusion == "linear":
            _linear_fusion_adjoint(g, weight, scale, *saved, d_e, d_weight, d_bias)
        else:
            _vanilla_fusion_adjoint(g, weight, scale, *saved, d_e, d_c, d_weight, d_bias)
        d_weight, d_bias = d_weight.sum(axis=0), d_bias.sum(axis=0)
    residual_p = d_e if from_state else g_p
    if merged:  # one table took both messages
        d_c += d_e
    back = adjacency.transposed
    d_p_in = np.empty_like(some) if both and not merged else none
    d_z_in = np.empty_like(some)
    _messages_back(
        back.indptr,
        back.indices,
        back.scale_in,
        back.scale_out,
        back.unit_in,
        back.self_loop,
        back.chunks,
        residual_p,
        d_z,
        d_z_sum,
        d_e,
        d_c,
        both,
        merged and both,
        d_p_in,
        d_z_in,
    )
    return d_p_in if both and not merged else None, d_z_in, d_weight, d_bias
