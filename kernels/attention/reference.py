"""attention in NumPy. Contract: `__init__.py`."""

from __future__ import annotations

import numpy as np

from . import check_behaviors

__all__ = [
    "attend",
    "attend_adjoint",
    "memory",
    "memory_adjoint",
    "pool",
    "pool_adjoint",
    "predict",
]


def memory(x, p, R):
    """t = Σ_m relu(p_m)·(x R_m), row by row."""
    t = np.zeros_like(x)
    for m, matrix in enumerate(R):
        there = ~(p[:, m] <= 0)
        t[there] += p[there, m, None] * (x[there] @ matrix)
    return t


def memory_adjoint(d_t, x, p, R):
    """(d_x, d_p, d_R) of `memory`."""
    d_x, d_p, d_R = np.zeros_like(x), np.zeros_like(p), np.zeros_like(R)
    for m, matrix in enumerate(R):
        there = ~(p[:, m] <= 0)
        weighed = p[there, m, None] * d_t[there]
        back = d_t[there] @ matrix.T
        d_x[there] += p[there, m, None] * back
        d_p[there, m] = np.sum(x[there] * back, axis=1)
        d_R[m] = x[there].T @ weighed
    return d_x, d_p, d_R


def _heads(table, behaviors, heads):
    """(K, n, H, h) of (K·n, d)."""
    n, d = check_behaviors(behaviors, len(table)), table.shape[1]
    return table.reshape(behaviors, n, heads, d // heads)


def _softmax(scores, axis):
    powers = np.exp(scores - scores.max(axis=axis, keepdims=True, initial=-np.inf))
    return powers / powers.sum(axis=axis, keepdims=True)


def _parts(qkv, behaviors, heads):
    """q, k, v (K, n, H, h), and the weights (n, H, K, K)."""
    q, k, v = (_heads(part, behaviors, heads) for part in np.split(qkv, 3, axis=1))
    scores = np.einsum("knhe,jnhe->nhkj", q, k) / q.dtype.type(q.shape[3])
    return q, k, v, _softmax(scores, axis=3)


def attend(qkv, behaviors, heads):
    """o_k = Σ_j w_kj v_j, head by head."""
    *_, v, w = _parts(qkv, behaviors, heads)
    return np.einsum("nhkj,jnhe->knhe", w, v).reshape(len(qkv), qkv.shape[1] // 3)


def attend_adjoint(d_o, qkv, behaviors, heads):
    """d_qkv of `attend`."""
    q, k, v, w = _parts(qkv, behaviors, heads)
    shape, d_o = d_o.shape, _heads(d_o, behaviors, heads)
    d_w = np.einsum("knhe,jnhe->nhkj", d_o, v)
    d_s = w * (d_w - np.sum(w * d_w, axis=3, keepdims=True)) / q.dtype.type(q.shape[3])
    d_q = np.einsum("nhkj,jnhe->knhe", d_s, k)
    d_k = np.einsum("nhkj,knhe->jnhe", d_s, q)
    d_v = np.einsum("nhkj,knhe->jnhe", w, d_o)
    return np.concatenate([part.reshape(shape) for part in (d_q, d_k, d_v)], axis=1)


def _pool_weights(g, behaviors):
    return _softmax(g.reshape(behaviors, check_behaviors(behaviors, len(g))), axis=0)


def pool(g, o, behaviors):
    """y = Σ_k w_k o_k, w = softmax over k of g_k."""
    w = _pool_weights(g, behaviors)
    return np.einsum("kn,knd->nd", w, o.reshape(*w.shape, o.shape[1]))


def pool_adjoint(d_y, g, o, behaviors):
    """(d_g, d_o) of `pool`."""
    w = _pool_weights(g, behaviors)
    d_w = np.einsum("nd,knd->kn", d_y, o.reshape(*w.shape, o.shape[1]))
    d_g = w * (d_w - np.sum(w * d_w, axis=0))
    return d_g.reshape(g.shape), np.einsum("kn,nd->knd", w, d_y).reshape(o.shape)


def predict(left, right, W, b, v, c):
    """s = ⟨relu(x W + b) + x, v⟩ + c, x = l ∘ r, for every pair of rows."""
    scores = np.empty((len(left), len(right)), left.dtype)
    for row, of_left in zip(scores, left, strict=True):
        x = of_left * right
        row[:] = ((np.maximum(x @ W + b, 0) + x) @ v + c)[:, 0]
    return scores
