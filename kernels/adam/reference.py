"""adam in NumPy: the truth that the fast forms are held to. Contract: `__init__.py`."""

from __future__ import annotations

import numpy as np

from . import check, share_of

__all__ = ["average", "update"]


def update(
    theta,
    grad,
    m,
    v,
    *,
    lr,
    step,
    penalty=0.0,
    beta1=0.9,
    beta2=0.999,
    epsilon=1e-8,
    form="tensorflow",
):
    """One step in place on theta, m and v; returns Σ theta² from before it."""
    check(theta, grad, m, v, step, form)
    squares = float(np.sum(np.square(theta, dtype=np.float64)))
    g = 2 * penalty * theta
    if grad is not None:
        g = grad + g
    m[...] = beta1 * m + (1 - beta1) * g
    v[...] = beta2 * v + (1 - beta2) * g * g
    if form == "tensorflow":
        theta -= lr * np.sqrt(1 - beta2**step) / (1 - beta1**step) * m / (np.sqrt(v) + epsilon)
    else:
        m_hat, v_hat = m / (1 - beta1**step), v / (1 - beta2**step)
        theta -= lr * m_hat / (np.sqrt(v_hat) + epsilon)
    return squares


def average(theta, mean, decay, step):
    """Take theta into the running average, in place."""
    mean += (theta - mean) * theta.dtype.type(share_of(decay, step))
