"""Runs CUDA sources and their launchers on the CPU, and finds what a GPU would not tell.

    from cuda_emulator import EmulatorBackend
    form = bpr.cuda.Form(EmulatorBackend())

See README.md. `driver.py` marshals arguments and compares orders, `build.py` compiles, the rest is
C++: `emulator.h` is what a kernel sees, `runtime.cpp` what runs it.
"""

from .driver import ORDERS, EmulatorBackend, EmulatorError, Order

__all__ = ["ORDERS", "EmulatorBackend", "EmulatorError", "Order"]
