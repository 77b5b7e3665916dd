"""experts: gated mixtures of one-layer networks over pairs, their first layers split by side.

A network on the concatenation [x_u ‖ x_v] begins with [x_u ‖ x_v]·W = x_u·W_a + x_v·W_b. So one
matrix product a side makes the first layers of all networks and gates for a batch's nodes, and a
pair only adds two rows. Pair r joins the user's row users[left[r]] and the item's row
items[right[r] − n_users]. With h a row's columns of expert j, c those of the gate, both given by
`Columns`, and m the argument `score_scale`:

mixture    f_j = Σ_a tower_a·LReLU(h_uj + h_vj)_a,  g = softmax(c_u + c_v), or 1 without a gate,
           s = m·(Σ_j g_j·f_j + offset)                spec "MTL heads": shared bottom, MMoE, PLE

LReLU(x) = x or slope·x, the latter also at 0; slope 1 is no activation at all.

Entry points
------------
mixture(users, items, tower, offset, pairs, columns, slope, score_scale) → (scores, saved)
mixture_adjoint(d_scores, users, items, tower, offset, pairs, columns, slope, score_scale, saved,
    d_users, d_items) → d_tower; d_users and d_items are ADDED TO, in the columns that the mixture
    reads: several behaviours share a table, and each sees a part of it

    users (n, C), items (B − n, C), d_users, d_items alike, tower (w,), offset (1,), scores (R,):
    F, float32 or float64, C order; pairs a `pairs.Pairs` over B nodes, users first.

The adjoint keeps two numbers a pair and expert, g_j and f_j, and adds the rows again: what a pair
would else keep is n·w numbers. No term of it is a product a pair and column: with S the sums over a
node's pairs of g_j·LReLU', d_h = tower∘S and d_tower = Σ over nodes of h∘S.

The offset has no gradient here. Losses of differences do not see it, so its gradient would be the
rounding of a sum that is 0, which Adam blows up to whole steps.

R = 0 is allowed: empty scores, zero gradients. An absent pair row (left = right = −1) scores 0 and
passes no gradient. Every node's gradient is summed by one owner over the pairs
it takes part in, in an order that their number alone decides: no atomics, threads change no bit.
CUDA takes at most 8 experts.
"""

from __future__ import annotations

from typing import NamedTuple


class Columns(NamedTuple):
    """Where a mixture's columns stand: experts of w columns each, in two runs, and a gate's logits.

    Experts 0…n_own − 1 begin at own, own + w, …; the n_shared others at shared, shared + w, …
    Logits stand in that order from `gate` on; −1: there is one expert and no gate.
    """

    own: int
    n_own: int
    shared: int
    n_shared: int
    gate: int = -1

    @property
    def count(self) -> int:
        """Experts."""
        return self.n_own + self.n_shared

    def starts(self, width: int) -> list[int]:
        """First column of each expert."""
        return [
            first + i * width
            for first, count in ((self.own, self.n_own), (self.shared, self.n_shared))
            for i in range(count)
        ]


def check(columns: Columns) -> None:
    """ValueError for several experts without a gate, or none."""
    if columns.count < 1 or (columns.gate < 0 and columns.count > 1):
        raise ValueError(f"{columns.count} experts need a gate; {columns} has none.")
