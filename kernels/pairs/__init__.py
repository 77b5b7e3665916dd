"""pairs: the nodes of a batch, their rows, inner products of pairs of them, a penalty on them.

A batch touches few of the N nodes. `compact` numbers its B distinct nodes 0…B−1 (users first, both
rising), `gather` takes their rows from K tables, and everything else works on those (K, B, d). A
pair row r joins user left[r] and item right[r], both in compact numbers. This is what any model
that scores pairs needs; what PKEF does with the rows beyond it is `pme`.

With ⟨·,·⟩ an inner product and m the argument `score_scale`:

dot       m·Σ_a x_la x_ra r_a, r all ones where no relation is given                 Eq. 18; GHCF
join      x_l + x_r ("sum") or x_l ∘ x_r ("product"): the rows of a dense layer over pairs
penalty   ½·Σ_n weights_n·⟨x_n,x_n⟩                                     L2 of the rows of a batch

Entry points
------------
compact(node_lists, n_nodes, capacity=None) → (nodes (B,), tuple of the lists in compact numbers)
index_pairs(left, right, n_compact) → Pairs
gather(tables, nodes) → (K, B, d);   gather_adjoint(d_rows, nodes, n_nodes) → K tables (N, d)
dot(x, pairs, score_scale, relation=None) → scores
dot_adjoint(d_scores, x, pairs, score_scale, relation=None) → (d_x, d_relation or None)
join(x, pairs, how) → y (R, d);   join_adjoint(d_y, x, pairs, how) → d_x       how one of JOINS
penalty(x, weights) → () float64
penalty_adjoint(d_out, x, weights) → d_x                        d_x_n = d_out·weights_n·x_n

    node_lists int32, each in any order; nodes, left, right (R,) int32; tables (K, B, d), x (B, d),
    weights (B,), relation (d,), scores (R,): F, float32 or float64; d_out () float64.

R = 0 and B = 0 are allowed: empty scores, a penalty of 0, zero gradients. New arrays are returned;
inputs are only read. In the adjoints of `dot` and `join` every node's gradient is summed by one
owner over the pairs it takes part in, in an order that their number alone decides: no atomics, no
bit depends on threads. `penalty` sums ⟨x_n,x_n⟩ in F and the rows in float64 over fixed pieces, to
the same end; its adjoint takes d_out·weights_n in float64 and rounds it to F.

Fixed shapes: what a captured step needs, whose launches repeat whatever is drawn. A pair row with
left = right = −1 is absent: it scores 0, its joined row is 0, it passes no gradient and is in no
node's list. With a
capacity, `compact` returns B = capacity nodes, the surplus −1; `gather` makes their rows 0, and
`gather_adjoint` leaves them out. −1 in a list stays −1. A capacity below the number of distinct
nodes is a ValueError in `reference` and `cpu`. CUDA cannot raise it without waiting for the device:
there the nodes of the largest numbers are dropped, and their entries in the lists become −1. CUDA
has a capacity in any case, min(n_nodes, total length of the lists) by default.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

JOINS = ("sum", "product")


def padded(nodes: np.ndarray, capacity: int | None) -> np.ndarray:
    """The distinct nodes of a batch, and −1 up to the capacity if there is one."""
    if capacity is None:
        return nodes
    if len(nodes) > capacity:
        raise ValueError(f"a batch of {len(nodes)} nodes exceeds the capacity of {capacity}.")
    return np.pad(nodes, (0, capacity - len(nodes)), constant_values=-1)


class Pairs(NamedTuple):
    """Pair rows, and their ends sorted by node.

    left, right (R,) int32: user and item of each pair. The ends of node n are
    owner_slots[owner_ptr[n]:owner_ptr[n+1]], rising: slot e < R is the left end of pair e, slot
    e ≥ R the right end of pair e − R; −1 from owner_ptr[B] on, where pairs are absent.
    owner_ptr (B+1,) int32, owner_slots (2R,) int32.
    """

    left: np.ndarray
    right: np.ndarray
    owner_ptr: np.ndarray
    owner_slots: np.ndarray
