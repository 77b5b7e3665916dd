"""normalise in NumPy. Contract: `__init__.py`."""

from __future__ import annotations

import numpy as np

__all__ = ["normalise", "normalise_adjoint"]


def normalise(x, form="clamp", epsilon=1e-12):
    """(x scaled to rows of length one, the factor of each row)."""
    epsilon, squares = x.dtype.type(epsilon), np.sum(x * x, axis=1)
    if form == "clamp":
        length = np.maximum(np.sqrt(squares), epsilon)
    else:
        length = epsilon + np.sqrt(epsilon + squares)
    inverse = 1 / length
    return x * inverse[:, None], inverse


def normalise_adjoint(d_y, y, inverse, form="clamp", epsilon=1e-12):
    """d_x of `normalise`, from its outputs."""
    epsilon, along = y.dtype.type(epsilon), np.sum(d_y * y, axis=1)
    if form == "clamp":  # a length that was clamped does not depend on x
        along = np.where(inverse < 1 / epsilon, along, 0)
    else:
        along = along / (1 - epsilon * inverse)
    return inverse[:, None] * (d_y - along[:, None] * y)
