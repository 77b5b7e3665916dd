"""adam in Numba. Contract: `__init__.py`."""

import numba as nb
import numpy as np

from . import bias_corrections, check

__all__ = ["update"]

# Elements of one piece of work: its four arrays (256 KiB in float32) fit in a core's L2.
PIECE = 16384


# error_model: a division check would stop the loops from being vectorised.
@nb.njit(
    cache=True,
    parallel=True,
    nogil=True,
    error_model="numpy",
    fastmath={"reassoc", "contract", "nsz"},
)
def _update(
    theta, grad, m, v, has_grad, rate, root, decay, beta1, rest1, beta2, rest2, epsilon, sums
):
    size = len(theta)
    for piece in nb.prange(len(sums)):
        first, last = piece * PIECE, min((piece + 1) * PIECE, size)
        squares = 0.0
        for i in range(first, last):
            wide = np.float64(theta[i])
            squares += wide * wide
        sums[piece] = squares
        if has_grad:
            for i in range(first, last):
                g = grad[i] + decay * theta[i]
                m[i] = beta1 * m[i] + rest1 * g
                v[i] = beta2 * v[i] + rest2 * (g * g)
                theta[i] -= rate * m[i] / (root * np.sqrt(v[i]) + epsilon)
        else:
            for i in range(first, last):
                g = decay * theta[i]
                m[i] = beta1 * m[i] + rest1 * g
                v[i] = beta2 * v[i] + rest2 * (g * g)
                theta[i] -= rate * m[i] / (root * np.sqrt(v[i]) + epsilon)


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
    rate, root = bias_corrections(lr, step, beta1, beta2, form)
    sums = np.empty(-(-theta.size // PIECE))
    scalars = (rate, root, 2 * penalty, beta1, 1 - beta1, beta2, 1 - beta2, epsilon)
    _update(
        theta.reshape(-1),
        theta.reshape(-1) if grad is None else grad.reshape(-1),
        m.reshape(-1),
        v.reshape(-1),
        grad is not None,
        *(theta.dtype.type(x) for x in scalars),
        sums,
    )
    total = 0.0
    for part in sums:
        total += part
    return float(total)
