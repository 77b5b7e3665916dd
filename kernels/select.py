"""Selection without sorting, for the CPU kernels."""

from .jit import serial


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
