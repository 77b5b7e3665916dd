"""Selection without sorting, for the CPU kernels."""

import numpy as np

from .jit import serial


# Counts in float32 are exact below 2²⁴ in any order; so the loop vectorises.
@serial(fastmath={"reassoc"})
def at_least(values, least):
    """How many values are as high as `least`."""
    one, none = np.float32(1), np.float32(0)
    count = none
    for t in range(len(values)):
        count += one if values[t] >= least else none
    return count


@serial()
def nth_largest(values, count, n):
    """The n-th largest (n ≥ 1) of values[:count], which are reordered."""
    low, high, wanted = 0, count - 1, n - 1
    while low < high:
        pivot = values[(low + high) // 2]
        i, j = low, high
        while i <= j:
            while values[i] > pivot:
                i += 1
            while values[j] < pivot:
                j -= 1
            if i <= j:
                values[i], values[j] = values[j], values[i]
                i += 1
                j -= 1
        if wanted <= j:
            high = j
        elif wanted >= i:
            low = i
        else:
            break
    return values[wanted]
