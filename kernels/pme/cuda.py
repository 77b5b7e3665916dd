"""pme on CUDA: launches of pme.cu. Contract: `__init__.py`.

Shapes are fixed by the arguments alone, and nothing waits for the device, so that a step can be
captured: `compact` always has a capacity. `n_users` is not read, since a node's side is that of
its ends. A gate may have at most MAX_BEHAVIORS slots: one a lane of the eight that work on a pair,
which keeps the softmax in registers; the data sets have three and four.
"""

from __future__ import annotations

from itertools import groupby
from pathlib import Path

import numpy as np

from ..cuda import C_TYPES, MAX_POINTERS, Instance, Launchers, Pointers, Unsupported, ceil_div
from . import Pairs

SOURCE = Path(__file__).with_name("pme.cu")

# As in pme.cu.
THREADS = 256
GROUPS = 32  # pairs, or nodes of the forward, a block
OWNERS = 8  # nodes a block of the adjoint
MAX_BEHAVIORS = 8
DIGIT_BITS, DIGITS, SORTED_BY_BLOCK = 8, 256, 2048
VECTOR_BYTES = 16

# Gate gradients are summed over at most this many pieces of nodes, a block a piece.
PIECES = 256

_PLAIN = (
    "clear",
    "mark",
    "number_nodes",
    "renumber",
    "count_digits",
    "place_by_digit",
    "owner_starts",
)
_BY_TYPE = (
    "relation_pieces",
    "sum_pieces",
    "gate_pieces",
    "side_pairs_adjoint",
    "interaction_weights",
)
_BY_VECTOR = (
    "take_rows",
    "put_rows",
    "pair_dots",
    "owner_dots",
    "node_stage",
    "side_pairs",
    "owner_side",
    "unique_nodes",
    "owner_unique_side",
    "interaction_pairs",
    "owner_interaction",
)

INSTANCES = (
    *(Instance(name, THREADS) for name in _PLAIN),
    *(Instance(f"{name}<{T}>", THREADS) for name in _BY_TYPE for T in ("float", "double")),
    *(
        Instance(f"{name}<{vectors}>", THREADS)
        for name in _BY_VECTOR
        for vectors in ("float, 4", "float, 1", "double, 2", "double, 1")
    ),
)


class Form(Launchers):
    """The operation on one backend."""

    __all__ = (
        "compact",
        "dot",
        "dot_adjoint",
        "gated_interaction",
        "gated_interaction_adjoint",
        "gated_side",
        "gated_side_adjoint",
        "gather",
        "gather_adjoint",
        "index_pairs",
        "unique_interaction",
        "unique_interaction_adjoint",
        "unique_side",
        "unique_side_adjoint",
    )
    source, instances = SOURCE, INSTANCES

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
        out = self.xp.empty(partial.shape[1], partial.dtype)
        pieces, columns = partial.shape
        self._by_type(
            "sum_pieces", ceil_div(columns, OWNERS), partial.dtype, (partial, pieces, columns, out)
        )
        return out

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

    def dot(self, x, pairs, m, relation=None):
        """m·Σ_a x_la x_ra r_a of each pair."""
        rows, d = len(pairs.left), x.shape[1]
        scores = self.xp.empty(rows, x.dtype)
        self._by_vector(
            "pair_dots",
            ceil_div(rows, GROUPS),
            x.dtype,
            d,
            (x, relation, pairs.left, pairs.right, rows, d, x.dtype.type(m), scores),
        )
        return scores

    def dot_adjoint(self, d_scores, x, pairs, m, relation=None):
        """(d_x, d_relation or None) of `dot`."""
        n_nodes, d = x.shape
        sums = self.xp.empty_like(x)
        self._by_vector(
            "owner_dots",
            ceil_div(n_nodes, OWNERS),
            x.dtype,
            d,
            (x, d_scores, *pairs, len(pairs.left), n_nodes, d, x.dtype.type(m), sums),
        )
        if relation is None:
            return sums, None
        pieces = max(1, min(PIECES, n_nodes))
        partial = self.xp.empty((pieces, d), x.dtype)
        self._by_type("relation_pieces", pieces, x.dtype, (x, relation, n_nodes, d, sums, partial))
        return sums, self._sum_pieces(partial)

    # ---- gated scores -------------------------------------------------------------------------

    def _node_stage(self, tables, k, weight, pairs, t, sides):
        n_behaviors, n_nodes, d = tables.shape
        if n_behaviors > MAX_BEHAVIORS:
            raise Unsupported(
                f"CUDA gates take at most {MAX_BEHAVIORS} behaviors, not {n_behaviors}; "
                "use the CPU."
            )
        logits = self.xp.empty((n_nodes, n_behaviors), tables.dtype)
        norm = self.xp.empty(n_nodes, tables.dtype) if sides else None
        c = self.xp.empty_like(logits) if sides else None
        self._by_vector(
            "node_stage",
            ceil_div(n_nodes, GROUPS),
            tables.dtype,
            d,
            (
                tables,
                pairs.owner_ptr,
                pairs.owner_slots,
                len(pairs.left),
                n_nodes,
                d,
                n_behaviors,
                int(k),
                weight,
                tables.dtype.type(t),
                norm,
                c,
                logits,
            ),
        )
        return norm, c, logits

    def _gate_gradients(self, own, side, d_logits, weight):
        """(d_weight, d_bias) from the gradients d_logits (B, ≥ K) of the nodes' logits."""
        (n_nodes, d), n_behaviors = own.shape, weight.shape[1]
        pieces = max(1, min(PIECES, n_nodes))
        partial = self.xp.empty((pieces, (2 * d + 1) * n_behaviors), own.dtype)
        self._by_type(
            "gate_pieces",
            pieces,
            own.dtype,
            (own, side, d_logits, d_logits.shape[1], n_nodes, d, n_behaviors, partial),
        )
        both = self._sum_pieces(partial)
        return both[: weight.size].reshape(weight.shape), both[weight.size :]

    def gated_side(self, tables, n_users, k, weight, bias, pairs, t, m):
        """Gated scores of the pairs, experts projected for users and items apart."""
        norm, c, logits = self._node_stage(tables, k, weight, pairs, t, sides=True)
        (n_behaviors, _, d), rows, dtype = tables.shape, len(pairs.left), tables.dtype
        products, mixes, scores = self.xp.empty((3, rows), dtype)
        gates = self.xp.empty((rows, n_behaviors), dtype)
        self._by_vector(
            "side_pairs",
            ceil_div(rows, GROUPS),
            dtype,
            d,
            (
                tables[k],
                pairs.left,
                pairs.right,
                c,
                logits,
                bias,
                rows,
                d,
                n_behaviors,
                dtype.type(m),
                gates,
                products,
                mixes,
                scores,
            ),
        )
        return scores, (gates, norm, c, products, mixes)

    def gated_side_adjoint(self, d_scores, tables, n_users, k, weight, bias, pairs, t, m, saved):
        """(d_tables, d_weight, d_bias) of `gated_side`."""
        gates, norm, c, products, mixes = saved
        (n_behaviors, n_nodes, d), rows, dtype = tables.shape, len(pairs.left), tables.dtype
        w = self.xp.empty(rows, dtype)
        scalars = self.xp.empty((rows, 3 * n_behaviors), dtype)
        self._by_type(
            "side_pairs_adjoint",
            ceil_div(rows, GROUPS),
            dtype,
            (
                d_scores,
                pairs.left,
                pairs.right,
                c,
                gates,
                products,
                mixes,
                rows,
                n_behaviors,
                dtype.type(m),
                w,
                scalars,
            ),
        )
        node_scalars = self.xp.empty((n_nodes, 2 * n_behaviors), dtype)
        side = self.xp.empty(n_nodes, np.int8)
        d_tables = self.xp.empty_like(tables)
        self._by_vector(
            "owner_side",
            ceil_div(n_nodes, OWNERS),
            dtype,
            d,
            (
                tables,
                *pairs,
                weight,
                norm,
                c,
                w,
                scalars,
                rows,
                n_nodes,
                d,
                n_behaviors,
                int(k),
                dtype.type(t),
                node_scalars,
                side,
                d_tables,
            ),
        )
        return d_tables, *self._gate_gradients(tables[k], side, node_scalars, weight)

    def _interaction_pairs(self, tables, k, logits, bias, pairs, t, m):
        """(scores, sums, roots, cosines, gates, mixes); without logits the last two are None."""
        rows, d, dtype = len(pairs.left), tables[0].shape[1], tables[0].dtype
        sums, roots, cosines = self.xp.empty((3, rows, len(tables)), dtype)
        gates = None if logits is None else self.xp.empty((rows, len(tables)), dtype)
        mixes = None if logits is None else self.xp.empty(rows, dtype)
        scores = self.xp.empty(rows, dtype)
        self._by_vector(
            "interaction_pairs",
            ceil_div(rows, GROUPS),
            dtype,
            d,
            (
                Pointers(tables),
                len(tables),
                int(k),
                pairs.left,
                pairs.right,
                logits,
                bias,
                rows,
                d,
                dtype.type(t),
                dtype.type(m),
                sums,
                roots,
                cosines,
                gates,
                mixes,
                scores,
            ),
        )
        return scores, sums, roots, cosines, gates, mixes

    def _interaction_adjoint(self, d_scores, tables, k, weight, pairs, t, m, saved):
        """(d_tables (K, B, d), d_logits of the nodes, sides); the last two None without gates."""
        sums, roots, cosines, gates, mixes = saved
        (rows, n_behaviors), (n_nodes, d), dtype = sums.shape, tables[0].shape, tables[0].dtype
        flat, across, along = self.xp.empty((3, rows, n_behaviors), dtype)
        d_logits = node_logits = side = None
        if gates is not None:
            d_logits = self.xp.empty_like(gates)
            node_logits = self.xp.empty((n_nodes, n_behaviors), dtype)
            side = self.xp.empty(n_nodes, np.int8)
        self._by_type(
            "interaction_weights",
            ceil_div(rows, GROUPS),
            dtype,
            (
                d_scores,
                sums,
                roots,
                cosines,
                gates,
                mixes,
                rows,
                n_behaviors,
                int(k),
                dtype.type(t),
                dtype.type(m),
                flat,
                across,
                along,
                d_logits,
            ),
        )
        d_tables = self.xp.empty((n_behaviors, n_nodes, d), dtype)
        self._by_vector(
            "owner_interaction",
            ceil_div(n_nodes, OWNERS),
            dtype,
            d,
            (
                Pointers(tables),
                n_behaviors,
                int(k),
                *pairs,
                flat,
                across,
                along,
                weight,
                d_logits,
                rows,
                n_nodes,
                d,
                node_logits,
                side,
                d_tables,
            ),
        )
        return d_tables, node_logits, side

    def gated_interaction(self, tables, n_users, k, weight, bias, pairs, t, m):
        """Gated scores of the pairs, experts projected as vectors of the pair."""
        _, _, logits = self._node_stage(tables, k, weight, pairs, t, sides=False)
        scores, sums, roots, cosines, gates, mixes = self._interaction_pairs(
            list(tables), k, logits, bias, pairs, t, m
        )
        return scores, (gates, sums, roots, cosines, mixes)

    def gated_interaction_adjoint(
        self, d_scores, tables, n_users, k, weight, bias, pairs, t, m, saved
    ):
        """(d_tables, d_weight, d_bias) of `gated_interaction`."""
        gates, sums, roots, cosines, mixes = saved
        d_tables, d_logits, side = self._interaction_adjoint(
            d_scores, list(tables), k, weight, pairs, t, m, (sums, roots, cosines, gates, mixes)
        )
        return d_tables, *self._gate_gradients(tables[k], side, d_logits, weight)

    # ---- unique scores ------------------------------------------------------------------------

    def unique_side(self, table_j, table_k, pairs, t, m):
        """Scores of what j's tables have beyond k's, users and items apart."""
        n_nodes, d = table_j.shape
        c, norm = self.xp.empty((2, n_nodes), table_j.dtype)
        unique = self.xp.empty_like(table_j)
        self._by_vector(
            "unique_nodes",
            ceil_div(n_nodes, GROUPS),
            table_j.dtype,
            d,
            (
                table_j,
                table_k,
                pairs.owner_ptr,
                n_nodes,
                d,
                table_j.dtype.type(t),
                unique,
                c,
                norm,
            ),
        )
        return self.dot(unique, pairs, m), (unique, c, norm)

    def unique_side_adjoint(self, d_scores, table_j, table_k, pairs, t, m, saved):
        """(d_j, d_k) of `unique_side`."""
        unique, c, norm = saved
        n_nodes, d = table_j.shape
        dtype = table_j.dtype
        d_j, d_k = self.xp.empty_like(table_j), self.xp.empty_like(table_k)
        self._by_vector(
            "owner_unique_side",
            ceil_div(n_nodes, OWNERS),
            dtype,
            d,
            (
                table_j,
                table_k,
                unique,
                c,
                norm,
                d_scores,
                *pairs,
                len(pairs.left),
                n_nodes,
                d,
                dtype.type(t),
                dtype.type(m),
                d_j,
                d_k,
            ),
        )
        return d_j, d_k

    def unique_interaction(self, table_j, table_k, pairs, t, m):
        """m·(Σ q^j − t·cos(q^j, q^k)·Σ q^k) of each pair."""
        scores, *saved = self._interaction_pairs([table_j, table_k], 1, None, None, pairs, t, m)
        return scores, tuple(saved)

    def unique_interaction_adjoint(self, d_scores, table_j, table_k, pairs, t, m, saved):
        """(d_j, d_k) of `unique_interaction`."""
        d_tables, _, _ = self._interaction_adjoint(
            d_scores, [table_j, table_k], 1, None, pairs, t, m, saved
        )
        return d_tables[0], d_tables[1]
