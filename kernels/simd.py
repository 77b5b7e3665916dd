"""Explicit vectors for the Numba kernels: a cache line of numbers as one value.

Numba's vectoriser keeps a running row sum in memory, and guards each of a row's short loops against
overlapping arrays. With a line as a type of its own, a kernel says what stays in registers:

    line = zero(x)                         # W = 64 bytes / itemsize lanes, all 0
    line = line + load(x, n, j)            # x[n, j : j + W], no bounds check
    store(line, y, n, j)
    total(line)                            # sum of the lanes, in a fixed order

    number(x, n, j)                        # x[n, j] alone

A table of uint16 holds bfloat16 numbers: its lines and numbers are float32, widened when loaded.
Lines take + and * with lines of their kind, and `spread_over(value, x)` fills one with a number. On
a machine with narrower vectors LLVM splits a line; results do not depend on the width.
"""

import operator

import llvmlite.ir as ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic, models, overload, register_model

from .memory import LINE

INDEX = ir.IntType(32)  # of lanes, in LLVM's language


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
