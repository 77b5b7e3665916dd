"""propagate in NumPy: the truth that the fast forms are held to. Contract: `__init__.py`."""

from __future__ import annotations

import numpy as np

from . import EPSILON

__all__ = ["layer", "layer_adjoint", "layer_sum", "project", "project_adjoint", "spread"]


def bf16(x):
    """float32 numbers rounded to bfloat16, to nearest and ties to even, as float32."""
    bits = x.view(np.uint32)
    upper = (bits + 0x7FFF + ((bits >> 16) & 1)) & 0xFFFF0000
    return np.where(np.isnan(x), x, upper.astype(np.uint32).view(np.float32))


def spread(adjacency, x):
    """y = Â x."""
    indptr, indices = adjacency.indptr, adjacency.indices
    rows = np.repeat(np.arange(len(indptr) - 1), np.diff(indptr))
    scaled = adjacency.scale_in[:, None] * x
    if adjacency.storage == "bfloat16" and x.dtype == np.float32:
        scaled = bf16(scaled)
    y = scaled * x.dtype.type(adjacency.self_loop)
    np.add.at(y, rows, scaled[indices])
    return adjacency.scale_out[:, None] * y


def layer_sum(adjacency, x, layers):
    """y = Σ_{l=0…layers} Â^l x."""
    y = x.copy()
    for _ in range(layers):
        y = x + spread(adjacency, y)
    return y


def _dot(a, b):
    return np.sum(a * b, axis=1)


def project(a, c):
    """r·c with r = ⟨a,c⟩ / (⟨c,c⟩ + ε); also r and inverse = 1/(⟨c,c⟩ + ε)."""
    inverse = 1 / (_dot(c, c) + c.dtype.type(EPSILON))
    r = _dot(a, c) * inverse
    return r[:, None] * c, r, inverse


def project_adjoint(d_out, a, c, r, inverse):
    """d_a = t·c, d_c = r·d_out + t·a − 2rt·c, with t = ⟨d_out,c⟩·inverse."""
    t = _dot(d_out, c) * inverse
    d_a = t[:, None] * c
    d_c = r[:, None] * d_out + t[:, None] * a - (2 * r * t)[:, None] * c
    return d_a, d_c


def _features(a, c):
    return np.concatenate([c, a, c - a, c * a], axis=1)  # (N, 4d)


def _fuse(fusion, a, c, weight, bias):
    """fuse(a, c) and what its adjoint needs."""
    if fusion == "projection":
        out, r, inverse = project(a, c)
        return out, (a, c, r, inverse)
    if fusion == "vanilla":
        f = _features(a, c)
        logits = f @ weight + bias
        w = np.exp(logits - logits.max(axis=1, keepdims=True))
        w /= w.sum(axis=1, keepdims=True)
        parts = f.reshape(len(a), 4, -1)
        return np.einsum("nj,njd->nd", w, parts), (a, c, w)
    if fusion == "summation":
        return a, ()
    if fusion == "linear":
        return a @ weight + bias, (a,)
    return np.zeros_like(c), ()


def _fuse_adjoint(fusion, d_out, saved, weight):
    """Gradients (d_a, d_c, d_weight, d_bias) of fuse; None where it does not depend on them."""
    if fusion == "projection":
        return (*project_adjoint(d_out, *saved), None, None)
    if fusion == "vanilla":
        a, c, w = saved
        f = _features(a, c)
        d_w = np.einsum("nd,njd->nj", d_out, f.reshape(len(a), 4, -1))
        d_logits = w * (d_w - np.sum(w * d_w, axis=1, keepdims=True))
        d_f = d_logits @ weight.T + (w[:, :, None] * d_out[:, None, :]).reshape(f.shape)
        d_c1, d_a1, d_difference, d_product = np.split(d_f, 4, axis=1)
        d_a = d_a1 - d_difference + d_product * c
        d_c = d_c1 + d_difference + d_product * a
        return d_a, d_c, f.T @ d_logits, d_logits.sum(axis=0)
    if fusion == "summation":
        return d_out, None, None, None
    if fusion == "linear":
        (a,) = saved
        return d_out @ weight.T, None, a.T @ d_out, d_out.sum(axis=0)
    return None, None, None, None


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
    c = spread(adjacency, z)
    z_out = c + z
    p_out, saved = None, ()
    if fusion != "none":
        e = spread(adjacency, p)
        p_out = e + p
        a = e if fusion_source == "message" else p_out
        fused, saved = _fuse(fusion, a, c, weight, bias)
        z_out = z_out + z.dtype.type(fusion_scale) * fused
    p_sum = None if p_out is None else _grown(p_sum, p, p_out)
    z_sum = _grown(z_sum, z, z_out)
    return p_out, z_out, p_sum, z_sum, saved if keep else None


def _grown(total, before, new):
    """The running sum with `new`; a new array where it begins with `before`, the layer's input."""
    if total is None:
        return None
    if total is before:
        return total + new
    total += new
    return total


def _total(*parts):
    """Sum of the gradients that are there."""
    there = [part for part in parts if part is not None]
    return sum(there[1:], there[0]) if there else None


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
    of_p, of_z = (d_p_sum, d_z_sum) if begins else (None, None)
    back = adjacency.transposed
    g_p, g_z = _total(d_p, d_p_sum), _total(d_z, d_z_sum)
    if fusion == "none":
        return None, _total(g_z + spread(back, g_z), of_z), None, None
    d_fused = g_z * g_z.dtype.type(fusion_scale)
    d_a, d_c, d_weight, d_bias = _fuse_adjoint(fusion, d_fused, saved, weight)
    d_c = _total(g_z, d_c)
    if fusion_source == "message":  # a = e
        d_e = _total(g_p, d_a)
        residual = g_p
    else:  # a = p' = e + p
        d_e = residual = _total(g_p, d_a)
    d_p_in = _total(residual, spread(back, d_e), of_p)
    d_z_in = _total(g_z + spread(back, d_c), of_z)
    if merged:
        return None, d_p_in + d_z_in, d_weight, d_bias
    return d_p_in, d_z_in, d_weight, d_bias
