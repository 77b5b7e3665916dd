"""pme: projected experts, their gate and scores, on the rows of a batch only; adjoint by node.

A batch touches few of the N nodes. `compact` numbers its B distinct nodes 0…B−1 (users first, both
rising), `gather` takes their rows from K tables, and everything else works on those (K, B, d).

A pair row r joins user left[r] and item right[r], both in compact numbers. With Z^j the tables,
⟨·,·⟩ an inner product, ∘ a Hadamard product, ε = 1e-12, m the score scale, t the projection scale:

dot                  m·Σ_a x_la x_ra r_a, r all ones where no relation is given      Eq. 18; GHCF
gate (both levels)   g = softmax([Z_u^k ‖ Z_v^k]·weight + bias); slot 0 weighs the own expert, the
                     others follow in behaviour order                                Eq. 4, 17
gated_side           m·⟨Z_u^k,Z_v^k⟩·(g_0 + t²·Σ_{j≠k} g_j c_uj c_vj),
                     c_nj = ⟨Z_n^j,Z_n^k⟩ / (⟨Z_n^k,Z_n^k⟩ + ε)                       release
unique_side          m·⟨t(Z^j − cZ^k)_u, t(Z^j − cZ^k)_v⟩                            release
gated_interaction    m·(Σ_d q^k)·(g_0 + t·Σ_{j≠k} g_j cos(q^j,q^k)), q^j = Z_u^j∘Z_v^j   Eq. 15–17
unique_interaction   m·Σ_d (q^j − t·cos(q^j,q^k)·q^k)                                Eq. 16
                     cos(a,b) = ⟨a,b⟩ / (√(⟨a,a⟩+ε)·√(⟨b,b⟩+ε))

Entry points
------------
compact(node_lists, n_nodes, capacity=None) → (nodes (B,), tuple of the lists in compact numbers)
index_pairs(left, right, n_compact) → Pairs
gather(tables, nodes) → (K, B, d);   gather_adjoint(d_rows, nodes, n_nodes) → K tables (N, d)
dot(x, pairs, m, relation=None) → scores;   dot_adjoint(d_scores, x, pairs, m, relation=None)
    → (d_x, d_relation or None)
gated_side(tables, n_users, k, weight, bias, pairs, t, m) → (scores, saved)
gated_side_adjoint(d_scores, tables, n_users, k, weight, bias, pairs, t, m, saved)
    → (d_tables, d_weight, d_bias)
gated_interaction, gated_interaction_adjoint: the same arguments and results
unique_side(table_j, table_k, pairs, t, m) → (scores, saved)
unique_side_adjoint(d_scores, table_j, table_k, pairs, t, m, saved) → (d_j, d_k)
unique_interaction, unique_interaction_adjoint: the same arguments and results

    node_lists int32, each in any order; nodes, left, right (R,) int32; n_users of the B nodes are
    users; tables (K, B, d), x (B, d), weight (2d, K), bias (K,), relation (d,), scores (R,): F.

`saved` is a tuple of each form's own; its first entry is the gate (R, K) of the gated scores.
R = 0 is allowed: empty scores, zero gradients. A zero row scores 0 and passes finite gradients.
New arrays are returned; inputs are only read. In the adjoints every node's gradient is summed by
one owner over the pairs it takes part in, in an order that their number alone decides: no atomics,
no bit depends on threads.

Fixed shapes: what a captured step needs, whose launches repeat whatever is drawn. A pair row with
left = right = −1 is absent: it scores 0 under gates of 0, passes no gradient and is in no node's
list. With a capacity, no less than the number of distinct nodes (ValueError, but CUDA drops rows
of nodes beyond it unsaid), `compact` returns B = capacity nodes, the surplus −1; `gather` makes
their rows 0, and `gather_adjoint` leaves them out. −1 in a list stays −1. CUDA has a capacity in
any case, min(n_nodes, total length of the lists) by default, and reads no n_users, which only the
device may know: it sees a node's side by its ends. Its gates take at most 8 behaviors.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

EPSILON = 1e-12


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
