"""experts on CUDA: launches of experts.cu. Contract: `__init__.py`.

Shapes are fixed by the arguments alone, and nothing waits for the device, so that a step can be
captured. A mixture has at most MAX_EXPERTS: one a lane of the eight that work on a pair.
"""

from __future__ import annotations

from pathlib import Path

from ..cuda import C_TYPES, Unsupported, ceil_div
from ..pairs.cuda import GROUPS, OWNERS, VECTOR_BYTES, RowLaunchers, instances_of
from . import check

SOURCE = Path(__file__).with_name("experts.cu")
MAX_EXPERTS = 8

# The tower's gradient is summed over at most this many pieces of nodes, a block each.
PIECES = 256

INSTANCES = instances_of(
    plain=(),
    by_type=("mixture_weights", "tower_pieces"),
    by_vector=("mixture_pairs", "owner_mixture"),
)


class Form(RowLaunchers):
    """The operation on one backend."""

    __all__ = ("mixture", "mixture_adjoint")
    source, instances = SOURCE, INSTANCES

    def _by_columns(self, name, blocks, users, width, columns, args):
        """The instance whose loads fit the rows, the experts' width and where they start."""
        vector = VECTOR_BYTES // users.dtype.itemsize
        ends = (users.shape[1], width, columns.own, columns.shared)
        V = 1 if any(end % vector for end in ends) else vector
        self._launch(f"{name}<{C_TYPES[users.dtype]}, {V}>", blocks, args)

    def mixture(self, users, items, tower, offset, pairs, columns, slope, score_scale):
        """(scores, (gates (R, n), parts (R, n))): what each expert says, weighed."""
        check(columns)
        if columns.count > MAX_EXPERTS:
            raise Unsupported(
                f"CUDA mixtures take at most {MAX_EXPERTS} experts, not {columns.count}; "
                "use the CPU."
            )
        rows, dtype = len(pairs.left), users.dtype
        gates, parts = self.xp.empty((2, rows, columns.count), dtype)
        scores = self.xp.empty(rows, dtype)
        self._by_columns(
            "mixture_pairs",
            ceil_div(rows, GROUPS),
            users,
            len(tower),
            columns,
            (
                users,
                items,
                tower,
                offset,
                pairs.left,
                pairs.right,
                *users.shape,
                *columns,
                len(tower),
                rows,
                dtype.type(slope),
                dtype.type(score_scale),
                gates,
                parts,
                scores,
            ),
        )
        return scores, (gates, parts)

    def mixture_adjoint(
        self,
        d_scores,
        users,
        items,
        tower,
        offset,
        pairs,
        columns,
        slope,
        score_scale,
        saved,
        d_users,
        d_items,
    ):
        """d_tower of `mixture`; adds to d_users and d_items."""
        rows, dtype, count = len(pairs.left), users.dtype, columns.count
        width, n_nodes = len(tower), len(users) + len(items)
        if not rows:
            return self.xp.zeros_like(tower)
        weights, d_logits = self.xp.empty((2, rows, count), dtype)
        self._by_type(
            "mixture_weights",
            ceil_div(rows, GROUPS),
            dtype,
            (
                d_scores,
                pairs.left,
                pairs.right,
                *saved,
                rows,
                count,
                dtype.type(score_scale),
                weights,
                d_logits,
            ),
        )
        sums = self.xp.empty((n_nodes, count * width), dtype)
        node_logits = self.xp.empty((n_nodes, count), dtype)
        self._by_columns(
            "owner_mixture",
            ceil_div(n_nodes, OWNERS),
            users,
            width,
            columns,
            (
                users,
                items,
                tower,
                *pairs,
                weights,
                d_logits,
                len(users),
                n_nodes,
                users.shape[1],
                *columns,
                width,
                rows,
                dtype.type(slope),
                sums,
                node_logits,
                d_users,
                d_items,
            ),
        )
        pieces = max(1, min(PIECES, n_nodes))
        partial = self.xp.empty((pieces, width), dtype)
        self._by_type(
            "tower_pieces",
            pieces,
            dtype,
            (
                users,
                items,
                sums,
                len(users),
                n_nodes,
                users.shape[1],
                *columns[:4],
                width,
                partial,
            ),
        )
        return self._sum_pieces(partial)
