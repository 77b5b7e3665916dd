"""pme: projected experts, their gate and scores, on the rows of a batch only; adjoint by node.

Everything works on the rows (K, B, d) that `pairs.gather` takes of a batch's B nodes, and on its
`Pairs`: a pair row r joins user left[r] and item right[r], both in compact numbers. With Z^j the
tables, ⟨·,·⟩ an inner product, ∘ a Hadamard product, ε = 1e-12, m the argument `score_scale`, t the
argument `projection_scale`:

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
gated_side(tables, n_users, k, weight, bias, pairs, projection_scale, score_scale)
    → (scores, saved)
gated_side_adjoint(d_scores, tables, n_users, k, weight, bias, pairs, projection_scale, score_scale,
    saved) → (d_tables, d_weight, d_bias)
gated_interaction, gated_interaction_adjoint: the same arguments and results
unique_side(table_j, table_k, pairs, projection_scale, score_scale) → (scores, saved)
unique_side_adjoint(d_scores, table_j, table_k, pairs, projection_scale, score_scale, saved)
    → (d_j, d_k)
unique_interaction, unique_interaction_adjoint: the same arguments and results

    n_users of the B nodes are users; tables (K, B, d), weight (2d, K), bias (K,), scores (R,): F.

`saved` is a tuple of each form's own; its first entry is the gate (R, K) of the gated scores.
R = 0 is allowed: empty scores, zero gradients. A zero row scores 0 and passes finite gradients.
An absent pair row scores 0 under gates of 0 and passes no gradient. New arrays are returned; inputs
are only read. In the adjoints every node's gradient is summed by one owner over the pairs it takes
part in, in an order that their number alone decides: no atomics, no bit depends on threads.

CUDA reads no n_users, which only the device may know: it sees a node's side by its ends. Its gates
take at most 8 behaviors.
"""

EPSILON = 1e-12
