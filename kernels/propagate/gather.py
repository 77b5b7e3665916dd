"""The sum of a row's neighbours, in vector registers: what the CPU's products are made of.

Numba's vectoriser loads and stores a running sum for every few neighbours; this loop, written in
LLVM's own language, keeps up to four cache lines of it in registers (on AVX-512 one `vaddps` with a
memory operand a line and neighbour, nothing else). Taobao's view graph, d = 64, two cores: 2.0
instead of 3.7 ms a product.
"""

import llvmlite.ir as ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

from ..jit import serial
from ..memory import LINE

GROUP = 4  # lines that are summed together: with AVX2 eight of the sixteen vector registers


class _Place:
    """Pointers into an array that an intrinsic got; no bounds are checked here."""

    def __init__(self, context, builder, kind, value):
        self.builder = builder
        self.array = context.make_array(kind)(context, builder, value)
        self.shape = cgutils.unpack_tuple(builder, self.array.shape, kind.ndim)
        self.align = kind.dtype.bitwidth // 8

    def at(self, *indices):
        """Pointer to an element of the C-ordered array."""
        builder, offset = self.builder, indices[0]
        for index, length in zip(indices[1:], self.shape[1:], strict=True):
            offset = builder.add(builder.mul(offset, length), index)
        return builder.gep(self.array.data, [offset])

    def load(self, pointer, kind):
        """A value of type `kind` from a pointer; aligned to an element only."""
        value = self.builder.load(self.builder.bitcast(pointer, kind.as_pointer()))
        value.align = self.align
        return value

    def store(self, value, pointer):
        """Store a value at a pointer; aligned to an element only."""
        stored = self.builder.store(value, self.builder.bitcast(pointer, value.type.as_pointer()))
        stored.align = self.align


def _all_lanes(builder, value, vector):
    """`value` in every lane of a vector."""
    nothing, integer = ir.Constant(vector, ir.Undefined), ir.IntType(32)
    first = builder.insert_element(nothing, value, ir.Constant(integer, 0))
    lanes = ir.VectorType(integer, vector.count)
    return builder.shuffle_vector(first, nothing, ir.Constant(lanes, [0] * vector.count))


def _sum_over_edges(builder, loads, starts, first, last, step):
    """Emit starts[i] + Σ loads(e)[i] over first ≤ e < last, in a fixed order.

    `step` edges a turn, each with sums of its own, so that additions do not wait for another; then
    those that are left, one by one.
    """
    fadd, integer = builder.fadd, first.type
    entry = builder.block
    wide, middle, narrow, done = (
        builder.append_basic_block(name) for name in ("wide", "middle", "narrow", "done")
    )
    many = len(starts)
    sums = list(starts) + [ir.Constant(starts[0].type, None)] * (many * (step - 1))
    ahead = builder.add(first, integer(step))
    builder.cbranch(builder.icmp_signed("<=", ahead, last), wide, middle)

    def phi(kind, *incoming):
        node = builder.phi(kind)
        for value, block in incoming:
            node.add_incoming(value, block)
        return node

    builder.position_at_end(wide)
    edge = phi(integer, (first, entry))
    running = [phi(total.type, (total, entry)) for total in sums]
    lines = [line for i in range(step) for line in loads(builder.add(edge, integer(i)))]
    added = [fadd(total, line) for total, line in zip(running, lines, strict=True)]
    after = builder.add(edge, integer(step))
    edge.add_incoming(after, wide)
    for total, new in zip(running, added, strict=True):
        total.add_incoming(new, wide)
    ahead = builder.add(after, integer(step))
    builder.cbranch(builder.icmp_signed("<=", ahead, last), wide, middle)

    builder.position_at_end(middle)
    edge = phi(integer, (first, entry), (after, wide))
    parts = [phi(s.type, (s, entry), (a, wide)) for s, a in zip(sums, added, strict=True)]
    while len(parts) > many:  # pairwise
        half = len(parts) // 2 // many * many
        parts = [fadd(a, b) for a, b in zip(parts[:half], parts[half:], strict=True)]
    builder.cbranch(builder.icmp_signed("<", edge, last), narrow, done)

    builder.position_at_end(narrow)
    edge = phi(integer, (edge, middle))
    rest = [phi(part.type, (part, middle)) for part in parts]
    longer = [fadd(total, line) for total, line in zip(rest, loads(edge), strict=True)]
    after = builder.add(edge, integer(1))
    edge.add_incoming(after, narrow)
    for total, new in zip(rest, longer, strict=True):
        total.add_incoming(new, narrow)
    builder.cbranch(builder.icmp_signed("<", after, last), narrow, done)

    builder.position_at_end(done)
    return [phi(p.type, (p, middle), (n, narrow)) for p, n in zip(parts, longer, strict=True)]


def _gather(bits, vectors, step):
    """An intrinsic: the sum of `vectors` vectors of `bits` bits at one column of all neighbours."""

    @intrinsic
    def gather(typingctx, x, indices, first, last, n, loop, scale, keep, y, row, column):
        element, integer, boolean = x.dtype, types.int64, types.boolean
        signature = types.void(
            x, indices, integer, integer, integer, boolean, element, boolean, y, integer, integer
        )

        def codegen(context, builder, signature, values):
            table, edges, target = (
                _Place(context, builder, kind, values[position])
                for kind, position in ((x, 0), (indices, 1), (y, 8))
            )
            _, _, first, last, n, loop, scale, keep, _, row, column = values
            lanes = max(bits // element.bitwidth, 1)
            vector = ir.VectorType(context.get_value_type(element), lanes)

            def row_at(place, index):
                start = place.at(index, column)
                offsets = (ir.Constant(column.type, i * lanes) for i in range(vectors))
                return [builder.gep(start, [offset]) for offset in offsets]

            def loads(edge):
                index = builder.zext(builder.load(edges.at(edge)), edge.type)
                return [table.load(pointer, vector) for pointer in row_at(table, index)]

            nothing = ir.Constant(vector, None)
            loop, keep = (cgutils.is_true(builder, flag) for flag in (loop, keep))
            own = [table.load(pointer, vector) for pointer in row_at(table, n)]
            starts = [builder.select(loop, line, nothing) for line in own]
            sums = _sum_over_edges(builder, loads, starts, first, last, step)
            factor = _all_lanes(builder, scale, vector)
            for pointer, total in zip(row_at(target, row), sums, strict=True):
                before = builder.select(keep, target.load(pointer, vector), nothing)
                target.store(builder.fadd(before, builder.fmul(factor, total)), pointer)
            return context.get_dummy_value()

        return signature, codegen

    return gather


_group = _gather(8 * LINE, GROUP, 1)
_line = _gather(8 * LINE, 1, 4)
_quarter = _gather(2 * LINE, 1, 4)
_single = _gather(0, 1, 4)


@serial()
def gather_row(x, indices, first, last, n, loop, scale, keep, y, row):
    """y[row] = keep·y[row] + scale·(Σ x[indices[e]] over first ≤ e < last, + x[n] where `loop`).

    The order of the sum is fixed. `keep` is False or True; y[row] may hold anything where False.
    """
    d = x.shape[1]
    line = LINE // x.itemsize
    column = 0
    while column + GROUP * line <= d:
        _group(x, indices, first, last, n, loop, scale, keep, y, row, column)
        column += GROUP * line
    while column + line <= d:
        _line(x, indices, first, last, n, loop, scale, keep, y, row, column)
        column += line
    while column + line // 4 <= d:
        _quarter(x, indices, first, last, n, loop, scale, keep, y, row, column)
        column += line // 4
    while column < d:
        _single(x, indices, first, last, n, loop, scale, keep, y, row, column)
        column += 1
