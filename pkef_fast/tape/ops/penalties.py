"""Squares and lengths of tables, as regularisers take them."""

from __future__ import annotations

from ..autograd import Op, expect


def _penalty(kernels, x, *, weights):
    """½·Σ_n weights_n·⟨x_n,x_n⟩ over the rows of x (B, d): a float64 scalar."""
    expect(
        weights.shape == x.shape[:1],
        "penalty",
        f"weights {weights.shape} do not fit a table {x.shape}",
    )
    return kernels.pairs.penalty(x, weights), (x, weights)


def _penalty_adjoint(kernels, saved, needs, d_out):
    return (kernels.pairs.penalty_adjoint(d_out, *saved),)


penalty = Op("penalty", _penalty, _penalty_adjoint)


def _half_squares(kernels, x):
    """½·⟨x,x⟩ over all of a table x (n, d): a float64 scalar."""
    ones = kernels.xp.ones(len(x), x.dtype)
    return kernels.pairs.penalty(x, ones), (x, ones)


half_squares = Op("half_squares", _half_squares, _penalty_adjoint)


def _norm(kernels, x):
    """√⟨x,x⟩ over all of a table x (n, d): a float64 scalar. A zero table passes no gradient."""
    ones = kernels.xp.ones(len(x), x.dtype)
    length = kernels.xp.asarray(kernels.xp.sqrt(2 * kernels.pairs.penalty(x, ones)))
    return length, (x, ones, length)


def _norm_adjoint(kernels, saved, needs, d_out):
    x, ones, length = saved
    # where, not if: the host does not ask a device for the length
    there = length > 0
    share = kernels.xp.where(there, d_out / kernels.xp.where(there, length, 1), 0)
    return (kernels.pairs.penalty_adjoint(kernels.xp.asarray(share), x, ones),)


norm = Op("norm", _norm, _norm_adjoint)
