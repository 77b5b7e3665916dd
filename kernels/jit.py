"""How the CPU kernels are compiled: one place for the options they share.

@serial()  @parallel(fastmath=FAST)  @inlined()     like `numba.njit` with options
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numba as nb

from . import compiled, threads

# Sums of products may be reassociated (vectorised dots) and contracted; NaN and inf stay visible.
FAST = {"reassoc", "contract", "nsz"}


def serial(**options: Any) -> Callable[[Callable], Any]:
    """Compile a function when it is called; machine code is kept (`compiled`)."""

    # Division by zero gives inf or NaN as in NumPy: a diverging run is stopped by its loss, with
    # the step and the tensor, not by an exception inside a kernel.
    compiler = nb.njit(nogil=True, error_model="numpy", **options)
    return lambda function: compiled.keep(compiler(function))


def parallel(**options: Any) -> Callable[[Callable], Any]:
    """`serial` with `nb.prange` over the threads."""
    compiler = serial(parallel=True, **options)
    return lambda function: threads.guard(compiler(function))


def inlined(**options: Any) -> Callable[[Callable], Any]:
    """`serial` for row helpers: a call not inlined passes eight words for every array."""
    return serial(forceinline=True, **options)
