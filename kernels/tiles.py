"""Small dense products in vector registers: four rows of outputs, four cache lines each, at a time.

On AVX-512 the sixteen sums stay in registers: a step of the inner loop is four loads of a matrix's
row, four numbers spread over a line, and sixteen fused multiply-adds. Widths that are no multiple
of four lines go on line by line, then number by number. Every sum runs in index order, so no bit
depends on threads. 6 to 8 times as fast as a loop over columns that is left to Numba's vectoriser
(64,000 rows, 64 × 64, two cores: bench/test_bench_linear.py).

A row number may stand more than once among a product's four: rows are added to one after another.
Give left-over rows so, with factor 0.
"""

from .buffers import LINE
from .jit import inlined, serial
from .simd import load, spread_over, store, zero


@inlined()
def _add(factor, sums, y, n, j):
    """y[n, j : j + W] += factor·sums."""
    store(load(y, n, j) + spread_over(factor, y) * sums, y, n, j)


@inlined()
def _product_of_lines(x, n0, n1, n2, n3, w, first, f0, f1, f2, f3, y, j):
    """`add_product` for four lines of columns from j on."""
    line = LINE // y.itemsize
    j1, j2, j3 = j + line, j + 2 * line, j + 3 * line
    a0, a1, a2, a3 = zero(y), zero(y), zero(y), zero(y)
    b0, b1, b2, b3 = zero(y), zero(y), zero(y), zero(y)
    c0, c1, c2, c3 = zero(y), zero(y), zero(y), zero(y)
    e0, e1, e2, e3 = zero(y), zero(y), zero(y), zero(y)
    for i in range(x.shape[1]):
        w0, w1 = load(w, first + i, j), load(w, first + i, j1)
        w2, w3 = load(w, first + i, j2), load(w, first + i, j3)
        s = spread_over(x[n0, i], y)
        a0, a1, a2, a3 = a0 + s * w0, a1 + s * w1, a2 + s * w2, a3 + s * w3
        s = spread_over(x[n1, i], y)
        b0, b1, b2, b3 = b0 + s * w0, b1 + s * w1, b2 + s * w2, b3 + s * w3
        s = spread_over(x[n2, i], y)
        c0, c1, c2, c3 = c0 + s * w0, c1 + s * w1, c2 + s * w2, c3 + s * w3
        s = spread_over(x[n3, i], y)
        e0, e1, e2, e3 = e0 + s * w0, e1 + s * w1, e2 + s * w2, e3 + s * w3
    for n, f, s0, s1, s2, s3 in (
        (n0, f0, a0, a1, a2, a3),
        (n1, f1, b0, b1, b2, b3),
        (n2, f2, c0, c1, c2, c3),
        (n3, f3, e0, e1, e2, e3),
    ):
        _add(f, s0, y, n, j)
        _add(f, s1, y, n, j1)
        _add(f, s2, y, n, j2)
        _add(f, s3, y, n, j3)


@inlined()
def _product_of_line(x, n0, n1, n2, n3, w, first, f0, f1, f2, f3, y, j):
    """The same for one line."""
    a, b, c, e = zero(y), zero(y), zero(y), zero(y)
    for i in range(x.shape[1]):
        row = load(w, first + i, j)
        a = a + spread_over(x[n0, i], y) * row
        b = b + spread_over(x[n1, i], y) * row
        c = c + spread_over(x[n2, i], y) * row
        e = e + spread_over(x[n3, i], y) * row
    for n, f, sums in ((n0, f0, a), (n1, f1, b), (n2, f2, c), (n3, f3, e)):
        _add(f, sums, y, n, j)


@inlined()
def _product_of_numbers(x, n, w, first, f, y, j):
    """The same for one row, from column j to the last."""
    for column in range(j, y.shape[1]):
        total = y.dtype.type(0)
        for i in range(x.shape[1]):
            total += x[n, i] * w[first + i, column]
        y[n, column] += f * total


@serial(fastmath={"contract"})
def _product_of_rest(x, n0, n1, n2, n3, w, first, f0, f1, f2, f3, y):
    """`add_product` for any width. Not inlined: the common width pays nothing for it."""
    line, j = LINE // y.itemsize, 0
    while j + 4 * line <= y.shape[1]:
        _product_of_lines(x, n0, n1, n2, n3, w, first, f0, f1, f2, f3, y, j)
        j += 4 * line
    while j + line <= y.shape[1]:
        _product_of_line(x, n0, n1, n2, n3, w, first, f0, f1, f2, f3, y, j)
        j += line
    if j < y.shape[1]:
        for n, f in ((n0, f0), (n1, f1), (n2, f2), (n3, f3)):
            _product_of_numbers(x, n, w, first, f, y, j)


@inlined()
def add_product(x, n0, n1, n2, n3, w, first, f0, f1, f2, f3, y):
    """y[n] += f·x[n]·w[first : first + a] for four rows n and their factors f.

    x (·, a), w (·, c), y (·, c), C order.
    """
    if y.shape[1] == 4 * (LINE // y.itemsize):
        _product_of_lines(x, n0, n1, n2, n3, w, first, f0, f1, f2, f3, y, 0)
    else:
        _product_of_rest(x, n0, n1, n2, n3, w, first, f0, f1, f2, f3, y)


@inlined()
def _outer_of_lines(x, y, start, stop, i, sums, row, j):
    line = LINE // y.itemsize
    j1, j2, j3 = j + line, j + 2 * line, j + 3 * line
    one = y.dtype.type(1)
    a0, a1, a2, a3 = zero(y), zero(y), zero(y), zero(y)
    b0, b1, b2, b3 = zero(y), zero(y), zero(y), zero(y)
    c0, c1, c2, c3 = zero(y), zero(y), zero(y), zero(y)
    e0, e1, e2, e3 = zero(y), zero(y), zero(y), zero(y)
    for n in range(start, stop):
        y0, y1, y2, y3 = load(y, n, j), load(y, n, j1), load(y, n, j2), load(y, n, j3)
        s = spread_over(x[n, i], y)
        a0, a1, a2, a3 = a0 + s * y0, a1 + s * y1, a2 + s * y2, a3 + s * y3
        s = spread_over(x[n, i + 1], y)
        b0, b1, b2, b3 = b0 + s * y0, b1 + s * y1, b2 + s * y2, b3 + s * y3
        s = spread_over(x[n, i + 2], y)
        c0, c1, c2, c3 = c0 + s * y0, c1 + s * y1, c2 + s * y2, c3 + s * y3
        s = spread_over(x[n, i + 3], y)
        e0, e1, e2, e3 = e0 + s * y0, e1 + s * y1, e2 + s * y2, e3 + s * y3
    for r, s0, s1, s2, s3 in (
        (0, a0, a1, a2, a3),
        (1, b0, b1, b2, b3),
        (2, c0, c1, c2, c3),
        (3, e0, e1, e2, e3),
    ):
        _add(one, s0, sums, row + r, j)
        _add(one, s1, sums, row + r, j1)
        _add(one, s2, sums, row + r, j2)
        _add(one, s3, sums, row + r, j3)


@inlined()
def _outer_of_line(x, y, start, stop, i, sums, row, j):
    a = zero(y)
    for n in range(start, stop):
        a = a + spread_over(x[n, i], y) * load(y, n, j)
    _add(y.dtype.type(1), a, sums, row, j)


@serial(fastmath={"contract"})
def add_outer(x, y, start, stop, sums, first):
    """sums[first + i] += Σ x[n, i]·y[n] over start ≤ n < stop, for every column i of x.

    x (·, a), y (·, c), sums (·, c), C order.
    """
    a, c, line = x.shape[1], y.shape[1], LINE // y.itemsize
    for j in range(0, c - 4 * line + 1, 4 * line):
        for i in range(0, a - 3, 4):
            _outer_of_lines(x, y, start, stop, i, sums, first + i, j)
        for i in range(a - a % 4, a):
            for part in range(4):
                _outer_of_line(x, y, start, stop, i, sums, first + i, j + part * line)
    for j in range(c - c % (4 * line), c - line + 1, line):
        for i in range(a):
            _outer_of_line(x, y, start, stop, i, sums, first + i, j)
    if c % line:
        for n in range(start, stop):
            for i in range(a):
                for j in range(c - c % line, c):
                    sums[first + i, j] += x[n, i] * y[n, j]
