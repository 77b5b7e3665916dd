"""linear in NumPy. Contract: `__init__.py`."""

from __future__ import annotations

import numpy as np

__all__ = [
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
]


def affine(x, weight, bias):
    """y = x·weight + bias."""
    y = x @ weight
    return y if bias is None else y + bias


def affine_adjoint(d_y, x, weight, with_bias=True, need_x=True):
    """(d_x, d_weight, d_bias) of `affine`."""
    d_x = d_y @ weight.T if need_x else None
    return d_x, x.T @ d_y, d_y.sum(axis=0) if with_bias else None


def gram(x):
    """xᵀ·x."""
    return x.T @ x


def gram_adjoint(d_y, x):
    """d_x of `gram`."""
    return x @ (d_y + d_y.T)


def activate(x, kind, slope=0.1):
    """y = kind(x), entry by entry."""
    if kind == "relu":
        return np.maximum(x, 0)
    if kind == "leaky_relu":
        return np.where(x > 0, x, x.dtype.type(slope) * x)
    if kind == "sigmoid":
        return np.exp(-np.logaddexp(0, -x)).astype(x.dtype)
    return x.copy()


def activate_adjoint(d_y, y, kind, slope=0.1):
    """d_x of `activate`, from its output."""
    if kind == "relu":
        return d_y * (y > 0)
    if kind == "leaky_relu":
        return d_y * np.where(y > 0, 1, slope).astype(y.dtype)
    if kind == "sigmoid":
        return d_y * y * (1 - y)
    return d_y.copy()


def network(users, items, product, layers, output):
    """⟨h_L, output⟩ of every user and item."""
    parts = []
    if users is not None:
        parts.append(users[:, None])
    if items is not None:
        parts.append(items[None])
    if product is not None:
        left, right, weight = product
        parts.append((left[:, None] * right[None]) @ weight)
    hidden = activate(sum(parts[1:], parts[0]), "relu")
    for weight, bias in layers:
        hidden = activate(affine(hidden, weight, bias), "relu")
    return hidden @ output


def total(*parts):
    """Sum of arrays of one shape, in their order."""
    result = parts[0].copy()
    for part in parts[1:]:
        result += part
    return result


def stack(a, b, nodes=None):
    """Rows of a, then rows of b; the rows `nodes` of these where they are given."""
    rows = np.concatenate([a, b])
    return rows if nodes is None else rows[nodes]


def shift(x, bias):
    """bias added to each row."""
    return x + bias


def column_sums(x):
    """Sum over the rows."""
    return x.sum(axis=0)
