"""The sum of a row's neighbours, kept in vector registers: what the CPU's products are made of.

On AVX-512 the loop over neighbours is one `vaddps` with a memory operand a cache line and
neighbour, and nothing else. Taobao's view graph, d = 64, two cores: 2.2 ms a product instead of the
3.6 ms of a loop that is left to Numba's vectoriser.
"""

from ..buffers import LINE
from ..jit import inlined, serial
from ..simd import load, number, spread_over, store, zero


@inlined()
def _group(x, indices, first, last, n, loop, scale_out, add_base, base, y, row, column):
    """Four lines at once: with AVX2 their sums take eight of the sixteen registers."""
    j0 = column
    w = LINE // y.itemsize
    j1, j2, j3 = j0 + w, j0 + 2 * w, j0 + 3 * w
    s0, s1, s2, s3 = zero(x), zero(x), zero(x), zero(x)
    if loop:
        s0, s1, s2, s3 = load(x, n, j0), load(x, n, j1), load(x, n, j2), load(x, n, j3)
    for edge in range(first, last):
        m = indices[edge]
        s0 = s0 + load(x, m, j0)
        s1 = s1 + load(x, m, j1)
        s2 = s2 + load(x, m, j2)
        s3 = s3 + load(x, m, j3)
    factor = spread_over(scale_out, x)
    s0, s1, s2, s3 = factor * s0, factor * s1, factor * s2, factor * s3
    if add_base:
        s0 = s0 + load(base, row, j0)
        s1 = s1 + load(base, row, j1)
        s2 = s2 + load(base, row, j2)
        s3 = s3 + load(base, row, j3)
    store(s0, y, row, j0)
    store(s1, y, row, j1)
    store(s2, y, row, j2)
    store(s3, y, row, j3)


@inlined()
def _line(x, indices, first, last, n, loop, scale_out, add_base, base, y, row, column):
    total = zero(x)
    if loop:
        total = load(x, n, column)
    for edge in range(first, last):
        total = total + load(x, indices[edge], column)
    total = spread_over(scale_out, x) * total
    if add_base:
        total = total + load(base, row, column)
    store(total, y, row, column)


@inlined()
def _single(x, indices, first, last, n, loop, scale_out, add_base, base, y, row, column):
    total = number(x, n, column) if loop else y.dtype.type(0)
    for edge in range(first, last):
        total += number(x, indices[edge], column)
    total = scale_out * total
    y[row, column] = total + base[row, column] if add_base else total


@serial()
def _rest(x, indices, first, last, n, loop, scale_out, add_base, base, y, row, column):
    """Columns from `column` on. Not inlined: the common width pays nothing for it."""
    d = x.shape[1]
    line = LINE // y.itemsize
    while column + 4 * line <= d:
        _group(x, indices, first, last, n, loop, scale_out, add_base, base, y, row, column)
        column += 4 * line
    while column + line <= d:
        _line(x, indices, first, last, n, loop, scale_out, add_base, base, y, row, column)
        column += line
    while column < d:
        _single(x, indices, first, last, n, loop, scale_out, add_base, base, y, row, column)
        column += 1


@inlined()
def sum_neighbours(x, indices, first, last, n, loop, scale_out, add_base, base, y, row):
    """y[row] = scale_out·(Σ x[indices[e]] over first ≤ e < last, + x[n] where `loop`) + base[row].

    base[row] is added where `add_base` says so; base may be y. Every column is summed in the order
    of the edges. x may be in bfloat16 (`narrow`), everything else is F.
    """
    if x.shape[1] == 4 * (LINE // y.itemsize):
        _group(x, indices, first, last, n, loop, scale_out, add_base, base, y, row, 0)
    else:
        _rest(x, indices, first, last, n, loop, scale_out, add_base, base, y, row, 0)
