"""pairs on CUDA: launches of pairs.cu. Contract: `__init__.py`.

Shapes are fixed by the arguments alone, and nothing waits for the device, so that a step can be
captured: `compact` always has a capacity.
"""

from __future__ import annotations

from itertools import groupby
from pathlib import Path

import numpy as np

from ..cuda import C_TYPES, MAX_POINTERS, Instance, Launchers, Pointers, ceil_div, column_sums
from . import Pairs

SOURCE = Path(__file__).with_name("pairs.cu")

# As in pairs.cuh and pairs.cu.
THREADS = 256
GROUPS = 32  # pairs, or nodes of the forward, a block
OWNERS = 8  # nodes a block of the adjoint
DIGIT_BITS, DIGITS, SORTED_BY_BLOCK = 8, 256, 2048
PENALTY_ROWS = 256
VECTOR_BYTES = 16

# Gradients of what all pairs share are summed over at most this many pieces of nodes, a block each.
PIECES = 256

_PLAIN = (
    "clear",
    "mark",
    "number_nodes",
    "renumber",
    "count_digits",
    "place_by_digit",
    "owner_starts",
    "penalty_total",
)
_BY_TYPE = ("relation_pieces",)
_BY_VECTOR = (
    "take_rows",
    "put_rows",
    "pair_dots",
    "owner_dots",
    "join_rows",
    "owner_joins",
    "penalty_pieces",
    "penalty_rows",
)


def instances_of(plain, by_type, by_vector) -> tuple[Instance, ...]:
    """Instances by nothing, by type, by type and vector; and `column_sums`."""
    return (
        *(Instance(name, THREADS) for name in plain),
        *(Instance(f"{name}<{T}>", THREADS) for name in by_type for T in ("float", "double")),
        *(Instance(f"column_sums<{T}, {THREADS}>", THREADS) for T in ("float", "double")),
        *(
            Instance(f"{name}<{vectors}>", THREADS)
            for name in by_vector
            for vectors in ("float, 4", "float, 1", "double, 2", "double, 1")
        ),
    )


INSTANCES = instances_of(_PLAIN, _BY_TYPE, _BY_VECTOR)


class RowLaunchers(Launchers):
    """Base of the forms whose kernels stand beside pairs.cuh: how those are launched."""

    def _launch(self, name, blocks, args):
        """Launch with integers as int32; `blocks` an int or (x, y)."""
        grid = (blocks,) if isinstance(blocks, int) else blocks
        args = tuple(np.int32(one) if type(one) is int else one for one in args)
        self.kernel(name)(grid, (THREADS,), args)

    def _by_type(self, name, blocks, dtype, args):
        self._launch(f"{name}<{C_TYPES[dtype]}>", blocks, args)

    def _by_vector(self, name, blocks, dtype, d, args):
        """The instance with loads of 16 bytes where d is a multiple, else with single ones."""
        vector = VECTOR_BYTES // dtype.itemsize
        width = 1 if d % vector else vector
        self._launch(f"{name}<{C_TYPES[dtype]}, {width}>", blocks, args)

    def _sum_pieces(self, partial):
        """Sums over the pieces of partial (pieces, columns)."""
        out = self.xp.empty(partial.shape[1], partial.dtype)
        return column_sums(self, partial, out, THREADS)


class Form(RowLaunchers):
    """The operation on one backend."""

    __all__ = (
        "compact",
        "dot",
        "dot_adjoint",
        "gather",
        "gather_adjoint",
        "index_pairs",
        "join",
        "join_adjoint",
        "penalty",
        "penalty_adjoint",
    )
    source, instances = SOURCE, INSTANCES

    # ---- nodes and ends -----------------------------------------------------------------------

    def compact(self, node_lists, n_nodes, capacity=None):
        """Distinct nodes of the lists, rising, then −1; and the lists in those numbers."""
        if capacity is None:
            capacity = min(n_nodes, sum(len(one) for one in node_lists))
        n_words = ceil_div(n_nodes, 32)
        bits = self.xp.empty(n_words, np.uint32)
        before = self.xp.empty(n_words, np.int32)
        nodes = self.xp.empty(capacity, np.int32)
        self._launch(
            "clear",
            ceil_div(max(n_words, capacity), THREADS),
            (bits, n_words, nodes, capacity),
        )
        # Lists of one length go together: in a captured step nearly all are alike.
        groups = [
            (length, some[first : first + MAX_POINTERS])
            for length, group in groupby(node_lists, len)
            for some in [list(group)]
            for first in range(0, len(some), MAX_POINTERS)
        ]
        for length, lists in groups:
            grid = (ceil_div(length, THREADS), len(lists))
            self._launch("mark", grid, (Pointers(lists), length, bits))
        self._launch(
            "number_nodes", ceil_div(n_words, THREADS), (bits, before, nodes, n_words, capacity)
        )
        numbers = []
        for length, lists in groups:
            out = self.xp.empty((len(lists), length), np.int32)
            grid = (ceil_div(length, THREADS), len(lists))
            self._launch("renumber", grid, (Pointers(lists), length, bits, before, capacity, out))
            numbers.extend(out)
        return nodes, tuple(numbers)

    def index_pairs(self, left, right, n_compact):
        """The pairs with their ends sorted by node."""
        rows, ends = len(left), 2 * len(left)
        if not rows:
            ptr = self.xp.zeros(n_compact + 1, np.int32)
            return Pairs(left, right, ptr, self.xp.empty(0, np.int32))
        keys = slots = None
        ptr = self.xp.empty(n_compact + 1, np.int32)
        blocks = ceil_div(ends, SORTED_BY_BLOCK)
        counts = self.xp.empty((blocks, DIGITS), np.int32)
        bits = n_compact.bit_length()  # absent pairs sort as node n_compact
        for shift in range(0, bits, DIGIT_BITS):
            self._launch(
                "count_digits", blocks, (left, right, keys, rows, n_compact, shift, counts)
            )
            out_keys, out_slots = self.xp.empty((2, ends), np.int32)
            last = np.bool_(shift + DIGIT_BITS >= bits)
            self._launch(
                "place_by_digit",
                blocks,
                (
                    left,
                    right,
                    keys,
                    slots,
                    rows,
                    n_compact,
                    shift,
                    counts,
                    out_keys,
                    out_slots,
                    last,
                ),
            )
            keys, slots = out_keys, out_slots
        self._launch("owner_starts", ceil_div(n_compact + 1, THREADS), (keys, ends, n_compact, ptr))
        return Pairs(left, right, ptr, slots)

    def gather(self, tables, nodes):
        """Rows `nodes` of K tables, (K, B, d)."""
        d, dtype, rows = tables[0].shape[1], tables[0].dtype, len(nodes)
        out = self.xp.empty((len(tables), rows, d), dtype)
        for first in range(0, len(tables), MAX_POINTERS):
            some = tables[first : first + MAX_POINTERS]
            grid = (ceil_div(rows, GROUPS), len(some))
            self._by_vector(
                "take_rows", grid, dtype, d, (Pointers(some), nodes, rows, d, out[first:])
            )
        return out

    def gather_adjoint(self, d_rows, nodes, n_nodes):
        """K tables (N, d), zero but for rows `nodes`."""
        n_tables, rows, d = d_rows.shape
        tables = self.xp.empty((n_tables, n_nodes, d), d_rows.dtype)
        self._by_vector(
            "put_rows",
            ceil_div(n_nodes, GROUPS),
            d_rows.dtype,
            d,
            (d_rows, nodes, rows, n_tables, n_nodes, d, tables),
        )
        return list(tables)

    # ---- plain and weighed inner products -----------------------------------------------------

    def dot(self, x, pairs, score_scale, relation=None):
        """score_scale·Σ_a x_la x_ra r_a of each pair."""
        rows, d = len(pairs.left), x.shape[1]
        scores = self.xp.empty(rows, x.dtype)
        self._by_vector(
            "pair_dots",
            ceil_div(rows, GROUPS),
            x.dtype,
            d,
            (x, relation, pairs.left, pairs.right, rows, d, x.dtype.type(score_scale), scores),
        )
        return scores

    def dot_adjoint(self, d_scores, x, pairs, score_scale, relation=None):
        """(d_x, d_relation or None) of `dot`."""
        n_nodes, d = x.shape
        sums = self.xp.empty_like(x)
        self._by_vector(
            "owner_dots",
            ceil_div(n_nodes, OWNERS),
            x.dtype,
            d,
            (x, d_scores, *pairs, len(pairs.left), n_nodes, d, x.dtype.type(score_scale), sums),
        )
        if relation is None:
            return sums, None
        pieces = max(1, min(PIECES, n_nodes))
        partial = self.xp.empty((pieces, d), x.dtype)
        self._by_type("relation_pieces", pieces, x.dtype, (x, relation, n_nodes, d, sums, partial))
        return sums, self._sum_pieces(partial)

    # ---- rows of pairs ------------------------------------------------------------------------

    def join(self, x, pairs, how):
        """x_l + x_r or x_l ∘ x_r of each pair, (R, d)."""
        rows, d = len(pairs.left), x.shape[1]
        y = self.xp.empty((rows, d), x.dtype)
        product = np.bool_(how == "product")
        ends = (pairs.left, pairs.right, rows, d, product, y)
        self._by_vector("join_rows", ceil_div(rows, GROUPS), x.dtype, d, (x, *ends))
        return y

    def join_adjoint(self, d_y, x, pairs, how):
        """d_x of `join`."""
        n_nodes, d = x.shape
        d_x = self.xp.empty_like(x)
        sizes = (len(pairs.left), n_nodes, d, np.bool_(how == "product"))
        blocks = ceil_div(n_nodes, OWNERS)
        self._by_vector("owner_joins", blocks, x.dtype, d, (x, d_y, *pairs, *sizes, d_x))
        return d_x

    # ---- penalty ------------------------------------------------------------------------------

    def penalty(self, x, weights):
        """½·Σ_n weights_n·⟨x_n,x_n⟩, () float64."""
        rows, d = x.shape
        blocks = ceil_div(rows, PENALTY_ROWS)
        partial = self.xp.empty(max(blocks, 1), np.float64)
        out = self.xp.empty((), np.float64)
        self._by_vector("penalty_pieces", blocks, x.dtype, d, (x, weights, rows, d, partial))
        self._launch("penalty_total", 1, (partial, blocks, out))
        return out

    def penalty_adjoint(self, d_out, x, weights):
        """d_out·weights_n·x_n, row by row."""
        rows, d = x.shape
        d_x = self.xp.empty_like(x)
        self._by_vector(
            "penalty_rows", ceil_div(rows, GROUPS), x.dtype, d, (d_out, x, weights, rows, d, d_x)
        )
        return d_x
