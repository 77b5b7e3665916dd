"""pme on CUDA: launches of pme.cu. Contract: `__init__.py`.

Shapes are fixed by the arguments alone, and nothing waits for the device, so that a step can be
captured. `n_users` is not read, since a node's side is that of its ends. A gate may have at most
MAX_BEHAVIORS slots: one a lane of the eight that work on a pair, which keeps the softmax in
registers; the data sets have three and four.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from ..cuda import Pointers, Unsupported, ceil_div
from ..pairs.cuda import GROUPS, OWNERS, RowLaunchers, instances_of
from ..pairs.cuda import Form as PairsForm

SOURCE = Path(__file__).with_name("pme.cu")
MAX_BEHAVIORS = 8

# Gate gradients are summed over at most this many pieces of nodes, a block a piece.
PIECES = 256

INSTANCES = instances_of(
    plain=(),
    by_type=("gate_pieces", "side_pairs_adjoint", "interaction_weights"),
    by_vector=(
        "node_stage",
        "side_pairs",
        "owner_side",
        "unique_nodes",
        "owner_unique_side",
        "interaction_pairs",
        "owner_interaction",
    ),
)


class Form(RowLaunchers):
    """The operation on one backend."""

    __all__ = (
        "gated_interaction",
        "gated_interaction_adjoint",
        "gated_side",
        "gated_side_adjoint",
        "unique_interaction",
        "unique_interaction_adjoint",
        "unique_side",
        "unique_side_adjoint",
    )
    source, instances = SOURCE, INSTANCES

    def __init__(self, backend):
        super().__init__(backend)
        self.pairs = PairsForm(backend)

    # ---- gated scores -------------------------------------------------------------------------

    def _node_stage(self, tables, k, weight, pairs, projection_scale, sides):
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
                tables.dtype.type(projection_scale),
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

    def gated_side(self, tables, n_users, k, weight, bias, pairs, projection_scale, score_scale):
        """Gated scores of the pairs, experts projected for users and items apart."""
        norm, c, logits = self._node_stage(tables, k, weight, pairs, projection_scale, sides=True)
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
                dtype.type(score_scale),
                gates,
                products,
                mixes,
                scores,
            ),
        )
        return scores, (gates, norm, c, products, mixes)

    def gated_side_adjoint(
        self,
        d_scores,
        tables,
        n_users,
        k,
        weight,
        bias,
        pairs,
        projection_scale,
        score_scale,
        saved,
    ):
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
                dtype.type(score_scale),
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
                dtype.type(projection_scale),
                node_scalars,
                side,
                d_tables,
            ),
        )
        return d_tables, *self._gate_gradients(tables[k], side, node_scalars, weight)

    def _interaction_pairs(self, tables, k, logits, bias, pairs, projection_scale, score_scale):
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
                dtype.type(projection_scale),
                dtype.type(score_scale),
                sums,
                roots,
                cosines,
                gates,
                mixes,
                scores,
            ),
        )
        return scores, sums, roots, cosines, gates, mixes

    def _interaction_adjoint(
        self, d_scores, tables, k, weight, pairs, projection_scale, score_scale, saved
    ):
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
                dtype.type(projection_scale),
                dtype.type(score_scale),
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

    def gated_interaction(
        self, tables, n_users, k, weight, bias, pairs, projection_scale, score_scale
    ):
        """Gated scores of the pairs, experts projected as vectors of the pair."""
        _, _, logits = self._node_stage(tables, k, weight, pairs, projection_scale, sides=False)
        scores, sums, roots, cosines, gates, mixes = self._interaction_pairs(
            list(tables), k, logits, bias, pairs, projection_scale, score_scale
        )
        return scores, (gates, sums, roots, cosines, mixes)

    def gated_interaction_adjoint(
        self,
        d_scores,
        tables,
        n_users,
        k,
        weight,
        bias,
        pairs,
        projection_scale,
        score_scale,
        saved,
    ):
        """(d_tables, d_weight, d_bias) of `gated_interaction`."""
        gates, sums, roots, cosines, mixes = saved
        d_tables, d_logits, side = self._interaction_adjoint(
            d_scores,
            list(tables),
            k,
            weight,
            pairs,
            projection_scale,
            score_scale,
            (sums, roots, cosines, gates, mixes),
        )
        return d_tables, *self._gate_gradients(tables[k], side, d_logits, weight)

    # ---- unique scores ------------------------------------------------------------------------

    def unique_side(self, table_j, table_k, pairs, projection_scale, score_scale):
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
                table_j.dtype.type(projection_scale),
                unique,
                c,
                norm,
            ),
        )
        return self.pairs.dot(unique, pairs, score_scale), (unique, c, norm)

    def unique_side_adjoint(
        self, d_scores, table_j, table_k, pairs, projection_scale, score_scale, saved
    ):
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
                dtype.type(projection_scale),
                dtype.type(score_scale),
                d_j,
                d_k,
            ),
        )
        return d_j, d_k

    def unique_interaction(self, table_j, table_k, pairs, projection_scale, score_scale):
        """m·(Σ q^j − t·cos(q^j, q^k)·Σ q^k) of each pair."""
        scores, *saved = self._interaction_pairs(
            [table_j, table_k], 1, None, None, pairs, projection_scale, score_scale
        )
        return scores, tuple(saved)

    def unique_interaction_adjoint(
        self, d_scores, table_j, table_k, pairs, projection_scale, score_scale, saved
    ):
        """(d_j, d_k) of `unique_interaction`."""
        d_tables, _, _ = self._interaction_adjoint(
            d_scores, [table_j, table_k], 1, None, pairs, projection_scale, score_scale, saved
        )
        return d_tables[0], d_tables[1]
