"""Shares that add up to one, and what is mixed by them."""

from __future__ import annotations

from ..autograd import Op, expect


def _softmax(kernels, x):
    y = kernels.gate.softmax(x)
    return y, (y,)


def _softmax_adjoint(kernels, saved, needs, d_out):
    return (kernels.gate.softmax_adjoint(d_out, *saved),)


softmax = Op("softmax", _softmax, _softmax_adjoint)


def _mix(kernels, weights, parts):
    expect(
        weights.shape == parts.shape[1::-1],
        "mix",
        f"weights {weights.shape} do not fit parts {parts.shape}",
    )
    return kernels.gate.mix(weights, parts), (weights, parts)


def _mix_adjoint(kernels, saved, needs, d_out):
    return kernels.gate.mix_adjoint(d_out, *saved)


mix = Op("mix", _mix, _mix_adjoint)


def _shares(kernels, weights, *, counts):
    """Each row of counts (n, K) times weights (K,), over its sum."""
    expect(
        weights.shape == counts.shape[1:],
        "shares",
        f"weights {weights.shape} do not fit counts {counts.shape}",
    )
    y = kernels.gate.shares(counts, weights)
    return y, (counts, y, weights)


def _shares_adjoint(kernels, saved, needs, d_out):
    return (kernels.gate.shares_adjoint(d_out, *saved),)


shares = Op("shares", _shares, _shares_adjoint)


def _memory(kernels, x, p, R):
    """Σ_m relu(p_m)·(x R_m), row by row; x (r, d), p (r, M), R (M, d, d)."""
    expect(
        p.shape == (len(x), len(R)) and R.shape[1:] == (x.shape[1],) * 2,
        "memory",
        f"x {x.shape}, p {p.shape} and R {R.shape} do not fit",
    )
    return kernels.attention.memory(x, p, R), (x, p, R)


def _memory_adjoint(kernels, saved, needs, d_out):
    return kernels.attention.memory_adjoint(d_out, *saved)


memory = Op("memory", _memory, _memory_adjoint)


def _attend(kernels, qkv, *, behaviors, heads):
    """o_k = Σ_j w_kj v_j, w = softmax over j of ⟨q_k,k_j⟩/h, head by head; qkv (K·n, 3d)."""
    return kernels.attention.attend(qkv, behaviors, heads), (qkv, behaviors, heads)


def _attend_adjoint(kernels, saved, needs, d_out):
    return (kernels.attention.attend_adjoint(d_out, *saved),)


attend = Op("attend", _attend, _attend_adjoint)


def _pool(kernels, g, o, *, behaviors):
    """Σ_k w_k o_k, w = softmax over k of g_k; g (K·n, 1), o (K·n, d)."""
    return kernels.attention.pool(g, o, behaviors), (g, o, behaviors)


def _pool_adjoint(kernels, saved, needs, d_out):
    return kernels.attention.pool_adjoint(d_out, *saved)


pool = Op("pool", _pool, _pool_adjoint)
