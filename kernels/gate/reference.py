"""gate in NumPy. Contract: `__init__.py`."""

from __future__ import annotations

import numpy as np

from . import SMALL

__all__ = ["mix", "mix_adjoint", "shares", "shares_adjoint", "softmax", "softmax_adjoint"]


def softmax(x):
    """Each row's exponentials over their sum."""
    powers = np.exp(x - x.max(axis=1, keepdims=True, initial=-np.inf))
    return powers / powers.sum(axis=1, keepdims=True)


def softmax_adjoint(d_y, y):
    """d_x of `softmax`, from its output."""
    return y * (d_y - np.sum(d_y * y, axis=1, keepdims=True))


def shares(counts, weights):
    """Each row's weighed counts over their sum."""
    weighed = counts * weights
    return weighed / (weighed.sum(axis=1, keepdims=True) + counts.dtype.type(SMALL))


def shares_adjoint(d_y, counts, y, weights):
    """d_weights of `shares`."""
    total = (counts * weights).sum(axis=1, keepdims=True) + counts.dtype.type(SMALL)
    slope = d_y - np.sum(d_y * y, axis=1, keepdims=True)
    return np.sum(counts / total * slope, axis=0)


def mix(weights, parts):
    """Σ_s weights_s · parts_s, row by row."""
    return np.einsum("ns,snd->nd", weights, parts)


def mix_adjoint(d_y, weights, parts):
    """(d_weights, d_parts) of `mix`."""
    return np.einsum("nd,snd->ns", d_y, parts), np.einsum("ns,nd->snd", weights, d_y)
