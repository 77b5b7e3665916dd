"""Tables in bfloat16, half the bytes for neighbour sums to read: rounded upper halves of float32.

They are arrays of uint16; `simd.load` and `simd.number` widen them, which a shift does exactly.
"""

import numba as nb
import numpy as np

from ..buffers import empty
from ..jit import parallel

__all__ = ["narrow"]


@parallel()
def _narrow(bits, y):
    for i in nb.prange(len(bits)):
        x = bits[i]
        if (x & np.uint32(0x7FFFFFFF)) > np.uint32(0x7F800000):  # a NaN stays one
            y[i] = (x >> np.uint32(16)) | np.uint32(0x40)
        else:
            y[i] = (x + np.uint32(0x7FFF) + ((x >> np.uint32(16)) & np.uint32(1))) >> np.uint32(16)


def narrow(x):
    """The float32 table x in bfloat16 (uint16): to nearest, ties to even. See `reference.bf16`."""
    y = empty(x.shape, np.uint16)
    _narrow(x.view(np.uint32).reshape(-1), y.reshape(-1))
    return y
