"""How the CPU kernels are compiled: one place for the options they share."""

import functools

import numba as nb

# Sums of products may be reassociated (vectorised dots) and contracted; NaN and inf stay visible.
FAST = {"reassoc", "contract", "nsz"}

# Division by zero gives inf or NaN as in NumPy: a diverging run is stopped by its loss, with the
# step and the tensor, not by an exception inside a kernel.
serial = functools.partial(nb.njit, cache=True, nogil=True, error_model="numpy")
parallel = functools.partial(serial, parallel=True)
# Row helpers: a call that is not inlined passes eight words for every array.
inlined = functools.partial(serial, forceinline=True)
