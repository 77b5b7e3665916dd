"""normalise in Numba. Contract: `__init__.py`."""

import numba as nb
import numpy as np

from ..buffers import empty_like
from ..jit import FAST, parallel

__all__ = ["normalise", "normalise_adjoint"]


@parallel(fastmath=FAST)
def _normalise(x, clamp, epsilon, y, inverse):
    one = x.dtype.type(1)
    for n in nb.prange(len(x)):
        squares = x.dtype.type(0)
        for a in range(x.shape[1]):
            squares += x[n, a] * x[n, a]
        if clamp:
            length = np.sqrt(squares)
            length = epsilon if length < epsilon else length  # a NaN stays one
        else:
            length = epsilon + np.sqrt(epsilon + squares)
        factor = one / length
        for a in range(x.shape[1]):
            y[n, a] = x[n, a] * factor
        inverse[n] = factor


def normalise(x, form="clamp", epsilon=1e-12):
    """(x scaled to rows of length one, the factor of each row)."""
    y, inverse = empty_like(x), np.empty(len(x), x.dtype)
    _normalise(x, form == "clamp", x.dtype.type(epsilon), y, inverse)
    return y, inverse


@parallel(fastmath=FAST)
def _normalise_adjoint(d_y, y, inverse, clamp, epsilon, d_x):
    one = y.dtype.type(1)
    for n in nb.prange(len(y)):
        along, factor = y.dtype.type(0), inverse[n]
        for a in range(y.shape[1]):
            along += d_y[n, a] * y[n, a]
        if not clamp:
            along /= one - epsilon * factor
        elif factor >= one / epsilon:  # a length that was clamped does not depend on x
            along *= 0
        for a in range(y.shape[1]):
            d_x[n, a] = factor * (d_y[n, a] - along * y[n, a])


def normalise_adjoint(d_y, y, inverse, form="clamp", epsilon=1e-12):
    """d_x of `normalise`, from its outputs."""
    d_x = empty_like(y)
    _normalise_adjoint(d_y, y, inverse, form == "clamp", y.dtype.type(epsilon), d_x)
    return d_x
