"""Explicit vectors for the Numba kernels: a cache line of numbers as one value.

Numba's vectoriser keeps a running row sum in memory, and guards each of a row's short loops against
overlapping arrays. With a line as a type of its own, a kernel says what stays in registers:

    line = zero(x)                         # W = 64 bytes / itemsize lanes, all 0
    line = line + load(x, n, j)            # x[n, j : j + W], no bounds check
    store(line, y, n, j)
    total(line)                            # sum of the lanes, in a fixed order

    number(x, n, j)                        # x[n, j] alone
    expect(x, n, j)                        # begin to fetch its cache line, for later

    larger(line, line)                     # the larger of each lane's two
    bits = above(line, line)               # int64, bit j set where lane j is higher; NaN never is
    lowest(bits)                           # place of the lowest set bit of bits ≠ 0

    logarithm(line)                        # natural, of normal float32 > 0, within 2 ulp

A table of uint16 holds bfloat16 numbers: its lines and numbers are float32, widened when loaded.
Lines take + and * with lines of their kind, and `spread_over(value, x)` fills one with a number. On
a machine with narrower vectors LLVM splits a line; results do not depend on the width.
"""

import operator

import llvmlite.ir as ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic, models, overload, register_model

from .buffers import LINE

INDEX = ir.IntType(32)  # of lanes, in LLVM's language
# log(1 + f) = f − f²/2 + f³·(P_0 + P_1 f + …) for 1 + f in [√½, √2): Cephes' logf.
LOGARITHM = (
    3.3333331174e-1,
    -2.4999993993e-1,
    2.0000714765e-1,
    -1.6668057665e-1,
    1.4249322787e-1,
    -1.2420140846e-1,
    1.1676998740e-1,
    -1.1514610310e-1,
    7.0376836292e-2,
)
LN2 = 0.693359375, -2.12194440e-4  # ln 2 in two parts: the first times an exponent is exact
ROOT_HALF = 0x3F3504F3  # bits of √½ in float32


def _element(table):
    """What the numbers of a table are once they are loaded."""
    return types.float32 if table.dtype == types.uint16 else table.dtype


class Line(types.Type):
    """A cache line of one element type."""

    def __init__(self, element):
        self.element, self.lanes = element, 8 * LINE // element.bitwidth
        super().__init__(name=f"line({element})")


@register_model(Line)
class LineModel(models.PrimitiveModel):
    """A line is an LLVM vector."""

    def __init__(self, dmm, fe_type):
        element = dmm.lookup(fe_type.element).get_value_type()
        super().__init__(dmm, fe_type, ir.VectorType(element, fe_type.lanes))


def _pointer(context, builder, kind, array, row, column, vector):
    """Pointer to a vector at array[row, column] of a C-ordered table."""
    array = context.make_array(kind)(context, builder, array)
    width = cgutils.unpack_tuple(builder, array.shape, 2)[1]
    offset = builder.add(builder.mul(row, width), column)
    return builder.bitcast(builder.gep(array.data, [offset]), vector.as_pointer())


def _fill(builder, value, vector):
    """`value` in every lane."""
    nothing = ir.Constant(vector, ir.Undefined)
    first = builder.insert_element(nothing, value, ir.Constant(INDEX, 0))
    lanes = ir.VectorType(INDEX, vector.count)
    return builder.shuffle_vector(first, nothing, ir.Constant(lanes, [0] * vector.count))


@intrinsic
def zero(typingctx, x):
    """The line of zeros for a table's dtype."""
    line = Line(_element(x))

    def codegen(context, builder, signature, values):
        return ir.Constant(context.get_value_type(line), None)

    return line(x), codegen


@intrinsic
def spread_over(typingctx, value, x):
    """The line that holds `value`, of the table's dtype, in every lane."""
    line = Line(_element(x))

    def codegen(context, builder, signature, values):
        return _fill(builder, values[0], context.get_value_type(line))

    return line(line.element, x), codegen


@intrinsic
def load(typingctx, x, row, column):
    """x[row, column : column + W]; aligned to an element only."""
    line = Line(_element(x))

    def codegen(context, builder, signature, values):
        wide = context.get_value_type(line)
        stored = ir.VectorType(context.get_value_type(x.dtype), line.lanes)
        value = builder.load(_pointer(context, builder, x, *values, stored))
        value.align = x.dtype.bitwidth // 8
        return _widened(builder, value, wide, ir.VectorType(INDEX, line.lanes))

    return line(x, types.int64, types.int64), codegen


@intrinsic
def number(typingctx, x, row, column):
    """x[row, column]."""
    element = _element(x)

    def codegen(context, builder, signature, values):
        stored = context.get_value_type(x.dtype)
        value = builder.load(_pointer(context, builder, x, *values, stored))
        return _widened(builder, value, context.get_value_type(element), INDEX)

    return element(x, types.int64, types.int64), codegen


@intrinsic
def expect(typingctx, x, row, column):
    """Have the cache line of x[row, column] fetched; nothing waits for it."""

    def codegen(context, builder, signature, values):
        pointer = _pointer(context, builder, x, *values, ir.IntType(8))
        arguments = [
            pointer,
            *(ir.Constant(INDEX, value) for value in (0, 3, 1)),
        ]  # read, keep, data
        kind = ir.FunctionType(ir.VoidType(), [one.type for one in arguments])
        prefetch = builder.module.declare_intrinsic("llvm.prefetch", (pointer.type,), kind)
        builder.call(prefetch, arguments)
        return context.get_dummy_value()

    return types.void(x, types.int64, types.int64), codegen


def _widened(builder, value, wide, bits):
    """bfloat16 numbers, the upper halves of float32, as such; anything else as it is."""
    if value.type == wide:
        return value
    halves = ir.Constant(bits, 16 if bits == INDEX else [16] * bits.count)
    return builder.bitcast(builder.shl(builder.zext(value, bits), halves), wide)


@intrinsic
def store(typingctx, line, y, row, column):
    """y[row, column : column + W] = line; aligned to an element only."""

    def codegen(context, builder, signature, values):
        vector = context.get_value_type(line)
        pointer = _pointer(context, builder, y, *values[1:], vector)
        builder.store(values[0], pointer).align = y.dtype.bitwidth // 8
        return context.get_dummy_value()

    return types.void(line, y, types.int64, types.int64), codegen


@intrinsic
def total(typingctx, line):
    """Sum of the lanes: halves are added until one lane is left."""

    def codegen(context, builder, signature, values):
        (value,) = values
        count = line.lanes
        while count > 1:
            count //= 2
            mask = ir.VectorType(INDEX, count)
            nothing = ir.Constant(value.type, ir.Undefined)
            low = builder.shuffle_vector(value, nothing, ir.Constant(mask, list(range(count))))
            high = builder.shuffle_vector(
                value, nothing, ir.Constant(mask, list(range(count, 2 * count)))
            )
            value = builder.fadd(low, high)
        return builder.extract_element(value, ir.Constant(INDEX, 0))

    return line.element(line), codegen


@intrinsic
def larger(typingctx, a, b):
    """The larger number of each lane; b's where one is NaN."""

    def codegen(context, builder, signature, values):
        return builder.select(builder.fcmp_ordered(">", *values), *values)

    return a(a, b), codegen


@intrinsic
def above(typingctx, a, b):
    """Bit j of an int64: whether lane j of a is higher than that of b."""

    def codegen(context, builder, signature, values):
        higher = builder.fcmp_ordered(">", *values)
        return builder.zext(builder.bitcast(higher, ir.IntType(a.lanes)), ir.IntType(64))

    return types.int64(a, b), codegen


@intrinsic
def lowest(typingctx, bits):
    """Place of the lowest set bit; bits ≠ 0."""

    def codegen(context, builder, signature, values):
        return builder.cttz(values[0], ir.Constant(ir.IntType(1), 1))

    return types.int64(types.int64), codegen


@intrinsic
def logarithm(typingctx, line):
    """Natural logarithm of each lane, a normal float32 above 0."""

    def codegen(context, builder, signature, values):
        (x,) = values
        wide = x.type
        whole = ir.VectorType(INDEX, wide.count)

        def of(value):
            return ir.Constant(wide, [value] * wide.count)

        def whole_of(value):
            return ir.Constant(whole, [value] * wide.count)

        def added(a, b):
            return builder.fadd(a, b, flags=["contract"])

        def times(a, b):
            return builder.fmul(a, b, flags=["contract"])

        bits = builder.bitcast(x, whole)
        power = builder.ashr(builder.sub(bits, whole_of(ROOT_HALF)), whole_of(23))
        rest = builder.sub(bits, builder.shl(power, whole_of(23)))
        f = builder.fsub(builder.bitcast(rest, wide), of(1.0))
        power = builder.sitofp(power, wide)
        series = of(LOGARITHM[-1])
        for coefficient in LOGARITHM[-2::-1]:
            series = added(times(series, f), of(coefficient))
        square = times(f, f)
        small = added(times(times(series, f), square), times(power, of(LN2[1])))
        small = added(small, times(square, of(-0.5)))
        return added(added(f, small), times(power, of(LN2[0])))

    return line(line), codegen


def _binary(instruction):
    @intrinsic
    def apply(typingctx, a, b):
        def codegen(context, builder, signature, values):
            return getattr(builder, instruction)(*values, flags=["contract"])

        return a(a, b), codegen

    return apply


_add, _multiply = _binary("fadd"), _binary("fmul")


@overload(operator.add)
def _overload_add(a, b):
    if isinstance(a, Line) and a == b:
        return lambda a, b: _add(a, b)
    return None


@overload(operator.mul)
def _overload_multiply(a, b):
    if isinstance(a, Line) and a == b:
        return lambda a, b: _multiply(a, b)
    return None
